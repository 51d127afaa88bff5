//! Going back to a checkpoint, and forward again (spec 02 §15.5, D16).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::record::{self, Change, Conversation, Outcome, Record};
use super::save::saved_message;
use super::service::Unavailable;
use crate::git::Commit;
use crate::protocol::message::{Say, UiKind, UiMessage};
use crate::task::host::TaskEvent;
use crate::task::instance::Task;
use crate::task::manager::Manager;
use crate::task::recovery::Note;
use crate::task::session::{CommandError, Reply};
use crate::task::stored::Stored;

/// How long a restore waits for a tool of the stopped task to let go of its file.
const REST_LIMIT: Duration = Duration::from_millis(3000);

/// Where to go back to.
pub(in crate::task) struct Target {
    /// The state of the files.
    pub commit: Commit,
    /// And of the conversation.
    pub conversation: TargetConversation,
}

/// What becomes of the conversation.
pub(in crate::task) enum TargetConversation {
    /// It stays.
    Keep,
    /// It ends before the message `ts`, or behind it if it `keeps` that.
    CutAt {
        /// Identity of the message.
        ts: i64,
        /// The message itself stays in the UI conversation.
        keeps: bool,
    },
    /// It is this.
    Replace(Conversation),
    /// Whoever asked for the restore changes it.
    Leave,
}

impl Manager {
    /// Restores a checkpoint of the current task: the files alone, or the conversation with them.
    pub async fn restore_checkpoint(&self, checkpoint: &str, with_conversation: bool) -> Reply {
        let task = self.current().ok_or(CommandError::NoTask)?;
        let unknown = || CommandError::NoSuchCheckpoint(checkpoint.to_owned());
        let (ts, commit) = task.find_checkpoint(checkpoint).ok_or_else(unknown)?;
        let conversation = match (with_conversation, ts) {
            (false, _) => TargetConversation::Keep,
            (true, Some(ts)) => TargetConversation::CutAt { ts, keeps: false },
            (true, None) => return Err(unknown()),
        };
        self.go_back(&task, Target { commit, conversation }).await
    }

    /// Takes the last restore of the current task back: files, and the conversation if it was cut. That is a restore as well, and
    /// can be undone.
    pub async fn undo_restore(&self) -> Reply {
        let task = self.current().ok_or(CommandError::NoTask)?;
        let record = task.read_record().await.ok_or(CommandError::NothingToUndo)?;
        let conversation = record.conversation.map_or(TargetConversation::Keep, TargetConversation::Replace);
        let commit = Commit::parse(&record.before).map_err(|error| CommandError::RestoreFailed(error.to_string()))?;
        self.go_back(&task, Target { commit, conversation }).await
    }

    /// Stops the task, records where it is, and lets a new instance go on from the state asked for.
    pub async fn go_back(&self, task: &Arc<Task>, to: Target) -> Reply {
        let before = self.begin_restore(task, to).await?;
        self.reopen(task, None).await?;
        let mut reply = self.restored().await?;
        reply["before"] = before.into();
        Ok(reply)
    }

    /// Stops the task, saves its state and writes down what is to be restored, which the instance opened next carries out. If
    /// that fails, the task is opened again as it was.
    pub async fn begin_restore(&self, task: &Arc<Task>, to: Target) -> Result<String, CommandError> {
        // Asked before anything is stopped.
        task.needs_checkpoints().await?;
        self.stop(task).await;
        let rests = async {
            loop {
                let progress = task.progress.notified();
                if !task.turn().busy {
                    return;
                }
                progress.await;
            }
        };
        let _ = tokio::time::timeout(REST_LIMIT, rests).await;
        task.store.flush().await;
        let recorded = task.record_restore(to).await;
        if recorded.is_err() {
            self.reopen(task, None).await?;
        }
        recorded
    }

    /// What became of the restore that the current task was opened with.
    pub async fn restored(&self) -> Reply {
        let current = self.current().ok_or(CommandError::NoTask)?;
        match current.read_record().await.map(|record| (record.outcome, record.commit)) {
            Some((Outcome::Done, commit)) => Ok(json!({"task": current.id, "checkpoint": commit})),
            Some((Outcome::Failed(why), _)) => Err(CommandError::RestoreFailed(why)),
            Some((Outcome::Pending, _)) | None => Err(CommandError::RestoreFailed(String::new())),
        }
    }
}

impl Task {
    /// The message and the commit of a checkpoint; that of the state in which the task began has no message.
    fn find_checkpoint(&self, checkpoint: &str) -> Option<(Option<i64>, Commit)> {
        let state = self.state();
        let mut saved = state.ui.iter().filter(|message| message.kind == UiKind::Say(Say::CheckpointSaved)).peekable();
        let first = saved.peek().and_then(|message| message.checkpoint.as_ref()?.get("from")?.as_str());
        if first == Some(checkpoint) {
            return Some((None, Commit::parse(checkpoint).ok()?));
        }
        let message = saved.find(|message| message.text.as_deref() == Some(checkpoint))?;
        Some((Some(message.ts), Commit::parse(checkpoint).ok()?))
    }

    /// The first checkpoint behind this message.
    pub fn checkpoint_after(&self, ts: i64) -> Option<Commit> {
        let state = self.state();
        let mut behind = state.ui.iter().filter(|message| message.ts > ts);
        let saved = behind.find(|message| message.kind == UiKind::Say(Say::CheckpointSaved))?;
        Commit::parse(saved.text.as_deref()?).ok()
    }

