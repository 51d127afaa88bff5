//! What a user's text refers to: files, folders, URLs, commits and more by `@…` (spec 03 §16.2), commands by `/name`
//! (spec 03 §15.2). Grammar only: nothing is looked up or read here. Each scan takes time linear in the text.

use std::ops::Range;

use crate::ecma;

/// Something found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where it stands, in bytes: a mention with its `@`, a command with the white space before it.
    pub range: Range<usize>,
    /// Without `@` or `/`: `/src/a.ts`, `https://…`, `problems`; the name of a command.
    pub value: &'a str,
}

/// Mentions that are words.
pub(super) const WORDS: [&str; 3] = ["problems", "git-changes", "terminal"];

/// Punctuation marks of which one may end a sentence behind a mention.
pub(super) const MARKS: [char; 6] = ['.', ',', ';', ':', '!', '?'];

/// All mentions, in order.
pub fn mentions(text: &str) -> Vec<Reference<'_>> {
    let mut found: Vec<Reference<'_>> = Vec::new();
    // No path can begin before this place: one that did would run into what ends it there.
    let mut no_path_before = 0;
    for (at, _) in text.match_indices('@') {
        let begins = text[..at].chars().next_back().is_none_or(ecma::is_space);
        if !begins || found.last().is_some_and(|last| at < last.range.end) {
            continue;
        }
        let body = &text[at + 1..];
        let path = if at < no_path_before { None } else { Some(path(body)) };
        let len = match path {
            Some(Ok(len)) => Some(len),
            Some(Err(dead)) => {
                no_path_before = at + 1 + dead;
                None
            }
            None => None,
        };
        if let Some(len) = len.or_else(|| commit(body)).or_else(|| word(body)) {
            found.push(Reference { range: at..at + 1 + len, value: &body[..len] });
        }
    }
    found
}

/// All commands, in order.
pub fn commands(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('/') {
        let before = text[..at].chars().next_back();
        let name = &text[at + 1..];
        let len = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b)).count();
        let ends = name[len..].chars().next().is_none_or(ecma::is_space);
        if before.is_none_or(ecma::is_space) && len > 0 && ends {
            let start = at - before.map_or(0, char::len_utf8);
            found.push(Reference { range: start..at + 1 + len, value: &name[..len] });
        }
    }
    found
}

/// A mentioned path with its escaped spaces as spaces.
pub fn unescape_spaces(path: &str) -> String {
    path.replace("\\ ", " ")
}

/// Length of a path or URL at the front: the shortest with an end behind it. `Err`: there is none before that place.
fn path(body: &str) -> Result<usize, usize> {
    let prefix = match body.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count() {
        0 if body.starts_with('/') => 1,
        word if word > 0 && body[word..].starts_with("://") => word + 3,
        _ => return Err(0),
    };
    let mut characters = body[prefix..].char_indices();
    while let Some((offset, character)) = characters.next() {
        let unit_at = prefix + offset;
        let unit_end = match character {
            '\\' if body[unit_at + 1..].starts_with(' ') => {
                characters.next();
                unit_at + 2
            }
            '\\' => return Err(unit_at),
            space if ecma::is_space(space) => return Err(unit_at),
            other => unit_at + other.len_utf8(),
        };
        if ends(&body[unit_end..]) {
            return Ok(unit_end);
        }
    }
    Err(body.len())
}

fn commit(body: &str) -> Option<usize> {
    let len = body.bytes().take_while(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9')).count();
    ((7..=40).contains(&len) && ends(&body[len..])).then_some(len)
}

fn word(body: &str) -> Option<usize> {
    WORDS.iter().find(|word| body.strip_prefix(**word).is_some_and(ends)).map(|word| word.len())
}

/// Whether a mention may end before `rest`: at most one punctuation mark, then white space or nothing.
fn ends(rest: &str) -> bool {
    let rest = rest.strip_prefix(MARKS).unwrap_or(rest);
    rest.chars().next().is_none_or(ecma::is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §checklist.22: paths, addresses, commits and words, and where each ends
    /// parity 03 §quirks.27: a closing tag right behind belongs to the mention
    /// parity 03 §16.2: shortest path, one punctuation mark left out, escaped spaces
    #[test]
    fn the_grammar_of_mentions() {
        for (text, expected) in [
            ("@/a.txt.", "/a.txt"),
            ("@/a.txt..", "/a.txt."),
            ("@/what?! x", "/what?"),
            ("@/dir/,", "/dir/"),
            ("@/a.txt)", "/a.txt)"),
            ("@/my\\ file.txt x", "/my\\ file.txt"),
            ("@abcdef1 @problems @git-changes.", "abcdef1|problems|git-changes"),
            ("@/x\u{2003}@https://é/\n@terminal", "/x|https://é/|terminal"),
            ("(@/a) @problems) @problematic @abcdef @/ @/a\\b log:@/x \\@/x a@/x @ABCDEF1 @:// @", ""),
            ("@/a\\ @/b", "/a\\ @/b"),
            ("@/日本語/ファイル.txt、x @/é\u{301}.md!", "/日本語/ファイル.txt、x|/é\u{301}.md"),
            ("@C:\\dir\\a.txt @/C:/dir/a.txt @/dir\\a.txt", "/C:/dir/a.txt"),
            ("@/a\\ b\\ c/d\\ e.md, @/x\\\\ y", "/a\\ b\\ c/d\\ e.md"),
            ("@http://h:80/p?q=a,b#f. @file:///etc @ftp://x; @a-b://x", "http://h:80/p?q=a,b#f|file:///etc|ftp://x"),
            ("@problems: @problems:: @terminal? @terminals @Problems @git-changesx", "problems|terminal"),
            (
                "@1234567, @0123456789012345678901234567890123456789 @01234567890123456789012345678901234567890 @123456",
                "1234567|0123456789012345678901234567890123456789",
            ),
            ("@abcdefg @abcdef12_ @abcdef12-x @dead beef", ""),
            ("\u{feff}@/a\u{a0}@/b\u{3000}@/c\u{200b}@/d", "/a|/b|/c\u{200b}@/d"),
            ("@/@/@/ @@/x @/a@/b", "/@/@/|/a@/b"),
            ("@/dir/</task>\n@https://h/p</task>", "/dir/</task>|https://h/p</task>"),
            ("@/a\\ @problems x\\", "/a\\ @problems"),
        ] {
            let values: Vec<&str> = mentions(text).iter().map(|mention| mention.value).collect();
            assert_eq!(values.join("|"), expected, "{text}");
        }
    }

    /// parity 03 §15.2: a name after white space and before it
    #[test]
    fn the_grammar_of_commands() {
        for (text, expected) in
            [("/init /a.b-c_1\u{a0}/x", "init|a.b-c_1|x"), ("a/b /a/b /bad! (/x) / /é", ""), ("text\n/go now", "go")]
        {
            let names: Vec<&str> = commands(text).iter().map(|command| command.value).collect();
            assert_eq!(names.join("|"), expected, "{text}");
        }
        assert_eq!(commands("é\u{2003}/x")[0].range, 2..7);
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        let text = "@/\\ ".repeat(100_000) + "\\";
        assert_eq!(mentions(&text), []);
    }
}
