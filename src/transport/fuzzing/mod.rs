//! What must hold whatever a peer does: one definition, searched for counterexamples by `tests/fuzz` and replayed over the
//! committed corpora by `tests/cases/corpus.rs`. A property that does not hold panics.
//!
//! - `ring`: the regions; `socket`: the bytes beside them
//!
//! Must not: be used by anything but these two.
#![allow(clippy::unwrap_used)] // That is how a fuzzer learns of it.

mod ring;
#[cfg(unix)]
mod socket;

pub use self::ring::{ENGINE, Step, WRAPPING, ring};
#[cfg(unix)]
pub use self::socket::{HANDSHAKE, socket};

/// An input read as a sequence of numbers and bytes; what is missing at its end is 0.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
