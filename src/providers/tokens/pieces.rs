//! Splits a text into the pieces within which tokens lie: the `o200k_base` pattern, written out by hand.
//!
//! In the order they are tried, with U = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, W = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`, P = `[^\r\n\p{L}\p{N}]` and
//! C = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`:
//! `P?U*W+C?`, `P?U+W*C?`, `\p{N}{1,3}`, ` ?[^\s\p{L}\p{N}]+[\r\n/]*`, `\s*[\r\n]+`, `\s+(?!\S)`, `\s+`.

use std::sync::OnceLock;

/// What the pattern asks of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Lu, Lt: in U.
    Upper,
    /// Ll: in W.
    Lower,
    /// Lm, Lo: in U and W.
    Letter,
    /// M: in U, W and P.
    Mark,
    /// N.
    Number,
    /// CR, LF.
    Newline,
    /// Other white space.
    Space,
    /// Everything else.
    Other,
}

impl Class {
    fn in_u(self) -> bool {
        matches!(self, Class::Upper | Class::Letter | Class::Mark)
    }

    fn in_w(self) -> bool {
        matches!(self, Class::Lower | Class::Letter | Class::Mark)
    }

    fn in_p(self) -> bool {
        matches!(self, Class::Mark | Class::Space | Class::Other)
    }

    fn is_space(self) -> bool {
        matches!(self, Class::Newline | Class::Space)
    }

    /// `[^\s\p{L}\p{N}]`
    fn is_symbol(self) -> bool {
        matches!(self, Class::Mark | Class::Other)
    }
}

/// The pieces of a text, in order, without gaps.
pub struct Pieces<'a> {
    text: &'a str,
    position: usize,
    classes: &'static Classes,
}

impl<'a> Pieces<'a> {
    /// Begins with `text`.
    pub fn of(text: &'a str) -> Pieces<'a> {
        Pieces { text, position: 0, classes: Classes::get() }
    }

    /// Class and length of the character at `at`; `None` at the end.
    #[inline]
    fn class(&self, at: usize) -> Option<(Class, usize)> {
        let first = *self.text.as_bytes().get(at)?;
        if first < 0x80 {
            return Some((self.classes.low[usize::from(first)], 1));
        }
        let c = self.text.get(at..)?.chars().next()?;
        Some((self.classes.of(c), c.len_utf8()))
    }

    /// End of the run of characters from `at` on that satisfy `condition`.
    #[inline]
    fn run(&self, mut at: usize, condition: impl Fn(Class) -> bool) -> usize {
        while let Some((class, length)) = self.class(at) {
            if !condition(class) {
                break;
            }
            at += length;
        }
        at
    }

    fn end_of_piece(&self, start: usize) -> Option<usize> {
        let (class, length) = self.class(start)?;
        let after_prefix = class.in_p().then_some(start + length);
        // Without the prefix a word can begin only if the character itself is in U or W.
        let beginnings = [after_prefix, (class.in_u() || class.in_w()).then_some(start)];
        let words = beginnings.into_iter().flatten();
        if let Some(end) = words.clone().find_map(|at| self.lower_word(at)) {
            return Some(self.contraction(end));
        }
        if let Some(end) = words.clone().find_map(|at| self.upper_word(at)) {
            return Some(self.contraction(end));
        }
        if class == Class::Number {
            return Some(self.digits(start));
        }
        let symbols = if self.text.as_bytes()[start] == b' ' { start + 1 } else { start };
        let end = self.run(symbols, Class::is_symbol);
        if end > symbols {
            let tail = &self.text.as_bytes()[end..];
            return Some(end + tail.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b'/')).count());
        }
        Some(self.white_space(start))
    }

    /// `U*W+`: as many of U as leave one of W.
    fn lower_word(&self, start: usize) -> Option<usize> {
        let mut at = start;
        let mut last_in_w = None;
        while let Some((class, length)) = self.class(at) {
            if !class.in_u() {
                break;
            }
            at += length;
            if class.in_w() {
                last_in_w = Some(at);
            }
        }
        let end = self.run(at, Class::in_w);
        if end > at { Some(end) } else { last_in_w }
    }

    /// `U+W*`
    fn upper_word(&self, start: usize) -> Option<usize> {
        let end = self.run(start, Class::in_u);
        (end > start).then(|| self.run(end, Class::in_w))
    }

    /// `C?` at `at`; the long s is a case of s.
    fn contraction(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        if rest.first() != Some(&b'\'') {
            return at;
        }
        let lower = |index: usize| rest.get(index).map_or(0, u8::to_ascii_lowercase);
        match (lower(1), lower(2)) {
            (b's' | b't' | b'm' | b'd', _) => at + 2,
            (b'r' | b'v', b'e') | (b'l', b'l') => at + 3,
            _ if rest[1..].starts_with("ſ".as_bytes()) => at + 1 + "ſ".len(),
            _ => at,
        }
    }

    fn digits(&self, start: usize) -> usize {
        let mut at = start;
        for _ in 0..3 {
            match self.class(at) {
                Some((Class::Number, length)) => at += length,
                _ => break,
            }
        }
        at
    }

    /// Up to the last line end; else all but the last character, which belongs to what follows; else all.
    fn white_space(&self, start: usize) -> usize {
        let (mut at, mut last, mut line_end) = (start, start, None);
        while let Some((class, length)) = self.class(at) {
            if !class.is_space() {
                break;
            }
            last = at;
            at += length;
            if class == Class::Newline {
                line_end = Some(at);
            }
        }
        match line_end {
            Some(end) => end,
            None if at < self.text.len() && last > start => last,
            None => at,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.position;
        self.position = self.end_of_piece(start)?;
        self.text.get(start..self.position)
    }
}

