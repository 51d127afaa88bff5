//! Files of a task (spec 02 §13). The UI conversation is written whole when the task rests and by what has changed while it works
//! (`array`); the API conversation, which never grows beyond what a model reads, is written whole (D07).
//!
//! Changes only mark a file; a writer beside the loop takes the newest state, so that many changes in a row cost one write.

mod array;
mod atomic;
mod delta;
mod split;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::conversation::Conversation;
use super::history::HistoryItem;
use super::host::TaskEvent;
use super::instance::{State, Task};
use super::recovery::Note;
use super::size::FolderSize;
use super::stored::{API_FILE, Stored, UI_FILE};
use super::usage::usage_changed;
use crate::ecma;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, UiKind, UiMessage};
use array::ArrayFile;

pub(super) use array::{Piece, Place, changes_name, read as read_list};
pub(super) use atomic::write_atomic;
pub(super) use delta::Found;

const UI: u8 = 1;
const API: u8 = 2;
/// The UI conversation, and whole: somebody else may want to read it.
const REST: u8 = 4;

/// The UI conversation's file. Instances of one task follow each other on it.
type UiFile = Arc<tokio::sync::Mutex<ArrayFile>>;

/// Which files of a task wait to be written, and where they are.
pub(super) struct Store {
    folder: PathBuf,
    ui: Mutex<UiFile>,
    dirty: AtomicU8,
    writing: AtomicBool,
    /// Another instance owns the files now (D19).
    released: AtomicBool,
    idle: Notify,
    size: FolderSize,
    /// Changes on disk could not be read: the next write keeps them under another name.
    unread: AtomicBool,
}

impl Store {
    pub fn new(folder: PathBuf) -> Store {
        let ui = Arc::new(tokio::sync::Mutex::new(ArrayFile::new(folder.clone(), UI_FILE)));
        Store {
            folder,
            ui: Mutex::new(ui),
            dirty: AtomicU8::new(0),
            writing: AtomicBool::new(false),
            released: AtomicBool::new(false),
            idle: Notify::new(),
            size: FolderSize::default(),
            unread: AtomicBool::new(false),
        }
    }

    /// Goes on with the files of the instance before, after a write of its that is under way.
    pub fn follow(&self, before: &Store) {
        *self.ui.lock().unwrap_or_else(PoisonError::into_inner) = before.ui();
    }

