//! Git as the engine uses it: the shadow repository, in which a task's checkpoints lie (spec 02 §15.1–15.7).
//!
//! The room knows neither tasks nor settings, words nothing and asks nobody. Its functions block; callers give them a thread.
//! It never runs the `git` program, never runs a hook and never reads the user's git configuration, environment or attributes.
//! libgit2 reads objects, packs and the index; a `Repository` is never opened with it, because that reads the user's
//! configuration. Whatever touches the user's files is here, because libgit2 follows links on the way to a file and converts contents.

pub mod shadow;

pub use shadow::{
    ChangeStatus, Commit, FileChange, FileKind, LogEntry, Place, Restored, Shadow, ShadowError, SkipReason, Skipped,
};
