//! Going back to an earlier message of the current task (spec 02 §15.6).
//!
//! What the task does is stopped, its conversation is cut, and a fresh instance goes on from there, as after a stop. The edited text
//! answers that instance's resume question: it waits in its queue, where the note of the cut leaves it too.

use std::sync::Arc;

use serde_json::Value;

use super::checkpoints::{Target, TargetConversation};
use super::instance::Task;
use super::manager::Manager;
use super::queue::QueuedMessage;
use super::session::{CommandError, Reply};
use super::stored::Stored;
use crate::protocol::message::{ApiMessage, Say, UiKind, UiMessage};

/// Where a fresh instance goes on, instead of at the end of the stored conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rewind {
    /// Before the message of this `ts`; the user then says something else, if that is given.
    To(i64, Option<QueuedMessage>),
    /// At the very beginning, with another task text.
    Anew(String, Vec<String>),
}

impl Manager {
    /// Goes on from before a message of the user with another in its place.
    pub(super) async fn edit_message(&self, ts: i64, text: String, images: Vec<String>, restore: bool) -> Reply {
        let task = self.task()?;
        let at = position(&task, ts)?;
        let rewind = match of_user(&task.state().ui, at) {
            None => Rewind::Anew(text, images),
            Some(ts) => {
                let surroundings = &self.services.surroundings;
                let (timestamp, id) = ((surroundings.now_ms)(), (surroundings.new_id)());
                Rewind::To(ts, Some(QueuedMessage { timestamp, id, text, images }))
            }
        };
        self.rewind(&task, ts, rewind, restore).await
    }

    /// Goes back to before a message.
    pub(super) async fn delete_message(&self, ts: i64, restore: bool) -> Reply {
        let task = self.task()?;
        if position(&task, ts)? == 0 {
            return Err(CommandError::Invalid("the first message is the task itself: delete the task".into()));
        }
        self.rewind(&task, ts, Rewind::To(ts, None), restore).await
    }

    async fn rewind(&self, task: &Arc<Task>, ts: i64, rewind: Rewind, restore: bool) -> Reply {
        if restore {
            task.needs_checkpoints().await?;
            // Without a checkpoint behind the message, the task has changed no file since.
            if let Some(commit) = task.checkpoint_after(ts) {
                self.begin_restore(task, Target { commit, conversation: TargetConversation::Leave }).await?;
                self.reopen(task, Some(rewind)).await?;
                return self.restored().await.map(|_| Value::Null);
            }
        }
        self.stop(task).await;
        self.reopen(task, Some(rewind)).await.map(|_| Value::Null)
    }
}

/// Place of the message in the UI conversation.
fn position(task: &Task, ts: i64) -> Result<usize, CommandError> {
    task.state().ui.iter().position(|message| message.ts == ts).ok_or(CommandError::NoSuchMessage(ts))
}

/// The user's last message at or before this place; `None`: that is the task itself.
fn of_user(ui: &[UiMessage], at: usize) -> Option<i64> {
    let said = |m: &&UiMessage| m.kind == UiKind::Say(Say::UserFeedback);
    ui.get(1..=at).unwrap_or_default().iter().rfind(said).map(|message| message.ts)
}

impl Rewind {
    /// Cuts the conversations.
    pub fn cut(&self, stored: &mut Stored) {
        match self {
            Rewind::To(ts, _) => {
                let end = stored.ui.iter().position(|message| message.ts == *ts).unwrap_or(stored.ui.len());
                stored.ui.truncate(end);
                stored.api.truncate(api_end(&stored.api, *ts));
            }
            Rewind::Anew(text, images) => {
                stored.ui.truncate(1);
                if let Some(first) = stored.ui.edit(0) {
                    first.text = Some(text.clone());
                    first.images = (!images.is_empty()).then(|| images.clone());
                }
                stored.api.clear();
            }
        }
    }
}

/// How many API messages are left when the UI message `ts` goes: those before the entry of the same time, else before the first
/// later one; all when there is none.
fn api_end(api: &[ApiMessage], ts: i64) -> usize {
    let same = api.iter().position(|message| message.ts == Some(ts));
    same.or_else(|| api.iter().position(|message| message.ts.is_some_and(|at| at >= ts))).unwrap_or(api.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::{MessageContent, Role};

    fn ui(ts: i64, say: Say) -> UiMessage {
        UiMessage::new(ts, UiKind::Say(say), Some(ts.to_string()))
    }

    fn api(ts: Option<i64>) -> ApiMessage {
        ApiMessage { role: Role::User, content: MessageContent::Text(String::new()), ts, is_summary: None }
    }

    #[test]
    fn the_api_conversation_is_cut_at_the_same_time_or_the_first_later_one() {
        for (times, ts, left) in [
            (vec![Some(1), Some(5), Some(3), Some(5)], 3, 2),
            (vec![Some(1), Some(5), Some(9)], 4, 1),
            (vec![Some(1), None, Some(9)], 4, 2),
            (vec![Some(1), None], 4, 2),
            (vec![], 4, 0),
        ] {
            let messages: Vec<ApiMessage> = times.iter().copied().map(api).collect();
            assert_eq!(api_end(&messages, ts), left, "{times:?} at {ts}");
        }
    }

    /// parity 02 §15.6: an edit moves back to the user's own message at or before the one that was named
    #[test]
    fn an_edit_means_a_message_of_the_user() {
        let messages = [
            ui(1, Say::Text),
            ui(2, Say::ApiReqStarted),
            ui(3, Say::UserFeedback),
            ui(4, Say::Text),
            ui(5, Say::UserFeedback),
        ];
        for (at, meant) in [(0, None), (1, None), (2, Some(3)), (3, Some(3)), (4, Some(5))] {
            assert_eq!(of_user(&messages, at), meant, "{at}");
        }
    }

    /// parity 02 §15.6: both conversations are cut before the message; what stays keeps its checkpoint
    #[test]
    fn what_stays_is_as_it_was() {
        let mut saved = ui(2, Say::CheckpointSaved);
        saved.checkpoint = Some(serde_json::json!({"from": "a", "to": "b"}));
        let mut stored = Stored {
            ui: vec![ui(1, Say::Text), saved.clone(), ui(3, Say::Text)].into(),
            api: vec![api(Some(1)), api(Some(4))],
            ..Stored::default()
        };
        Rewind::To(3, None).cut(&mut stored);
        assert_eq!((stored.ui.to_vec(), stored.api.clone()), (vec![ui(1, Say::Text), saved], vec![api(Some(1))]));
        Rewind::Anew("other".into(), vec!["data:".into()]).cut(&mut stored);
        let (texts, images) = (stored.ui[0].text.as_deref(), stored.ui[0].images.as_deref());
        assert_eq!((texts, images), (Some("other"), Some(["data:".to_owned()].as_slice())));
        assert_eq!((stored.ui.len(), stored.api.len()), (1, 0));
    }
}
