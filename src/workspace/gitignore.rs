//! Patterns in gitignore syntax as `.kilocodeignore`, the protected list and directory listings need them (spec 03 §17).
//!
//! Own code because the meaning is not that of `globset`: braces are literal, matching ignores case on every platform, and a
//! path is tested without knowing whether it is a directory: its parents are tested as directories, the path itself only
//! when it ends with `/`. Matching takes time linear in the pattern for each path component.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// An ordered list of patterns; the last one that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    rules: Vec<Rule>,
    idle_lines: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// `!pattern`: includes again what an earlier pattern excluded.
    negated: bool,
    /// `pattern/`: matches directories only.
    directory_only: bool,
    parts: Vec<Part>,
}

/// What stands between two slashes of a pattern.
#[derive(Clone, Debug)]
enum Part {
    /// `**`: any number of directories; at the end of a pattern at least one entry.
    AnyDepth,
    Name(Vec<Token>),
}

/// One element of a file name pattern; letters are in lower case.
#[derive(Clone, Debug)]
enum Token {
    Char(char),
    /// `?`
    AnyChar,
    /// `*`
    AnyRun,
    /// `[a-z]`, `[!a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Patterns {
    /// Reads patterns, one a line. Blank lines, comments and patterns that cannot match (an unclosed `[`) are left out.
    pub fn parse(text: &str) -> Patterns {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Patterns::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            match Rule::parse(line) {
                Some(rule) => patterns.rules.push(rule),
                None if line.starts_with('#') || line.trim().is_empty() => {}
                None => patterns.idle_lines.push(index + 1),
            }
        }
        patterns
    }

    /// Lines, from 1, with a pattern that cannot match.
    pub fn idle_lines(&self) -> &[usize] {
        &self.idle_lines
    }

    /// Whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a relative path with forward slashes is excluded. A final `/` says that it is a directory. What lies below an
    /// excluded directory is excluded, whatever later patterns say.
    pub fn excludes(&self, path: &str) -> bool {
        let (path, is_directory) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let names: Vec<Vec<char>> = path.split('/').map(fold).collect();
        (1..=names.len()).any(|depth| self.matches(&names[..depth], depth < names.len() || is_directory))
    }

    fn matches(&self, names: &[Vec<char>], is_directory: bool) -> bool {
        self.rules
            .iter()
            .rev()
            .find(|rule| (is_directory || !rule.directory_only) && parts_match(&rule.parts, names))
            .is_some_and(|rule| !rule.negated)
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Rule> {
        if line.starts_with('#') {
            return None;
        }
        let (negated, pattern) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let pattern = composed(trim_unescaped_end(pattern));
        let (directory_only, pattern) = match pattern.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, &*pattern),
        };
        let anchored = pattern.contains('/');
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        if pattern.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        if !anchored {
            parts.push(Part::AnyDepth);
        }
        for part in pattern.split('/') {
            let part = if part == "**" { Part::AnyDepth } else { Part::Name(tokens(part)?) };
            // Two in a row mean the same as one, and one only keeps the matching linear.
            if !(matches!(part, Part::AnyDepth) && matches!(parts.last(), Some(Part::AnyDepth))) {
                parts.push(part);
            }
        }
        Some(Rule { negated, directory_only, parts })
    }
}

/// Drops white space at the end; one that a backslash escapes stays.
fn trim_unescaped_end(pattern: &str) -> &str {
    let trimmed = pattern.trim_end();
    let backslashes = trimmed.bytes().rev().take_while(|b| *b == b'\\').count();
    match pattern[trimmed.len()..].chars().next() {
        Some(space) if backslashes % 2 == 1 => &pattern[..trimmed.len() + space.len_utf8()],
        _ => trimmed,
    }
}

/// In lower case, and composed: some systems write `é` as two characters into names, keyboards write one.
fn fold(name: &str) -> Vec<char> {
    composed(name).chars().flat_map(char::to_lowercase).collect()
}

fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// The tokens of one name pattern; `None` when a class is not closed.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => {
                if !matches!(tokens.last(), Some(Token::AnyRun)) {
                    tokens.push(Token::AnyRun);
                }
            }
            '?' => tokens.push(Token::AnyChar),
            '[' => tokens.push(class(&mut chars)?),
            '\\' => tokens.extend(chars.next().unwrap_or('\\').to_lowercase().map(Token::Char)),
            c => tokens.extend(c.to_lowercase().map(Token::Char)),
        }
    }
    Some(tokens)
}

