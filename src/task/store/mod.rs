//! Files of a task (spec 02 §13). Both conversations are written whole when the task rests (D07), and by what has changed while
//! it works (`array`), so that a turn costs what is new in it.
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

use super::api_history::ApiHistory;
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
/// Both whole: somebody else may want to read them.
const REST: u8 = 4;

/// The files of a task's conversations.
struct Files {
    ui: ArrayFile,
    api: ArrayFile,
}

impl Files {
    fn new(folder: &Path) -> Files {
        Files { ui: ArrayFile::new(folder.to_owned(), UI_FILE), api: ArrayFile::new(folder.to_owned(), API_FILE) }
    }
}

/// Instances of one task follow each other on its files.
type SharedFiles = Arc<tokio::sync::Mutex<Files>>;

/// Which files of a task wait to be written, and where they are.
pub(super) struct Store {
    folder: PathBuf,
    files: Mutex<SharedFiles>,
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
        let files = Arc::new(tokio::sync::Mutex::new(Files::new(&folder)));
        Store {
            folder,
            files: Mutex::new(files),
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
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = before.files();
    }

    fn files(&self) -> SharedFiles {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// As [`persist_ui`](Self::persist_ui), when the task waits or is over: each file then holds all by itself.
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
        Stored { ui: state.ui.clone(), api: state.api.to_vec(), unread: false, ahead: true }
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
            let mut files = self.store.files().lock_owned().await;
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
                files.ui.keep_changes();
                files.api.keep_changes();
            }
            self.write(marked, files).await;
        }
    }

    async fn write(&self, marked: u8, mut files: tokio::sync::OwnedMutexGuard<Files>) {
        let rests = marked & REST != 0;
        let (ui, api) = {
            let mut state = self.state();
            let State { ui, api, replay, .. } = &mut *state;
            let ui = (marked & UI != 0).then(|| Writing::of_ui(ui, &replay.messages, &files.ui, rests));
            let api_waits = marked & API != 0 || rests && files.api.has_changes();
            let api = api_waits.then(|| Writing::of_api(api, &files.api, rests));
            self.note(|task| Note::Saving { task, ui: ui.is_some(), api: api.is_some() });
            (ui, api)
        };
        let arrangement = ui.as_ref().map_or(0, |ui| ui.arrangement);
        let surroundings = &self.services.surroundings;
        let tag = format!("{}_{}", (surroundings.now_ms)(), (surroundings.new_id)());
        let write = tokio::task::spawn_blocking(move || {
            let api = api.map(|api| api.run(&mut files.api, &tag));
            let ui = ui.map(|ui| ui.run(&mut files.ui, &tag));
            (ui, api, files)
        });
        // The files are let go when the notes are made: those of the next write, even of another instance, come after them.
        let (ui, api, _files) = match write.await {
            Ok((ui, api, files)) => (ui, api, Some(files)),
            Err(stopped) => (Some(Err(stopped.into())), Some(Err(io::ErrorKind::Other.into())), None),
        };
        let written = [matches!(ui, Some(Ok(_))), matches!(api, Some(Ok(_)))];
        {
            let mut state = self.state();
            match ui {
                Some(Ok(places)) => state.ui.written(arrangement, places),
                Some(Err(_)) => state.ui.not_written(),
                None => {}
            }
            if let Some(Err(_)) = api {
                state.api.not_written();
            }
        }
        let [ui, api] = written;
        self.note(|task| Note::Saved { task, ui, api });
    }
}

/// A conversation on its way to the disk.
struct Writing {
    /// Of the UI conversation.
    arrangement: u64,
    how: How,
}

enum How {
    Changes(Vec<(usize, Vec<u8>)>),
    Whole(Vec<Piece>),
}

