//! The entry of a task in the list of known tasks (spec 01 §2.9, spec 02 §13).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One known task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryItem {
    /// Task id.
    pub id: String,
    /// Id of the task at the bottom of the stack it was started on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_task_id: Option<String>,
    /// Id of the task that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<String>,
    /// Position in its stack, from 1.
    pub number: u32,
    /// Milliseconds since the Unix epoch of its last message.
    pub ts: i64,
    /// Title: the text it was started with.
    pub task: String,
    /// Input tokens.
    pub tokens_in: u64,
    /// Output tokens.
    pub tokens_out: u64,
    /// Tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_writes: Option<u64>,
    /// Tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_reads: Option<u64>,
    /// US dollars.
    pub total_cost: f64,
    /// Bytes of the task's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Mode slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Keys the loop does not set (`isFavorited`, `fileNotfound`, unknown ones): kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl HistoryItem {
    /// This entry with the keys of `stored` that the loop does not set (deviation D08).
    pub fn merged_over(mut self, stored: HistoryItem) -> HistoryItem {
        for (key, value) in stored.other {
            self.other.entry(key).or_insert(value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// parity 04 §7: an entry is made anew, and keeps what others noted in it (D08)
    #[test]
    fn keys_of_others_survive_a_rebuilt_entry() {
        let stored: HistoryItem =
            serde_json::from_value(json!({"id": "a", "number": 1, "ts": 1, "task": "t", "isFavorited": true, "x": 1}))
                .expect("a history item");
        let rebuilt = HistoryItem { id: "a".into(), ts: 2, ..HistoryItem::default() }.merged_over(stored);
        assert_eq!((rebuilt.ts, &rebuilt.other["isFavorited"], &rebuilt.other["x"]), (2, &json!(true), &json!(1)));
    }
}
