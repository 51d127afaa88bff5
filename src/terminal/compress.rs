//! Command output in the form a model reads it (spec 06 §D.5): overwritten text resolved, repetitions counted, the middle
//! left out. Lengths and limits count UTF-16 units. Linear in the text.

use std::borrow::Cow;

use super::output::Captured;
use crate::ecma;

/// Limits of output for a model; 0 disables a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most lines; counts only when the characters stay within their limit.
    pub lines: usize,
    /// Most UTF-16 units.
    pub characters: usize,
    /// Resolve carriage returns and backspaces first.
    pub progress_bars: bool,
}

/// Compresses a whole text.
pub fn compress(text: &str, limits: Limits) -> String {
    truncate(&fold(text, limits), limits.lines, limits.characters)
}

/// Compresses output whose middle may be missing (deviation D17). What is missing counts as omitted characters.
pub fn compress_captured(output: &Captured, limits: Limits) -> String {
    if output.omitted == 0 {
        return compress(&output.head, limits);
    }
    let (head, tail) = (fold(&output.head, limits), fold(&output.tail, limits));
    let limit = if limits.characters == 0 { usize::MAX } else { limits.characters };
    let (head_length, tail_length) = (ecma::utf16_len(&head), ecma::utf16_len(&tail));
    let first = head_length.min(limit / 5);
    let last = tail_length.min(limit - first);
    let omitted = (head_length - first) as u64 + (tail_length - last) as u64 + output.omitted;
    format!("{}\n[...{omitted} characters omitted...]\n{}", first_units(&head, first), last_units(&tail, last))
}

fn fold(text: &str, limits: Limits) -> String {
    if limits.progress_bars { run_length(&backspaces(&carriage_returns(text))) } else { run_length(text) }
}

/// Lets the text after a carriage return overwrite the beginning of its line.
pub fn carriage_returns(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        match line.split_once('\r') {
            None => result.push_str(line),
            Some((first, rest)) => {
                let mut current: Vec<u16> = first.encode_utf16().collect();
                for segment in rest.split('\r').filter(|segment| !segment.is_empty()) {
                    overwrite(&mut current, segment);
                }
                result.push_str(&String::from_utf16_lossy(&current));
            }
        }
        result.push_str(end);
    }
    Cow::Owned(result)
}

/// A segment never leaves half a character behind: the unit after it becomes a space.
fn overwrite(line: &mut Vec<u16>, segment: &str) {
    let low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    let segment: Vec<u16> = segment.encode_utf16().collect();
    let length = segment.len();
    let Some(next) = line.get(length).copied() else {
        *line = segment;
        return;
    };
    let torn = segment.last().is_some_and(|unit| high(*unit)) || low(next) || (line.len() > length + 1 && high(next));
    line.splice(..length + usize::from(torn), segment.into_iter().chain(torn.then_some(u16::from(b' '))));
}

/// Lets each backspace delete the character before it, line ends too.
pub fn backspaces(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{8}') {
        return Cow::Borrowed(text);
    }
    let mut result: Vec<u16> = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        if unit == 8 {
            result.pop();
        } else {
            result.push(unit);
        }
    }
    Cow::Owned(String::from_utf16_lossy(&result))
}

/// Replaces repetitions of a line by their number where that is shorter.
pub fn run_length(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let mut repeated = 0;
        while lines.next_if_eq(&line).is_some() {
            repeated += 1;
        }
        result.push_str(line);
        let note = format!("<previous line repeated {repeated} additional times>\n");
        let weighed = if lines.peek().is_some() { repeated + 1 } else { repeated };
        if repeated > 0 && note.len() < ecma::utf16_len(line) * weighed {
            result.push_str(&note);
        } else {
            (0..repeated).for_each(|_| result.push_str(line));
        }
    }
    result
}

