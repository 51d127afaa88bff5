//! The bytes of a stream that were not taken yet.

use std::borrow::Cow;

use bumpalo::Bump;

use super::{FRAME_LIMIT, Fault, FrameError};

/// Bytes that came and were not taken, and their place in the stream. Bytes move at most once: when others are appended.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    taken: usize,
    offset: u64,
}

impl Window {
    /// Appends the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What was not taken.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes the first `count` bytes; all, if there are fewer.
    pub fn take(&mut self, count: usize) {
        let count = count.min(self.bytes().len());
        self.taken += count;
        self.offset += count as u64;
    }

    /// Where the bytes begin in the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// An error of the frame that begins here.
    pub fn error(&self, fault: Fault) -> FrameError {
        FrameError { offset: self.offset, fault }
    }

    /// Refuses a frame that has, or will have, more than `length` bytes.
    pub fn check(&self, length: usize) -> Result<(), FrameError> {
        if length > FRAME_LIMIT { Err(self.error(Fault::TooLarge)) } else { Ok(()) }
    }
}

/// The bytes as text; what is not UTF-8 becomes U+FFFD, in `arena`.
pub fn text<'a>(bytes: &'a [u8], arena: &'a Bump) -> &'a str {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => arena.alloc_str(&text),
    }
}