    /// Refuses what needs checkpoints when there are none.
    pub async fn needs_checkpoints(&self) -> Result<(), CommandError> {
        self.checkpoint_turn().await.map(drop).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &Unavailable) -> CommandError {
        self.without_checkpoints(error);
        CommandError::NoCheckpoints(self.explain_unavailable(error))
    }

    /// Saves the present state and writes down what is to be done. The id of the checkpoint that leads back.
    async fn record_restore(&self, to: Target) -> Result<String, CommandError> {
        let message = self.checkpoint_message();
        let saved = async {
            let turn = self.checkpoint_turn().await?;
            let (_turn, saved) = turn
                .work(move |open| {
                    let from = open.last.clone();
                    let before = open.shadow.save(&message, true)?.unwrap_or_else(|| from.clone());
                    open.last = before.clone();
                    Ok((from, before))
                })
                .await?;
            Ok(saved)
        };
        let (from, before) = saved.await.map_err(|error| self.refused(&error))?;
        let present = self.conversation();
        let until = present.ui.iter().map(|m| m.ts).chain(present.api.iter().filter_map(|m| m.ts)).max().unwrap_or(0);
        let ts = until.max((self.services.surroundings.now_ms)()) + 1;
        let (change, said) = match to.conversation {
            TargetConversation::Keep => (Change::Keep, Some(saved_message(ts, &from, &before, true))),
            TargetConversation::CutAt { ts: at, keeps } => {
                let removed: Vec<UiMessage> = present.ui.iter().filter(|message| message.ts > at).cloned().collect();
                let change = Change::Cut { ui_from: at + i64::from(keeps), api_from: at, until };
                (change, Some(record::deleted_message(ts, &removed)))
            }
            TargetConversation::Replace(other) => (Change::Replace(other), None),
            TargetConversation::Leave => (Change::Keep, None),
        };
        let changes = change != Change::Keep || said.is_none();
        let record = Record {
            outcome: Outcome::Pending,
            commit: to.commit.to_string(),
            conversation: changes.then_some(present),
            change,
            before: before.to_string(),
            said,
        };
        self.write_record(record).await.map_err(CommandError::RestoreFailed)?;
        Ok(before.to_string())
    }

    /// Carries out a restore that was written down and not carried out. `stored` is the task's conversation; what becomes
    /// of it is in the task's files when this returns. False when the restore failed: then all is as it was.
    pub async fn complete_restore(self: &Arc<Self>, stored: Stored) -> (Stored, bool) {
        let Some(mut record) = self.read_record().await.filter(|record| record.outcome == Outcome::Pending) else {
            return (stored, true);
        };
        let target = Commit::parse(&record.commit);
        let message = self.checkpoint_message();
        let restored = async {
            let commit = target?;
            let turn = self.checkpoint_turn().await?;
            let work = turn.work(move |open| {
                // What was changed since it was asked for, if it was cut off then, is not lost.
                open.shadow.save(&message, false)?;
                open.shadow.restore(&commit)?;
                open.last = commit;
                Ok(())
            });
            work.await.map(drop)
        };
        if let Err(error) = restored.await {
            self.without_checkpoints(&error);
            record.outcome = Outcome::Failed(self.explain_unavailable(&error));
            let _ = self.write_record(record).await;
            return (stored, false);
        }
        let after = record.apply(&stored);
        self.note_change(&stored, &after);
        {
            let mut state = self.state();
            state.ui.clone_from(&after.ui);
            state.ui.rearranged();
            state.api = after.api.clone().into();
        }
        self.persist_ui();
        self.persist_api();
        self.store.flush().await;
        if let Some(said) = record.said.clone() {
            self.emit(TaskEvent::MessageCreated { task: self.id.clone(), message: said });
        }
        self.emit(TaskEvent::Checkpoint { task: self.id.clone(), commit: record.commit.clone() });
        record.outcome = Outcome::Done;
        let _ = self.write_record(record).await;
        (after, true)
    }

    /// Notes how the conversation changed.
    fn note_change(&self, before: &Stored, after: &Stored) {
        if !self.services.host.keeps_notes() {
            return;
        }
        let stay: HashSet<i64> = after.ui.iter().map(|message| message.ts).collect();
        let removed = before.ui.iter().map(|message| message.ts).filter(|ts| !stay.contains(ts)).collect();
        let kept = before.api.iter().zip(&after.api).take_while(|(before, after)| before == after).count();
        self.note(|task| Note::Cut { task, removed, kept });
        let known: HashSet<i64> = before.ui.iter().map(|message| message.ts).collect();
        after.ui.iter().filter(|message| !known.contains(&message.ts)).for_each(|message| self.note_ui(message));
        for (index, message) in after.api.iter().enumerate().skip(kept) {
            self.note(|task| Note::Api { task, index, message: message.clone() });
        }
    }

    /// The conversation, with what a restored session has not taken up yet.
    fn conversation(&self) -> Conversation {
        let state = self.state();
        let ui = state.ui.wholes(|_| true).map(Cow::into_owned).chain(state.replay.messages.iter().cloned());
        Conversation { ui: ui.collect(), api: state.api.to_vec() }
    }

    async fn read_record(&self) -> Option<Record> {
        let folder = self.store.folder().to_owned();
        tokio::task::spawn_blocking(move || Record::read(&folder)).await.ok().flatten()
    }

    pub(super) async fn write_record(&self, record: Record) -> Result<(), String> {
        let folder = self.store.folder().to_owned();
        let tag = (self.services.surroundings.new_id)();
        let written = tokio::task::spawn_blocking(move || record.write(&folder, &tag)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
