//! Line numbers in front of lines (spec 05 §1.12): `12 | text`, as the model is shown files and sometimes writes them back.

use std::borrow::Cow;

use crate::ecma;

/// Which line numbers [`strip`] takes for such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripping {
    /// White space, digits, white space, a bar that no second bar follows; then at most one white space.
    Exact,
    /// White space, maybe digits with one white space, a bar, one white space.
    Aggressive,
}

/// Numbers the lines of `text` from `start` on, right-aligned. One empty line at the end is dropped, the result ends with a line
/// feed. An empty text is empty, except that it shows the number when `start` is not 1.
pub fn add(text: &str, start: i64) -> String {
    if text.is_empty() {
        return if start == 1 { String::new() } else { format!("{start} | \n") };
    }
    let lines = || text.strip_suffix('\n').unwrap_or(text).split('\n');
    let count = lines().count() as i64;
    let width = start.saturating_add(count - 1).to_string().len();
    let mut numbered = String::with_capacity(text.len() + count as usize * (width + 3) + 1);
    for (number, line) in (start..).zip(lines()) {
        numbered.push_str(&format!("{number:>width$} | "));
        numbered.push_str(line);
        numbered.push('\n');
    }
    numbered
}

/// Whether every line (ended by LF or CRLF) begins with a number and a single bar.
pub fn every_line_numbered(text: &str) -> bool {
    super::lines::split(text).all(|line| after_number(line).is_some())
}

/// Takes the line numbers off; other lines stay. The lines are joined by CRLF if `text` has any, else by LF.
pub fn strip(text: &str, stripping: Stripping) -> Cow<'_, str> {
    let unnumber = |line| match stripping {
        Stripping::Exact => after_number(line).map(without_one_space),
        Stripping::Aggressive => after_bar(line),
    };
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut stripped = String::with_capacity(text.len());
    for (index, line) in super::lines::split(text).enumerate() {
        if index > 0 {
            stripped.push_str(ending);
        }
        stripped.push_str(unnumber(line).unwrap_or(line));
    }
    if stripped == text { Cow::Borrowed(text) } else { Cow::Owned(stripped) }
}

/// What follows `  12 |`, unless that is a second bar.
fn after_number(line: &str) -> Option<&str> {
    let line = ecma::trim_start(line);
    let after_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let bar = ecma::trim_start(after_digits);
    if after_digits.len() == line.len() || bar.len() == after_digits.len() {
        return None;
    }
    bar.strip_prefix('|').filter(|rest| !rest.starts_with('|'))
}

/// What follows `  12 | ` or `  | `.
fn after_bar(line: &str) -> Option<&str> {
    let line = ecma::trim_start(line);
    let after_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let bar = if after_digits.len() < line.len() { after_one_space(after_digits)? } else { line };
    after_one_space(bar.strip_prefix('|')?)
}

fn after_one_space(text: &str) -> Option<&str> {
    text.strip_prefix(ecma::is_space)
}

fn without_one_space(text: &str) -> &str {
    after_one_space(text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_and_go() {
        assert_eq!(add("a\nb\n", 9), " 9 | a\n10 | b\n");
        assert_eq!(add("", 1), "");
        assert_eq!(add("", 4), "4 | \n");
        assert_eq!(strip(" 9 | a\n10 |  b", Stripping::Exact), "a\n b");
        assert_eq!(strip("1 || a", Stripping::Exact), "1 || a");
        assert_eq!(strip("| a\r\n3 | b", Stripping::Aggressive), "a\r\nb");
        assert!(every_line_numbered("1 | a\r\n 2 | b") && !every_line_numbered("1 | a\n") && !every_line_numbered(""));
    }
}
