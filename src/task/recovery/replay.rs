//! Doing a step again without saying it again: its messages are taken up, its answers are given once more.

use std::collections::VecDeque;

use super::note::Note;
use super::progress::Given;
use crate::protocol::message::{TodoItem, UiKind, UiMessage};
use crate::settings::hooks::HookEvent;
use crate::task::hooks::{NotedVerdict, Verdict};
use crate::task::host::TaskEvent;
use crate::task::instance::{State, Task};

/// What is left of the step that was under way when the session was killed. Empty in a session that was not restored.
#[derive(Debug, Default)]
pub(in crate::task) struct Replay {
    /// Messages that the step had said, in order; they stand behind those of [`State::ui`].
    pub messages: VecDeque<UiMessage>,
    /// Answers to those of them that asked.
    pub answers: Vec<Given>,
    /// What hooks said in it.
    pub verdicts: Vec<NotedVerdict>,
    /// The one that waited for its answer.
    pub open: Option<i64>,
    /// A complete message that is being shown from the beginning again: the host has it already.
    pub known: Option<UiMessage>,
    /// The call of the present block was allowed and may have had effects.
    pub interrupted: Option<Given>,
    /// The subtask of the present block is there already.
    pub subtask: bool,
    /// Mode before the call of the present block.
    pub mode: Option<String>,
    /// Mode to go back to after the subtask, which may end before the task has come to wait for it.
    pub back_to: Option<String>,
    /// The todo list as the host had edited it while it was asked.
    pub pending_todos: Option<Vec<TodoItem>>,
}

impl Replay {
    /// The next message of this kind and those before it; nothing is left when there is none such.
    fn take(&mut self, kind: UiKind) -> (VecDeque<UiMessage>, Option<UiMessage>) {
        match self.messages.iter().position(|message| message.kind == kind) {
            None => (std::mem::take(&mut self.messages), None),
            Some(at) => {
                let rest = self.messages.split_off(at);
                let passed = std::mem::replace(&mut self.messages, rest);
                (passed, self.messages.pop_front())
            }
        }
    }

    /// What the hooks of this event said about this call.
    pub fn verdict(&mut self, event: HookEvent, call: u64) -> Option<Verdict> {
        let at = self.verdicts.iter().position(|noted| noted.event == event && noted.call == call)?;
        Some(self.verdicts.remove(at).verdict)
    }

    /// The answer that the message `ts` got.
    pub fn answer(&mut self, ts: i64) -> Option<Given> {
        let at = self.answers.iter().position(|given| given.ts == ts)?;
        Some(self.answers.remove(at))
    }
}

impl Task {
    /// Puts the message that the step said before in place of a new one. False when there is none such.
    pub fn take_up(&self, state: &mut State, message: &UiMessage) -> bool {
        if state.replay.messages.is_empty() {
            return false;
        }
        let (passed, found) = state.replay.take(message.kind);
        passed.into_iter().for_each(|message| self.settle(state, message));
        let Some(said) = found else { return false };
        let mut now = UiMessage {
            text: message.text.clone(),
            images: message.images.clone(),
            partial: message.partial,
            progress_status: message.progress_status.clone(),
            is_protected: message.is_protected,
            ..said.clone()
        };
        if message.partial == Some(true) {
            if said.partial != Some(true) {
                state.replay.known = Some(said);
                state.ui.push(now);
                return true;
            }
        } else {
            now.partial = said.partial.map(|_| false);
            if now == said {
                state.ui.push(now);
                return true;
            }
        }
        self.note_ui(&now);
        self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: now.clone() });
        state.ui.push(now);
        true
    }

    /// A message that the step does not say again: it stays, and is complete.
    pub fn settle(&self, state: &mut State, mut message: UiMessage) {
        if message.partial == Some(true) {
            // It may have grown beyond what is known of it: it begins again, and ends as it is kept.
            self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: message.clone() });
            message.partial = Some(false);
            self.note_ui(&message);
            self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: message.clone() });
        }
        let ts = message.ts;
        state.ui.push(message);
        if state.replay.open.take_if(|open| *open == ts).is_some() {
            self.note(|task| Note::Closed { task, ts });
            self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts, how: "superseded" });
        }
    }

    /// The step is over.
    pub fn settle_rest(&self) {
        let mut state = self.state();
        for message in std::mem::take(&mut state.replay.messages) {
            self.settle(&mut state, message);
        }
    }
}
