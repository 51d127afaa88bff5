//! What of a text block is shown (spec 01 §6.1): thinking tags removed, a tag that is just being written held back.

use crate::ecma;

/// The text to show for the content of a text block.
pub fn visible(content: &str) -> String {
    let mut text = remove_thinking(content);
    if let Some(cut) = begun_tag(&text) {
        text.truncate(cut);
        text = ecma::trim(&text).to_owned();
    }
    text
}

/// Shows a growing text piece by piece, so that a long one costs no more than its length.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// Bytes of the content whose visible form is final.
    settled: usize,
}

/// What to do with the message that shows the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing new is visible.
    None,
    /// Append this much.
    Append(String),
    /// Show this instead.
    Replace(String),
}

impl Growing {
    /// The change that shows `content`, the whole text so far, which only grows.
    pub fn show(&mut self, content: &str) -> Change {
        let Some(fresh) = content.get(self.settled..) else { return Change::None };
        if fresh.contains("thinking>") {
            // Tags in the text are rare; the white space around them needs the whole rule.
            return Change::Replace(visible(content));
        }
        let end = begun_tag(fresh).unwrap_or(fresh.len());
        let end = ecma::trim_end(&fresh[..end]).len();
        if end == 0 {
            return Change::None;
        }
        let appended = fresh[..end].to_owned();
        self.settled += end;
        Change::Append(appended)
    }
}

/// Where a tag begins that is not closed and may still become one: `<`, `</` or such with the letters of a name.
fn begun_tag(text: &str) -> Option<usize> {
    let open = memchr::memrchr(b'<', text.as_bytes())?;
    let rest = &text[open + 1..];
    if memchr::memchr(b'>', rest.as_bytes()).is_some() {
        return None;
    }
    let name = ecma::trim(rest.strip_prefix('/').unwrap_or(rest));
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    (is_name || rest.is_empty() || rest == "/").then_some(open)
}

/// Without `<thinking>` and one white-space character after it, `</thinking>` and one before it.
fn remove_thinking(text: &str) -> String {
    if !text.contains("thinking>") {
        return text.to_owned();
    }
    let mut opened = String::with_capacity(text.len());
    for (index, piece) in text.split("<thinking>").enumerate() {
        let space = piece.chars().next().filter(|c| index > 0 && ecma::is_space(*c));
        opened.push_str(&piece[space.map_or(0, char::len_utf8)..]);
    }
    let pieces: Vec<&str> = opened.split("</thinking>").collect();
    let last = pieces.len() - 1;
    let mut out = String::with_capacity(opened.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        let space = piece.chars().next_back().filter(|c| index < last && ecma::is_space(*c));
        out.push_str(&piece[..piece.len() - space.map_or(0, char::len_utf8)]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_tags_go_and_begun_tags_wait() {
        for (content, shown) in [
            ("plain", "plain"),
            ("", ""),
            ("<thinking> a </thinking> b", "a b"),
            ("<thinking>\n\na\n\n</thinking>", "\na\n"),
            ("x <", "x"),
            ("x </", "x"),
            ("x <read_f", "x"),
            ("a < b", "a"),
            ("a < b c", "a < b c"),
            ("a <b> c", "a <b> c"),
            ("a <b1", "a <b1"),
            ("  lead <x", "lead"),
        ] {
            assert_eq!(visible(content), shown, "{content:?}");
        }
    }

    #[test]
    fn growing_shows_what_the_whole_rule_shows() {
        let text = "First line,  then\n\n a < b and <br> more <read";
        let mut growing = Growing::default();
        let mut shown = String::new();
        for end in (1..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            match growing.show(ecma::trim_end(&text[..end])) {
                Change::Append(more) => shown.push_str(&more),
                Change::Replace(all) => shown = all,
                Change::None => {}
            }
            assert!(text.starts_with(&shown));
        }
        assert_eq!(shown, visible(text));
    }
}
