//! macOS and other Unix systems without eventfd: a non-blocking pipe. Run on Linux by the tests only.

use super::super::error::TransportError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd, read, write};
use rustix::pipe::pipe;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// The end that rings: a byte is written.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Ringer(Arc<OwnedFd>);

/// The end that is polled: readable while bytes wait.
#[derive(Debug)]
pub(in crate::transport) struct Bell(OwnedFd);

/// A bell and who rings it.
pub(in crate::transport) fn bell() -> Result<(Ringer, Bell), TransportError> {
    private_pipe()
        .map(|(reader, writer)| (Ringer(Arc::new(writer)), Bell(reader)))
        .map_err(|source| TransportError::System { what: "pipe", source: source.into() })
}

fn private_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe()?;
    for end in [&reader, &writer] {
        fcntl_setfd(end, FdFlags::CLOEXEC)?;
        fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
    }
    Ok((reader, writer))
}

impl Ringer {
    /// Never blocks; a full pipe rings already.
    pub(in crate::transport) fn ring(&self) {
        let _ = write(&*self.0, &[1]);
    }
}

impl Bell {
    /// Silences the bell.
    pub(in crate::transport) fn drain(&self) {
        let mut bytes = [0u8; 64];
        while matches!(read(&self.0, &mut bytes), Ok(len) if len == bytes.len()) {}
    }

    /// Waits until the bell rings, at most `timeout`. May return early: the caller looks and waits again.
    pub(in crate::transport) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], timeout.as_ref());
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
