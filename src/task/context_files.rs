//! Which files the model has seen or changed, and when (spec 02 §14): `task_metadata.json`, and the watch over them.
//!
//! A change that the engine makes itself is no news. What anybody else does to a file is told with the next request.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::host::TaskEvent;
use super::instance::Task;
use super::store::write_atomic;
use crate::edit::diagnostics::FileDiagnostics;
use crate::edit::view::{Editor, EditorError, Proposal};
use crate::prompt::mentions::unescape_spaces;
use crate::tools::context::FileSource;
use crate::workspace::paths;
use crate::workspace::watching::WatchedFiles;

const FILE: &str = "task_metadata.json";

/// The files of one task instance.
pub(super) struct ContextFiles {
    /// `None` once the task has ended.
    watched: Mutex<Option<Arc<dyn WatchedFiles>>>,
    known: Mutex<Known>,
    /// The stored list is read, changed and written by one at a time.
    storing: tokio::sync::Mutex<()>,
    /// Changes are taken in by one at a time, so that a request does not overtake those that are being noted. True once the files
    /// of an earlier instance are known.
    looking: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
struct Known {
    /// Names by which the model knows the watched files.
    names: HashMap<PathBuf, String>,
    /// Files whose next change is one that the engine made.
    edited: HashSet<PathBuf>,
    /// Somebody waits for changes.
    listening: bool,
}

impl ContextFiles {
    pub fn new(watched: Box<dyn WatchedFiles>) -> ContextFiles {
        let watched = Mutex::new(Some(watched.into()));
        ContextFiles { watched, known: Mutex::default(), storing: Default::default(), looking: Default::default() }
    }

    /// Ends the watch.
    pub fn dispose(&self) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn watched(&self) -> Option<Arc<dyn WatchedFiles>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_edit(&self, path: &Path) {
        self.watched().iter().for_each(|watched| watched.hold(path));
    }

    /// After an edit: its change is no news (spec 02 Q18).
    fn end_edit(&self, path: &Path, done: bool) {
        let accounted = self.watched().is_none_or(|watched| watched.release(path));
        if done && !accounted {
            self.known().edited.insert(path.to_owned());
        }
    }
}

/// An editor whose edits are known as the engine's own.
pub(super) struct OwnEdits {
    pub editor: Arc<dyn Editor>,
    pub files: Arc<ContextFiles>,
}

#[async_trait]
impl Editor for OwnEdits {
    fn locate(&self, path: &Path) -> PathBuf {
        self.editor.locate(path)
    }

    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError> {
        self.editor.save_if_dirty(path).await
    }

    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        self.editor.diagnostics().await
    }

    async fn settle(&self, delay_ms: u64) {
        self.editor.settle(delay_ms).await;
    }

    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        self.editor.propose(proposal).await
    }

    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        self.files.begin_edit(path);
        let applied = self.editor.apply(path).await;
        self.files.end_edit(path, applied.is_ok());
        applied
    }

    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        self.editor.revert(path).await
    }

    async fn close(&self, path: &Path) {
        self.editor.close(path).await;
    }

    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError> {
        self.files.begin_edit(path);
        let written = self.editor.write(path, content).await;
        self.files.end_edit(path, written.is_ok());
        written
    }
}

/// Takes in what has changed until now, and what has changed since an earlier instance knew the files.
pub(super) async fn look(task: &Arc<Task>) {
    let mut recalled = task.context_files.looking.lock().await;
    if !std::mem::replace(&mut recalled, true) {
        recall(task).await;
    }
    take_in(task, true).await;
}

/// Waits for changes and takes them in, until the task ends.
async fn listen(task: Arc<Task>, watched: Arc<dyn WatchedFiles>) {
    while task.unless_aborted(watched.stirred()).await.is_ok() {
        let _one_at_a_time = task.context_files.looking.lock().await;
        take_in(&task, false).await;
    }
}

async fn take_in(task: &Arc<Task>, all: bool) {
    let Some(watched) = task.context_files.watched() else { return };
    for path in watched.changed(all).await {
        changed(task, &path).await;
    }
}

/// Watches the files again that an earlier instance knew. Those written since the model saw them are told: nobody knows
/// whether that instance got so far.
async fn recall(task: &Arc<Task>) {
    let folder = task.store.folder().to_owned();
    let Ok(metadata) = tokio::task::spawn_blocking(move || read(&folder)).await else { return };
    for entry in metadata.files_in_context.iter().filter(|entry| entry.record_state == "active") {
        let Some(path) = watch(task, &entry.path) else { continue };
        let seen = entry.roo_read_date.max(entry.roo_edit_date);
        let newer = |ms| task.context_files.watched().is_some_and(|watched| watched.newer_than(&path, ms));
        if seen.max(entry.user_edit_date).is_some_and(newer) {
            track(task, &entry.path, FileSource::UserEdited).await;
        } else if entry.user_edit_date > seen {
            tell(task, &entry.path);
        }
    }
}