/// Leaves out the middle of a text that is over a limit: a fifth of the limit remains at the start, the rest at the end.
pub fn truncate(text: &str, lines: usize, characters: usize) -> String {
    let length = ecma::utf16_len(text);
    if characters > 0 && length > characters {
        let first = characters / 5;
        let (start, end) = (first_units(text, first), last_units(text, characters - first));
        return format!("{start}\n[...{} characters omitted...]\n{end}", length - characters);
    }
    let total = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
    if lines > 0 && total > lines {
        let first = lines / 5;
        let start: usize = text.split_inclusive('\n').take(first).map(str::len).sum();
        let end: usize = text.split_inclusive('\n').take(total - (lines - first)).map(str::len).sum();
        let (start, end) = (&text[..start], &text[end..]);
        return format!("{start}\n[...{} lines omitted...]\n\n{end}", total - lines);
    }
    text.to_owned()
}

/// The first UTF-16 units; half a character at the end becomes U+FFFD.
fn first_units(text: &str, units: usize) -> Cow<'_, str> {
    let (at, torn) = position(text, units);
    if torn { Cow::Owned(format!("{}\u{fffd}", &text[..at])) } else { Cow::Borrowed(&text[..at]) }
}

/// The last UTF-16 units; half a character at the start becomes U+FFFD.
fn last_units(text: &str, units: usize) -> Cow<'_, str> {
    let (at, torn) = position(text, ecma::utf16_len(text).saturating_sub(units));
    if !torn {
        return Cow::Borrowed(&text[at..]);
    }
    let after = text[at..].chars().next().map_or(0, char::len_utf8);
    Cow::Owned(format!("\u{fffd}{}", &text[at + after..]))
}

/// Byte position of the character that holds this UTF-16 position, and whether the position splits it.
fn position(text: &str, units: usize) -> (usize, bool) {
    if text.is_ascii() {
        return (units.min(text.len()), false);
    }
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        if seen >= units {
            return (at, false);
        }
        seen += c.len_utf16();
        if seen > units {
            return (at, true);
        }
    }
    (text.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwritten_text_is_resolved() {
        for (text, expected) in [
            ("Hello\rWorld\r", "World"),
            ("Initial text\rnext\r", "nextial text"),
            ("abc\r\nx\ry\n", "abc\ny\n"),
            ("a\u{1f680}b\rxy", "xy b"),
        ] {
            assert_eq!(carriage_returns(text), expected, "{text:?}");
        }
        assert_eq!(backspaces("abc\u{8}\u{8}xy"), "axy");
        assert_eq!(backspaces("a\n\u{8}\u{8}\u{8}b"), "b");
    }

    #[test]
    fn repetitions_are_counted_when_that_is_shorter() {
        let line = "123456789\n";
        assert_eq!(run_length(&line.repeat(6)), format!("{line}<previous line repeated 5 additional times>\n"));
        assert_eq!(run_length("a\na\na"), "a\na\na");
        assert_eq!(run_length(""), "");
    }

    #[test]
    fn the_middle_is_left_out() {
        let text: Vec<String> = (1..=25).map(|n| format!("line{n}")).collect();
        let expected = format!("line1\nline2\n\n[...15 lines omitted...]\n\n{}", text[17..].join("\n"));
        assert_eq!(truncate(&text.join("\n"), 10, 0), expected);
        assert_eq!(truncate("0123456789abcde", 1, 10), "01\n[...5 characters omitted...]\n789abcde");
        assert_eq!(
            truncate(&"\u{1f680}".repeat(6), 0, 5),
            "\u{fffd}\n[...7 characters omitted...]\n\u{1f680}\u{1f680}"
        );
    }

    #[test]
    fn missing_output_counts_as_omitted() {
        let output = Captured { head: "0123456789".into(), omitted: 100, tail: "abcdefghij".into() };
        let limits = Limits { lines: 0, characters: 10, progress_bars: true };
        assert_eq!(compress_captured(&output, limits), "01\n[...110 characters omitted...]\ncdefghij");
        let limits = Limits { characters: 0, ..limits };
        assert_eq!(compress_captured(&output, limits), "0123456789\n[...100 characters omitted...]\nabcdefghij");
    }
}
