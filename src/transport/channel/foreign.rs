//! A descriptor from the other side, of which nothing is known yet.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

/// Closing a descriptor can take as long as the other side likes (a lingering connection, a file that a process of its
/// own serves), so one that was not found to be plain memory is closed by a thread that nobody waits for.
#[derive(Debug)]
pub(in crate::transport) struct Foreign(ManuallyDrop<OwnedFd>);

impl Foreign {
    /// As received.
    pub(in crate::transport) fn new(file: OwnedFd) -> Self {
        Self(ManuallyDrop::new(file))
    }

    /// It was found to be plain memory.
    pub(in crate::transport) fn known(self) -> OwnedFd {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once: `this` is neither used again nor dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl AsFd for Foreign {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: taken once: this is the drop.
        let file = unsafe { ManuallyDrop::take(&mut self.0) };
        // Without a thread it is closed here: better late than leaked.
        let _ = thread::Builder::new().name("lapce-ai close".into()).spawn(move || drop(file));
    }
}
