//! Windows: memory from the page file and an auto-reset event. Written from documentation; not run during development.

use super::super::error::TransportError;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForSingleObject};

/// Memory of this process alone, zeroed, page aligned.
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
    /// `len` bytes.
    pub(in crate::transport) fn anonymous(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh allocation at an address of the system's choice aliases nothing.
        let base = unsafe { VirtualAlloc(std::ptr::null(), len, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) };
        NonNull::new(base.cast()).map(|base| Self { base, len }).ok_or_else(io::Error::last_os_error)
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
        // SAFETY: made by `VirtualAlloc`; every pointer into it holds an `Arc` of this mapping.
        unsafe { VirtualFree(self.base.as_ptr().cast(), 0, MEM_RELEASE) };
    }
}

/// The end that rings: the event is set.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Ringer(Arc<OwnedHandle>);

/// The end that is waited for.
#[derive(Debug)]
pub(in crate::transport) struct Bell(Arc<OwnedHandle>);

/// A bell and who rings it.
pub(in crate::transport) fn bell() -> Result<(Ringer, Bell), TransportError> {
    // SAFETY: no attributes, no name; auto-reset, initially silent.
    let handle = unsafe { CreateEventW(std::ptr::null(), 0, 0, std::ptr::null()) };
    if handle.is_null() {
        return Err(TransportError::System { what: "CreateEvent", source: io::Error::last_os_error() });
    }
    // SAFETY: a new handle that nobody else owns.
    let handle = Arc::new(unsafe { OwnedHandle::from_raw_handle(handle.cast()) });
    Ok((Ringer(handle.clone()), Bell(handle)))
}

impl Ringer {
    /// Never blocks; an event that is set stays set.
    pub(in crate::transport) fn ring(&self) {
        // SAFETY: a handle that we own.
        unsafe { SetEvent(self.0.as_raw_handle().cast()) };
    }
}

impl Bell {
    /// Another end that rings this bell.
    pub(in crate::transport) fn ringer(&self) -> Ringer {
        Ringer(self.0.clone())
    }

    /// Silences the bell.
    pub(in crate::transport) fn drain(&self) {
        // SAFETY: a handle that we own.
        unsafe { ResetEvent(self.0.as_raw_handle().cast()) };
    }

    /// Waits until the bell rings, at most `timeout`. May return early: the caller looks and waits again.
    pub(in crate::transport) fn wait(&self, timeout: Option<Duration>) {
        let millis = timeout.map_or(INFINITE, |limit| {
            u32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
        });
        // SAFETY: a handle that we own.
        unsafe { WaitForSingleObject(self.0.as_raw_handle().cast(), millis) };
    }
}

impl AsHandle for Bell {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
