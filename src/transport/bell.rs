//! What wakes a side that sleeps: in process a handle of the system, across processes the socket, whose other end may be
//! gone.

#[cfg(unix)]
use super::channel::Channel;
use super::consumer::Waited;
use super::error::TransportError;
use super::os;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(unix)]
use std::sync::Arc;
use std::time::Duration;

/// The end that is waited for.
#[derive(Debug)]
pub(super) enum Bell {
    /// Rung in this process.
    Local(os::Bell),
    /// Rung by another process.
    #[cfg(unix)]
    Channel(Arc<Channel>),
}

/// The end that rings.
#[derive(Clone, Debug)]
pub(super) enum Ringer {
    /// Rings in this process.
    Local(os::Ringer),
    /// Rings in another process.
    #[cfg(unix)]
    Channel(Arc<Channel>),
}

/// Why the other side will do nothing more; [`TransportError`] words it.
#[cfg(unix)]
pub(super) use super::channel::Gone;

/// In process the other side is never gone without closing its ring.
#[cfg(not(unix))]
#[derive(Clone, Copy, Debug)]
pub(super) enum Gone {}

#[cfg(not(unix))]
impl From<Gone> for TransportError {
    fn from(gone: Gone) -> Self {
        match gone {}
    }
}

impl From<Gone> for Waited {
    fn from(gone: Gone) -> Self {
        match gone {
            #[cfg(unix)]
            Gone::Goodbye(_) => Self::Closed,
            #[cfg(unix)]
            Gone::Lost | Gone::Broken(_) => Self::Lost,
        }
    }
}

/// A bell and who rings it, in this process.
pub(super) fn local() -> Result<(Ringer, Bell), TransportError> {
    os::bell().map(|(ringer, bell)| (Ringer::Local(ringer), Bell::Local(bell)))
}

impl Ringer {
    /// Never blocks; a bell that rings already is left ringing.
    pub(super) fn ring(&self) {
        match self {
            Self::Local(ringer) => ringer.ring(),
            #[cfg(unix)]
            Self::Channel(channel) => channel.ring(),
        }
    }

    /// Whether the other side is known to be gone.
    pub(super) fn gone(&self) -> Option<Gone> {
        match self {
            Self::Local(_) => None,
            #[cfg(unix)]
            Self::Channel(channel) => channel.gone(),
        }
    }

    /// Tells the other side that nothing follows.
    pub(super) fn goodbye(&self, _reason: u32) {
        match self {
            Self::Local(_) => {}
            #[cfg(unix)]
            Self::Channel(channel) => channel.goodbye(_reason),
        }
    }
}

impl Bell {
    /// Silences the bell; across processes, also takes in what came beside the rings.
    pub(super) fn drain(&self) {
        match self {
            Self::Local(bell) => bell.drain(),
            #[cfg(unix)]
            Self::Channel(channel) => channel.drain(),
        }
    }

    /// Whether the other side is known to be gone.
    pub(super) fn gone(&self) -> Option<Gone> {
        match self {
            Self::Local(_) => None,
            #[cfg(unix)]
            Self::Channel(channel) => channel.gone(),
        }
    }

    /// Waits until the bell rings, at most `timeout`. May return early: the caller looks and waits again.
    pub(super) fn wait(&self, timeout: Option<Duration>) {
        match self {
            Self::Local(bell) => bell.wait(timeout),
            #[cfg(unix)]
            Self::Channel(channel) => channel.wait(timeout),
        }
    }
}

#[cfg(windows)]
impl Bell {
    /// Another end that rings this bell.
    pub(super) fn ringer(&self) -> os::Ringer {
        let Self::Local(bell) = self;
        bell.ringer()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for Bell {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        let Self::Local(bell) = self;
        bell.as_handle()
    }
}

#[cfg(unix)]
impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Local(bell) => bell.as_fd(),
            Self::Channel(channel) => channel.as_fd(),
        }
    }
}

#[cfg(unix)]
impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Local(bell) => bell.as_raw_fd(),
            Self::Channel(channel) => channel.as_raw_fd(),
        }
    }
}
