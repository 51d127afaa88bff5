//! What changed since the last completion (spec 02 §15.8).

use serde_json::{Value, json};

use super::service::Unavailable;
use crate::git::Commit;
use crate::protocol::message::{Say, UiKind, UiMessage};
use crate::task::instance::Task;

/// Two checkpoints between which a result came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::task) struct CommitRange {
    from: String,
    to: String,
}

impl CommitRange {
    /// The range for a completion that follows these messages, if they tell of one.
    fn before_completion(messages: &[UiMessage]) -> Option<CommitRange> {
        let is = |message: &UiMessage, say: Say| message.kind == UiKind::Say(say);
        // A result that is still streaming in is the one that the range is for.
        let grows = |message: &UiMessage| message.partial == Some(true);
        let checkpoint = |message: &&UiMessage| is(message, Say::CheckpointSaved) && message.text.is_some();
        let previous = messages.iter().rposition(|message| is(message, Say::CompletionResult) && !grows(message));
        let last = messages.iter().rposition(|message| checkpoint(&message))?;
        if previous.is_some_and(|previous| last < previous) {
            return None;
        }
        let from = match previous {
            Some(previous) => messages[..previous].iter().rfind(checkpoint),
            None => None,
        };
        let from = from.or_else(|| messages.iter().find(checkpoint))?.text.clone()?;
        let to = messages[last].text.clone()?;
        (from != to).then_some(CommitRange { from, to })
    }

    /// As a message's metadata.
    pub fn metadata(&self) -> Value {
        json!({"kiloCode": {"commitRange": {"from": self.from, "to": self.to}}})
    }
}

impl Task {
    /// The range of the completion that is about to be shown; absent when nothing changed or anything fails.
    pub async fn completion_range(&self) -> Option<CommitRange> {
        if self.checkpoints.is_off() {
            return None;
        }
        let range = CommitRange::before_completion(&self.state().ui)?;
        let (from, to) = (Commit::parse(&range.from).ok()?, Commit::parse(&range.to).ok()?);
        let changed = async {
            let turn = self.checkpoint_turn().await?;
            let (_turn, changed) =
                turn.work(move |open| Ok(open.shadow.diff(&from, Some(&to)).is_ok_and(|c| !c.is_empty()))).await?;
            Ok::<bool, Unavailable>(changed)
        };
        let changed = self.unless_aborted(changed).await;
        matches!(changed, Ok(Ok(true))).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(kinds: &str) -> Vec<UiMessage> {
        let message = |(at, kind): (usize, char)| {
            let (say, text) = match kind {
                '!' => (Say::CompletionResult, "done".to_owned()),
                '~' => (Say::CompletionResult, "do".to_owned()),
                '.' => (Say::Text, "text".to_owned()),
                commit => (Say::CheckpointSaved, commit.to_string()),
            };
            let mut message = UiMessage::new(at as i64, UiKind::Say(say), Some(text));
            message.partial = (kind == '~').then_some(true);
            message
        };
        kinds.chars().enumerate().map(message).collect()
    }

    /// parity 02 §15.8: from the last checkpoint before the previous completion, else the first, to the last one
    #[test]
    fn the_range_of_a_completion() {
        for (history, range) in [
            ("", None),
            (".", None),
            (".a", None),
            (".a.b", Some("ab")),
            ("abc", Some("ac")),
            ("abc~", Some("ac")),
            ("ab!c", Some("bc")),
            ("ab!", None),
            ("ab!.", None),
            ("!ab", Some("ab")),
            ("!b", None),
            ("a!b!cd", Some("bd")),
        ] {
            let found = CommitRange::before_completion(&messages(history));
            assert_eq!(found.map(|range| range.from + &range.to).as_deref(), range, "{history}");
        }
    }
}