    fn ui(&self) -> UiFile {
        self.ui.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// As [`persist_ui`](Self::persist_ui), when the task waits or is over: the file then holds all by itself.
    pub fn persist_at_rest(&self) {
        self.mark(UI | REST);
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

    /// Gives both conversations to the instance that takes this one's place, and writes nothing any more. It keeps its own:
    /// who still holds it sees how it ended.
    pub fn hand_over(&self) -> Stored {
        self.store_history_item(None);
        let state = self.state();
        self.store.release();
        Stored { ui: state.ui.clone(), api: state.api.clone(), unread: false, ahead: true }
    }

    /// What of the stored changes could not be read is kept aside and reported.
    pub fn keep_unread(&self) {
        self.store.unread.store(true, Ordering::SeqCst);
        let folder = self.store.folder.display().to_string();
        let message = self.services.surroundings.texts.render("task.unread_changes", context! { folder });
        self.emit(TaskEvent::Notify { level: "warning", message });
    }

    /// The entry for the list of known tasks (spec 02 §13).
    pub fn history_item(&self) -> HistoryItem {
        let texts = &self.services.surroundings.texts;
        let number = self.lineage.number;
        let mut state = self.state();
        let usage = state.ui.usage();
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

    /// Puts the entry into the list of known tasks and reports usage that changed. Without a size it keeps the one it has.
    fn store_history_item(&self, size: Option<u64>) {
        let usage = self.usage();
        let told = self.state().reported_usage.replace(usage.clone());
        if usage_changed(&usage, told.as_ref()) {
            let provider = (self.services.surroundings.providers)(&self.settings());
            let context_window = provider.map_or(0, |provider| provider.model().info.context_window);
            self.emit(TaskEvent::Usage { task: self.id.clone(), usage, context_window });
        }
        let history = &self.services.surroundings.history;
        let mut item = HistoryItem { size, ..self.history_item() };
        if let Some(stored) = history.get(&self.id) {
            item.size = item.size.or(stored.size);
            item = item.merged_over(stored);
        }
        history.put(item);
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
            let mut ui = self.store.ui().lock_owned().await;
            let size = match marked & UI {
                0 => None,
                _ => Some(self.store.size.of(&self.store.folder, (self.services.surroundings.now_ms)()).await),
            };
            if self.store.is_released() {
                self.store.dirty.fetch_or(marked, Ordering::SeqCst);
                continue;
            }
            if marked & UI != 0 {
                self.store_history_item(size);
            }
            if self.store.unread.swap(false, Ordering::SeqCst) {
                ui.keep_changes();
            }
            self.write(marked, ui).await;
        }
    }

    async fn write(&self, marked: u8, mut file: tokio::sync::OwnedMutexGuard<ArrayFile>) {
        let (ui, api) = {
            let mut state = self.state();
            let State { ui, replay, .. } = &mut *state;
            let ui = (marked & UI != 0).then(|| Writing::of(ui, &replay.messages, &file, marked & REST != 0));
            self.note(|task| Note::Saving { task, ui: ui.is_some(), api: marked & API != 0 });
            (ui, (marked & API != 0).then(|| serde_json::to_vec(&state.api)))
        };
        let arrangement = ui.as_ref().map_or(0, |ui| ui.arrangement);
        let surroundings = &self.services.surroundings;
        let tag = format!("{}_{}", (surroundings.now_ms)(), (surroundings.new_id)());
        let folder = self.store.folder.clone();
        let write = tokio::task::spawn_blocking(move || {
            let api = matches!(api, Some(Ok(bytes)) if write_atomic(&folder, API_FILE, &bytes, &tag).is_ok());
            let ui = ui.map(|ui| ui.run(&mut file, &tag));
            (ui, api, file)
        });
        // The file is let go when its notes are made: those of the next write, even of another instance, come after them.
        let Ok((ui, api, _file)) = write.await else { return self.state().ui.not_written() };
        let written = matches!(ui, Some(Ok(_)));
        match ui {
            Some(Ok(places)) => self.state().ui.written(arrangement, places),
            Some(Err(_)) => self.state().ui.not_written(),
            None => {}
        }
        self.note(|task| Note::Saved { task, ui: written, api });
    }
}

/// The UI conversation on its way to the disk.
struct Writing {
    arrangement: u64,
    how: How,
}

enum How {
    Changes(Vec<(usize, Vec<u8>)>),
    Whole(Vec<Piece>),
}

impl Writing {
    /// `replayed` stand behind the others in the file, and not in the conversation yet.
    fn of(ui: &mut Conversation, replayed: &VecDeque<UiMessage>, file: &ArrayFile, rests: bool) -> Writing {
        let changes = ui.take_changes();
        let new: usize = changes.fresh.iter().map(|(_, json)| json.len()).sum();
        let unsettled = rests && (new > 0 || file.has_changes());
        if !changes.whole && replayed.is_empty() && !unsettled && !file.wants_whole(new as u64) {
            return Writing { arrangement: changes.arrangement, how: How::Changes(changes.fresh) };
        }
        let mut pieces = ui.pieces(changes.fresh);
        pieces.extend(replayed.iter().filter_map(|message| serde_json::to_vec(message).ok()).map(Piece::Fresh));
        if !replayed.is_empty() {
            ui.rearranged();
        }
        Writing { arrangement: changes.arrangement, how: How::Whole(pieces) }
    }

    /// Gives where the messages stand now.
    fn run(self, file: &mut ArrayFile, tag: &str) -> io::Result<Vec<(usize, Place)>> {
        match self.how {
            How::Changes(fresh) if fresh.is_empty() => Ok(Vec::new()),
            How::Changes(fresh) => Ok(fresh.iter().map(|(index, _)| *index).zip(file.put(&fresh)?).collect()),
            How::Whole(pieces) => Ok(file.write(&pieces, tag)?.into_iter().enumerate().collect()),
        }
    }
}

/// The UI conversation's file without a task, for tests.
#[cfg(test)]
pub(super) struct UiFolder {
    file: ArrayFile,
    writes: usize,
}

#[cfg(test)]
impl UiFolder {
    pub fn new(folder: &Path) -> UiFolder {
        UiFolder { file: ArrayFile::new(folder.to_owned(), UI_FILE), writes: 0 }
    }

    pub fn write(&mut self, ui: &mut Conversation, rests: bool) {
        self.writes += 1;
        let writing = Writing::of(ui, &VecDeque::new(), &self.file, rests);
        let arrangement = writing.arrangement;
        let places = writing.run(&mut self.file, &self.writes.to_string()).expect("written");
        ui.written(arrangement, places);
    }

    pub fn read(&self) -> Conversation {
        super::stored::read_ui(self.file.folder()).expect("readable").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::Say;
    use crate::task::stored::read_ui;

    fn message(ts: i64, text: &str) -> UiMessage {
        UiMessage::new(ts, UiKind::Say(Say::Text), Some(text.into()))
    }

    #[test]
    fn killed_anywhere_what_was_written_before_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = ArrayFile::new(folder.path().to_owned(), UI_FILE);
        let json = |message: &UiMessage| serde_json::to_vec(message).expect("JSON");
        let mut all = vec![message(1, "first"), message(2, "grows")];
        let pieces: Vec<Piece> = all.iter().map(|message| Piece::Fresh(json(message))).collect();
        file.write(&pieces, "1").expect("written");
        let changes = folder.path().join("ui_messages.delta");
        let mut states = vec![(0, all.clone())];
        for (index, newer) in [(2, message(3, "new")), (1, message(2, "grown")), (3, message(4, "\n\"é"))] {
            file.put(&[(index, json(&newer))]).expect("written");
            all.truncate(all.len().max(index));
            match all.get_mut(index) {
                Some(older) => *older = newer,
                None => all.push(newer),
            }
            states.push((std::fs::metadata(&changes).expect("there").len() as usize, all.clone()));
        }
        let bytes = std::fs::read(&changes).expect("readable");
        for end in 0..=bytes.len() {
            std::fs::write(&changes, &bytes[..end]).expect("writable");
            let (ui, unread) = read_ui(folder.path()).expect("readable");
            let expected = &states.iter().rfind(|(len, _)| *len <= end).expect("a state").1;
            assert_eq!((&ui.to_vec(), unread), (expected, false), "{end}");
        }
        // As somebody else's program wrote it meanwhile: its file counts.
        std::fs::write(&changes, &bytes).expect("writable");
        std::fs::write(folder.path().join(UI_FILE), "[]").expect("writable");
        assert_eq!(read_ui(folder.path()).map(|(ui, unread)| (ui.len(), unread)).ok(), Some((0, true)));
    }
}