/// Classes of all characters: a table up to U+07FF, ranges above.
struct Classes {
    low: Vec<Class>,
    /// First and last code point and class, sorted.
    ranges: Vec<(u32, u32, Class)>,
}

/// End of the table: characters of up to two bytes.
const LOW: u32 = 0x800;

impl Classes {
    fn get() -> &'static Classes {
        static CLASSES: OnceLock<Classes> = OnceLock::new();
        CLASSES.get_or_init(Classes::new)
    }

    /// From the Unicode tables of the regular-expression library, so that they are those of the pattern.
    fn new() -> Classes {
        let mut ranges = Vec::new();
        for (pattern, class) in [
            (r"[\p{Lu}\p{Lt}]", Class::Upper),
            (r"\p{Ll}", Class::Lower),
            (r"[\p{Lm}\p{Lo}]", Class::Letter),
            (r"\p{M}", Class::Mark),
            (r"\p{N}", Class::Number),
            (r"[\r\n]", Class::Newline),
            (r"[\s--\r\n]", Class::Space),
        ] {
            if let Ok(hir) = regex_syntax::parse(pattern)
                && let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(set)) = hir.kind()
            {
                ranges.extend(set.iter().map(|range| (range.start().into(), range.end().into(), class)));
            }
        }
        ranges.sort_unstable_by_key(|range: &(u32, u32, Class)| range.0);
        let mut classes = Classes { low: Vec::new(), ranges };
        classes.low = (0..LOW).map(|code| classes.search(code)).collect();
        classes
    }

    fn of(&self, c: char) -> Class {
        let code = u32::from(c);
        if code < LOW { self.low[code as usize] } else { self.search(code) }
    }

    fn search(&self, code: u32) -> Class {
        let after = self.ranges.partition_point(|(first, _, _)| *first <= code);
        match after.checked_sub(1).map(|index| self.ranges[index]) {
            Some((_, last, class)) if code <= last => class,
            _ => Class::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        Pieces::of(text).collect()
    }

    #[test]
    fn texts_split_as_the_pattern_says() {
        for (text, expected) in [
            ("Hello, world!", vec!["Hello", ",", " world", "!"]),
            ("it's WE'RE they'll I'Dx", vec!["it's", " WE'RE", " they'll", " I'D", "x"]),
            ("fooBar HTTPServer", vec!["foo", "Bar", " HTTPServer"]),
            ("x = 12345;", vec!["x", " =", " ", "123", "45", ";"]),
            ("a  b   \n\n  c", vec!["a", " ", " b", "   \n\n", " ", " c"]),
            ("a   ", vec!["a", "   "]),
            ("--//\n\n/x", vec!["--//\n\n/", "x"]),
            ("日本語テスト", vec!["日本語テスト"]),
            ("e\u{301}A\u{301}B", vec!["e\u{301}", "A\u{301}", "B"]),
            ("\u{301}AB", vec!["\u{301}", "AB"]),
            ("'ſ x'ſ", vec!["'ſ", " x'ſ"]),
            ("\t\tif\r\n", vec!["\t", "\tif", "\r\n"]),
        ] {
            assert_eq!(pieces(text), expected, "{text:?}");
        }
    }
}
