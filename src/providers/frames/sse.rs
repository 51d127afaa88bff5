//! Server-sent events (WHATWG) from bytes. Incremental, without I/O.
//!
//! Lines end with LF, CR or CRLF; comments and unknown fields are skipped; several `data` lines are joined by LF; an event
//! without data is not delivered. Bytes that are not UTF-8 become U+FFFD.

use std::ops::Range;

use bumpalo::Bump;
use serde::de::IgnoredAny;

use super::window::{Window, text};
use super::{Fault, FrameError, Framing};

/// One event, borrowed from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field; empty when absent.
    pub event: &'a str,
    /// The `data` lines.
    pub data: &'a str,
}

/// Collects bytes and gives out events.
#[derive(Debug, Default)]
pub struct Sse {
    /// Bytes from the beginning of the running event on; all places below are counted from there.
    window: Window,
    /// Length of the last delivered event, taken at the next call.
    delivered: usize,
    /// Beginning of the line being looked for.
    line: usize,
    /// Up to where no line end was found.
    scanned: usize,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    event: Range<usize>,
    /// The first data line.
    data: Option<Range<usize>>,
    /// All data lines after it.
    more_data: Vec<Range<usize>>,
    /// Holds joined data lines and replaced bytes.
    arena: Bump,
}

impl Framing for Sse {
    type Frame<'a> = SseEvent<'a>;

    fn push(&mut self, bytes: &[u8]) {
        self.take_delivered();
        self.window.push(bytes);
    }

    fn next_frame(&mut self) -> Result<Option<SseEvent<'_>>, FrameError> {
        self.advance(false)
    }

    /// The event without its empty line counts when its data are a whole JSON document or OpenAI's end mark.
    fn finish(&mut self) -> Result<Option<SseEvent<'_>>, FrameError> {
        let offset = self.window.offset() + self.delivered as u64;
        match self.advance(true)? {
            Some(event)
                if !event.data.starts_with("[DONE]") && serde_json::from_str::<IgnoredAny>(event.data).is_err() =>
            {
                Err(FrameError { offset, fault: Fault::Cut })
            }
            event => Ok(event),
        }
    }
}

impl Sse {
    fn advance(&mut self, ended: bool) -> Result<Option<SseEvent<'_>>, FrameError> {
        self.take_delivered();
        if !self.read_lines(ended) {
            return self.window.check(self.window.bytes().len()).map(|()| None);
        }
        self.window.check(self.delivered)?;
        let bytes = self.window.bytes();
        let first = self.data.clone().unwrap_or_default();
        let data = match self.more_data.is_empty() {
            true => text(&bytes[first], &self.arena),
            false => {
                let mut joined = bumpalo::collections::Vec::new_in(&self.arena);
                joined.extend_from_slice_copy(&bytes[first]);
                for line in &self.more_data {
                    joined.push(b'\n');
                    joined.extend_from_slice_copy(&bytes[line.clone()]);
                }
                text(joined.into_bump_slice(), &self.arena)
            }
        };
        Ok(Some(SseEvent { event: text(&bytes[self.event.clone()], &self.arena), data }))
    }

    /// Reads lines up to the end of an event with data. False: the bytes ran out first.
    fn read_lines(&mut self, ended: bool) -> bool {
        loop {
            let bytes = self.window.bytes();
            if self.after_cr && self.line < bytes.len() {
                self.after_cr = false;
                if bytes[self.line] == b'\n' {
                    self.line += 1;
                }
            }
            let from = self.scanned.max(self.line);
            let end = match memchr::memchr2(b'\n', b'\r', &bytes[from..]) {
                Some(at) => from + at,
                None if ended && self.line < bytes.len() => bytes.len(),
                None => {
                    self.scanned = bytes.len();
                    return ended && self.end_event();
                }
            };
            let line = self.line..end;
            self.after_cr = bytes.get(end) == Some(&b'\r');
            self.line = (end + 1).min(bytes.len());
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
            self.take_delivered();
            return false;
        }
        true
    }

    fn field(&mut self, line: Range<usize>) {
        let mut start = line.start;
        if self.window.offset() == 0 && start == 0 && self.window.bytes().starts_with(b"\xef\xbb\xbf") {
            start = 3.min(line.end);
        }
        let bytes = &self.window.bytes()[start..line.end];
        let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
        let value = (start + colon + 1 + space).min(line.end)..line.end;
        match &bytes[..colon] {
            b"event" => self.event = value,
            b"data" if self.data.is_none() => self.data = Some(value),
            b"data" => self.more_data.push(value),
            _ => {}
        }
    }

    fn take_delivered(&mut self) {
        if self.delivered == 0 {
            return;
        }
        self.window.take(self.delivered);
        self.line -= self.delivered;
        self.scanned = self.scanned.saturating_sub(self.delivered);
        self.delivered = 0;
        self.event = 0..0;
        self.data = None;
        self.more_data.clear();
        self.arena.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::frames::FRAME_LIMIT;
    use crate::providers::frames::fuzzing::{frames, same_however_split};
    use proptest::prelude::*;

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (stream, expected, cut) in [
            ("data: a\n\ndata:b\r\n\r\ndata:  c\r\r", vec![("", "a"), ("", "b"), ("", " c")], None),
            ("event: e\ndata: 1\ndata: 2\ndata\n\n", vec![("e", "1\n2\n")], None),
            (": comment\nid: 7\nretry: 3\nother\n\n\n\ndata: x\n\n", vec![("", "x")], None),
            ("event: ping\n\ndata: x\n\n", vec![("", "x")], None),
            ("\u{feff}data: bom\n\ndata: y\n\n", vec![("", "bom"), ("", "y")], None),
            ("data: a\r\n\r\ndata: b\r\n\r", vec![("", "a"), ("", "b")], None),
            ("data: whole\n\ndata: cut", vec![("", "whole")], Some(13)),
            ("data: {\"a\":\ndata: 1}", vec![("", "{\"a\":\n1}")], None),
            ("data: {\"a\":\n", vec![], Some(0)),
            ("data: 1\n\ndata: [DONE]\n", vec![("", "1"), ("", "[DONE]")], None),
            ("", vec![], None),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(event, data)| format!("{:?}", SseEvent { event, data })).collect();
            let cut = cut.map(|offset| FrameError { offset, fault: Fault::Cut });
            assert_eq!(frames::<Sse>([stream.as_bytes()]), (expected, cut), "{stream:?}");
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let mut decoder = Sse::default();
        decoder.push(b"data: a\xffb\n\n");
        assert_eq!(decoder.next_frame(), Ok(Some(SseEvent { event: "", data: "a\u{fffd}b" })));
    }

    #[test]
    fn an_endless_event_is_refused_with_its_place() {
        let mut decoder = Sse::default();
        decoder.push(b"data: a\n\n");
        assert!(matches!(decoder.next_frame(), Ok(Some(_))));
        decoder.push(&vec![b'x'; FRAME_LIMIT + 1]);
        assert_eq!(decoder.next_frame(), Err(FrameError { offset: 9, fault: Fault::TooLarge }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            parts in prop::collection::vec(
                prop::sample::select(vec!["data: a", "data:", "event: x", ":c", "é😀", "\r", "\n", "\r\n", "\n\n", "\u{feff}"]), 0..30),
            cuts in prop::collection::vec(1usize..7, 1..60),
        ) {
            same_however_split::<Sse>(parts.concat().as_bytes(), &cuts);
        }
    }
}
