//! The edits that a dry run collects: `dry_run/` in the folder of the task that began it, shared with its subtasks.
//!
//! Contents are copies that never change, and one list says which of them stand for which file. The list is replaced as a
//! whole, so that a killed engine leaves each edit either collected or not. That it exists makes the task a dry run.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blobs::{Blobs, Content, Kept};
use super::report::{self, Change, Counts};
use crate::workspace::paths;
use crate::workspace::write::write_atomic;

/// The list of edits, in their folder.
const INDEX: &str = "index.json";
/// Most files with edits.
const MAX_FILES: usize = 10_000;
/// Most bytes of their copies.
const MAX_BYTES: u64 = 256 << 20;

/// Collected edits.
pub(in crate::task) struct DryRun {
    folder: PathBuf,
    blobs: Blobs,
    /// Held by who changes the list, until it is stored.
    changing: Mutex<()>,
    list: RwLock<Arc<List>>,
    /// Why the list cannot be used. Edits are refused then: they must not reach the files either.
    damaged: Option<String>,
}

/// Edits by file.
type List = BTreeMap<PathBuf, Edit>;

/// One file with collected edits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Edit {
    /// The file that the edits began with.
    pub before: Kept,
    /// What they made of it.
    pub after: Kept,
    added: u64,
    removed: u64,
}

/// The list as it is stored.
#[derive(Default, Serialize, Deserialize)]
struct Index {
    /// Id of the task that began the dry run, if that was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(default)]
    files: List,
}

impl DryRun {
    /// Makes the task with this folder a dry run; a subtask of one with the name of the task that began it. Blocking.
    ///
    /// # Errors
    /// What the file system reports: the task must not run then.
    pub fn begin(task: &Path, of: Option<&str>) -> io::Result<()> {
        let folder = task.join("dry_run");
        fs::create_dir_all(&folder)?;
        let index = Index { of: of.map(str::to_owned), files: List::new() };
        write_atomic(&folder.join(INDEX), &serde_json::to_vec(&index)?)
    }

