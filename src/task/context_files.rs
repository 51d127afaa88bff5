//! Which files the model has seen or changed, and when (spec 02 §14): `task_metadata.json`.
//!
//! There is no watcher yet, so changes by the user are not noticed between requests.

use serde::{Deserialize, Serialize};

use super::instance::Task;
use super::store::write_atomic;
use crate::tools::context::FileSource;

const FILE: &str = "task_metadata.json";

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

/// Records that `path` came into the context or was changed. Failures are dropped: this is advice for the model only.
pub(super) async fn track(task: &Task, path: &str, source: FileSource) {
    let now = (task.services.surroundings.now_ms)();
    let id = (task.services.surroundings.new_id)();
    if source == FileSource::UserEdited {
        let modified = &mut task.state().recently_modified;
        if !modified.iter().any(|known| known == path) {
            modified.push(path.to_owned());
        }
    }
    let (folder, path) = (task.store.folder().to_owned(), path.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let stored = std::fs::read(folder.join(FILE)).ok();
        let mut metadata: Metadata = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        record(&mut metadata.files_in_context, path, source, now);
        if let Ok(bytes) = serde_json::to_vec(&metadata) {
            let _ = write_atomic(&folder, FILE, &bytes, &format!("{now}_{id}"));
        }
    });
    let _ = written.await;
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
