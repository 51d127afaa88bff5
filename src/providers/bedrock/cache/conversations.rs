//! What was planned for the last request of each conversation.

use std::collections::VecDeque;

use super::Placement;
use crate::protocol::message::{ApiMessage, MessageContent, Role};

/// UTF-16 units of the first message that tell conversations apart.
const KEY_UNITS: usize = 20;
/// Most conversations remembered; the one not asked for the longest goes first.
const MOST: usize = 64;

/// By what a conversation is known again: who speaks first and the beginning of what is said. `None` stands for blocks. That
/// two conversations can begin alike is the specification's; it costs a cache hit, never correctness.
type Key = Option<(Role, Option<Vec<u16>>)>;

/// Placements by conversation, bounded.
#[derive(Debug, Default)]
pub struct Conversations(VecDeque<(Key, Vec<Placement>)>);

impl Conversations {
    /// Points of this conversation's last request.
    pub fn previous(&self, messages: &[ApiMessage]) -> &[Placement] {
        let key = key(messages);
        self.0.iter().find(|(known, _)| *known == key).map_or(&[], |(_, points)| points)
    }

    /// Remembers the points of a request.
    pub fn remember(&mut self, messages: &[ApiMessage], points: Vec<Placement>) {
        let key = key(messages);
        self.0.retain(|(known, _)| *known != key);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((key, points));
    }
}

fn key(messages: &[ApiMessage]) -> Key {
    let first = messages.first()?;
    let beginning = match &first.content {
        MessageContent::Text(text) => Some(text.encode_utf16().take(KEY_UNITS).collect()),
        MessageContent::Blocks(_) => None,
    };
    Some((first.role, beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(content: serde_json::Value) -> Vec<ApiMessage> {
        serde_json::from_value(json!([{"role": "user", "content": content}])).expect("messages")
    }

    #[test]
    fn conversations_are_known_by_their_beginning() {
        let point = |index| vec![Placement { index, tokens_covered: 1 }];
        let mut known = Conversations::default();
        known.remember(&messages(json!("0123456789012345678901")), point(1));
        known.remember(&messages(json!([{"type": "text", "text": "a"}])), point(2));
        known.remember(&[], point(3));
        for (content, expected) in [
            (json!("01234567890123456789 and more"), Some(1)),
            (json!("0123456789"), None),
            (json!([]), Some(2)),
            (json!(""), None),
        ] {
            let points = known.previous(&messages(content.clone()));
            assert_eq!(points.first().map(|point| point.index), expected, "{content}");
        }
        assert_eq!(known.previous(&[]), point(3));
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut known = Conversations::default();
        for i in 0..=MOST {
            known.remember(&messages(json!(format!("conversation {i}"))), vec![]);
        }
        assert_eq!(known.0.len(), MOST);
        assert!(known.0.iter().all(|(key, _)| *key != super::key(&messages(json!("conversation 0")))));
    }
}