    /// Folder of the task that began the dry run which the task with this folder belongs to; `None` when it is none. A list
    /// that cannot be read makes it one: better no edit than one on the files. Blocking.
    pub fn begun_by(task: &Path) -> Option<PathBuf> {
        let index = match fs::read(task.join("dry_run").join(INDEX)) {
            Ok(bytes) => serde_json::from_slice::<Index>(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => Index::default(),
        };
        let plain = |id: &String| !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\\', '\0']);
        let root = index.of.filter(plain).map(|id| task.with_file_name(id));
        // Of a task that was deleted, the subtask goes on alone.
        Some(root.filter(|root| root.join("dry_run").join(INDEX).exists()).unwrap_or_else(|| task.to_owned()))
    }

    /// The dry run that the task with this folder began. Blocking.
    pub fn of(task: &Path) -> DryRun {
        let folder = task.join("dry_run");
        let place = folder.join(INDEX);
        let read = fs::read(&place).map_err(|error| error.to_string());
        let index = read.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).map_err(|error| error.to_string()));
        let (files, damaged) = match index {
            Ok(index) => (index.files, None),
            Err(cause) => (List::new(), Some(format!("{}: {cause}", place.display()))),
        };
        DryRun {
            blobs: Blobs::new(folder.join("files")),
            folder,
            changing: Mutex::new(()),
            list: RwLock::new(Arc::new(files)),
            damaged,
        }
    }

    /// Id of the task that began it.
    pub fn task(&self) -> Option<&str> {
        self.folder.parent()?.file_name()?.to_str()
    }

    fn list(&self) -> Arc<List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the collected text of this file stands.
    pub fn copy(&self, path: &Path) -> Option<PathBuf> {
        let list = self.list();
        if list.is_empty() {
            return None;
        }
        list.get(&real(path)).and_then(|edit| self.blobs.path(edit.after.name()?))
    }

    /// Files with edits below `folder`, or this file, and where their texts stand.
    pub fn below(&self, folder: &Path) -> Vec<(PathBuf, PathBuf)> {
        let list = self.list();
        let at = real(folder);
        let inside = list.iter().filter(|(path, _)| path.starts_with(&at));
        // As seen from where they were asked for.
        let seen = |path: &Path| match path.strip_prefix(&at) {
            Ok(rest) if !rest.as_os_str().is_empty() => folder.join(rest),
            _ => folder.to_owned(),
        };
        inside.filter_map(|(path, edit)| Some((seen(path), self.blobs.path(edit.after.name()?)?))).collect()
    }

    /// Collects the new text of a file; `before` is the file as it was when the edit began. Blocking.
    ///
    /// # Errors
    /// A text: the edits cannot be stored, or are too many.
    pub fn put(&self, path: &Path, before: &Content, after: &str) -> Result<(), String> {
        let path = real(path);
        let _changing = self.change()?;
        let before = match self.list().get(&path) {
            Some(known) => self.blobs.get(&known.before),
            None => before.clone(),
        };
        self.replace(path, before, Content::Bytes(after.as_bytes().to_vec()))
    }

    /// The right to change the list.
    pub(super) fn change(&self) -> Result<MutexGuard<'_, ()>, String> {
        match &self.damaged {
            Some(cause) => Err(cause.clone()),
            None => Ok(self.changing.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Puts an edit in place of the one there is; one that changes nothing is none. To be called with the right to change.
    pub(super) fn replace(&self, path: PathBuf, before: Content, after: Content) -> Result<(), String> {
        let mut list = List::clone(&self.list());
        let failed = |error: io::Error| format!("{}: {error}", self.folder.display());
        if before == after {
            list.remove(&path);
        } else {
            let kept =
                (self.blobs.keep(&path, &before).map_err(failed)?, self.blobs.keep(&path, &after).map_err(failed)?);
            let change = Change { path: String::new(), before, after };
            let counts = change.counts();
            let edit = Edit { before: kept.0, after: kept.1, added: counts.added, removed: counts.removed };
            list.insert(path, edit);
        }
        let size: u64 = list.values().map(|edit| edit.before.size() + edit.after.size()).sum();
        if list.len() > MAX_FILES || size > MAX_BYTES {
            return Err(format!("more than {MAX_FILES} files or {MAX_BYTES} bytes of edits are collected"));
        }
        let index = Index { of: None, files: list };
        let bytes = serde_json::to_vec(&index).map_err(|error| error.to_string())?;
        write_atomic(&self.folder.join(INDEX), &bytes).map_err(failed)?;
        let list = Arc::new(index.files);
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list.clone();
        let names = list.values().flat_map(|edit| [edit.before.name(), edit.after.name()]).flatten();
        self.blobs.retain(&names.collect::<HashSet<&str>>());
        Ok(())
    }

    /// The collected edits with their contents. Blocking.
    pub fn changes<'a>(&'a self, cwd: &'a Path) -> impl Iterator<Item = Change> + 'a {
        let list = self.list();
        let paths: Vec<PathBuf> = list.keys().cloned().collect();
        paths.into_iter().filter_map(move |path| Some(self.content(cwd, &path, list.get(&path)?)))
    }

    /// The edits of this file.
    pub(super) fn get(&self, cwd: &Path, path: &Path) -> Option<Change> {
        self.list().get(path).map(|edit| self.content(cwd, path, edit))
    }

    fn content(&self, cwd: &Path, path: &Path, edit: &Edit) -> Change {
        let (before, after) = (self.blobs.get(&edit.before), self.blobs.get(&edit.after));
        Change { path: report::shown(cwd, path), before, after }
    }

    /// Files with edits, as named in memory.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.list().keys().cloned().collect()
    }

    /// How much each file differs.
    pub fn counts(&self, cwd: &Path) -> Vec<(String, Counts)> {
        let counts = |edit: &Edit| Counts { differs: true, added: edit.added, removed: edit.removed };
        self.list().iter().map(|(path, edit)| (report::shown(cwd, path), counts(edit))).collect()
    }

    /// The answer to `task.diff`. Blocking.
    ///
    /// # Errors
    /// The list is damaged; the text names it.
    pub fn report(&self, cwd: &Path, files: &[String]) -> Result<Value, String> {
        match &self.damaged {
            Some(cause) => Err(cause.clone()),
            None => Ok(report::report(self.changes(cwd), files, true)),
        }
    }
}

/// The one name of a file: where its path leads.
pub(super) fn real(path: &Path) -> PathBuf {
    paths::real(path).unwrap_or_else(|| path.to_owned())
}
