//! Server-sent events (WHATWG) from bytes: incremental, without I/O, independent of how the bytes are split.
//!
//! Lines end with LF, CR or CRLF; comments and unknown fields are skipped; several `data` lines are joined by LF; an event
//! without data is not delivered. Bytes that are not UTF-8 become U+FFFD.

use std::borrow::Cow;
use std::ops::Range;

/// Most bytes of one event, its field names and line ends included.
pub const EVENT_LIMIT: usize = 16 << 20;

/// One event, borrowed from the decoder.
#[derive(Debug, PartialEq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty when absent.
    pub event: Cow<'a, str>,
    /// The `data` lines.
    pub data: Cow<'a, str>,
}

/// An event of more than [`EVENT_LIMIT`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("an event beginning at byte {offset} of the stream has more than {EVENT_LIMIT} bytes")]
pub struct EventTooLarge {
    /// Where the event begins in the stream.
    pub offset: u64,
}

/// Collects bytes and gives out events.
#[derive(Debug, Default)]
pub struct SseDecoder {
    /// Bytes from the beginning of the running event on.
    buffer: Vec<u8>,
    /// Length of the last delivered event in `buffer`, dropped at the next call.
    delivered: usize,
    /// Beginning of the line being looked for.
    line: usize,
    /// Up to where no line end was found.
    scanned: usize,
    /// Bytes of the stream before `buffer`.
    offset: u64,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    event: Range<usize>,
    /// The only data line, or none while `data` is `None`.
    data: Option<Range<usize>>,
    /// All data lines, once there is more than one.
    joined: Option<Vec<u8>>,
}

impl SseDecoder {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.drop_delivered();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event; `None` until more bytes come.
    ///
    /// # Errors
    /// An event that is too large. The stream cannot be read on after it.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, EventTooLarge> {
        self.advance(false)
    }

    /// The event that the end of the stream cut off: at least one data line, no empty line after it.
    pub fn finish(&mut self) -> Result<Option<SseEvent<'_>>, EventTooLarge> {
        self.advance(true)
    }

    fn advance(&mut self, ended: bool) -> Result<Option<SseEvent<'_>>, EventTooLarge> {
        self.drop_delivered();
        if !self.read_lines(ended) {
            return match self.buffer.len() > EVENT_LIMIT {
                true => Err(EventTooLarge { offset: self.offset }),
                false => Ok(None),
            };
        }
        let data = match (&self.joined, &self.data) {
            (Some(joined), _) => joined.as_slice(),
            (None, Some(range)) => &self.buffer[range.clone()],
            (None, None) => &[],
        };
        Ok(Some(SseEvent {
            event: String::from_utf8_lossy(&self.buffer[self.event.clone()]),
            data: String::from_utf8_lossy(data),
        }))
    }

    /// Reads lines up to the end of an event with data. False: the bytes ran out first.
    fn read_lines(&mut self, ended: bool) -> bool {
        loop {
            if self.after_cr && self.line < self.buffer.len() {
                self.after_cr = false;
                if self.buffer[self.line] == b'\n' {
                    self.line += 1;
                    self.scanned = self.line;
                }
            }
            let from = self.scanned.max(self.line);
            let end = match memchr::memchr2(b'\n', b'\r', &self.buffer[from..]) {
                Some(at) => from + at,
                None if ended && self.line < self.buffer.len() => self.buffer.len(),
                None => {
                    self.scanned = self.buffer.len();
                    return ended && self.end_event();
                }
            };
            let line = self.line..end;
            self.after_cr = self.buffer.get(end) == Some(&b'\r');
            self.line = (end + 1).min(self.buffer.len());
            self.scanned = self.line;
            if !line.is_empty() {
                self.field(line);
            } else if self.end_event() {
                return true;
            }
        }
    }

    /// Whether there is an event to deliver; otherwise forgets what was read.
    fn end_event(&mut self) -> bool {
        self.delivered = self.line;
        if self.data.is_none() {
            self.drop_delivered();
            return false;
        }
        true
    }

    fn field(&mut self, line: Range<usize>) {
        let mut start = line.start;
        if self.offset == 0 && start == 0 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            start = 3.min(line.end);
        }
        let bytes = &self.buffer[start..line.end];
        let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
        let value = (start + colon + 1 + space).min(line.end)..line.end;
        match &bytes[..colon] {
            b"event" => self.event = value,
            b"data" => match (&mut self.joined, &self.data) {
                (None, None) => self.data = Some(value),
                (Some(joined), _) => {
                    joined.push(b'\n');
                    joined.extend_from_slice(&self.buffer[value]);
                }
                (None, Some(first)) => {
                    self.joined = Some([&self.buffer[first.clone()], &self.buffer[value]].join(&b'\n'));
                }
            },
            _ => {}
        }
    }

    fn drop_delivered(&mut self) {
        if self.delivered == 0 {
            return;
        }
        self.buffer.drain(..self.delivered);
        self.offset += self.delivered as u64;
        self.line -= self.delivered;
        self.scanned = self.scanned.saturating_sub(self.delivered);
        self.delivered = 0;
        self.event = 0..0;
        self.data = None;
        self.joined = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events of `pieces`, and the one cut off by the end.
    fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(String, String)>, Option<String>) {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.next_event().expect("within the limit") {
                events.push((event.event.into_owned(), event.data.into_owned()));
            }
        }
        let rest = decoder.finish().expect("within the limit").map(|event| event.data.into_owned());
        (events, rest)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (stream, expected, rest) in [
            ("data: a\n\ndata:b\r\n\r\ndata:  c\r\r", vec![("", "a"), ("", "b"), ("", " c")], None),
            ("event: e\ndata: 1\ndata: 2\ndata\n\n", vec![("e", "1\n2\n")], None),
            (": comment\nid: 7\nretry: 3\nother\n\n\n\ndata: x\n\n", vec![("", "x")], None),
            ("event: ping\n\ndata: x\n\n", vec![("", "x")], None),
            ("\u{feff}data: bom\n\ndata: y\n\n", vec![("", "bom"), ("", "y")], None),
            ("data: whole\n\ndata: cut", vec![("", "whole")], Some("cut")),
            ("data: one\ndata: two\n", vec![], Some("one\ntwo")),
            ("data: a\r\n\r\ndata: b\r\n\r", vec![("", "a"), ("", "b")], None),
            ("", vec![], None),
        ] {
            let expected: Vec<_> = expected.iter().map(|(e, d)| (e.to_string(), d.to_string())).collect();
            assert_eq!(events([stream.as_bytes()]), (expected, rest.map(str::to_owned)), "{stream:?}");
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(events([&b"data: a\xffb\n\n"[..]]).0, [(String::new(), "a\u{fffd}b".to_owned())]);
    }

    #[test]
    fn an_endless_event_is_refused_with_its_place() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"data: a\n\n");
        assert!(matches!(decoder.next_event(), Ok(Some(_))));
        decoder.push(&vec![b'x'; EVENT_LIMIT + 1]);
        assert_eq!(decoder.next_event().map(|_| ()), Err(EventTooLarge { offset: 9 }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            parts in prop::collection::vec(
                prop::sample::select(vec!["data: a", "data:", "event: x", ":c", "é😀", "\r", "\n", "\r\n", "\n\n", "\u{feff}"]), 0..30),
            cuts in prop::collection::vec(1usize..7, 1..60),
        ) {
            let stream = parts.concat().into_bytes();
            let mut pieces = Vec::new();
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap_or(&1)));
                pieces.push(piece);
                rest = tail;
            }
            prop_assert_eq!(events(pieces), events([stream.as_slice()]));
        }
    }
}
