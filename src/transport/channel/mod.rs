//! The socket between an attached client and its engine: bell, large bodies, goodbye and death.
//!
//! Both ends hold a stream socket that never blocks. [`frames`] says what travels on it. The bell is a byte, because an
//! eventfd's other holder could make writing it block; what rings already is not rung again. A large body is pushed with
//! its descriptor before the record that names it, so whoever sees the record finds the body by one look at the socket.
//! Death is the end of the stream without a goodbye, and nothing else.
//!
//! Must not: block, trust what arrives, or hold more of it than the limits below.

mod foreign;
pub(super) mod frames;
#[cfg(all(test, any(target_os = "linux", target_os = "android"), not(miri)))]
mod tests;

pub(super) use self::foreign::Foreign;
use self::frames::{Frame, Parser};
use super::error::{Breach, TransportError};
use super::os;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, Shutdown,
    recvmsg, sendmsg, shutdown,
};
use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Large bodies on their way in one direction.
pub(super) const BLOBS_LIMIT: usize = 64;
/// Reads of one look at the socket. A correct peer's frames, as many as its socket holds, need fewer.
const READS: usize = 256;
/// Bytes of one read.
const READ_LEN: usize = 512;
/// Descriptors of one read; more are closed by the system, which says so.
const FILES: usize = 4;

/// One end of the socket, shared by all halves of an attached end.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    incoming: Mutex<Incoming>,
    gone: OnceLock<Gone>,
    said_goodbye: AtomicBool,
}

/// How the other side went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// With a goodbye.
    Goodbye(u32),
    /// Without.
    Lost,
    /// It was caught breaking the protocol, and cut off.
    Broken(Breach),
}

impl From<Gone> for TransportError {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Goodbye(reason) => Self::Closed { reason },
            Gone::Lost => Self::Lost,
            Gone::Broken(breach) => Self::Broken(breach),
        }
    }
}

/// A large body that has arrived: sealed, and of the size announced.
#[derive(Debug)]
pub(super) struct Arrived {
    pub file: OwnedFd,
    pub len: usize,
}

#[derive(Debug, Default)]
struct Incoming {
    /// Bytes of large bodies that may wait here.
    limit: u64,
    parser: Parser<Foreign>,
    blobs: HashMap<u64, Arrived>,
    bytes: u64,
    last_number: u64,
}

impl Channel {
    /// A connected socket, after the handshake; so many bytes of large bodies may wait on this side.
    pub(super) fn new(socket: OwnedFd, limit: usize) -> Self {
        let (gone, said_goodbye) = Default::default();
        let incoming = Mutex::new(Incoming { limit: limit as u64, ..Incoming::default() });
        Self { socket, incoming, gone, said_goodbye }
    }

    /// How the other side went, as far as the socket was read.
    pub(super) fn gone(&self) -> Option<Gone> {
        self.gone.get().copied()
    }

    /// Rings the other side's bell. A full socket rings already.
    pub(super) fn ring(&self) {
        if self.gone().is_none()
            && matches!(send(&self.socket, &[frames::RING], None), Err(Errno::PIPE | Errno::CONNRESET))
        {
            // It is gone; what it said last stands in our side of the socket.
            self.drain();
        }
    }

