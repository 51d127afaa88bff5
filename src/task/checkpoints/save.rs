//! Saving checkpoints (spec 02 §15.4) and telling of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::service::Unavailable;
use crate::git::Commit;
use crate::protocol::message::{Say, UiKind, UiMessage};
use crate::protocol::tool::ToolName;
use crate::task::host::TaskEvent;
use crate::task::instance::{Aborted, State, Task};

/// How a checkpoint is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::task) struct Saving {
    /// Also when nothing has changed.
    pub force: bool,
    /// The host need not show it.
    pub suppress: bool,
}

/// When a checkpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// At once: the step waits for it.
    Now,
    /// Not before the message that grows is complete, or another follows it.
    Beside,
}

impl Task {
    /// Before a call that may edit, or that ends the task: one checkpoint a request (spec 01 §6.2 h).
    pub async fn checkpoint_before(self: &Arc<Self>, tool: ToolName) -> Result<(), Aborted> {
        use ToolName::{ApplyDiff, AttemptCompletion, EditFile, InsertContent, SearchAndReplace, WriteToFile};
        let due =
            [ApplyDiff, AttemptCompletion, EditFile, InsertContent, SearchAndReplace, WriteToFile].contains(&tool);
        if !due || self.checkpoints.is_off() || self.turn().checkpointed {
            return Ok(());
        }
        // A restored task has it already, and the call it belongs to may have had effects since.
        if self.take_up_checkpoint() {
            self.turn().checkpointed = true;
            return Ok(());
        }
        // The edits of a dry run change no file; what its commands changed is saved with the completion.
        let is_dry_run = self.is_dry_run();
        if is_dry_run && tool != AttemptCompletion {
            return Ok(());
        }
        let saving = Saving { force: !is_dry_run, suppress: false };
        let saved = self.unless_aborted(self.save_checkpoint(saving, Telling::Now)).await?;
        self.turn().checkpointed = saved;
        Ok(())
    }

    /// Saves beside whatever the task does.
    pub fn checkpoint_beside(&self, saving: Saving) {
        if self.checkpoints.is_off() {
            return;
        }
        let Some(task) = self.shared() else { return };
        self.services.spawner.spawn(async move {
            let _ = task.unless_aborted(task.save_checkpoint(saving, Telling::Beside)).await;
        });
    }

    /// Saves the state of the workspace; false when that failed, which turns checkpoints off.
    async fn save_checkpoint(&self, saving: Saving, telling: Telling) -> bool {
        match self.try_checkpoint(saving, telling).await {
            Ok(_) => true,
            Err(error) => {
                self.without_checkpoints(&error);
                false
            }
        }
    }

    /// `None`: nothing has changed, and nothing was saved.
    pub(super) async fn try_checkpoint(&self, saving: Saving, telling: Telling) -> Result<Option<Commit>, Unavailable> {
        let turn = self.checkpoint_turn().await?;
        let message = self.checkpoint_message();
        let (_turn, saved) = turn
            .work(move |open| {
                let Some(to) = open.shadow.save(&message, saving.force)? else { return Ok(None) };
                let from = std::mem::replace(&mut open.last, to.clone());
                Ok(Some((from, to)))
            })
            .await?;
        // Still in turn: checkpoints are told in the order in which they were made.
        Ok(saved.map(|(from, to)| {
            self.say_checkpoint(&from, &to, saving.suppress, telling);
            to
        }))
    }

    /// What the commit says.
    pub(super) fn checkpoint_message(&self) -> String {
        format!("Task: {}, Time: {}", self.id, (self.services.surroundings.now_ms)())
    }

    fn say_checkpoint(&self, from: &Commit, to: &Commit, suppress: bool, telling: Telling) {
        if self.check().is_err() {
            return;
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let mut message = saved_message(self.next_ts(state), from, to, suppress);
        match state.replay.messages.back() {
            None => {
                state.untold_checkpoints.push(message);
                match telling {
                    Telling::Now => self.tell_checkpoints(state),
                    Telling::Beside => self.tell_checkpoints_at_rest(state),
                }
            }
            // Said beside a step that is done again, and none of its messages: it stands behind them.
            Some(last) => {
                message.ts = message.ts.max(last.ts + 1);
                self.note_ui(&message);
                self.emit(TaskEvent::MessageCreated { task: self.id.clone(), message: message.clone() });
                state.replay.messages.push_back(message);
                self.emit(TaskEvent::Checkpoint { task: self.id.clone(), commit: to.to_string() });
            }
        }
        drop(guard);
        self.persist_ui();
    }

    /// Tells of the checkpoints that were made while a message grew, if none does.
    pub(in crate::task) fn tell_checkpoints_at_rest(&self, state: &mut State) {
        if state.ui.last().is_none_or(|last| last.partial != Some(true)) {
            self.tell_checkpoints(state);
        }
    }

    /// Tells of the checkpoints that were made while a message grew.
    pub(in crate::task) fn tell_checkpoints(&self, state: &mut State) {
        for message in std::mem::take(&mut state.untold_checkpoints) {
            let commit = message.text.clone().unwrap_or_default();
            self.append_new(state, message);
            self.emit(TaskEvent::Checkpoint { task: self.id.clone(), commit });
        }
    }

    /// Goes past the checkpoint that the step made before the session was killed; false when there is none such.
    fn take_up_checkpoint(&self) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(at) = state.replay.messages.iter().position(is_shown_checkpoint) else { return false };
        let rest = state.replay.messages.split_off(at + 1);
        for message in std::mem::replace(&mut state.replay.messages, rest) {
            self.settle(state, message);
        }
        true
    }
}

/// The message of a saved checkpoint.
pub(super) fn saved_message(ts: i64, from: &Commit, to: &Commit, suppress: bool) -> UiMessage {
    let mut message = UiMessage::new(ts, UiKind::Say(Say::CheckpointSaved), Some(to.to_string()));
    message.checkpoint = Some(json!({"from": from.to_string(), "to": to.to_string(), "suppressMessage": suppress}));
    message
}

/// Whether the host need not show it.
pub(super) fn is_suppressed(message: &UiMessage) -> bool {
    message.checkpoint.as_ref().and_then(|checkpoint| checkpoint.get("suppressMessage")) == Some(&Value::Bool(true))
}

fn is_shown_checkpoint(message: &UiMessage) -> bool {
    message.kind == UiKind::Say(Say::CheckpointSaved) && !is_suppressed(message)
}
