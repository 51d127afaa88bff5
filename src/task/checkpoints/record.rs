//! A restore as it is written down before it begins: what it changes, and what was there before (D16).

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::protocol::message::{ApiMessage, Say, UiKind, UiMessage};
use crate::task::store;
use crate::task::stored::Stored;
use crate::task::usage::task_usage;

/// The last restore of a task, in the task's folder.
const FILE: &str = "checkpoint_restore.json";

/// A restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// How far it came.
    pub outcome: Outcome,
    /// Commit of the state it was asked to bring back.
    pub commit: String,
    /// What it does to the conversation.
    pub change: Change,
    /// Commit of the state before it.
    pub before: String,
    /// The conversation before it, if it changes that.
    pub conversation: Option<Conversation>,
    /// Message that tells of it.
    pub said: Option<UiMessage>,
}

/// How far a restore came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Whoever opens the task carries it out.
    Pending,
    /// All of it.
    Done,
    /// It failed; the text is for the user.
    Failed(String),
}

/// What a restore does to the conversation. Done for the second time it changes nothing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// Nothing.
    Keep,
    /// Removes what was said at a time.
    Cut {
        /// The first message that goes has this `ts` or a later one.
        ui_from: i64,
        /// The same of the API conversation.
        api_from: i64,
        /// `ts` of the last message when it was asked for: later ones are not meant.
        until: i64,
    },
    /// Puts another in its place.
    Replace(Conversation),
}

/// Both conversations of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::task) struct Conversation {
    /// UI conversation.
    pub ui: Vec<UiMessage>,
    /// API conversation.
    pub api: Vec<ApiMessage>,
}

impl Record {
    /// What becomes of this conversation.
    pub fn apply(&self, stored: &Stored) -> Stored {
        let mut after = match &self.change {
            Change::Keep => stored.clone(),
            Change::Replace(other) => Stored { ui: other.ui.clone().into(), api: other.api.clone(), ..stored.clone() },
            Change::Cut { ui_from, api_from, until } => {
                let stays = |ts: i64, from: &i64| ts < *from || ts > *until;
                let mut after = stored.clone();
                after.ui.retain(|message| stays(message.ts, ui_from));
                after.api.retain(|message| message.ts.is_none_or(|ts| stays(ts, api_from)));
                after
            }
        };
        if let Some(said) = &self.said
            && !after.ui.iter().any(|message| message.ts == said.ts)
        {
            let at = after.ui.iter().rposition(|message| message.ts < said.ts).map_or(0, |before| before + 1);
            after.ui.insert(at, said.clone());
        }
        after
    }

    /// The record in this folder; `None` when there is none that can be read.
    pub fn read(folder: &Path) -> Option<Record> {
        serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()
    }

    /// Whether the last restore can be undone. Reads no more of the file than that takes.
    pub fn exists(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Puts the record in this folder, in place of the one before.
    ///
    /// # Errors
    /// What the file system reports; the one before is there still.
    pub fn write(&self, folder: &Path, tag: &str) -> io::Result<()> {
        store::write_atomic(folder, FILE, &serde_json::to_vec(self)?, tag)
    }
}

/// Tells what the removed requests had cost (spec 02 §15.5).
pub(super) fn deleted_message(ts: i64, removed: &[UiMessage]) -> UiMessage {
    let usage = task_usage(removed);
    let totals = json!({
        "tokensIn": usage.total_tokens_in,
        "tokensOut": usage.total_tokens_out,
        "cacheWrites": usage.total_cache_writes.unwrap_or(0),
        "cacheReads": usage.total_cache_reads.unwrap_or(0),
        "cost": usage.total_cost,
    });
    UiMessage::new(ts, UiKind::Say(Say::ApiReqDeleted), Some(totals.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::{MessageContent, Role};

    fn said(ts: i64) -> UiMessage {
        UiMessage::new(ts, UiKind::Say(Say::Text), Some(ts.to_string()))
    }

    fn sent(ts: Option<i64>) -> ApiMessage {
        ApiMessage { role: Role::User, content: MessageContent::Text("x".into()), ts, is_summary: None }
    }

    fn record(change: Change, said: Option<UiMessage>) -> Record {
        let (commit, before) = ("c".into(), "b".into());
        Record { outcome: Outcome::Pending, commit, change, before, conversation: None, said }
    }

    fn times(stored: &Stored) -> (Vec<i64>, Vec<Option<i64>>) {
        (stored.ui.iter().map(|m| m.ts).collect(), stored.api.iter().map(|m| m.ts).collect())
    }

    /// parity 02 §15.5: the API conversation keeps what has no time or an earlier one, the UI what stands before the message
    #[test]
    fn a_cut_is_the_same_however_often_it_is_made() {
        let ui = [1, 3, 5, 7].map(said).to_vec().into();
        let stored = Stored { ui, api: [None, Some(2), Some(4), Some(6)].map(sent).into(), ..Stored::default() };
        let cut = record(Change::Cut { ui_from: 5, api_from: 4, until: 7 }, Some(said(8)));
        let once = cut.apply(&stored);
        assert_eq!(times(&once), (vec![1, 3, 8], vec![None, Some(2)]));
        assert_eq!(times(&cut.apply(&once)), times(&once));
        // A file that was written and one that was not yet.
        let half = Stored { ui: once.ui.clone(), ..stored.clone() };
        assert_eq!(times(&cut.apply(&half)), times(&once));
        // What was said afterwards stays.
        let mut later = once;
        later.ui.push(said(9));
        later.api.push(sent(Some(9)));
        assert_eq!(times(&cut.apply(&later)), (vec![1, 3, 8, 9], vec![None, Some(2), Some(9)]));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!Record::exists(folder.path()) && Record::read(folder.path()).is_none());
        let conversation = Conversation { ui: vec![said(1)], api: vec![sent(Some(1))] };
        let record = Record { conversation: Some(conversation.clone()), ..record(Change::Replace(conversation), None) };
        record.write(folder.path(), "1").expect("written");
        assert_eq!(Record::read(folder.path()), Some(record));
    }
}
