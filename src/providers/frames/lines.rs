//! Lines: one document of JSON a line, as Ollama sends them, or events of one line each. Incremental, without I/O.

use std::marker::PhantomData;

use bumpalo::Bump;
use serde::de::IgnoredAny;

use super::window::{Window, text};
use super::{Fault, FrameError, Framing};

/// One document of JSON a line, without the space around it.
pub type JsonLines = Lines<Documents>;
/// Server-sent events as some services and clients simplify them: `data: ` and a document of JSON in a line of its own, and
/// lines of other kinds, without the space behind them.
pub type DataLines = Lines<Events>;

/// Gives out lines without their ends (LF or CRLF); blank lines are skipped. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub struct Lines<R> {
    window: Window,
    /// Length of the last delivered line with its end, taken at the next call.
    delivered: usize,
    /// Up to where there is no line end.
    scanned: usize,
    arena: Bump,
    rule: PhantomData<R>,
}

/// What the lines of a stream hold.
pub trait LineRule: std::fmt::Debug + Default + Send + Unpin + 'static {
    /// The line without the space that does not count.
    fn trimmed(line: &[u8]) -> &[u8];
    /// Whether a last line without its end is all there.
    fn is_whole(line: &[u8]) -> bool;
}

/// Lines of JSON.
#[derive(Debug, Default)]
pub struct Documents;

impl LineRule for Documents {
    fn trimmed(line: &[u8]) -> &[u8] {
        line.trim_ascii()
    }

    fn is_whole(line: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(line).is_ok()
    }
}

/// Lines of events.
#[derive(Debug, Default)]
pub struct Events;

impl LineRule for Events {
    fn trimmed(line: &[u8]) -> &[u8] {
        line.trim_ascii_end()
    }

    fn is_whole(line: &[u8]) -> bool {
        line.strip_prefix(b"data: ").is_some_and(|data| data.trim_ascii() == b"[DONE]" || Documents::is_whole(data))
    }
}

impl<R: LineRule> Framing for Lines<R> {
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
                return Ok(Some(text(R::trimmed(&self.window.bytes()[..end]), &self.arena)));
            }
        }
    }

    /// The last line counts without its end when it is all there.
    fn finish(&mut self) -> Result<Option<&str>, FrameError> {
        self.take_delivered();
        let rest = R::trimmed(self.window.bytes());
        if rest.is_empty() {
            return Ok(None);
        }
        if !R::is_whole(rest) {
            return Err(self.window.error(Fault::Cut));
        }
        self.delivered = self.window.bytes().len();
        Ok(Some(text(rest, &self.arena)))
    }
}

impl<R> Lines<R> {
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
    fn a_last_event_counts_when_its_data_are_all_there() {
        for (stream, lines, is_cut) in [
            (" data: 1 \r\n\n", vec![" data: 1"], false),
            ("event: e\ndata: {\"a\":1}", vec!["event: e", "data: {\"a\":1}"], false),
            ("data: [DONE]", vec!["data: [DONE]"], false),
            ("data: {\"a\":", vec![], true),
            ("event: e", vec![], true),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
            let (read, error) = frames::<DataLines>([stream.as_bytes()]);
            assert_eq!((read, error.is_some()), (lines, is_cut), "{stream:?}");
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
