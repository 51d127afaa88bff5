//! The prompt for a commit message (spec 03 §14): what git says of the changes, the wish for another message, and what of the
//! answer is the message.

mod locks;

use std::fmt::Write;

use serde_json::{Map, Value};

use super::support::{SupportPrompt, fill};
use super::text::{TextError, Texts, context as variables};
use crate::ecma;

pub use locks::is_lock_file;

/// Longest diff that is shown, in bytes; of a longer one the beginning.
pub const DIFF_LIMIT: usize = 1 << 20;

/// What git says of the changes. `None`: it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// They are staged.
    pub staged: bool,
    /// Their diff, by [`joined`].
    pub diff: Option<String>,
    /// `git diff --stat`.
    pub statistics: Option<String>,
    /// The branch; empty: none.
    pub branch: Option<String>,
    /// `git log --oneline`.
    pub log: Option<String>,
}

/// The changes as the prompt shows them.
pub fn context(texts: &Texts, changes: &Changes) -> String {
    let kind = if changes.staged { "Staged" } else { "Unstaged" };
    let or = |part: &Option<String>, id: &str| part.clone().unwrap_or_else(|| texts.get(id));
    let diff = or(&changes.diff, "commit.diff_unavailable");
    let statistics = or(&changes.statistics, "commit.stat_unavailable");
    let mut text = format!(
        "## Git Context for Commit Message Generation\n\n### Full Diff of {kind} Changes\n```diff\n{diff}\n```\n\n\
         ### Statistical Summary\n```\n{statistics}\n```\n\n### Repository Context\n\n"
    );
    if let Some(branch) = changes.branch.as_deref().map(ecma::trim).filter(|branch| !branch.is_empty()) {
        let _ = write!(text, "**Current branch:** `{branch}`\n\n");
    }
    if let Some(log) = &changes.log {
        let _ = writeln!(text, "**Recent commits:**\n```\n{log}\n```");
    }
    text
}

/// What `git diff` printed, each file's part trimmed; at most [`DIFF_LIMIT`] of it.
pub fn joined(texts: &Texts, diff: &str) -> String {
    let mut text = String::with_capacity(diff.len().min(DIFF_LIMIT));
    for part in files(diff) {
        if !text.is_empty() {
            text.push('\n');
        }
        let left = DIFF_LIMIT.saturating_sub(text.len());
        if part.len() > left {
            let cut = part.floor_char_boundary(left);
            text.push_str(&part[..cut]);
            text.push('\n');
            text.push_str(&texts.get("commit.diff_cut"));
            break;
        }
        text.push_str(part);
    }
    text
}

/// The parts of a diff, one a file. Within a part every line begins with another sign.
fn files(diff: &str) -> impl Iterator<Item = &str> {
    let mut rest = diff;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find("\ndiff --").map_or(rest.len(), |at| at + 1);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(ecma::trim(part))
    })
}

/// The prompt. `previous`: the message that was made for the same changes before, from which this one is to differ.
///
/// # Errors
/// A text pack has broken a text.
pub fn prompt(
    texts: &Texts,
    own: Option<&Map<String, Value>>,
    context: &str,
    instructions: &str,
    previous: Option<&str>,
) -> Result<String, TextError> {
    let mut template = SupportPrompt::CommitMessage.template(texts, own)?;
    if let Some(previous) = previous {
        let prefix = texts.layout("layout.commit.different_prefix", variables! { previous })?;
        let suffix = texts.render("commit.different_suffix", variables! { previous });
        template = format!("{prefix}\n\n{template}\n\n{suffix}");
    }
    let values = [("gitContext", context), ("customInstructions", instructions)];
    let values: Map<String, Value> = values.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    Ok(fill(&template, &values, texts))
}

