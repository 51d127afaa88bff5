//! What instances of one task, and a dry run's subtasks, have in common: one object for one folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::dry_run::DryRun;
use super::originals::Originals;

/// The folders in use by the tasks of a session.
#[derive(Default)]
pub(in crate::task) struct Shared {
    originals: InUse<Originals>,
    dry_runs: InUse<DryRun>,
}

type InUse<T> = Mutex<HashMap<PathBuf, Weak<T>>>;

impl Shared {
    /// The originals of the task with this folder.
    pub fn originals(&self, task: &Path) -> Arc<Originals> {
        one(&self.originals, task, Originals::of)
    }

    /// The dry run that the task with this folder began.
    pub fn dry_run(&self, task: &Path) -> Arc<DryRun> {
        one(&self.dry_runs, task, DryRun::of)
    }
}

fn one<T>(in_use: &InUse<T>, folder: &Path, make: impl FnOnce(&Path) -> T) -> Arc<T> {
    let mut in_use = in_use.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = in_use.get(folder).and_then(Weak::upgrade) {
        return known;
    }
    in_use.retain(|_, known| known.strong_count() > 0);
    let made = Arc::new(make(folder));
    in_use.insert(folder.to_owned(), Arc::downgrade(&made));
    made
}
