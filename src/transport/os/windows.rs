//! Windows: sections of the page file and an auto-reset event. Written from documentation, checked against the
//! declarations of `windows-sys`; built and tested by CI on that system, not run during development.
//!
//! Engine and hosts share one process here. What two processes will need (objects handed over, a pipe of our user alone,
//! one engine at a time) stands in `objects`, `pipe` and `lock` with its tests; the channel between them is not written.

use super::super::error::TransportError;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForSingleObject};

mod memory;
pub(in crate::transport) use memory::Mapping;

#[cfg(test)]
mod lock;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod pipe;

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