/// The message in a model's answer: without fences, and without one quote at each end.
pub fn message_of(answer: &str) -> String {
    let mut text = String::with_capacity(answer.len());
    let mut rest = ecma::trim(answer);
    while let Some((before, after)) = rest.split_once("```") {
        text.push_str(before);
        let language = after.trim_start_matches(|c: char| c.is_ascii_lowercase());
        rest = language.strip_prefix('\n').unwrap_or(after);
    }
    text.push_str(rest);
    let quotes = ['"', '\'', '`'];
    let message = text.strip_prefix(quotes).unwrap_or(&text);
    ecma::trim(message.strip_suffix(quotes).unwrap_or(message)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §checklist.32: fences and one pair of outer quotes go
    /// parity 03 §14: what of an answer is the message
    #[test]
    fn answers_become_messages() {
        for (answer, message) in [
            ("feat: a\n", "feat: a"),
            ("```\nfeat: a\n```", "feat: a"),
            ("```text\nfeat: a\n\nwhy\n```\n", "feat: a\n\nwhy"),
            ("```Text\nfeat: a```", "Text\nfeat: a"),
            ("\"feat: a\"", "feat: a"),
            ("\"\"feat: a\"\"", "\"feat: a\""),
            ("'feat: a`", "feat: a"),
            ("feat: use `x`", "feat: use `x"),
            ("```\n\"feat: a\"\n```", "feat: a\""),
            ("Here:\n```\nfeat: a\n```\nand\n```\nfix: b\n```", "Here:\nfeat: a\nand\nfix: b"),
            ("`````` ", ""),
            ("\"", ""),
            ("", ""),
        ] {
            assert_eq!(message_of(answer), message, "{answer:?}");
        }
    }

    /// parity 03 §14: sections in order; what could not be read is said or left out
    #[test]
    fn the_context_has_its_sections() {
        let texts = Texts::builtin();
        let some = |text: &str| Some(text.to_owned());
        let changes = Changes {
            staged: true,
            diff: some("+x"),
            statistics: some(" a | 1 +\n"),
            branch: some("main\n"),
            log: some("1 first\n"),
        };
        let expected = "## Git Context for Commit Message Generation\n\n### Full Diff of Staged Changes\n```diff\n+x\n```\n\n\
            ### Statistical Summary\n```\n a | 1 +\n\n```\n\n### Repository Context\n\n**Current branch:** `main`\n\n\
            **Recent commits:**\n```\n1 first\n\n```\n";
        assert_eq!(context(&texts, &changes), expected);
        let nothing = context(&texts, &Changes::default());
        let (diff, statistics) = (texts.get("commit.diff_unavailable"), texts.get("commit.stat_unavailable"));
        assert!(nothing.contains(&format!("Unstaged Changes\n```diff\n{diff}\n```\n")), "{nothing}");
        assert!(nothing.ends_with(&format!("```\n{statistics}\n```\n\n### Repository Context\n\n")), "{nothing}");
    }

    #[test]
    fn the_diff_of_each_file_is_trimmed_and_a_long_one_cut() {
        let texts = Texts::builtin();
        assert_eq!(joined(&texts, ""), "");
        let diff = "diff --git a/a b/a\n@@ -1 +1 @@\n-diff --git\n+x\n \ndiff --git a/b b/b\n+y\n\n";
        assert_eq!(joined(&texts, diff), "diff --git a/a b/a\n@@ -1 +1 @@\n-diff --git\n+x\ndiff --git a/b b/b\n+y");
        let long = format!("diff --git a/a b/a\n+{}\ndiff --git a/b b/b\n+y\n", "é".repeat(DIFF_LIMIT));
        let cut = joined(&texts, &long);
        assert!(cut.len() < DIFF_LIMIT + 200 && cut.ends_with(&texts.get("commit.diff_cut")), "{}", cut.len());
    }

    /// parity 03 §14: another message for the same changes is asked for around the template, the user's own too
    #[test]
    fn another_message_is_asked_for() {
        let texts = Texts::builtin();
        let own = Map::from_iter([("COMMIT_MESSAGE".to_owned(), "<${customInstructions}|${gitContext}>".into())]);
        let make = |previous| prompt(&texts, Some(&own), "CONTEXT ${x}", "RULES", previous).expect("valid texts");
        assert_eq!(make(None), "<RULES|CONTEXT ${x}>");
        let again = make(Some("feat: one"));
        assert!(again.contains("\n\n<RULES|CONTEXT ${x}>\n\n"), "{again}");
        assert_eq!(again.matches("feat: one").count(), 2, "{again}");
    }
}
