//! Sections that two processes see: made by one, taken by the other.
//!
//! The sender names a handle of its own, the receiver fetches it from the sender's process with the one right that it
//! needs. So a number from the other side never means a handle of ours.

use super::memory::{Mapping, READ_AND_WRITE, section};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::DuplicateHandle;
use windows_sys::Win32::System::Memory::FILE_MAP_READ;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// A zeroed region of `len` bytes that only this process can write, and the handle that the other side may fetch.
pub(super) fn create_region(len: usize) -> io::Result<(OwnedHandle, Mapping)> {
    let section = section(len)?;
    let mapping = Mapping::of(section.as_handle(), len, READ_AND_WRITE)?;
    // SAFETY: no arguments; the handle it gives stands for this process and need not be closed.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: it is valid as long as the process is.
    let readable = fetch(unsafe { BorrowedHandle::borrow_raw(this) }, section.as_raw_handle() as u64)?;
    Ok((readable, mapping))
}

/// The other side's region of `len` bytes, read-only. A section that is shorter is refused by the system.
pub(super) fn open_region(object: BorrowedHandle<'_>, len: usize) -> io::Result<Mapping> {
    Mapping::of(object, len, FILE_MAP_READ)
}

/// Fetches a section from another process, to read it. `sender` was opened with `PROCESS_DUP_HANDLE`.
pub(super) fn fetch(sender: BorrowedHandle<'_>, handle: u64) -> io::Result<OwnedHandle> {
    let mut fetched = null_mut();
    // SAFETY: two processes that are open, and room for the result. Any number may stand for the handle: what is none in
    // that process is refused.
    let done = unsafe {
        let this = GetCurrentProcess();
        DuplicateHandle(sender.as_raw_handle(), handle as usize as _, this, &mut fetched, FILE_MAP_READ, 0, 0)
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(fetched) })
}

mod tests {
    use super::*;

    fn byte(mapping: &Mapping, at: usize) -> *mut u8 {
        assert!(at < mapping.len());
        // SAFETY: inside of the mapping.
        unsafe { mapping.base().as_ptr().add(at) }
    }

    #[test]
    fn what_one_side_writes_the_other_reads_and_cannot_write() {
        let (object, ours) = create_region(5000).unwrap();
        let theirs = open_region(object.as_handle(), 5000).unwrap();
        // SAFETY: both are mapped, and no other thread knows of them.
        let seen = unsafe {
            byte(&ours, 4999).write_volatile(7);
            byte(&theirs, 4999).read_volatile()
        };
        assert_eq!(seen, 7);
        assert!(Mapping::of(object.as_handle(), 5000, READ_AND_WRITE).is_err());
        assert!(open_region(object.as_handle(), 1 << 20).is_err());
    }
}
