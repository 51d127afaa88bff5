//! What a task changes: the originals of the files it edits, the edits that a dry run collects, and what both come to.
//!
//! [`Changes`] is the editor of a task. Before the engine changes a file for the first time, its [`originals`] get the file
//! as it is. In a [`dry_run`] nothing is changed: the new texts are collected beside the task, and are read in place of the
//! files until they are [applied](apply) or dropped. Both, and what checkpoints know, are shown as [hunks](report) by
//! `task.diff` ([`cumulative`]).
//!
//! Everything is kept in the task's folder and outlives the engine. Nothing here asks the user or knows the loop.

mod apply;
mod approval;
mod blobs;
mod commands;
mod cumulative;
mod dry_run;
mod editor;
mod originals;
mod report;
mod shared;

pub use apply::Selection;
pub use cumulative::diff_stored;

pub(super) use approval::{adjust, is_real};
pub(super) use editor::Changes;
pub(super) use shared::Shared;

#[cfg(test)]
mod tests;
