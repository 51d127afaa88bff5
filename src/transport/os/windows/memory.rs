//! Sections of the page file. Their size never changes, so that a view cannot fault.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{NonNull, null};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    PAGE_READWRITE, UnmapViewOfFile,
};

/// What the owner of a section does with it.
pub(super) const READ_AND_WRITE: FILE_MAP = FILE_MAP_READ | FILE_MAP_WRITE;

/// A view of a section, page aligned.
#[derive(Debug)]
pub(in crate::transport) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory without ties to a thread; what it holds is reached through `Region` only.
unsafe impl Send for Mapping {}
// SAFETY: as above; `Mapping` itself reads and writes nothing.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes of this process alone, zeroed.
    pub(in crate::transport) fn anonymous(len: usize) -> io::Result<Self> {
        // The view keeps the section.
        Self::of(section(len)?.as_handle(), len, READ_AND_WRITE)
    }

    /// The first `len` bytes of a section, with these rights. The system refuses what the section or handle does not give.
    pub(super) fn of(section: BorrowedHandle<'_>, len: usize, rights: FILE_MAP) -> io::Result<Self> {
        // SAFETY: an open handle; a new view at an address of the system's choice aliases nothing of ours.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), rights, 0, 0, len) };
        NonNull::new(view.Value.cast()).map(|base| Self { base, len }).ok_or_else(io::Error::last_os_error)
    }

    pub(in crate::transport) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(in crate::transport) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `MapViewOfFile`; every pointer into it holds an `Arc` of this mapping.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.base.as_ptr().cast() }) };
    }
}

/// A section without a name, of `len` zeroes.
pub(super) fn section(len: usize) -> io::Result<OwnedHandle> {
    let (high, low) = ((len as u64 >> 32) as u32, len as u32);
    // SAFETY: no file, no attributes, no name.
    let handle = unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE, high, low, null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
