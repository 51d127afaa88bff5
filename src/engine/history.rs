//! The list of known tasks: in memory, and in `<storage>/task_history.json`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::task::history::HistoryItem;
use crate::task::host::TaskHistory;
use crate::workspace::write::write_atomic;

/// How long changes are gathered before they are written.
const SETTLE: Duration = Duration::from_millis(300);

/// The list with its file. Read at first use; written behind, so that a burst of changes costs one write.
pub struct History {
    file: PathBuf,
    state: Mutex<State>,
    /// Held while the file is written, so that writes do not overtake each other.
    writing: Mutex<()>,
    /// Told of every change.
    dirty: Notify,
    /// Told of every new task.
    begun: Notify,
}

#[derive(Default)]
struct State {
    /// `None` until the file was read.
    items: Option<Vec<HistoryItem>>,
    /// Entries of the file that are no history items, kept as they are.
    other: Vec<serde_json::Value>,
    changed: bool,
}

impl History {
    /// The list of this file.
    pub fn new(file: PathBuf) -> Arc<History> {
        Arc::new(History {
            file,
            state: Mutex::default(),
            writing: Mutex::default(),
            dirty: Notify::new(),
            begun: Notify::new(),
        })
    }

    /// Writes the file a moment after each burst of changes, for as long as the runtime lives. A new task is written at once:
    /// what the list does not have cannot be resumed.
    pub async fn keep_saved(self: Arc<Self>) {
        loop {
            self.dirty.notified().await;
            tokio::select! {
                () = tokio::time::sleep(SETTLE) => {}
                () = self.begun.notified() => {}
            }
            let list = self.clone();
            // What could not be written is still marked as changed, and goes with the next change or at close.
            let _ = tokio::task::spawn_blocking(move || list.save()).await;
        }
    }

    /// Newest first, from `skip` on, those whose text holds all words of `query`; at most `limit`.
    pub fn list(&self, skip: usize, limit: usize, query: &str) -> Vec<HistoryItem> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let matches = |item: &&HistoryItem| {
            let text = item.task.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let mut state = self.lock();
        let mut items: Vec<&HistoryItem> = state.read(&self.file).iter().filter(matches).collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.ts));
        items.into_iter().skip(skip).take(limit).cloned().collect()
    }

    /// Takes an entry off the list.
    pub fn remove(&self, task: &str) {
        let mut state = self.lock();
        state.read(&self.file).retain(|item| item.id != task);
        state.changed = true;
    }

    /// Writes the file if the list changed since. Blocks on the disk.
    ///
    /// # Errors
    /// The disk refused; the change is kept for the next time.
    pub fn save(&self) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = {
            let mut state = self.lock();
            if !std::mem::take(&mut state.changed) {
                return Ok(());
            }
            let mut all = state.other.clone();
            let items = state.items.iter().flatten().filter_map(|item| serde_json::to_value(item).ok());
            all.extend(items);
            serde_json::Value::Array(all).to_string()
        };
        write_atomic(&self.file, text.as_bytes()).inspect_err(|_| self.lock().changed = true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The items, from the file the first time. A file that is no list is left alone until the first change.
    fn read(&mut self, file: &std::path::Path) -> &mut Vec<HistoryItem> {
        let other = &mut self.other;
        self.items.get_or_insert_with(|| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
            let mut items = Vec::with_capacity(entries.len());
            for entry in entries {
                match serde_json::from_value::<HistoryItem>(entry.clone()) {
                    Ok(item) if !item.id.is_empty() => items.push(item),
                    _ => other.push(entry),
                }
            }
            items
        })
    }
}

impl TaskHistory for History {
    fn get(&self, task: &str) -> Option<HistoryItem> {
        self.lock().read(&self.file).iter().find(|item| item.id == task).cloned()
    }

    fn put(&self, item: HistoryItem) {
        let mut state = self.lock();
        let items = state.read(&self.file);
        match items.iter_mut().find(|known| known.id == item.id) {
            Some(known) => *known = item,
            None => {
                items.push(item);
                self.begun.notify_one();
            }
        }
        state.changed = true;
        self.dirty.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, ts: i64, task: &str) -> HistoryItem {
        HistoryItem { id: id.into(), ts, task: task.into(), ..HistoryItem::default() }
    }

    #[test]
    fn the_list_survives_and_keeps_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("task_history.json");
        std::fs::write(&file, r#"[{"id":"a","ts":1,"task":"old","isFavorited":true},"what?"]"#).unwrap();
        let history = History::new(file.clone());
        history.put(item("b", 2, "Fix the Parser"));
        assert_eq!(history.list(0, 10, "").iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(history.list(0, 10, "parser fix").len(), 1);
        assert_eq!(history.list(1, 10, "").len(), 1);
        history.save().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("isFavorited") && text.contains("what?") && text.contains("Fix the Parser"));
        let again = History::new(file);
        assert_eq!(again.get("a").unwrap().task, "old");
        again.remove("a");
        assert!(again.get("a").is_none());
    }
}
