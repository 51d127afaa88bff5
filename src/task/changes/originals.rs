//! Files as they were before the task first changed them: `originals/` in the task's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::blobs::{Blobs, Content, Kept};
use super::report::{Change, Counts};
use crate::workspace::write::write_atomic;

/// The list of originals, in their folder.
const INDEX: &str = "index.json";
/// Most files whose originals are known.
const MAX_FILES: usize = 10_000;
/// Most bytes of copies; files beyond are listed as changed, without their lines.
const MAX_BYTES: u64 = 256 << 20;

/// Originals of one task. What is in memory is what is stored.
pub(in crate::task) struct Originals {
    folder: PathBuf,
    blobs: Blobs,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Kept>,
    /// The list cannot be read: nothing is written over it.
    damaged: bool,
    /// What each file differs in, as far as it is known.
    counts: BTreeMap<PathBuf, Counts>,
}

/// The list as it is stored.
#[derive(Default, Serialize, Deserialize)]
struct Index {
    files: BTreeMap<PathBuf, Kept>,
}

impl Originals {
    /// The originals of the task with this folder. Blocking.
    pub fn of(task: &Path) -> Originals {
        let folder = task.join("originals");
        let (files, damaged) = match fs::read(folder.join(INDEX)) {
            Ok(bytes) => match serde_json::from_slice::<Index>(&bytes) {
                Ok(index) => (index.files, false),
                Err(_) => (BTreeMap::new(), true),
            },
            Err(error) => (BTreeMap::new(), error.kind() != io::ErrorKind::NotFound),
        };
        let state = State { files, damaged, counts: BTreeMap::new() };
        Originals { blobs: Blobs::new(folder.join("files")), folder, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file's original is known.
    pub fn knows(&self, path: &Path) -> bool {
        self.state().files.contains_key(path)
    }

    /// Keeps `content` as the file's original, unless one is known. An original that cannot be kept must not hold up the
    /// edit: the file is then known to be changed, no more. Blocking.
    pub fn record(&self, path: &Path, content: &Content) {
        let mut state = self.state();
        if state.damaged || state.files.contains_key(path) || state.files.len() >= MAX_FILES {
            return;
        }
        let used: u64 = state.files.values().map(Kept::size).sum();
        let fits = !matches!(content, Content::Bytes(bytes) if used + bytes.len() as u64 > MAX_BYTES);
        let kept = if fits { self.blobs.keep(path, content).unwrap_or(Kept::Nothing) } else { Kept::Nothing };
        state.files.insert(path.to_owned(), kept);
        let index = Index { files: state.files.clone() };
        if let Ok(bytes) = serde_json::to_vec(&index) {
            // Known to this process in any case.
            let _ = fs::create_dir_all(&self.folder).and_then(|()| write_atomic(&self.folder.join(INDEX), &bytes));
        }
    }

    /// What the files differ in from their originals, after an edit of `path`. Blocking.
    pub fn counts(&self, cwd: &Path, path: &Path) -> Vec<(String, Counts)> {
        let mut state = self.state();
        let state = &mut *state;
        state.counts.remove(path);
        for (known, kept) in &state.files {
            if !state.counts.contains_key(known) {
                state.counts.insert(known.clone(), self.change(cwd, known, kept).counts());
            }
        }
        let changed = state.counts.iter().filter(|(_, counts)| counts.differs);
        changed.map(|(path, counts)| (super::report::shown(cwd, path), *counts)).collect()
    }

    /// The originals beside the files as they are now, if these differ. Blocking.
    pub fn changes<'a>(&'a self, cwd: &'a Path) -> impl Iterator<Item = Change> + 'a {
        let files = self.state().files.clone();
        files.into_iter().map(|(path, kept)| self.change(cwd, &path, &kept)).filter(Change::differs)
    }

    fn change(&self, cwd: &Path, path: &Path, kept: &Kept) -> Change {
        Change { path: super::report::shown(cwd, path), before: self.blobs.get(kept), after: Content::of(path) }
    }
}
