//! Lines of JSON: one document a line, as Ollama sends them. Incremental, without I/O.

use bumpalo::Bump;
use serde::de::IgnoredAny;

use super::window::{Window, text};
use super::{Fault, FrameError, Framing};

/// Gives out lines without their ends (LF or CRLF); blank lines are skipped. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub struct JsonLines {
    window: Window,
    /// Length of the last delivered line with its end, taken at the next call.
    delivered: usize,
    /// Up to where there is no line end.
    scanned: usize,
    arena: Bump,
}

impl Framing for JsonLines {
    type Frame<'a> = &'a str;

    fn push(&mut self, bytes: &[u8]) {
        self.take_delivered();
        self.window.push(bytes);
    }

    fn next_frame(&mut self) -> Result<Option<&str>, FrameError> {
        loop {
            self.take_delivered();
            let unread = self.window.bytes();
            let Some(end) = memchr::memchr(b'\n', &unread[self.scanned..]).map(|at| self.scanned + at) else {
                self.scanned = unread.len();
                return self.window.check(self.scanned).map(|()| None);
            };
            self.window.check(end)?;
            self.delivered = end + 1;
            if !unread[..end].trim_ascii().is_empty() {
                return Ok(Some(text(self.window.bytes()[..end].trim_ascii(), &self.arena)));
            }
        }
    }

    /// The last line counts without its end when it is a whole document.
    fn finish(&mut self) -> Result<Option<&str>, FrameError> {
        self.take_delivered();
        let rest = self.window.bytes().trim_ascii();
        if rest.is_empty() {
            return Ok(None);
        }
        if serde_json::from_slice::<IgnoredAny>(rest).is_err() {
            return Err(self.window.error(Fault::Cut));
        }
        self.delivered = self.window.bytes().len();
        Ok(Some(text(rest, &self.arena)))
    }
}

impl JsonLines {
    fn take_delivered(&mut self) {
        if self.delivered > 0 {
            self.window.take(std::mem::take(&mut self.delivered));
            self.scanned = 0;
            self.arena.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::frames::FRAME_LIMIT;
    use crate::providers::frames::fuzzing::{frames, same_however_split};
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_with_and_without_their_ends() {
        let cut = |offset| Some(FrameError { offset, fault: Fault::Cut });
        for (stream, lines, error) in [
            ("{\"a\":1}\n{\"b\":2}\r\n", vec![r#"{"a":1}"#, r#"{"b":2}"#], None),
            ("\n \r\n 1 \n\n", vec!["1"], None),
            ("1\n{\"a\":1}", vec!["1", r#"{"a":1}"#], None),
            ("1\n{\"a\":", vec!["1"], cut(2)),
            ("half\r", vec![], cut(0)),
            ("not json\n", vec!["not json"], None),
            ("", vec![], None),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
            assert_eq!(frames::<JsonLines>([stream.as_bytes()]), (lines, error), "{stream:?}");
        }
    }

    #[test]
    fn an_endless_line_is_refused_with_its_place() {
        let mut lines = JsonLines::default();
        lines.push(b"1\n");
        assert_eq!(lines.next_frame(), Ok(Some("1")));
        lines.push(&vec![b'x'; FRAME_LIMIT + 1]);
        assert_eq!(lines.next_frame(), Err(FrameError { offset: 2, fault: Fault::TooLarge }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            parts in prop::collection::vec(prop::sample::select(vec!["{\"a\":\"é😀\"}", "1", "\r", "\n", "\r\n", " ", "x"]), 0..30),
            cuts in prop::collection::vec(1usize..7, 1..60),
        ) {
            same_however_split::<JsonLines>(parts.concat().as_bytes(), &cuts);
        }
    }
}
