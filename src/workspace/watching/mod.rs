//! Which files somebody else changed (spec 02 §14): the folders of the files that matter are watched, none below them, by one
//! watcher of the system for all.
//!
//! [`Watch`] opens a set of [`WatchedFiles`]; [`SystemWatch`] is the one that looks at the disk. What the system reports only says
//! when to look: a file has changed when its [stamp](stamp) has, so that the several steps of one save, an atomic replacement, or
//! a removal with a new file in its place count once. Nothing polls: without a watch a file is looked at when it is asked for.

mod stamp;
mod system;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use system::SystemWatch;

/// Opens sets of watched files.
pub trait Watch: Send + Sync {
    /// A new set, empty.
    fn open(&self) -> Box<dyn WatchedFiles>;
}

/// Files that are watched until the set is dropped.
#[async_trait]
pub trait WatchedFiles: Send + Sync {
    /// Watches a file (absolute), which need not exist. False the first time that the system has no watch to spare: such files
    /// are looked at only when all are.
    fn add(&self, path: &Path) -> bool;

    /// The engine is about to write this file.
    fn hold(&self, path: &Path);

    /// The engine has written it. True when what it did is accounted for; false when its change will be reported like any other.
    fn release(&self, path: &Path) -> bool;

    /// Whether there is a file that was written after this moment (milliseconds since the Unix epoch).
    fn newer_than(&self, path: &Path, ms: i64) -> bool;

    /// Waits until the system has reported something and then nothing more for a moment.
    async fn stirred(&self);

    /// The files that have changed since they were added or last reported here, in the order they were added; `all` includes
    /// those that the system does not watch. Removal alone is no change.
    async fn changed(&self, all: bool) -> Vec<PathBuf>;
}
