//! Layout of what git says about the working tree and about one commit (spec 03 §16.3).

use std::fmt::Write;

use crate::ecma;
use crate::terminal::truncate;

/// Lines that are shown; of more, a fifth from the beginning and the rest from the end.
const MOST_LINES: usize = 500;

/// Format of `git show` that [`commit`] reads.
pub const COMMIT_FORMAT: &str = "--format=%H%n%h%n%s%n%an%n%ad%n%b";

/// Changes of the working tree from `git status --short` and `git diff HEAD`, under a heading.
pub fn changes(heading: &str, status: &str, diff: &str) -> String {
    let text = format!("{heading}\n\n{status}\n\n{diff}");
    truncate(ecma::trim(&text), MOST_LINES, 0)
}

/// A commit from what [`COMMIT_FORMAT`] gave, its statistics and its diff.
pub fn commit(facts: &str, statistics: &str, diff: &str) -> String {
    let mut lines = ecma::trim(facts).split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (hash, short, subject, author, date, body) = (next(), next(), next(), next(), next(), next());
    let mut text = format!("Commit: {short} ({hash})\nAuthor: {author}\nDate: {date}\n\nMessage: {subject}\n");
    if !body.is_empty() {
        let _ = write!(text, "\nDescription:\n{body}");
    }
    let _ = write!(text, "\n\nFiles Changed:\n{}\n\nFull Changes:\n\n{}", ecma::trim(statistics), ecma::trim(diff));
    truncate(&text, MOST_LINES, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §16.3: layout of a commit
    /// parity 03 §quirks.21: of a body the first line
    #[test]
    fn a_commit_with_and_without_a_description() {
        let facts = "abcdef1234\nabcdef1\nSubject\nA. Uthor\nMon Jan 1\n";
        let tail = "\n\nFiles Changed:\n a | 1 +\n\nFull Changes:\n\n+x";
        let head = "Commit: abcdef1 (abcdef1234)\nAuthor: A. Uthor\nDate: Mon Jan 1\n\nMessage: Subject\n";
        let shown = |facts: &str| commit(facts, "\na | 1 +\n", "\n+x\n").replace("\na |", "\n a |");
        assert_eq!(shown(facts), format!("{head}{tail}"));
        assert_eq!(shown(&format!("{facts}one\ntwo\n")), format!("{head}\nDescription:\none{tail}"));
    }

    #[test]
    fn long_changes_keep_their_beginning_and_more_of_their_end() {
        let diff: Vec<String> = (0..600).map(|n| n.to_string()).collect();
        let text = changes("H", " M a", &diff.join("\n"));
        assert_eq!(text.lines().nth(99), Some("95"));
        assert!(text.contains("\n95\n\n[...104 lines omitted...]\n\n200\n"), "{text}");
        assert!(text.ends_with("\n599"));
        assert_eq!(changes("H", " M a", ""), "H\n\n M a");
    }
}
