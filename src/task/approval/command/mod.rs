//! Whether a command may run without asking (spec 02 §11.3, deviation D02).
//!
//! The command is split into its sub-commands, each is held against the user's prefix lists, and the strictest answer
//! wins. The text comes from a model and is hostile: two readings of it are combined, the compatible one of [`split`]
//! and that of a POSIX shell ([`shell`]), so that nothing the shell would run can hide from the lists inside what the
//! compatible reading takes for a quoted word, a comment or arithmetic. Cost is linear in the text.

mod dangerous;
mod mask;
mod prefix;
mod shell;
mod split;
mod tokens;

#[cfg(test)]
mod tests;

pub use dangerous::dangerous;
pub use prefix::{auto_approved, auto_denied, longest_prefix, single_decision};

use std::collections::HashSet;

use crate::ecma;

/// What to do with the question whether a command may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run it without asking.
    Approve,
    /// Refuse it without asking.
    Deny,
    /// Ask the user.
    Ask,
}

/// The sub-commands of a command text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubCommands {
    /// What is held against the lists: the parts of the text, then those of its substitutions that are not among them.
    pub parts: Vec<String>,
    /// What else is held against the lists: commands that only the shell's own reading of quotes, comments and operators
    /// shows, and `$(…)` for each command whose name is what a substitution prints.
    pub hidden: Vec<String>,
    /// False when the shell's reading is not certain: an unclosed quote, backtick, `$(` or `${`, too deep nesting, or a
    /// construct that shells read differently. Such a text is never approved.
    pub certain: bool,
}

/// Splits `command` into the sub-commands that a shell would run (spec 02 §11.3 "split", D02 a, b, d).
pub fn sub_commands(command: &str) -> SubCommands {
    let reading = shell::read(command);
    let split::Split { commands: mut parts, mut computed } = split::split(command);
    let mut known: HashSet<String> = parts.iter().cloned().collect();
    for substitution in &reading.substitutions {
        let inner = split::split(substitution);
        parts.extend(inner.commands.into_iter().filter(|part| known.insert(part.clone())));
        computed.extend(inner.computed);
    }
    let mut hidden = Vec::new();
    for segment in &reading.segments {
        let inner = split::split(segment);
        hidden.extend(inner.commands.into_iter().filter(|part| known.insert(part.clone())));
        computed.extend(inner.computed);
    }
    hidden.extend(computed.into_iter().filter(|command| known.insert(command.clone())));
    SubCommands { parts, hidden, certain: reading.certain }
}

/// Decides about `command` by the prefix lists of the user (spec 02 §11.3 "decision").
pub fn decide(command: &str, allowed: &[String], denied: &[String]) -> Decision {
    if ecma::trim(command).is_empty() {
        return Decision::Approve;
    }
    let commands = sub_commands(command);
    let mut verdict = Decision::Approve;
    for part in commands.parts.iter().chain(&commands.hidden) {
        match single_decision(ecma::trim(&without_redirection(part)), allowed, denied) {
            Decision::Deny => return Decision::Deny,
            Decision::Ask => verdict = Decision::Ask,
            Decision::Approve => {}
        }
    }
    if !commands.certain || dangerous(command) { Decision::Ask } else { verdict }
}

/// The longest denied prefix of the first sub-command that has one: the reason given for a refusal (spec 02 §11.2).
pub fn denied_prefix(command: &str, denied: &[String]) -> Option<String> {
    let commands = sub_commands(command);
    commands
        .parts
        .iter()
        .chain(&commands.hidden)
        .find_map(|part| longest_prefix(part, denied).filter(|p| !p.is_empty()))
}

/// The text without its first descriptor redirection such as `2>&1`.
fn without_redirection(part: &str) -> String {
    let Some(at) = part.find(">&") else { return part.to_owned() };
    let (before, after) = (&part[..at], &part[at + 2..]);
    let digit = |c: char| c.is_ascii_digit();
    format!("{}{}", before.trim_end_matches(digit), after.trim_start_matches(digit))
}
