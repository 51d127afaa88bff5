//! Checkpoints of a task (spec 02 §15): states of its workspace, kept in a shadow repository of its own in the task's folder.
//!
//! A [`Checkpoints`] is the service of one task instance. Its repository is opened in the background when the loop begins, or
//! when it is first needed; from then on one piece of work follows another, each off the runtime's threads. Any failure turns
//! the service of this instance off and tells the user once: a task never fails for want of checkpoints.
//!
//! A restore is first written down ([`record::Record`]) and then carried out by the new instance that takes the place of the
//! stopped one. So one that was cut off by the death of the engine is carried out by whoever opens the task next, and
//! `checkpoint.undo` finds what it takes to go back (D16).
//!
//! What a repository looks like inside is the business of [`crate::git`]; this room never touches it.

mod range;
mod record;
mod restore;
mod save;
mod service;
mod undoable;
mod view;

pub(super) use restore::{Target, TargetConversation};
pub(super) use save::Saving;
pub(super) use service::Checkpoints;
pub(super) use view::{Comparison, compare_stored};
pub use view::{DiffPoints, StoredTask, diff_stored, list_stored};
