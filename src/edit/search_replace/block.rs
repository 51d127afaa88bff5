//! Cutting a checked diff text into blocks (spec 06 A.3).

use std::borrow::Cow;

use memchr::memmem;

use crate::ecma;

/// One search/replace block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// The line hint; 0 without one.
    pub start_line: i64,
    /// Search lines as written.
    pub search: &'a str,
    /// Replacement lines as written.
    pub replacement: &'a str,
}

/// All blocks in order of appearance.
pub(super) fn extract(diff: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(start) = line_start_of(diff, "<<<<<<< SEARCH", from) {
        from = start + 1;
        let Some(head) = Head::read(diff, start + "<<<<<<< SEARCH".len()) else { continue };
        // Without a separator or an end here, a later block cannot have one either.
        let Some((separator, replacement)) = separator(diff, head.end) else { break };
        let Some(end) = replace_marker(diff, replacement) else { break };
        blocks.push(Block {
            start_line: head.start_line,
            search: before_line_feed(diff, head.end, separator),
            replacement: before_line_feed(diff, replacement, end),
        });
        from = end;
    }
    blocks
}

/// Drops the backslash that keeps a line from being a marker.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    const ESCAPED: [&str; 6] = ["<<<<<<<", "=======", ">>>>>>>", "-------", ":end_line:", ":start_line:"];
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| match line.strip_prefix('\\') {
        Some(rest) if ESCAPED.iter().any(|marker| rest.starts_with(marker)) => rest,
        _ => line,
    });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// What stands between the search marker and the search lines.
struct Head {
    start_line: i64,
    end: usize,
}

impl Head {
    fn read(diff: &str, after_marker: usize) -> Option<Head> {
        let at = after_marker + usize::from(diff[after_marker..].starts_with('>'));
        let mut end = after_line_end(diff, at)?;
        let mut start_line = 0;
        if let Some((line, next)) = hint(diff, end, ":start_line:") {
            start_line = line;
            end = next;
        }
        if let Some((_, next)) = hint(diff, end, ":end_line:") {
            end = next;
        }
        if diff[end..].starts_with("-------")
            && let Some(next) = after_line_end(diff, end + "-------".len())
        {
            end = next;
        }
        Some(Head { start_line, end })
    }
}

/// A `:name: 12` line at `at`: its number and where it ends.
fn hint(diff: &str, at: usize, name: &str) -> Option<(i64, usize)> {
    let rest = ecma::trim_start(diff[at..].strip_prefix(name)?);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return None;
    }
    let end = after_line_end(diff, diff.len() - rest.len() + digits)?;
    // Line numbers beyond any file are all the same.
    Some((rest[..digits].parse::<i64>().unwrap_or(i64::MAX).min(i64::from(u32::MAX)), end))
}

/// The position after the last line feed of the white space at `at`.
fn after_line_end(diff: &str, at: usize) -> Option<usize> {
    let space = diff.len() - at - ecma::trim_start(&diff[at..]).len();
    memchr::memrchr(b'\n', &diff.as_bytes()[at..at + space]).map(|offset| at + offset + 1)
}

/// The next `marker` at or after `from` that begins a line.
fn line_start_of(diff: &str, marker: &str, from: usize) -> Option<usize> {
    memmem::find_iter(diff.get(from..)?.as_bytes(), marker)
        .map(|offset| from + offset)
        .find(|position| *position == 0 || diff.as_bytes()[position - 1] == b'\n')
}

/// The first separator line at or after `from`: its position and that of the replacement.
fn separator(diff: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let position = line_start_of(diff, "=======", at)?;
        if let Some(end) = after_line_end(diff, position + "=======".len()) {
            return Some((position, end));
        }
        at = position + 1;
    }
}

/// The first end marker line at or after `from`.
fn replace_marker(diff: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let position = line_start_of(diff, ">>>>>>> REPLACE", at)?;
        let rest = &diff[position + ">>>>>>> REPLACE".len()..];
        if rest.is_empty() || rest.starts_with('\n') {
            return Some(position);
        }
        at = position + 1;
    }
}

/// The text from `start` to the marker at `end`, without the line feed before the marker.
fn before_line_feed(diff: &str, start: usize, end: usize) -> &str {
    diff.get(start..end.saturating_sub(1)).unwrap_or_default()
}
