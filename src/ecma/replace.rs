//! `String.prototype.replace` with a global regular expression: ECMAScript patterns and `$` replacement texts.

use regress::{Match, Regex};

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Pattern<'a> {
    /// A pattern, or the text itself.
    pub source: &'a str,
    /// `source` is a pattern.
    pub is_regex: bool,
    /// Flag `i`.
    pub ignore_case: bool,
}

impl Pattern<'_> {
    /// The expression, with neither of the flags `m`, `s`, `u`.
    ///
    /// # Errors
    /// The pattern is not valid; the error says where.
    pub fn compile(&self) -> Result<Regex, regress::Error> {
        let flags = if self.ignore_case { "i" } else { "" };
        if self.is_regex {
            Regex::with_flags(self.source, flags)
        } else {
            Regex::with_flags(&escaped(self.source), flags)
        }
    }
}

/// The text with every metacharacter escaped.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r".*+?^${}()|[]\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Replaces all matches in `text`; `$` sequences of `replacement` are expanded.
pub fn all(regex: &Regex, text: &str, replacement: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for found in regex.find_iter(text) {
        result.push_str(&text[end..found.start()]);
        expand(&mut result, text, &found, replacement);
        end = found.end();
    }
    result.push_str(&text[end..]);
    result
}

/// GetSubstitution of ECMA-262 §22.1.3.19.1.
fn expand(result: &mut String, text: &str, found: &Match, replacement: &str) {
    let groups = found.captures.len();
    let has_names = found.named_groups().next().is_some();
    let mut rest = replacement;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let taken = match rest.as_bytes() {
            [b'$', ..] => {
                result.push('$');
                1
            }
            [b'&', ..] => {
                result.push_str(&text[found.range()]);
                1
            }
            [b'`', ..] => {
                result.push_str(&text[..found.start()]);
                1
            }
            [b'\'', ..] => {
                result.push_str(&text[found.end()..]);
                1
            }
            [digit, ..] if digit.is_ascii_digit() => match group_number(rest.as_bytes(), groups) {
                Some((number, digits)) => {
                    result.push_str(found.group(number).map_or("", |range| &text[range]));
                    digits
                }
                None => {
                    result.push('$');
                    0
                }
            },
            [b'<', ..] if has_names => match rest.find('>') {
                Some(close) => {
                    result.push_str(found.named_group(&rest[1..close]).map_or("", |range| &text[range]));
                    close + 1
                }
                None => {
                    result.push('$');
                    0
                }
            },
            _ => {
                result.push('$');
                0
            }
        };
        rest = &rest[taken..];
    }
    result.push_str(rest);
}

/// The group that `$n` or `$nn` means and how many digits that takes: two if there is such a group, else one.
fn group_number(rest: &[u8], groups: usize) -> Option<(usize, usize)> {
    let digit = |at: usize| rest.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| usize::from(byte - b'0'));
    let first = digit(0)?;
    let two = digit(1).map(|second| (first * 10 + second, 2));
    two.filter(|(number, _)| (1..=groups).contains(number))
        .or(Some((first, 1)))
        .filter(|(number, _)| (1..=groups).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, source: &str, is_regex: bool, replacement: &str) -> String {
        let pattern = Pattern { source, is_regex, ignore_case: false };
        all(&pattern.compile().expect("a valid pattern"), text, replacement)
    }

    #[test]
    fn dollar_sequences() {
        for (pattern, replacement, expected) in [
            ("b", "$$", "a$c"),
            ("b", "[$&]", "a[b]c"),
            ("b", "$`", "aac"),
            ("b", "$'", "acc"),
            ("b", "$1", "a$1c"),
            ("(b)", "$1$1", "abbc"),
            ("(b)", "$10", "ab0c"),
            ("(b)", "$01", "abc"),
            ("(b)", "$2$0", "a$2$0c"),
            ("(?<x>b)", "<$<x>$<y>>", "a<b>c"),
            ("b", "$<x>", "a$<x>c"),
            ("b|(z)", "$1!", "a!c"),
            ("b", "$", "a$c"),
        ] {
            assert_eq!(replaced("abc", pattern, true, replacement), expected, "{pattern} {replacement}");
        }
    }

    #[test]
    fn literal_text_matches_itself_and_empty_matches_stand_between() {
        assert_eq!(replaced("f.x(f)", "x(f)", false, "$&!"), "f.x(f)!");
        assert_eq!(replaced("añ", "", true, "-"), "-a-ñ-");
        assert_eq!(replaced("a\nb", "^b", true, "x"), "a\nb");
    }
}
