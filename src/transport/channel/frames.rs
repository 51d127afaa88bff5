//! What two attached processes send each other beside the rings, as bytes. Pure: descriptors are of any type, so that
//! a fuzzer can stand in for the peer.
//!
//! `1`: the bell. `2`, u64 number, u64 bytes, with one descriptor: a large body. `3`, u32 reason: goodbye.
//! Integers are little-endian; numbers of large bodies are 1, 2, 3 …

use super::super::error::Breach;

/// First byte of the frame that is nothing else.
pub(in crate::transport) const RING: u8 = 1;
/// First byte of a large body's frame.
pub(in crate::transport) const BLOB: u8 = 2;
/// First byte of a goodbye.
pub(in crate::transport) const GOODBYE: u8 = 3;
const BLOB_LEN: usize = 17;
const GOODBYE_LEN: usize = 5;

/// A frame that means more than "look".
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transport) enum Frame<F> {
    /// A large body.
    Blob {
        /// Its number.
        number: u64,
        /// Its bytes.
        len: u64,
        /// Where they are.
        file: F,
    },
    /// Nothing follows.
    Goodbye {
        /// Why.
        reason: u32,
    },
}

/// The bytes that announce a large body.
pub(in crate::transport) fn blob(number: u64, len: u64) -> [u8; BLOB_LEN] {
    let mut bytes = [BLOB; BLOB_LEN];
    for (to, from) in bytes.iter_mut().skip(1).zip(number.to_le_bytes().into_iter().chain(len.to_le_bytes())) {
        *to = from;
    }
    bytes
}

/// The bytes of a goodbye.
pub(in crate::transport) fn goodbye(reason: u32) -> [u8; GOODBYE_LEN] {
    let [a, b, c, d] = reason.to_le_bytes();
    [GOODBYE, a, b, c, d]
}

/// Turns what arrives, cut anywhere, into frames.
#[derive(Debug)]
pub(in crate::transport) struct Parser<F> {
    /// The beginning of a frame whose rest has not arrived.
    partial: [u8; BLOB_LEN],
    filled: usize,
    file: Option<F>,
}

impl<F> Default for Parser<F> {
    fn default() -> Self {
        Self { partial: [0; BLOB_LEN], filled: 0, file: None }
    }
}

impl<F> Parser<F> {
    /// Takes what one read gave. A descriptor arrives with the first byte of its frame at the latest, one at a time.
    ///
    /// # Errors
    /// [`Breach::Frame`] for anything else, and what `take` answers; the parser is then of no more use.
    pub(in crate::transport) fn feed(
        &mut self,
        bytes: &[u8],
        files: impl IntoIterator<Item = F>,
        mut take: impl FnMut(Frame<F>) -> Result<(), Breach>,
    ) -> Result<(), Breach> {
        for file in files {
            if self.file.replace(file).is_some() {
                return Err(Breach::Frame);
            }
        }
        for byte in bytes {
            if self.filled == 0 && *byte == RING {
                continue;
            }
            *self.partial.get_mut(self.filled).ok_or(Breach::Frame)? = *byte;
            self.filled += 1;
            let wanted = match self.partial[0] {
                BLOB => BLOB_LEN,
                GOODBYE => GOODBYE_LEN,
                _ => return Err(Breach::Frame),
            };
            if self.filled == wanted {
                self.filled = 0;
                let frame = self.finished()?;
                take(frame)?;
            }
        }
        let in_blob = self.filled > 0 && self.partial[0] == BLOB;
        if self.file.is_some() == in_blob { Ok(()) } else { Err(Breach::Frame) }
    }

    fn finished(&mut self) -> Result<Frame<F>, Breach> {
        let [kind, a, b, c, d, ..] = self.partial;
        if kind == GOODBYE {
            return Ok(Frame::Goodbye { reason: u32::from_le_bytes([a, b, c, d]) });
        }
        let word = |at: usize| {
            self.partial.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        let (number, len) = (word(1), word(9));
        let file = self.file.take().ok_or(Breach::Frame)?;
        Ok(Frame::Blob { number, len, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(reads: &[(&[u8], &[u8])]) -> (Vec<Frame<u8>>, Result<(), Breach>) {
        let (mut parser, mut got) = (Parser::default(), Vec::new());
        for (bytes, files) in reads {
            let fed = parser.feed(bytes, files.iter().copied(), |frame| {
                got.push(frame);
                Ok(())
            });
            if fed.is_err() {
                return (got, fed);
            }
        }
        (got, Ok(()))
    }

    #[test]
    fn frames_may_be_cut_anywhere() {
        let bytes = [&[1, 1][..], &blob(7, 1 << 40), &[1], &goodbye(0x0403_0201)].concat();
        let expected = [Frame::Blob { number: 7, len: 1 << 40, file: 9 }, Frame::Goodbye { reason: 0x0403_0201 }];
        for cut in 0..bytes.len() {
            // The descriptor comes with the read that holds the first byte of its frame, which is at 2.
            let files: [&[u8]; 2] = if cut > 2 { [&[9], &[]] } else { [&[], &[9]] };
            let (got, end) = frames(&[(&bytes[..cut], files[0]), (&bytes[cut..], files[1])]);
            assert_eq!((got.as_slice(), end), (&expected[..], Ok(())), "{cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_a_breach() {
        let with = blob(1, 1);
        let hostile: [&[(&[u8], &[u8])]; 8] = [
            &[(&[0], &[])],
            &[(&[4], &[])],
            &[(&[1], &[9])],
            &[(&with, &[])],
            &[(&with, &[8, 9])],
            &[(&with[..5], &[8]), (&with[5..], &[9])],
            &[(&with[..5], &[]), (&with[5..], &[9])],
            &[(&goodbye(1), &[9])],
        ];
        for reads in hostile {
            assert_eq!(frames(reads).1, Err(Breach::Frame), "{reads:?}");
        }
    }

    proptest! {
        /// Whatever arrives, the parser says frame or breach.
        #[test]
        fn any_bytes(reads in prop::collection::vec((prop::collection::vec(0u8..5, 0..40), 0usize..2), 0..20)) {
            let mut parser = Parser::default();
            for (bytes, files) in reads {
                if parser.feed(&bytes, vec![(); files], |_| Ok(())).is_err() {
                    break;
                }
            }
        }
    }
}
