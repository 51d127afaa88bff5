//! As `watch`, where there is no epoll: a kqueue can itself be polled, by `poll` and by another kqueue. Written from
//! documentation; built and tested by CI on macOS, not run during development.

use super::super::error::TransportError;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent, kqueue};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Readable while the watched descriptor is.
#[derive(Debug)]
pub struct Watch(OwnedFd);

fn refused(source: Errno) -> TransportError {
    TransportError::System { what: "kqueue", source: source.into() }
}

impl Watch {
    /// Watches `first`.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn new(first: BorrowedFd<'_>) -> Result<Self, TransportError> {
        let queue = kqueue().map_err(refused)?;
        fcntl_setfd(&queue, FdFlags::CLOEXEC).map_err(refused)?;
        let watch = Self(queue);
        watch.change(first, EventFlags::ADD).map_err(refused)?;
        Ok(watch)
    }

    /// Watches `next` instead of `before`, which may be open for longer.
    ///
    /// # Errors
    /// No memory in the system; then `before` is watched on.
    pub fn replace(&self, before: BorrowedFd<'_>, next: BorrowedFd<'_>) -> Result<(), TransportError> {
        self.change(next, EventFlags::ADD).map_err(refused)?;
        // It fails only when it is not watched, which is as good.
        let _ = self.change(before, EventFlags::DELETE);
        Ok(())
    }

    /// To be called when everything was read: a kqueue looks anew at what it watches only when it is asked for events.
    pub fn settle(&self) {
        let mut room = [MaybeUninit::<Event>::uninit(); 2];
        // SAFETY: names no descriptor. What stays readable stays in the queue.
        let _ = unsafe { kevent(&self.0, &[], &mut room, Some(Duration::ZERO)) };
    }

    fn change(&self, fd: BorrowedFd<'_>, flags: EventFlags) -> Result<(), Errno> {
        let change = Event::new(EventFilter::Read(fd.as_raw_fd()), flags, std::ptr::null_mut());
        let mut none: [MaybeUninit<Event>; 0] = [];
        // SAFETY: the descriptor is open now; when it is closed, the system forgets it here too.
        unsafe { kevent(&self.0, &[change], &mut none, Some(Duration::ZERO)) }.map(drop)
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_handle_follows_from_one_connection_to_the_next() {
        let (first, first_peer) = UnixStream::pair().unwrap();
        let (mut second, mut second_peer) = UnixStream::pair().unwrap();
        let watch = Watch::new(first.as_fd()).unwrap();
        let is_readable = || {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&watch.0, PollFlags::IN)], Some(&now)).unwrap() == 1
        };
        assert!(!is_readable());
        drop(first_peer);
        // Again and again, until somebody does something about it.
        assert!(is_readable() && is_readable());
        watch.settle();
        assert!(is_readable());
        watch.replace(first.as_fd(), second.as_fd()).unwrap();
        assert!(!is_readable());
        second_peer.write_all(&[1]).unwrap();
        assert!(is_readable());
        second.read_exact(&mut [0]).unwrap();
        watch.settle();
        assert!(!is_readable());
    }
}