impl Writing {
    /// `replayed` stand behind the others in the file, and not in the conversation yet.
    fn of_ui(ui: &mut Conversation, replayed: &VecDeque<UiMessage>, file: &ArrayFile, rests: bool) -> Writing {
        let changes = ui.take_changes();
        if !changes.whole && replayed.is_empty() && !wants_whole(file, &changes.fresh, rests) {
            return Writing { arrangement: changes.arrangement, how: How::Changes(changes.fresh) };
        }
        let mut pieces = ui.pieces(changes.fresh);
        pieces.extend(replayed.iter().filter_map(|message| serde_json::to_vec(message).ok()).map(Piece::Fresh));
        if !replayed.is_empty() {
            ui.rearranged();
        }
        Writing { arrangement: changes.arrangement, how: How::Whole(pieces) }
    }

    fn of_api(api: &mut ApiHistory, file: &ArrayFile, rests: bool) -> Writing {
        let how = match api.take_changes() {
            Some(fresh) if !wants_whole(file, &fresh, rests) => How::Changes(fresh),
            _ => {
                let all = api.iter().filter_map(|message| serde_json::to_vec(message).ok());
                How::Whole(all.map(Piece::Fresh).collect())
            }
        };
        Writing { arrangement: 0, how }
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

fn wants_whole(file: &ArrayFile, fresh: &[(usize, Vec<u8>)], rests: bool) -> bool {
    let new: usize = fresh.iter().map(|(_, json)| json.len()).sum();
    let unsettled = rests && (new > 0 || file.has_changes());
    unsettled || file.wants_whole(new as u64)
}

/// The files without a task, for tests.
#[cfg(test)]
pub(super) struct TaskFolder {
    folder: PathBuf,
    files: Files,
    writes: usize,
}

#[cfg(test)]
use crate::protocol::message::ApiMessage;

#[cfg(test)]
impl TaskFolder {
    pub fn new(folder: &Path) -> TaskFolder {
        TaskFolder { folder: folder.to_owned(), files: Files::new(folder), writes: 0 }
    }

    pub fn write(&mut self, ui: &mut Conversation, rests: bool) {
        self.writes += 1;
        let writing = Writing::of_ui(ui, &VecDeque::new(), &self.files.ui, rests);
        let arrangement = writing.arrangement;
        let places = writing.run(&mut self.files.ui, &self.writes.to_string()).expect("written");
        ui.written(arrangement, places);
    }

    pub fn read(&self) -> Conversation {
        super::stored::read_ui(&self.folder).expect("readable").0
    }

    pub fn write_api(&mut self, api: &mut ApiHistory, rests: bool) {
        self.writes += 1;
        let writing = Writing::of_api(api, &self.files.api, rests);
        writing.run(&mut self.files.api, &self.writes.to_string()).expect("written");
    }

    pub fn read_api(&self) -> Vec<ApiMessage> {
        super::stored::read_api(&self.folder).expect("readable").expect("there").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::{MessageContent, Role, Say};
    use crate::task::stored::{read_api, read_ui};

    fn message(ts: i64, text: &str) -> UiMessage {
        UiMessage::new(ts, UiKind::Say(Say::Text), Some(text.into()))
    }

    fn json<T: serde::Serialize>(message: &T) -> Vec<u8> {
        serde_json::to_vec(message).expect("JSON")
    }

    /// Bytes of the changes, then number of messages and the second one.
    type State = (usize, usize, String);
    /// Name of the changes' file, its bytes, and what it tells.
    type Changed = (&'static str, Vec<u8>, Vec<State>);

    /// A folder whose conversations changed since their files were written: the changes of each, with what has been told after
    /// so many bytes of them.
    fn changed(folder: &Path) -> [Changed; 2] {
        let mut files = Files::new(folder);
        let (files, names) = ([&mut files.ui, &mut files.api], ["ui_messages.delta", "api_conversation_history.delta"]);
        let mut both = files.into_iter().zip(names).map(|(file, name)| {
            let element = |at: i64, text: &str| match name {
                "ui_messages.delta" => json(&message(at, text)),
                _ => json(&api(text)),
            };
            let pieces = [element(1, "first"), element(2, "grows")].map(Piece::Fresh);
            file.write(&pieces, "1").expect("written");
            let mut states = vec![(0, 2, "grows".to_owned())];
            for (index, text, second) in [(2, "new", "grows"), (1, "grown", "grown"), (3, "\n\"é", "grown")] {
                file.put(&[(index, element(index as i64 + 1, text))]).expect("written");
                let len = std::fs::metadata(folder.join(name)).expect("there").len() as usize;
                let count = states.last().map_or(0, |(_, count, _)| *count).max(index + 1);
                states.push((len, count, second.to_owned()));
            }
            (name, std::fs::read(folder.join(name)).expect("readable"), states)
        });
        [both.next().expect("two"), both.next().expect("two")]
    }

    fn api(text: &str) -> ApiMessage {
        ApiMessage { role: Role::User, content: MessageContent::Text(text.into()), ts: None, is_summary: None }
    }

    /// Number of messages, the second one, and whether something was not read.
    fn told(folder: &Path, name: &str) -> (usize, String, bool) {
        if name == "ui_messages.delta" {
            let (ui, unread) = read_ui(folder).expect("readable");
            return (ui.len(), ui[1].text.clone().unwrap_or_default(), unread);
        }
        let (api, unread) = read_api(folder).expect("readable").expect("there");
        let MessageContent::Text(second) = &api[1].content else { panic!("a text") };
        (api.len(), second.clone(), unread)
    }

    /// parity 02 §13: a process killed at any byte of a write loses nothing that was written before
    #[test]
    fn killed_anywhere_what_was_written_before_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes, states) in changed(folder.path()) {
            for end in 0..=bytes.len() {
                std::fs::write(folder.path().join(name), &bytes[..end]).expect("writable");
                // A line that lacks nothing but its end counts.
                let (_, count, second) = states.iter().rfind(|(len, ..)| *len <= end + 1).expect("a state");
                assert_eq!(told(folder.path(), name), (*count, second.clone(), false), "{name} {end}");
            }
        }
    }

    /// parity 02 §13: of damaged changes the good part is used, the rest is reported and kept
    #[test]
    fn damaged_anywhere_the_good_part_is_used_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes, states) in changed(folder.path()) {
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                std::fs::write(folder.path().join(name), &damaged).expect("writable");
                let (_, count, second) = states.iter().rfind(|(len, ..)| *len <= at).expect("a state");
                let unread = at + 1 < bytes.len();
                assert_eq!(told(folder.path(), name), (*count, second.clone(), unread), "{name} {at}");
                assert_eq!(std::fs::read(folder.path().join(name)).expect("there"), damaged, "{name} {at}");
            }
        }
    }

    #[test]
    fn what_was_not_read_is_kept_by_the_next_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let changes = changed(folder.path()).map(|(name, mut bytes, _)| {
            bytes[40] ^= 1;
            std::fs::write(folder.path().join(name), &bytes).expect("writable");
            (name, bytes)
        });
        let mut files = TaskFolder::new(folder.path());
        files.files.ui.keep_changes();
        files.files.api.keep_changes();
        files.write(&mut files.read(), false);
        files.write_api(&mut files.read_api().into(), false);
        for ((name, bytes), tag) in changes.into_iter().zip(1..) {
            assert_eq!(std::fs::read(folder.path().join(format!("{name}.unread_{tag}"))).expect("kept"), bytes);
            assert!(!folder.path().join(name).exists());
            assert!(!told(folder.path(), name).2);
        }
    }

    /// A file that another program wrote meanwhile counts, and not the changes of the one before it.
    #[test]
    fn changes_of_another_file_are_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, ..) in changed(folder.path()) {
            let file = folder.path().join(name.replace(".delta", ".json"));
            let text = std::fs::read_to_string(&file).expect("readable").replace("grows", "other");
            std::fs::write(&file, text).expect("writable");
            assert_eq!(told(folder.path(), name), (2, "other".to_owned(), true));
        }
    }
}
