//! AWS event stream (`application/vnd.amazon.eventstream`, spec 07 §15.1). Incremental, without I/O.
//!
//! A message: total length and length of the headers (u32), CRC-32 of these eight bytes, headers, payload, CRC-32 of all
//! before it; everything big-endian. Both checksums are checked before anything is read by its length.

use super::headers::Headers;
use super::window::Window;
use super::{Fault, FrameError, Framing};

/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum of the whole message.
const CHECKSUM: usize = 4;
/// Most bytes of headers, as the format says.
const HEADERS_LIMIT: usize = 128 << 10;

/// One message, borrowed from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMessage<'a> {
    /// Its headers (`:message-type`, `:event-type`, …).
    pub headers: Headers<'a>,
    /// Its payload, JSON on Bedrock.
    pub payload: &'a [u8],
}

/// Collects bytes and gives out messages.
#[derive(Debug, Default)]
pub struct EventStream {
    window: Window,
    /// Length of the last delivered message, taken at the next call.
    delivered: usize,
}

impl Framing for EventStream {
    type Frame<'a> = EventMessage<'a>;

    fn push(&mut self, bytes: &[u8]) {
        self.take_delivered();
        self.window.push(bytes);
    }

    fn next_frame(&mut self) -> Result<Option<EventMessage<'_>>, FrameError> {
        self.take_delivered();
        let bytes = self.window.bytes();
        let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
        let [total, headers, checksum] = [0, 4, 8].map(|at| word(prelude, at));
        if crc32fast::hash(&prelude[..8]) != checksum {
            return Err(self.window.error(Fault::Checksum));
        }
        let (total, headers) = (total as usize, headers as usize);
        self.window.check(total)?;
        if headers > HEADERS_LIMIT || total < PRELUDE + CHECKSUM + headers {
            return Err(self.window.error(Fault::Malformed));
        }
        let Some(message) = bytes.get(..total) else { return Ok(None) };
        let (content, checksum) = message.split_at(total - CHECKSUM);
        if crc32fast::hash(content) != word(checksum, 0) {
            return Err(self.window.error(Fault::Checksum));
        }
        let (headers, payload) = content[PRELUDE..].split_at(headers);
        let Some(headers) = Headers::read(headers) else { return Err(self.window.error(Fault::Malformed)) };
        self.delivered = total;
        Ok(Some(EventMessage { headers, payload }))
    }

    fn finish(&mut self) -> Result<Option<EventMessage<'_>>, FrameError> {
        self.take_delivered();
        if self.window.bytes().is_empty() { Ok(None) } else { Err(self.window.error(Fault::Cut)) }
    }
}

impl EventStream {
    fn take_delivered(&mut self) {
        self.window.take(std::mem::take(&mut self.delivered));
    }
}

/// The number at `at`; 0 past the end, where no caller looks.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::frames::fuzzing::{event_message, frames, same_however_split};
    use proptest::prelude::*;

    fn shown(name: &str, payload: &[u8]) -> String {
        let header = [&[name.len() as u8], name.as_bytes(), b"\x07\x00\x01v"].concat();
        format!("{:?}", EventMessage { headers: Headers::read(&header).expect("a header"), payload })
    }

    #[test]
    fn messages_are_read_and_checked() {
        let whole = [event_message("a", "v", b"{}"), event_message("b", "v", b"")].concat();
        let first = event_message("a", "v", b"{}").len();
        assert_eq!(frames::<EventStream>([&whole[..]]), (vec![shown("a", b"{}"), shown("b", b"")], None));
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        for (bytes, offset, fault) in [
            (flipped(3), 0, Fault::Checksum),
            (flipped(8), 0, Fault::Checksum),
            (flipped(13), 0, Fault::Checksum),
            (flipped(first - 1), 0, Fault::Checksum),
            (flipped(whole.len() - 1), first, Fault::Checksum),
            (whole[..whole.len() - 1].to_vec(), first, Fault::Cut),
            (whole[..first + 1].to_vec(), first, Fault::Cut),
        ] {
            let read = if offset == 0 { vec![] } else { vec![shown("a", b"{}")] };
            let error = Some(FrameError { offset: offset as u64, fault });
            assert_eq!(frames::<EventStream>([&bytes[..]]), (read, error), "{fault:?} at {offset}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_the_bytes_come() {
        for (total, headers, fault) in [
            (15, 0, Fault::Malformed),
            (20, 5, Fault::Malformed),
            (1 << 20, HEADERS_LIMIT as u32 + 1, Fault::Malformed),
            (u32::MAX, 0, Fault::TooLarge),
        ] {
            let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            let error = Some(FrameError { offset: 0, fault });
            assert_eq!(frames::<EventStream>([&bytes[..]]), (vec![], error), "{total} {headers}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            damage in prop::option::of((any::<prop::sample::Index>(), 1u8..)),
            cuts in prop::collection::vec(1usize..17, 1..60),
        ) {
            let mut stream: Vec<u8> = payloads.iter().flat_map(|payload| event_message(":event-type", "x", payload)).collect();
            if let Some((at, bits)) = damage && !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] ^= bits;
            }
            same_however_split::<EventStream>(&stream, &cuts);
        }
    }
}
