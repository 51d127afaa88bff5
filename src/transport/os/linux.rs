use super::super::error::TransportError;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{read, write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// The end that rings: an eventfd's counter is raised.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Ringer(Arc<OwnedFd>);

/// The end that is polled: readable while the counter is above zero.
#[derive(Debug)]
pub(in crate::transport) struct Bell(Arc<OwnedFd>);

/// A bell and who rings it.
pub(in crate::transport) fn bell() -> Result<(Ringer, Bell), TransportError> {
    let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
        .map_err(|source| TransportError::System { what: "eventfd", source: source.into() })?;
    let fd = Arc::new(fd);
    Ok((Ringer(fd.clone()), Bell(fd)))
}

impl Ringer {
    /// Never blocks; a bell that rings already is left ringing.
    pub(in crate::transport) fn ring(&self) {
        let _ = write(&*self.0, &1u64.to_ne_bytes());
    }
}

impl Bell {
    /// Silences the bell.
    pub(in crate::transport) fn drain(&self) {
        let _ = read(&*self.0, &mut [0u8; 8]);
    }

    /// Waits until the bell rings, at most `timeout`. May return early: the caller looks and waits again.
    pub(in crate::transport) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let _ = poll(&mut [PollFd::new(&*self.0, PollFlags::IN)], timeout.as_ref());
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