/// The next request names the file.
fn tell(task: &Task, name: &str) {
    let modified = &mut task.state().recently_modified;
    if !modified.iter().any(|known| known == name) {
        modified.push(name.to_owned());
    }
}

/// A watched file has changed: by the engine, which is known, or by somebody else.
async fn changed(task: &Arc<Task>, path: &Path) {
    let name = {
        let mut known = task.context_files.known();
        if known.edited.remove(path) {
            return;
        }
        known.names.get(path).cloned()
    };
    if let Some(name) = name {
        track(task, &name, FileSource::UserEdited).await;
    }
}

/// Watches a file by the name that the model knows; its path. Names are relative to the first workspace folder (spec 02 Q18).
fn watch(task: &Arc<Task>, name: &str) -> Option<PathBuf> {
    let watched = task.context_files.watched()?;
    let path = paths::resolve(&task.workspace, unescape_spaces(name));
    let (new, listening) = {
        let mut known = task.context_files.known();
        let new = known.names.insert(path.clone(), name.to_owned()).is_none();
        (new, std::mem::replace(&mut known.listening, true))
    };
    if new && !watched.add(&path) {
        let message = task.services.surroundings.texts.get("watch.no_more");
        task.emit(TaskEvent::Notify { level: "warning", message });
    }
    if !listening {
        task.services.spawner.spawn(listen(task.clone(), watched));
    }
    Some(path)
}

#[derive(Default, Serialize, Deserialize)]
struct Metadata {
    #[serde(default)]
    files_in_context: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    path: String,
    record_state: String,
    record_source: String,
    #[serde(default)]
    roo_read_date: Option<i64>,
    #[serde(default)]
    roo_edit_date: Option<i64>,
    #[serde(default)]
    user_edit_date: Option<i64>,
}

/// Records that `path` came into the context or was changed, and watches it from then on. Failures are dropped: this is
/// advice for the model only.
pub(super) async fn track(task: &Arc<Task>, path: &str, source: FileSource) {
    let now = (task.services.surroundings.now_ms)();
    let id = (task.services.surroundings.new_id)();
    if source == FileSource::UserEdited {
        tell(task, path);
    }
    let one_at_a_time = task.context_files.storing.lock().await;
    // The files of an instance that was replaced are its successor's (D19).
    if !task.store.is_released() {
        let (folder, name) = (task.store.folder().to_owned(), path.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let mut metadata = read(&folder);
            record(&mut metadata.files_in_context, name, source, now);
            if let Ok(bytes) = serde_json::to_vec(&metadata) {
                let _ = write_atomic(&folder, FILE, &bytes, &format!("{now}_{id}"));
            }
        });
        let _ = written.await;
    }
    drop(one_at_a_time);
    watch(task, path);
}

fn read(folder: &Path) -> Metadata {
    let stored = std::fs::read(folder.join(FILE)).ok();
    stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Adds an active entry and makes older ones of the path stale.
fn record(entries: &mut Vec<Entry>, path: String, source: FileSource, now: i64) {
    let mut dates = (None, None, None);
    for entry in entries.iter_mut().filter(|entry| entry.path == path) {
        entry.record_state = "stale".into();
        dates.0 = dates.0.max(entry.roo_read_date);
        dates.1 = dates.1.max(entry.roo_edit_date);
        dates.2 = dates.2.max(entry.user_edit_date);
    }
    let record_source = match source {
        FileSource::UserEdited => {
            dates.2 = Some(now);
            "user_edited"
        }
        FileSource::RooEdited => {
            (dates.0, dates.1) = (Some(now), Some(now));
            "roo_edited"
        }
        FileSource::ReadTool => {
            dates.0 = Some(now);
            "read_tool"
        }
        FileSource::FileMentioned => {
            dates.0 = Some(now);
            "file_mentioned"
        }
    };
    entries.push(Entry {
        path,
        record_state: "active".into(),
        record_source: record_source.into(),
        roo_read_date: dates.0,
        roo_edit_date: dates.1,
        user_edit_date: dates.2,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_entry_inherits_dates_and_older_ones_become_stale() {
        let mut entries = Vec::new();
        record(&mut entries, "a".into(), FileSource::ReadTool, 1);
        record(&mut entries, "b".into(), FileSource::RooEdited, 2);
        record(&mut entries, "a".into(), FileSource::UserEdited, 3);
        let rows: Vec<_> = entries
            .iter()
            .map(|e| (e.path.as_str(), e.record_state.as_str(), e.roo_read_date, e.roo_edit_date, e.user_edit_date))
            .collect();
        assert_eq!(
            rows,
            [
                ("a", "stale", Some(1), None, None),
                ("b", "active", Some(2), Some(2), None),
                ("a", "active", Some(1), None, Some(3)),
            ]
        );
    }
}
