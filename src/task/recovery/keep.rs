//! Making notes. None is built when nobody keeps them.

use super::note::{Entry, Facts, Note, Origin};
use crate::protocol::message::{ApiMessage, UiMessage};
use crate::task::host::TaskHost;
use crate::task::instance::{State, Task};
use crate::tools::context::Answer;

/// How much of the answer in progress was noted.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::task) struct Noted {
    /// Bytes of its text.
    pub text: usize,
    /// Blocks that are over.
    pub blocks: usize,
    /// Their results.
    pub results: usize,
}

/// Keeps a note, if anybody keeps any.
pub(in crate::task) fn keep(host: &dyn TaskHost, make: impl FnOnce() -> Note) {
    if host.keeps_notes() {
        host.note(make());
    }
}

impl Task {
    /// Keeps a note about this task, unless another instance has taken it over.
    pub fn note(&self, make: impl FnOnce(String) -> Note) {
        if !self.store.is_released() {
            keep(self.services.host.as_ref(), || make(self.id.clone()));
        }
    }

    /// The message is this now.
    pub fn note_ui(&self, message: &UiMessage) {
        self.note(|task| Note::Ui { task, message: message.clone() });
    }

    /// The API message is about to be appended.
    pub fn note_api(&self, state: &State, message: &ApiMessage) {
        self.note(|task| Note::Api { task, index: state.api.len(), message: message.clone() });
    }

    /// The user message is about to be appended and sent.
    pub fn note_sent(&self, state: &State, record: i64, message: &ApiMessage) {
        self.note(|task| Note::Sent {
            task,
            record,
            index: state.api.len(),
            message: message.clone(),
            facts: Box::new(self.facts(state)),
        });
    }

    /// The question was answered; `queued` names the message of the queue that did.
    pub fn note_answer(&self, ts: i64, answer: &Answer, how: &str, queued: Option<&str>) {
        self.note(|task| Note::Answered {
            task,
            ts,
            how: how.to_owned(),
            answer: answer.clone(),
            queued: queued.map(str::to_owned),
        });
    }

    /// The queue is this now.
    pub fn note_queue(&self) {
        self.note(|task| Note::Queue { task, messages: self.state().queue.messages() });
    }

    /// What of the answer was not noted yet.
    pub fn note_text(&self) {
        self.note_answer_text(None);
    }

    /// The answer has been read; `reply` is its text with what the loop appended.
    pub fn note_read(&self, reply: &str) {
        self.note_answer_text(Some(reply));
    }

    fn note_answer_text(&self, reply: Option<&str>) {
        if !self.services.host.keeps_notes() {
            return;
        }
        let (at, text, suffix) = {
            let mut turn = self.turn();
            let message = turn.parser.message();
            let at = turn.noted.text;
            let text = message.get(at..).unwrap_or_default().to_owned();
            let suffix = reply.map(|reply| reply.strip_prefix(message).unwrap_or_default().to_owned());
            turn.noted.text = message.len();
            (at, text, suffix)
        };
        self.note(|task| match suffix {
            Some(suffix) => Note::Read { task, at, text, suffix },
            None => Note::Text { task, at, text },
        });
    }

    /// The block at hand is over, with the results it gave.
    pub fn note_block(&self) {
        if !self.services.host.keeps_notes() {
            return;
        }
        let noted = {
            let turn = self.turn();
            turn.noted.blocks > turn.index
        };
        if noted {
            return;
        }
        self.note_text();
        let (index, results, rejected, used) = {
            let mut turn = self.turn();
            let index = turn.index + 1;
            let results = turn.results.get(turn.noted.results..).unwrap_or_default().to_vec();
            turn.noted.blocks = index;
            turn.noted.results = turn.results.len();
            (index, results, turn.rejected, turn.used)
        };
        let state = self.state();
        let after = state.ui.last().map_or(i64::MIN, |last| last.ts);
        let facts = Box::new(self.facts(&state));
        self.note(|task| Note::Block { task, index, after, results, rejected, used, facts });
    }

    /// The task goes on the stack.
    pub fn note_pushed(&self, origin: Origin, pauses: Option<String>) {
        self.note(|id| {
            Note::Pushed(Entry {
                id,
                cwd: self.cwd.clone(),
                mode: self.state().mode.clone(),
                session_mode: self.settings().mode.clone(),
                child: self.lineage.parent.is_some(),
                pauses,
                parent_id: self.lineage.parent_id.clone(),
                root_id: self.lineage.root_id.clone(),
                number: self.lineage.number,
                origin,
            })
        });
    }

    /// The present state of the task.
    fn facts(&self, state: &State) -> Facts {
        Facts {
            mode: self.settings().mode.clone(),
            mistakes: state.mistakes,
            tool_usage: state.tool_usage.iter().map(|(tool, count)| (tool.to_string(), *count)).collect(),
            todos: state.todos.clone(),
            diff_failures: state.diff_failures.iter().map(|(path, count)| (path.clone(), *count)).collect(),
            repeated: state.repetition.memory(),
            requests: state.requests,
            edited: state.edited,
            recently_modified: state.recently_modified.clone(),
            calls: state.calls,
            completion_denials: state.completion_denials,
        }
    }
}
