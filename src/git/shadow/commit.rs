//! Commits: their ids and their text.

use std::fmt;

use git2::Oid;

use super::ShadowError;

/// A commit by its id in hexadecimal digits: whole (40), or abbreviated to at least 4 as long as it is unique (spec 02 §15.4).
/// Operations that make commits answer whole ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit(String);

/// One commit of [`super::Shadow::log`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The whole id.
    pub commit: Commit,
    /// The message, without the line end git puts after it.
    pub message: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
}

impl Commit {
    /// Checks that `id` could be a commit's: 4 to 40 hexadecimal digits.
    pub fn parse(id: &str) -> Result<Commit, ShadowError> {
        let valid = (4..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
        if valid {
            Ok(Commit(id.to_ascii_lowercase()))
        } else {
            Err(ShadowError::InvalidId(id.chars().take(64).collect()))
        }
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(id: Oid) -> Commit {
        Commit(id.to_string())
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a commit object says.
pub(super) struct CommitText {
    pub tree: Oid,
    pub parents: Vec<Oid>,
    pub time: i64,
    pub message: String,
}

/// Who makes the commits: the identity the reference writes, so that its repositories and ours look the same (spec 02 §15.2).
pub(super) const USER: (&str, &str) = ("Kilo Code", "noreply@example.com");

impl CommitText {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = format!("tree {}\n", self.tree);
        for parent in &self.parents {
            text.push_str(&format!("parent {parent}\n"));
        }
        let (name, email) = USER;
        for role in ["author", "committer"] {
            text.push_str(&format!("{role} {name} <{email}> {} +0000\n", self.time));
        }
        text.push('\n');
        text.push_str(self.message.trim_end());
        text.push('\n');
        text.into_bytes()
    }

    /// `None`: this is no commit.
    pub(super) fn decode(bytes: &[u8]) -> Option<CommitText> {
        let text = String::from_utf8_lossy(bytes);
        let (header, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        let field = |name: &'static str| header.lines().filter_map(move |line| line.strip_prefix(name));
        Some(CommitText {
            tree: field("tree ").next().and_then(|id| Oid::from_str(id).ok())?,
            parents: field("parent ").map(|id| Oid::from_str(id).ok()).collect::<Option<_>>()?,
            time: field("committer ").next()?.rsplit(' ').nth(1)?.parse().ok()?,
            message: message.trim_end_matches('\n').to_owned(),
        })
    }
}
