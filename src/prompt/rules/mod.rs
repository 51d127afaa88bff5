//! Rules: texts that users keep in files for every request (spec 03 §6). [`read`] gives the rule blocks of the custom
//! instructions, in order; the folders are [`folders`](super::folders), [`directory`] reads one, [`toggles`] says which files
//! are switched off, [`listing`] shows them to a host.
//!
//! Files are read when a request is built, so that the next request sees a change; functions here may block. Workspaces are
//! hostile: everything is bounded, and what is left out becomes a [`Notice`]. Links are followed, as specified, also out of the
//! workspace. Nothing here writes.

mod blocks;
pub mod directory;
pub mod listing;
pub mod toggles;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::skills;
use super::text::{Texts, context};
use crate::ecma;
use crate::workspace::access::Problem;
use crate::workspace::reading;
use directory::Budget;
use toggles::Toggles;

/// The largest rule file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// What rules are read for.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The task's working directory.
    pub cwd: &'a Path,
    /// The user's home directory.
    pub home: &'a Path,
    /// Slug of the mode whose rules count too; `commit` for commit messages, empty for none.
    pub mode: &'a str,
    /// Read AGENTS.md (setting `useAgentRules`).
    pub agent_rules: bool,
    /// The block about the ignore file ([`Access::instructions`](crate::workspace::access::Access::instructions)).
    pub ignore: Option<&'a str>,
    /// Which rule files are switched off; `None` where toggles do not count (spec 03 §9).
    pub toggles: Option<&'a Toggles>,
}

/// Rule blocks, and what to tell the user about them.
#[derive(Debug, Default)]
pub struct Rules {
    /// The blocks in order, each with its heading.
    pub blocks: Vec<String>,
    /// What was left out, or should be known.
    pub notices: Vec<Notice>,
}

/// A rule file that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be read: {cause}", path.display())]
pub struct RulesError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}

/// Something about rule files that their user should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Rules come from a file of an older name.
    LegacyFile(&'static str),
    /// The file is larger than [`MAX_FILE`] and left out.
    TooLarge(PathBuf),
    /// The file is left out because the rules before it fill all the room there is.
    NoRoom(PathBuf),
    /// The file cannot be read and is left out.
    Unreadable(PathBuf),
    /// The folder, with what its links lead to, has more entries than are looked at.
    TooMany(PathBuf),
    /// Something is wrong with the ignore file of this workspace.
    IgnoreFile(PathBuf, Problem),
    /// A skill is left out.
    Skill(skills::Problem),
}

impl Notice {
    /// The sentence for the user.
    pub fn text(&self, texts: &Texts) -> String {
        let (id, path) = match self {
            Notice::Skill(problem) => return problem.text(texts),
            Notice::LegacyFile(name) => return texts.render("rules.legacy_file", context! { file => name }),
            Notice::TooLarge(path) => ("rules.too_large", path),
            Notice::NoRoom(path) => ("rules.no_room", path),
            Notice::Unreadable(path) => ("rules.unreadable", path),
            Notice::TooMany(path) => ("rules.too_many", path),
            Notice::IgnoreFile(path, Problem::Unreadable(cause)) => {
                return texts.render("ignore.unreadable", context! { path => path.to_string_lossy(), cause });
            }
            Notice::IgnoreFile(path, Problem::Pattern(line)) => {
                return texts.render("ignore.bad_pattern", context! { path => path.to_string_lossy(), line });
            }
        };
        texts.render(id, context! { path => path.to_string_lossy(), kibibytes => MAX_FILE >> 10 })
    }
}

/// The rule blocks in order: rules of the mode, the ignore file, agent rules, generic rules (spec 03 §6.1).
///
/// # Errors
/// A file of an older form (`.kilocoderules…`) that is there and cannot be read. Of rules directories an unreadable file is left
/// out.
pub fn read(from: &Sources<'_>) -> Result<Rules, RulesError> {
    let mut reader = Reader::default();
    let mut blocks = Vec::new();
    blocks.extend(reader.of_mode(from)?);
    blocks.extend(from.ignore.map(str::to_owned));
    if from.agent_rules {
        blocks.extend(reader.of_agents(from.cwd));
    }
    blocks.extend(match from.toggles.filter(|toggles| toggles.any_rule()) {
        Some(toggles) => reader.toggled(from, toggles),
        None => reader.generic(from)?,
    });
    Ok(Rules { blocks, notices: reader.budget.notices })
}

/// Reads rule files within a budget.
#[derive(Default)]
struct Reader {
    budget: Budget,
}

/// The trimmed text of a file that need not be there; empty when it is missing or a directory.
///
/// # Errors
/// It is there and cannot be read: its path or the system says no, it is no regular file, or larger than [`MAX_FILE`].
pub(super) fn text_of(path: &Path) -> Result<String, RulesError> {
    let failed = |cause| RulesError { path: path.to_owned(), cause };
    match reading::read_at_most(path, MAX_FILE) {
        Ok(bytes) => Ok(ecma::trim(&String::from_utf8_lossy(&bytes)).to_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::IsADirectory => Ok(String::new()),
        // That its folder is a file is no absence (spec 03 §9).
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => match std::fs::metadata(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => Err(failed(cause)),
            _ => Ok(String::new()),
        },
        Err(cause) => Err(failed(cause)),
    }
}

/// A slug that becomes part of a file name; modes come from files of the workspace.
pub(super) fn is_file_name(slug: &str) -> bool {
    !slug.is_empty() && !slug.contains(['/', '\\', ':', '\0'])
}

/// A path in a text.
fn shown(path: &Path) -> impl fmt::Display + '_ {
    path.to_string_lossy()
}

#[cfg(test)]
mod tests;
