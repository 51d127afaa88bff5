//! JSON values from lines, one a line; a value may go on over several.

use std::borrow::Cow;

use serde_json::Value;

use crate::providers::{ProviderError, Wording};

/// Most bytes of a value.
const VALUE_LIMIT: usize = 16 << 20;

/// A value of more than 16 MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TooLarge {
    /// Where it begins in the output.
    offset: u64,
}

impl TooLarge {
    /// In words.
    pub fn worded(self, wording: &Wording) -> ProviderError {
        ProviderError::worded(wording, "provider.event_too_large", &[("offset", &self.offset.to_string())])
    }
}

/// Collects bytes and gives out values. A line that is no JSON is kept, and joined with those that follow until it is.
#[derive(Default)]
pub struct JoinedLines {
    /// Bytes after the last line end.
    unread: Vec<u8>,
    /// How many of them are known to hold no line end.
    searched: usize,
    /// Lines that are no JSON yet, without their ends.
    kept: Vec<u8>,
    nesting: Nesting,
    /// Bytes of the output before `unread`, and before `kept`.
    taken: u64,
    offset: u64,
}

impl JoinedLines {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next value; `None` until more bytes come.
    ///
    /// # Errors
    /// A value that is too large. The output cannot be read on after it.
    pub fn next_value(&mut self) -> Result<Option<Value>, TooLarge> {
        while let Some(length) = self.unread.get(self.searched..).and_then(|new| memchr::memchr(b'\n', new)) {
            let line: Vec<u8> = self.unread.drain(..=self.searched + length).collect();
            self.searched = 0;
            self.taken += line.len() as u64;
            if let Some(value) = self.line(line.trim_ascii_end()) {
                self.offset = self.taken;
                self.kept.clear();
                self.nesting = Nesting::default();
                return Ok(Some(value));
            }
            self.check()?;
        }
        self.searched = self.unread.len();
        self.check().map(|()| None)
    }

    /// What is no value at the end of the output.
    pub fn rest(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.kept)
    }

    /// Adds a line; the value that it completes. Only a text whose brackets are closed is parsed, so that a value over many
    /// lines is not parsed at each.
    fn line(&mut self, line: &[u8]) -> Option<Value> {
        self.nesting.read(line);
        self.kept.extend_from_slice(line);
        match self.nesting.is_closed() {
            true => serde_json::from_str(&String::from_utf8_lossy(&self.kept)).ok(),
            false => None,
        }
    }

    fn check(&self) -> Result<(), TooLarge> {
        match self.kept.len() + self.unread.len() > VALUE_LIMIT {
            true => Err(TooLarge { offset: self.offset }),
            false => Ok(()),
        }
    }
}

/// How deep in brackets, and whether in a string, a text ends.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    fn read(&mut self, text: &[u8]) {
        for byte in text {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => self.depth += 1,
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(output: &str, step: usize) -> (Vec<Value>, String) {
        let mut lines = JoinedLines::default();
        let mut values = Vec::new();
        for piece in output.as_bytes().chunks(step) {
            lines.push(piece);
            while let Some(value) = lines.next_value().expect("within the limit") {
                values.push(value);
            }
        }
        (values, lines.rest().into_owned())
    }

    #[test]
    fn values_may_go_on_over_lines() {
        for (output, expected, rest) in [
            ("{\"a\":1}\n[2]\r\n3\n", vec![json!({"a": 1}), json!([2]), json!(3)], ""),
            ("{\"a\":\n1,\n\"b\":[\n]}\n{}\n", vec![json!({"a": 1, "b": []}), json!({})], ""),
            ("{\"a\":\"x\ny\"}\n", vec![json!({"a": "xy"})], ""),
            ("{\"a\":\"\\\"}\ny\"}\n", vec![json!({"a": "\"}y"})], ""),
            ("note\n{}\n", vec![], "note{}"),
            ("\n\n{}\n", vec![json!({})], ""),
            ("{}\n{", vec![json!({})], ""),
            ("}\n]\n", vec![], "}]"),
        ] {
            for step in 1..=output.len() {
                assert_eq!(values(output, step), (expected.clone(), rest.to_owned()), "{output:?} by {step}");
            }
        }
    }

    #[test]
    fn a_value_without_end_is_refused_with_its_place() {
        let mut lines = JoinedLines::default();
        lines.push(b"{}\n");
        assert!(matches!(lines.next_value(), Ok(Some(_))));
        lines.push(&vec![b'['; VALUE_LIMIT + 1]);
        assert_eq!(lines.next_value(), Err(TooLarge { offset: 3 }));
    }
}
