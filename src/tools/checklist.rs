//! Todo lists as Markdown checklists (spec 05 §5.23).

use md5::{Digest, Md5};

use crate::ecma;
use crate::protocol::message::TodoItem;

/// The items of a checklist; lines that are none are ignored.
pub fn parse(markdown: &str) -> Vec<TodoItem> {
    markdown.split('\n').filter_map(|line| parse_line(ecma::trim(line))).collect()
}

/// `[x] content`, maybe behind a dash.
fn parse_line(line: &str) -> Option<TodoItem> {
    let inside = line.strip_prefix('-').map_or(line, ecma::trim_start).strip_prefix('[')?;
    let (mark, rest) = inside.split_once(']')?;
    let status = match ecma::trim(mark) {
        "x" | "X" => "completed",
        "-" | "~" => "in_progress",
        "" if mark.contains(' ') => "pending",
        _ => return None,
    };
    let content = ecma::trim_start(rest);
    let has_space = content.len() < rest.len();
    // The text is one line, also for those who count these as line ends.
    if !has_space || content.is_empty() || content.contains(['\r', '\u{2028}', '\u{2029}']) {
        return None;
    }
    let hash = Md5::digest(format!("{content}{status}"));
    let id = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(TodoItem { id, content: content.to_owned(), status: status.to_owned() })
}

/// The list as a checklist, one item a line.
pub fn markdown(items: &[TodoItem]) -> String {
    let mark = |item: &TodoItem| match item.status.as_str() {
        "completed" => 'x',
        "in_progress" => '-',
        _ => ' ',
    };
    items.iter().map(|item| format!("[{}] {}", mark(item), item.content)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_statuses() {
        for (line, expected) in [
            ("[ ] a", Some(("a", "pending"))),
            ("[  ] a ", Some(("a", "pending"))),
            ("-   [ X ]   a", Some(("a", "completed"))),
            ("[~] a\r", Some(("a", "in_progress"))),
            ("[ ] [x] a", Some(("[x] a", "pending"))),
            ("[]a", None),
            ("[] a", None),
            ("[\t] a", None),
            ("[x]a", None),
            ("[x]", None),
            ("* [ ] a", None),
        ] {
            let items = parse(line);
            let seen = items.first().map(|item| (item.content.as_str(), item.status.as_str()));
            assert_eq!(seen, expected, "{line:?}");
        }
        assert_eq!(parse("[ ] a")[0].id, "5bedf0e2c6fd08a0eef543d827f7dfe3");
    }

    #[test]
    fn a_list_comes_back_from_its_markdown() {
        let items = parse("[x] a\n[-] b\n[ ] c");
        assert_eq!(markdown(&items), "[x] a\n[-] b\n[ ] c");
    }
}
