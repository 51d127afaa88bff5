//! What the notes tell of a conversation beyond the task's files, which are written behind.
//!
//! Both parts may be laid over older and over newer files: a message is told whole, at its identity or its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::message::{ApiMessage, UiMessage};
use crate::task::stored::Stored;

/// Changes of a conversation since its files were written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::task) struct Later {
    /// In a write that is under way, or failed.
    #[serde(default)]
    saving: Changes,
    /// In none.
    #[serde(default)]
    fresh: Changes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Changes {
    /// Messages by `ts`; `None` was removed.
    #[serde(default)]
    ui: BTreeMap<i64, Option<UiMessage>>,
    #[serde(default)]
    api: Option<Tail>,
}

/// The API conversation from `start` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tail {
    start: usize,
    messages: Vec<ApiMessage>,
}

impl Later {
    /// The message `ts` is this now.
    pub fn put_ui(&mut self, message: UiMessage) {
        self.fresh.ui.insert(message.ts, Some(message));
    }

    /// The message `ts`, if no write has begun since it was put, or it was kept from that.
    pub fn fresh_ui(&self, ts: i64) -> Option<&UiMessage> {
        self.fresh.ui.get(&ts)?.as_ref()
    }

    /// The message `ts` is gone.
    pub fn remove_ui(&mut self, ts: i64) {
        self.fresh.ui.insert(ts, None);
    }

    /// The message at `index` is this, and the last.
    pub fn put_api(&mut self, index: usize, message: ApiMessage) {
        self.keep_api(index);
        if let Some(tail) = &mut self.fresh.api {
            tail.messages.push(message);
        }
    }

    /// No message is left from `count` on.
    pub fn keep_api(&mut self, count: usize) {
        match &mut self.fresh.api {
            Some(tail) if tail.start <= count => tail.messages.truncate(count - tail.start),
            other => *other = Some(Tail { start: count, messages: Vec::new() }),
        }
    }

    /// The whole API conversation is this.
    pub fn replace_api(&mut self, messages: Vec<ApiMessage>) {
        self.fresh.api = Some(Tail { start: 0, messages });
    }

    /// The files are about to be written. The message `keep` is wanted here all the same.
    pub fn saving(&mut self, ui: bool, api: bool, keep: Option<i64>) {
        if ui {
            let kept = keep.and_then(|ts| self.fresh.ui.get_key_value(&ts)).map(|(ts, message)| (*ts, message.clone()));
            self.saving.ui.append(&mut self.fresh.ui);
            self.fresh.ui.extend(kept);
        }
        if api && let Some(tail) = self.fresh.api.take() {
            self.saving.api = Some(match self.saving.api.take() {
                Some(before) => before.then(tail),
                None => tail,
            });
        }
    }

    /// They were written.
    pub fn saved(&mut self, ui: bool, api: bool) {
        if ui {
            self.saving.ui.clear();
        }
        if api {
            self.saving.api = None;
        }
    }

    /// The conversations as they were last, over what the files hold.
    pub fn over(self, mut stored: Stored) -> Stored {
        for changes in [self.saving, self.fresh] {
            changes.over(&mut stored);
        }
        stored
    }
}

impl Changes {
    fn over(self, stored: &mut Stored) {
        let removed = |ts: i64| matches!(self.ui.get(&ts), Some(None));
        stored.ui.retain(|message| !removed(message.ts));
        let mut changed = self.ui;
        for at in 0..stored.ui.len() {
            if let Some(newer) = stored.ui.get(at).and_then(|message| changed.remove(&message.ts)).flatten() {
                stored.ui.replace(at, newer);
            }
        }
        changed.into_values().flatten().for_each(|message| stored.ui.push(message));
        if let Some(tail) = self.api {
            stored.api.truncate(tail.start);
            stored.api.extend(tail.messages);
        }
    }
}

impl Tail {
    /// This and then `later`.
    fn then(mut self, later: Tail) -> Tail {
        if later.start < self.start {
            return later;
        }
        self.messages.truncate(later.start - self.start);
        self.messages.extend(later.messages);
        self
    }
}