    /// Sends a large body ahead of its record.
    ///
    /// # Errors
    /// [`TransportError::Full`]: try again when room comes.
    pub(super) fn send_blob(&self, number: u64, len: u64, file: BorrowedFd<'_>) -> Result<(), TransportError> {
        if let Some(gone) = self.gone() {
            return Err(gone.into());
        }
        let bytes = frames::blob(number, len);
        match send(&self.socket, &bytes, Some(file)) {
            Ok(sent) if sent == bytes.len() => Ok(()),
            // The socket took a part: the rest could only follow by blocking.
            Ok(_) => Err(self.cut_off(Gone::Lost).into()),
            Err(Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => Err(TransportError::Full),
            Err(Errno::PIPE | Errno::CONNRESET) => {
                self.drain();
                Err(self.gone().unwrap_or(Gone::Lost).into())
            }
            Err(source) => Err(TransportError::System { what: "sending a large body", source: source.into() }),
        }
    }

    /// Says goodbye, once. A socket that is full goes without: the end of the stream, or the ring's state, must do.
    pub(super) fn goodbye(&self, reason: u32) {
        if !self.said_goodbye.swap(true, Ordering::Relaxed) && self.gone().is_none() {
            let _ = send(&self.socket, &frames::goodbye(reason), None);
        }
    }

    /// Reads what has come: silences the bell, keeps large bodies, learns of goodbye and death.
    pub(super) fn drain(&self) {
        self.drain_within(READS);
    }

    fn drain_within(&self, reads: usize) {
        if self.gone().is_some() {
            return;
        }
        let mut incoming = self.lock();
        let mut bytes = [0; READ_LEN];
        for _ in 0..reads {
            let gone = match receive(&self.socket, &mut bytes) {
                Ok(read) if read.len == 0 => Gone::Lost,
                Ok(read) => match incoming.accept(bytes.get(..read.len).unwrap_or_default(), read) {
                    Ok(None) => continue,
                    Ok(Some(reason)) => Gone::Goodbye(reason),
                    Err(breach) => Gone::Broken(breach),
                },
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Err(_) => Gone::Lost,
            };
            self.cut_off(gone);
            return;
        }
        self.cut_off(Gone::Broken(Breach::Flood));
    }

    /// Takes a large body out, when it has come.
    pub(super) fn take(&self, number: u64) -> Option<Arrived> {
        let mut incoming = self.lock();
        let arrived = incoming.blobs.remove(&number)?;
        incoming.bytes -= arrived.len as u64;
        Some(arrived)
    }

    /// Waits until something has come, at most `timeout`. May return early.
    pub(super) fn wait(&self, timeout: Option<Duration>) {
        let _ = wait_for(self.socket.as_fd(), PollFlags::IN, timeout);
    }

    /// Ends it from here. What the other side did first stays the reason.
    pub(super) fn cut_off(&self, gone: Gone) -> Gone {
        let gone = *self.gone.get_or_init(|| gone);
        if matches!(gone, Gone::Broken(_)) {
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
        gone
    }

    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.goodbye(0);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Incoming {
    /// Takes what one read gave; the reason when it was the last.
    fn accept(&mut self, bytes: &[u8], read: Read) -> Result<Option<u32>, Breach> {
        if read.files_cut {
            return Err(Breach::Frame);
        }
        let Self { limit, parser, blobs, bytes: held, last_number } = self;
        let mut goodbye = None;
        parser.feed(bytes, read.files, |frame| match frame {
            Frame::Goodbye { reason } => {
                goodbye.get_or_insert(reason);
                Ok(())
            }
            Frame::Blob { number, len, file } => {
                let fits = blobs.len() < BLOBS_LIMIT && len <= *limit - *held;
                let len_here = usize::try_from(len).ok().filter(|len| *len > 0).ok_or(Breach::Blob)?;
                if !fits || number != *last_number + 1 || os::check_blob(file.as_fd(), len_here).is_err() {
                    return Err(Breach::Blob);
                }
                *last_number = number;
                *held += len;
                blobs.insert(number, Arrived { file: file.known(), len: len_here });
                Ok(())
            }
        })?;
        Ok(goodbye)
    }
}

/// What one read of a socket gave beside the bytes.
#[derive(Debug)]
pub(super) struct Read {
    /// Bytes; 0 at the end of the stream.
    pub len: usize,
    /// Descriptors.
    pub files: Vec<Foreign>,
    /// Whether there were more descriptors than anyone may send.
    pub files_cut: bool,
}

/// Reads once, without blocking.
pub(super) fn receive(socket: impl AsFd, bytes: &mut [u8]) -> Result<Read, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, os::RECEIVE)?;
    let mut files = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            files.extend(received.map(|file| Foreign::new(os::received_privately(file))));
        }
    }
    Ok(Read { len: message.bytes, files, files_cut: message.flags.contains(ReturnFlags::CTRUNC) })
}

/// Sends without blocking; gives how many bytes were taken. The descriptor goes with the first.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = file.as_slice();
    // The space is exactly that large.
    let with_file = !files.is_empty() && control.push(SendAncillaryMessage::ScmRights(files));
    loop {
        let sent = if with_file {
            sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, os::SEND)
        } else {
            rustix::net::send(&socket, bytes, os::SEND)
        };
        if sent != Err(Errno::INTR) {
            return sent;
        }
    }
}

/// Waits until `socket` can do what `flags` say, at most `timeout`. May return early.
pub(super) fn wait_for(socket: BorrowedFd<'_>, flags: PollFlags, timeout: Option<Duration>) -> Result<usize, Errno> {
    let timeout = timeout.map(|limit| Timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    poll(&mut [PollFd::new(&socket, flags)], timeout.as_ref())
}
