//! The list of known tasks: in memory, and in `<storage>/task_history.json`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::protocol::request::{ListSort, TaskList};
use crate::task::history::HistoryItem;
use crate::task::host::TaskHistory;
use crate::task::stored::set_aside;
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
    /// Told what is wrong with the file.
    report: Box<dyn Fn(String) + Send + Sync>,
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
    /// A file that holds none is set aside, and `report` is told.
    pub fn new(file: PathBuf, report: impl Fn(String) + Send + Sync + 'static) -> Arc<History> {
        let (state, writing, dirty, begun) = Default::default();
        Arc::new(History { file, state, writing, dirty, begun, report: Box::new(report) })
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

    /// The items that the request wants, in its order, of all pages (spec 04 §7). No task is opened for it.
    pub fn list(&self, wanted: &TaskList) -> Vec<HistoryItem> {
        let words: Vec<String> =
            wanted.query.as_deref().unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
        let matches = |item: &&HistoryItem| {
            let is = |key: &str| item.other.get(key) == Some(&serde_json::Value::Bool(true));
            let shown = item.ts != 0 && !item.task.is_empty();
            let here = wanted.workspace.is_none() || item.workspace == wanted.workspace;
            if !shown || !here || wanted.favorites && !is("isFavorited") {
                return false;
            }
            let text = item.task.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let mut state = self.lock();
        let mut items: Vec<&HistoryItem> = state.read(self).iter().filter(matches).collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.ts));
        let tokens = |item: &HistoryItem| {
            let cached = item.cache_writes.unwrap_or(0).saturating_add(item.cache_reads.unwrap_or(0));
            item.tokens_in.saturating_add(item.tokens_out).saturating_add(cached)
        };
        match wanted.sort {
            ListSort::Newest => {}
            ListSort::Oldest => items.reverse(),
            ListSort::MostExpensive => items.sort_by(|a, b| b.total_cost.total_cmp(&a.total_cost)),
            ListSort::MostTokens => items.sort_by_key(|item| std::cmp::Reverse(tokens(item))),
            // The sooner its first word comes, the better it fits.
            ListSort::MostRelevant => items.sort_by_cached_key(|item| {
                let text = item.task.to_lowercase();
                words.iter().filter_map(|word| text.find(word)).min()
            }),
        }
        items.into_iter().cloned().collect()
    }

    /// Takes an entry off the list.
    pub fn remove(&self, task: &str) {
        let mut state = self.lock();
        state.read(self).retain(|item| item.id != task);
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

    /// What the file holds. One that is no list must not be written over: it gets another name.
    fn entries(&self) -> Vec<serde_json::Value> {
        let cause = match std::fs::read(&self.file) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(entries) => return entries,
                Err(cause) => cause.to_string(),
            },
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(cause) => cause.to_string(),
        };
        let aside = set_aside(&self.file).map(|aside| format!(", set aside as `{}`", aside.display()));
        (self.report)(format!("`{}` cannot be read: {cause}{}", self.file.display(), aside.unwrap_or_default()));
        Vec::new()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The items, from the file the first time.
    fn read(&mut self, history: &History) -> &mut Vec<HistoryItem> {
        let other = &mut self.other;
        self.items.get_or_insert_with(|| {
            let entries = history.entries();
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
        self.lock().read(self).iter().find(|item| item.id == task).cloned()
    }

    fn put(&self, item: HistoryItem) {
        let mut state = self.lock();
        let items = state.read(self);
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

    fn ids(history: &History, wanted: &TaskList) -> Vec<String> {
        history.list(wanted).into_iter().map(|item| item.id).collect()
    }

    /// parity 04 §7: filters and orders of a list
    #[test]
    fn filters_and_orders() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().join("task_history.json"), |_| {});
        let favourite = serde_json::Map::from_iter([("isFavorited".to_owned(), true.into())]);
        history.put(HistoryItem { total_cost: 2.0, tokens_in: 5, ..item("a", 1, "parse the text") });
        history.put(HistoryItem { workspace: Some("/w".into()), cache_reads: Some(9), ..item("b", 3, "write") });
        history.put(HistoryItem { total_cost: 1.0, other: favourite, ..item("c", 2, "text, then parse") });
        history.put(item("untitled", 9, ""));
        let all = TaskList::default;
        for (wanted, expected) in [
            (all(), vec!["b", "c", "a"]),
            (TaskList { sort: ListSort::Oldest, ..all() }, vec!["a", "c", "b"]),
            (TaskList { sort: ListSort::MostExpensive, ..all() }, vec!["a", "c", "b"]),
            (TaskList { sort: ListSort::MostTokens, ..all() }, vec!["b", "a", "c"]),
            (TaskList { sort: ListSort::MostRelevant, query: Some("PARSE".into()), ..all() }, vec!["a", "c"]),
            (TaskList { favorites: true, ..all() }, vec!["c"]),
            (TaskList { workspace: Some("/w".into()), ..all() }, vec!["b"]),
            (TaskList { query: Some("nothing".into()), ..all() }, vec![]),
        ] {
            assert_eq!(ids(&history, &wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn the_list_survives_and_keeps_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("task_history.json");
        std::fs::write(&file, r#"[{"id":"a","ts":1,"task":"old","isFavorited":true},"what?"]"#).unwrap();
        let history = History::new(file.clone(), |_| {});
        history.put(item("b", 2, "Fix the Parser"));
        assert_eq!(ids(&history, &TaskList::default()), ["b", "a"]);
        assert_eq!(ids(&history, &TaskList { query: Some("parser fix".into()), ..TaskList::default() }), ["b"]);
        history.save().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("isFavorited") && text.contains("what?") && text.contains("Fix the Parser"));
        let again = History::new(file, |_| {});
        assert_eq!(again.get("a").unwrap().task, "old");
        again.remove("a");
        assert!(again.get("a").is_none());
    }

    #[test]
    fn a_damaged_list_is_set_aside_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("task_history.json");
        std::fs::write(&file, "[{").unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        let history = History::new(file.clone(), move |text| said.send(text).unwrap());
        history.put(item("a", 1, "new"));
        history.save().unwrap();
        assert_eq!(std::fs::read(folder.path().join("task_history.json.damaged-1")).unwrap(), b"[{");
        assert!(std::fs::read_to_string(&file).unwrap().contains("new"));
        let text = heard.try_recv().unwrap();
        assert!(text.contains("task_history.json`") && text.contains("damaged-1"), "{text}");
    }
}
