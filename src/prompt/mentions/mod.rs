//! What a user's text refers to (spec 02 §9, spec 03 §15 and §16): files, folders, URLs, problems, commits and terminals by
//! `@…`, commands by `/name`, engine commands and workflows by `/name` at the front.
//!
//! [`mentions`] and [`commands`] are the grammar, [`expand`] puts contents behind a text, [`slash::run`] replaces a text that
//! begins with an engine command or workflow. Contents come from [`Sources`]: nothing is looked up, read or run here, the
//! other modules only lay out what was found.

pub mod complete;
mod expand;
pub mod folder;
pub mod git;
mod grammar;
pub mod slash;
pub mod terminal;

pub use expand::{Command, Mention, Sources, expand};
pub use grammar::{Reference, commands, mentions, unescape_spaces};
