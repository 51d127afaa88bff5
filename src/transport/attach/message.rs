//! Messages of the handshake on a socket: read piece by piece, whatever the pieces, and never beyond the message.

use super::super::channel::{self, Foreign};
use crate::protocol::hello::{HEAD_LEN, Head, HelloError};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of one read of a body.
const PIECE: usize = 16 << 10;

/// A message that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::transport) enum MessageError {
    /// The other side closed before the message was whole.
    #[error("the other side closed the connection")]
    Ended,
    /// Bytes that are no message.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// More descriptors than a message has.
    #[error("sent descriptors where none belong")]
    Files,
    /// The socket failed.
    #[error("reading from the socket: {0}")]
    System(#[from] std::io::Error),
}

/// A whole message.
#[derive(Debug)]
pub(in crate::transport) struct Message<F> {
    pub head: Head,
    pub body: Vec<u8>,
    /// The region, where one belongs.
    pub file: Option<F>,
}

/// A message as it comes in. Pure: descriptors are of any type, so that a fuzzer can stand in for the peer.
#[derive(Debug)]
pub(in crate::transport) struct Reader<F> {
    bytes: Vec<u8>,
    head: Option<Head>,
    file: Option<F>,
}

impl<F> Reader<F> {
    pub(in crate::transport) fn new() -> Self {
        Self { bytes: Vec::new(), head: None, file: None }
    }

    /// Bytes that the message still lacks, as far as is known; 0 when it is whole.
    pub(in crate::transport) fn lacking(&self) -> usize {
        let whole = self.head.map_or(HEAD_LEN, |head| HEAD_LEN + head.body_len as usize);
        whole.saturating_sub(self.bytes.len())
    }

    /// Takes what one read gave, at most [`lacking`](Self::lacking) bytes. A head that is not ours is found here.
    pub(in crate::transport) fn feed(
        &mut self,
        bytes: &[u8],
        files: impl IntoIterator<Item = F>,
    ) -> Result<(), MessageError> {
        for file in files {
            if self.file.replace(file).is_some() {
                return Err(MessageError::Files);
            }
        }
        self.bytes.extend_from_slice(bytes);
        if let (None, Some(head)) = (self.head, self.bytes.first_chunk::<HEAD_LEN>()) {
            self.head = Some(Head::from_bytes(head)?);
        }
        Ok(())
    }

    /// The message, when it is whole.
    pub(in crate::transport) fn finish(self) -> Result<Message<F>, MessageError> {
        match self.head {
            Some(head) if self.lacking() == 0 => {
                let body = self.bytes.get(HEAD_LEN..).unwrap_or_default().to_vec();
                Ok(Message { head, body, file: self.file })
            }
            _ => Err(MessageError::Ended),
        }
    }
}

impl Reader<Foreign> {
    /// Reads once, without blocking, and never beyond the message: what follows belongs to the channel.
    pub(super) fn read(&mut self, socket: impl AsFd) -> Result<Step, MessageError> {
        let mut piece = [0; PIECE];
        let len = self.lacking().min(PIECE);
        match channel::receive(socket, piece.get_mut(..len).unwrap_or_default()) {
            Ok(read) if read.len == 0 => Err(MessageError::Ended),
            Ok(read) if read.files_cut => Err(MessageError::Files),
            Ok(read) => {
                self.feed(piece.get(..read.len).unwrap_or_default(), read.files)?;
                Ok(if self.lacking() == 0 { Step::Whole } else { Step::More })
            }
            Err(Errno::AGAIN) => Ok(Step::Blocked),
            Err(Errno::INTR) => Ok(Step::More),
            Err(Errno::CONNRESET) => Err(MessageError::Ended),
            Err(error) => Err(MessageError::System(error.into())),
        }
    }
}

/// What one step of reading or writing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on.
    More,
    /// Wait for the socket, then go on.
    Blocked,
    /// Done.
    Whole,
}

/// A message on its way out.
pub(super) struct Writer {
    bytes: Vec<u8>,
    sent: usize,
    file: Option<OwnedFd>,
}

impl Writer {
    pub(super) fn new(bytes: Vec<u8>, file: Option<OwnedFd>) -> Self {
        Self { bytes, sent: 0, file }
    }

    /// Writes once, without blocking.
    pub(super) fn write(&mut self, socket: impl AsFd) -> Result<Step, MessageError> {
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        match channel::send(socket, rest, self.file.as_ref().map(AsFd::as_fd)) {
            Ok(len) => {
                // It went with the first byte.
                self.file = None;
                self.sent += len;
                Ok(if self.sent >= self.bytes.len() { Step::Whole } else { Step::More })
            }
            Err(Errno::AGAIN) => Ok(Step::Blocked),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(MessageError::Ended),
            Err(error) => Err(MessageError::System(error.into())),
        }
    }
}
