//! A handle that stays the same while what it stands for changes: a host polls one descriptor for a client's whole life,
//! whichever connection it has. An epoll instance can itself be polled, by `poll` and by another epoll.

use super::super::error::TransportError;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Readable while the watched descriptor is.
#[derive(Debug)]
pub struct Watch(OwnedFd);

fn refused(source: Errno) -> TransportError {
    TransportError::System { what: "epoll", source: source.into() }
}

impl Watch {
    /// Watches `first`.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn new(first: BorrowedFd<'_>) -> Result<Self, TransportError> {
        let watch = Self(epoll::create(CreateFlags::CLOEXEC).map_err(refused)?);
        watch.add(first)?;
        Ok(watch)
    }

    /// Watches `next` instead of `before`, which may be open for longer.
    ///
    /// # Errors
    /// No memory in the system; then `before` is watched on.
    pub fn replace(&self, before: BorrowedFd<'_>, next: BorrowedFd<'_>) -> Result<(), TransportError> {
        self.add(next)?;
        // It fails only when it is not watched, which is as good.
        let _ = epoll::delete(&self.0, before);
        Ok(())
    }

    /// To be called when everything was read. An epoll looks for itself.
    pub fn settle(&self) {}

    fn add(&self, fd: BorrowedFd<'_>) -> Result<(), TransportError> {
        epoll::add(&self.0, fd, EventData::new_u64(0), EventFlags::IN).map_err(refused)
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
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_handle_follows_from_one_connection_to_the_next() {
        let (first, first_peer) = UnixStream::pair().unwrap();
        let (second, mut second_peer) = UnixStream::pair().unwrap();
        let watch = Watch::new(first.as_fd()).unwrap();
        let is_readable = || {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&watch.0, PollFlags::IN)], Some(&now)).unwrap() == 1
        };
        assert!(!is_readable());
        drop(first_peer);
        // Again and again, until somebody does something about it.
        assert!(is_readable() && is_readable());
        watch.replace(first.as_fd(), second.as_fd()).unwrap();
        assert!(!is_readable());
        second_peer.write_all(&[1]).unwrap();
        assert!(is_readable());
    }
}
