//! Going on after the engine's process was killed: what a session notes while it runs, and how a new one takes it up.
//!
//! A [`Note`] is reported ([`TaskHost::note`](super::host::TaskHost::note)) before the events that follow from it, so that
//! whoever keeps the notes knows at least as much as the host was told. [`Progress`] folds them; with it and the task's
//! files, which are written behind, [`Command::Restore`](super::session::Command::Restore) rebuilds the session.
//!
//! The rule of restoring: the step that was under way is done again from its beginning, the messages that it had shown
//! are taken up in place of new ones, and answers that were given are given again. Only a call that was allowed and may have
//! changed something outside is never repeated: the model is told that it was cut off.
//!
//! This room does no I/O but reading the task's files and clearing a new file that an edit had only begun. It stores nothing.

mod conversation;
mod editor;
mod keep;
mod note;
mod progress;
mod replay;
mod restore;

pub use super::queue::QueuedMessage;
pub use note::{Entry, Facts, Note, Origin, Repeated};
pub use progress::{Progress, TaskProgress};

pub(super) use editor::NotedEditor;
pub(super) use keep::{Noted, keep};
pub(super) use progress::Given;
pub(super) use replay::Replay;
pub(super) use restore::RestoredTurn;

#[cfg(test)]
mod tests;