/// The rest of a class after its `[`.
fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut members: Vec<(char, bool)> = Vec::new();
    loop {
        match chars.next()? {
            ']' if members.len() > 1 || members.first().is_some_and(|first| !is_negation(*first)) => break,
            '\\' => members.push((chars.next()?, true)),
            c => members.push((c, false)),
        }
    }
    let negated = members.first().copied().is_some_and(is_negation);
    let members = &members[usize::from(negated)..];
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&(low, _)) = members.get(i) {
        match (members.get(i + 1), members.get(i + 2)) {
            (Some(('-', false)), Some(&(high, _))) => {
                ranges.push((low, high));
                i += 3;
            }
            _ => {
                ranges.push((low, low));
                i += 1;
            }
        }
    }
    Some(Token::Class { negated, ranges })
}

fn is_negation((c, escaped): (char, bool)) -> bool {
    !escaped && matches!(c, '!' | '^')
}

/// Matches all parts against all names; backtracks to the last `**` only, which is enough.
fn parts_match(parts: &[Part], names: &[Vec<char>]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match parts.get(p) {
            Some(Part::AnyDepth) if p + 1 == parts.len() && n < names.len() => return true,
            Some(Part::AnyDepth) if p + 1 == parts.len() => {}
            Some(Part::AnyDepth) => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(Part::Name(tokens)) if names.get(n).is_some_and(|name| name_matches(tokens, name)) => {
                p += 1;
                n += 1;
                continue;
            }
            None if n == names.len() => return true,
            _ => {}
        }
        match retry {
            Some((after, from)) if from < names.len() => {
                retry = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Matches one name; backtracks to the last `*` only.
fn name_matches(tokens: &[Token], name: &[char]) -> bool {
    let (mut t, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(t), name.get(n)) {
            (None, None) => return true,
            (Some(Token::AnyRun), _) => {
                retry = Some((t + 1, n));
                t += 1;
                continue;
            }
            (Some(token), Some(&c)) if token_matches(token, c) => {
                t += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((after, from)) if from < name.len() => {
                retry = Some((after, from + 1));
                (t, n) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

fn token_matches(token: &Token, c: char) -> bool {
    match token {
        Token::Char(expected) => *expected == c,
        Token::AnyChar => true,
        Token::AnyRun => false,
        Token::Class { negated, ranges } => {
            let within = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            (within(c) || c.to_uppercase().any(within)) != *negated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// parity 03 §17: patterns as in `.gitignore`, parents before what is in them
    /// parity 03 §quirks.18: letters of any case
    #[test]
    fn patterns_against_paths() {
        for (patterns, excluded, included) in [
            ("a.log", "a.log x/a.log a.log/y A.LOG", "b.log a.logs"),
            ("/a", "a a/b", "x/a"),
            ("dir/", "dir/ dir/x y/dir/x", "dir y/dir"),
            ("a/b", "a/b a/b/c", "x/a/b"),
            ("a/*", "a/b a/b/c", "a a/ b"),
            ("a/**", "a/b a/b/c", "a a/"),
            ("**/x", "x a/x a/b/x", "xx"),
            ("f/**/g", "f/g f/a/g f/a/b/g", "f g x/f/g"),
            ("*.{js,ts}", "a.{js,ts}", "a.js"),
            ("*\n!src/\n!src/**", "a lib/b src", "src/ src/a src/a/b"),
            ("dir/*\n!dir/ok", "dir/no", "dir dir/ok"),
            ("build\n!build/keep", "build/keep build/x", "keep"),
            ("[ab].txt\n[!a-m]z", "a.txt B.TXT nz", "c.txt az"),
            ("\\#lit\n\\!not\nsp\\ ", "#lit !not", "lit sp"),
            ("# comment\n\n   \n", "", "a #"),
            ("[open", "", "[open open o"),
            ("trail  \nTab\t", "trail tab", "trail2"),
            ("a**b", "ab axxb x/acb", "a/b"),
            ("日本*", "日本語 x/日本", "日"),
        ] {
            let parsed = Patterns::parse(patterns);
            for path in excluded.split_whitespace() {
                assert!(parsed.excludes(path), "{patterns:?} should exclude {path}");
            }
            for path in included.split_whitespace() {
                assert!(!parsed.excludes(path), "{patterns:?} should not exclude {path}");
            }
        }
        assert!(Patterns::parse("sp\\ ").excludes("sp "));
    }

    #[test]
    fn hostile_patterns_match_in_linear_time() {
        let stars = "*a".repeat(200) + "b";
        assert!(!Patterns::parse(&stars).excludes(&"a".repeat(5000)));
        let depth = "**/a/".repeat(100) + "b";
        assert!(!Patterns::parse(&depth).excludes(&"a/".repeat(500)));
    }

    proptest! {
        #[test]
        fn any_text_is_accepted(patterns in "\\PC{0,40}", path in "[a-z/.*\\[\\]]{0,20}") {
            Patterns::parse(&patterns).excludes(&path);
        }
    }
}
