//! Files of a task (spec 02 §13): written whole, to a temporary name that is flushed and renamed over the target (D07).
//!
//! Changes only mark a file; a writer beside the loop takes the newest state, so that many changes in a row cost one write.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::Notify;

use super::history::HistoryItem;
use super::host::TaskEvent;
use super::instance::Task;
use super::recovery::Note;
use super::size::FolderSize;
use super::stored::{API_FILE, UI_FILE};
use super::usage::usage_changed;
use crate::ecma;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, UiKind, UiMessage};

const UI: u8 = 1;
const API: u8 = 2;

/// Which files of a task wait to be written, and where they are.
pub(super) struct Store {
    folder: PathBuf,
    dirty: AtomicU8,
    writing: AtomicBool,
    /// Another instance owns the files now (D19).
    released: AtomicBool,
    idle: Notify,
    size: FolderSize,
}

impl Store {
    pub fn new(folder: PathBuf) -> Store {
        Store {
            folder,
            dirty: AtomicU8::new(0),
            writing: AtomicBool::new(false),
            released: AtomicBool::new(false),
            idle: Notify::new(),
            size: FolderSize::default(),
        }
    }

    /// Whether another instance owns the files.
    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::SeqCst)
    }

    /// The task's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Nothing is written any more: the files belong to another instance.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// Waits until everything marked is written.
    pub async fn flush(&self) {
        loop {
            let idle = self.idle.notified();
            if self.dirty.load(Ordering::SeqCst) == 0 && !self.writing.load(Ordering::SeqCst) {
                return;
            }
            idle.await;
        }
    }
}

impl Task {
    /// Marks the UI conversation for writing and renews the history entry.
    pub fn persist_ui(&self) {
        self.mark(UI);
    }

    /// Marks the API conversation for writing.
    pub fn persist_api(&self) {
        self.mark(API);
    }

    fn mark(&self, file: u8) {
        if self.store.released.load(Ordering::SeqCst) {
            return;
        }
        self.store.dirty.fetch_or(file, Ordering::SeqCst);
        if self.store.writing.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some(task) = self.shared() else {
            self.store.writing.store(false, Ordering::SeqCst);
            self.store.dirty.store(0, Ordering::SeqCst);
            return;
        };
        self.services.spawner.spawn(async move { task.write_marked().await });
    }

    /// The entry for the list of known tasks (spec 02 §13).
    pub fn history_item(&self) -> HistoryItem {
        let texts = &self.services.surroundings.texts;
        let number = self.lineage.number;
        let usage = self.usage();
        let state = self.state();
        let title = match state.ui.first() {
            None => texts.render("task.no_messages", context! { number }),
            Some(first) => match first.text.as_deref().map(ecma::trim).filter(|text| !text.is_empty()) {
                None => texts.render("task.incomplete", context! { number }),
                Some(text) => text.to_owned(),
            },
        };
        let tokens = |count: i64| count.max(0).unsigned_abs();
        let resume = |m: &&UiMessage| !matches!(m.kind, UiKind::Ask(Ask::ResumeTask | Ask::ResumeCompletedTask));
        let last = state.ui.iter().rev().find(resume).map(|message| message.ts);
        HistoryItem {
            id: self.id.clone(),
            root_task_id: self.lineage.root_id.clone(),
            parent_task_id: self.lineage.parent_id.clone(),
            number,
            ts: last
                .or(state.ui.first().map(|message| message.ts))
                .unwrap_or_else(|| (self.services.surroundings.now_ms)()),
            task: title,
            tokens_in: tokens(usage.total_tokens_in),
            tokens_out: tokens(usage.total_tokens_out),
            cache_writes: usage.total_cache_writes.map(tokens),
            cache_reads: usage.total_cache_reads.map(tokens),
            total_cost: usage.total_cost,
            size: None,
            workspace: Some(self.cwd.to_string_lossy().into_owned()),
            mode: Some(state.mode.clone()),
            other: serde_json::Map::new(),
        }
    }

    /// Puts the entry into the list of known tasks and reports usage that changed.
    async fn store_history_item(&self) {
        let usage = self.usage();
        let told = self.state().reported_usage.replace(usage.clone());
        if usage_changed(&usage, told.as_ref()) {
            let provider = (self.services.surroundings.providers)(&self.settings());
            let context_window = provider.map_or(0, |provider| provider.model().info.context_window);
            self.emit(TaskEvent::Usage { task: self.id.clone(), usage, context_window });
        }
        let history = &self.services.surroundings.history;
        let size = self.store.size.of(&self.store.folder, (self.services.surroundings.now_ms)()).await;
        let mut item = HistoryItem { size: Some(size), ..self.history_item() };
        if let Some(stored) = history.get(&self.id) {
            item = item.merged_over(stored);
        }
        if !self.store.is_released() {
            history.put(item);
        }
    }

    /// Writes until nothing is marked. Failures are dropped: the next change tries again (spec 02 §13).
    async fn write_marked(self: Arc<Self>) {
        loop {
            let marked = self.store.dirty.swap(0, Ordering::SeqCst);
            if marked == 0 || self.store.released.load(Ordering::SeqCst) {
                self.store.writing.store(false, Ordering::SeqCst);
                // A mark set since the swap found the writer busy and relies on this one.
                if self.store.dirty.load(Ordering::SeqCst) == 0 || self.store.writing.swap(true, Ordering::SeqCst) {
                    self.store.idle.notify_waiters();
                    return;
                }
                if self.store.released.load(Ordering::SeqCst) {
                    self.store.dirty.store(0, Ordering::SeqCst);
                }
                continue;
            }
            if marked & UI != 0 {
                self.store_history_item().await;
            }
            let (ui, api) = {
                let state = self.state();
                let all: Vec<&UiMessage> = state.ui.iter().chain(&state.replay.messages).collect();
                let ui = (marked & UI != 0).then(|| serde_json::to_vec(&all));
                self.note(|task| Note::Saving { task, ui: marked & UI != 0, api: marked & API != 0 });
                (ui, (marked & API != 0).then(|| serde_json::to_vec(&state.api)))
            };
            let folder = self.store.folder.clone();
            let surroundings = &self.services.surroundings;
            let tag = format!("{}_{}", (surroundings.now_ms)(), (surroundings.new_id)());
            let write = tokio::task::spawn_blocking(move || {
                [(UI_FILE, ui), (API_FILE, api)].map(|(file, bytes)| match bytes {
                    Some(Ok(bytes)) => write_atomic(&folder, file, &bytes, &tag).is_ok(),
                    _ => false,
                })
            });
            if let Ok([ui, api]) = write.await {
                self.note(|task| Note::Saved { task, ui, api });
            }
        }
    }
}

/// Writes `folder/name` through a temporary file of its own, flushed and renamed over it (D07).
///
/// # Errors
/// What the file system reports; the temporary file is removed then and the old content is untouched.
pub(super) fn write_atomic(folder: &Path, name: &str, bytes: &[u8], tag: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{name}.new_{tag}.tmp"));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temporary, folder.join(name)));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("tasks/x");
        write_atomic(&inner, "a.json", b"one", "1").expect("written");
        write_atomic(&inner, "a.json", b"two", "2").expect("written");
        assert_eq!(std::fs::read(inner.join("a.json")).expect("readable"), b"two");
        assert_eq!(std::fs::read_dir(&inner).expect("listable").count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a.json")).expect("a directory in the way");
        assert!(write_atomic(folder.path(), "a.json", b"x", "1").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("listable").count(), 1);
    }
}
