//! The API conversation in memory, and how much of it its file holds.
//!
//! It is as long as the model's window: what condensing and the sliding window take out of it is gone, in memory and on disk
//! (spec 02 §8.2), so that nothing of it is put away as the UI conversation's messages are.

use std::ops::Deref;

use crate::protocol::message::ApiMessage;

/// The messages, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiHistory {
    messages: Vec<ApiMessage>,
    /// So many at the front were handed out to be written, as they are.
    handed_out: usize,
    /// The file may hold something else: it must be written whole.
    rearranged: bool,
}

impl ApiHistory {
    /// Appends a message.
    pub fn push(&mut self, message: ApiMessage) {
        self.messages.push(message);
    }

    /// All messages, to be changed.
    pub fn edit(&mut self) -> &mut Vec<ApiMessage> {
        self.rearranged = true;
        &mut self.messages
    }

    /// Takes the messages since the last time with their places, as JSON; `None` when the file must be written whole.
    /// [`not_written`](Self::not_written) must follow if it is not.
    pub fn take_changes(&mut self) -> Option<Vec<(usize, Vec<u8>)>> {
        let from = std::mem::replace(&mut self.handed_out, self.messages.len());
        if std::mem::take(&mut self.rearranged) {
            return None;
        }
        let fresh = self.messages.iter().enumerate().skip(from);
        fresh.map(|(at, message)| Some((at, serde_json::to_vec(message).ok()?))).collect()
    }

    /// The changes did not reach the disk.
    pub fn not_written(&mut self) {
        self.rearranged = true;
    }
}

impl Deref for ApiHistory {
    type Target = [ApiMessage];

    fn deref(&self) -> &[ApiMessage] {
        &self.messages
    }
}

impl From<Vec<ApiMessage>> for ApiHistory {
    fn from(messages: Vec<ApiMessage>) -> ApiHistory {
        ApiHistory { messages, handed_out: 0, rearranged: true }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::message::{MessageContent, Role};
    use crate::task::store::TaskFolder;

    fn message(text: String) -> ApiMessage {
        ApiMessage { role: Role::User, content: MessageContent::Text(text), ts: Some(7), is_summary: None }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// parity 02 §13: whatever is appended, cut and replaced, the API file at rest is the whole conversation
        #[test]
        fn memory_and_disk_tell_the_same(steps in prop::collection::vec((0_usize..9, any::<prop::sample::Index>(), 1_usize..4), 1..30)) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut files = TaskFolder::new(folder.path());
            let mut api = ApiHistory::default();
            for (number, (what, at, size)) in steps.into_iter().enumerate() {
                match what {
                    0..=3 => api.push(message(format!("{number}\n\"é{}", "x".repeat(size * 60_000)))),
                    4 => {
                        let left = at.index(api.len() + 1);
                        api.edit().truncate(left);
                    }
                    5 => api = vec![message(format!("only {number}"))].into(),
                    6 => api.not_written(),
                    _ => {
                        files.write_api(&mut api, what == 7);
                        prop_assert_eq!(&files.read_api(), &api.to_vec());
                    }
                }
            }
            files.write_api(&mut api, true);
            let file = std::fs::read(folder.path().join("api_conversation_history.json")).expect("written");
            prop_assert!(file == serde_json::to_vec(&api.to_vec()).expect("JSON"));
            prop_assert!(!folder.path().join("api_conversation_history.delta").exists());
        }
    }

    #[test]
    fn what_is_appended_costs_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = TaskFolder::new(folder.path());
        let mut api: ApiHistory = (0..4).map(|_| message("x".repeat(100_000))).collect::<Vec<_>>().into();
        files.write_api(&mut api, false);
        let whole = std::fs::metadata(folder.path().join("api_conversation_history.json")).expect("there").len();
        api.push(message("new".into()));
        files.write_api(&mut api, false);
        let length = |name: &str| std::fs::metadata(folder.path().join(name)).expect("there").len();
        assert_eq!(length("api_conversation_history.json"), whole);
        assert!(length("api_conversation_history.delta") < 1000);
    }
}
