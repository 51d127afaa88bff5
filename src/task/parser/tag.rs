//! Tags and value ranges, shared by the live and the batch parsers. All positions are bytes of a whole message.

use std::ops::Range;

use memchr::memrchr;

use super::block::Value;
use crate::ecma;
use crate::protocol::tool::ParamName;

/// Longer than any tag the parsers know: `</list_code_definition_names>`.
const LONGEST: usize = 32;

/// What stands between a `<` and the `>` that follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    /// Position of the `<`.
    pub start: usize,
    inner: &'a str,
}

impl<'a> Tag<'a> {
    /// The name, if this is an opening tag.
    pub fn opens(&self) -> Option<&'a str> {
        (!self.inner.starts_with('/')).then_some(self.inner)
    }

    /// The name, if this is a closing tag.
    pub fn closes(&self) -> Option<&'a str> {
        self.inner.strip_prefix('/')
    }
}

/// The tag whose `>` is the last character before `end`. Names hold no `<`, so that it can only begin at the last one.
pub(super) fn ending_at(message: &str, end: usize) -> Option<Tag<'_>> {
    let from = end.saturating_sub(LONGEST);
    let start = from + memrchr(b'<', message.as_bytes().get(from..end)?)?;
    let inner = message.get(start + 1..end.checked_sub(1)?)?;
    Some(Tag { start, inner })
}

/// Length of `value` without the closing tag of `name` at its end, if it stands there.
pub(super) fn before_closing(value: &str, name: &str) -> Option<usize> {
    let rest = value.strip_suffix('>')?.strip_suffix(name)?.strip_suffix("</")?;
    Some(rest.len())
}

/// Length of what stands at the end of `text` and may become the closing tag of `name`.
pub(super) fn begun_closing(text: &str, name: &str) -> usize {
    let bytes = text.as_bytes();
    let from = bytes.len().saturating_sub(LONGEST);
    let Some(start) = bytes.get(from..).and_then(|end| memrchr(b'<', end)).map(|offset| from + offset) else {
        return 0;
    };
    let begun = &bytes[start..];
    let may_become = match begun.strip_prefix(b"</") {
        Some(rest) => name.as_bytes().starts_with(rest),
        None => begun == b"<",
    };
    if may_become { begun.len() } else { 0 }
}

/// The part of `range` that a finished parameter keeps: `content` loses one line feed at each end, others are trimmed.
pub(super) fn value_range(message: &str, range: Range<usize>, param: ParamName) -> Range<usize> {
    if param == ParamName::Content { strip_line_feeds(message, range) } else { trim(message, range) }
}

/// *strip-nl* of spec 01 §0.
pub(super) fn strip_line_feeds(message: &str, range: Range<usize>) -> Range<usize> {
    let bytes = message.as_bytes();
    let (mut start, mut end) = (range.start, range.end);
    if start < end && bytes[start] == b'\n' {
        start += 1;
    }
    if start < end && bytes[end - 1] == b'\n' {
        end -= 1;
    }
    start..end
}

/// *trim* of spec 01 §0.
pub(super) fn trim(message: &str, range: Range<usize>) -> Range<usize> {
    let text = &message[range.clone()];
    let from_start = ecma::trim_start(text);
    let start = range.end - from_start.len();
    start..start + ecma::trim_end(from_start).len()
}

/// The value that a stray `</content>` at `close` gives to `content` in a tool whose text begins at `tool_start`. Without an
/// opening tag the reference takes the text from UTF-16 offset 8 on (spec 01 Q1).
pub(super) fn recovered(message: &str, tool_start: usize, open: Option<usize>, close: usize) -> Option<Value> {
    if let Some(open) = open {
        let start = open + "<content>".len();
        return (close > start).then(|| Value::Range(strip_line_feeds(message, start..close)));
    }
    let tool = message.get(tool_start..close)?;
    let (offset, split) = unit_boundary(tool, 8);
    let start = tool_start + offset;
    if split {
        let rest = start + message[start..close].chars().next().map_or(0, char::len_utf8);
        let kept = strip_line_feeds(message, rest..close);
        // The lone second half of a surrogate pair stands first, so that nothing is stripped there.
        return Some(Value::Owned(format!("\u{fffd}{}", &message[rest..kept.end])));
    }
    (close > start).then(|| Value::Range(strip_line_feeds(message, start..close)))
}

/// The byte position after the first `units` UTF-16 units of `text` (or its end), and whether that point lies in the middle of a
/// surrogate pair; then the position is before the pair.
pub(super) fn unit_boundary(text: &str, units: usize) -> (usize, bool) {
    let mut left = units;
    for (position, character) in text.char_indices() {
        if left == 0 {
            return (position, false);
        }
        if character.len_utf16() > left {
            return (position, true);
        }
        left -= character.len_utf16();
    }
    (text.len(), false)
}
