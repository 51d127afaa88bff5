//! One event of a streamed answer. What has another type than expected counts as absent.

use serde::Deserialize;
use serde_json::Value;

use crate::providers::loose::{First, Loose, Object, Text, object};

/// The parts of an event that mean anything to us.
#[derive(Deserialize)]
pub struct ChatChunk<'a> {
    #[serde(borrow, default)]
    choices: Loose<First<Loose<Object<Choice<'a>>>>>,
    /// Counts; `null` until they are known.
    #[serde(default)]
    pub usage: Value,
    /// A failure in place of an answer.
    #[serde(default)]
    pub error: Value,
}

impl<'a> ChatChunk<'a> {
    /// The choice that counts: the first.
    pub fn into_choice(self) -> Option<Choice<'a>> {
        self.choices.0.0.map(|choice| choice.0.0)
    }
}

/// One of several answers; only the first is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Choice<'a> {
    /// What was added to it.
    #[serde(borrow, deserialize_with = "object")]
    pub delta: Delta<'a>,
    /// Why it ended; empty until then.
    #[serde(borrow)]
    pub finish_reason: Text<'a>,
}

/// What was added to the message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Delta<'a> {
    /// Text.
    #[serde(borrow)]
    pub content: Text<'a>,
    /// Thinking.
    #[serde(borrow)]
    pub reasoning_content: Text<'a>,
    /// Thinking, as some vendors name it.
    #[serde(borrow)]
    pub reasoning: Text<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_types_count_as_absent() {
        for (event, content, finish) in [
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#, Some("a"), "stop"),
            (r#"{"choices":[{"delta":{"content":["a"],"reasoning":1},"finish_reason":2}]}"#, Some(""), ""),
            (r#"{"choices":[{"delta":{"content":"a","reasoning_content":null}},7]}"#, Some("a"), ""),
            (r#"{"choices":[7,{"delta":{"content":"b"}}]}"#, Some(""), ""),
            (r#"{"choices":[{"delta":null}]}"#, Some(""), ""),
            (r#"{"choices":{}}"#, None, ""),
            (r#"{"choices":[]}"#, None, ""),
            ("{}", None, ""),
        ] {
            let chunk: ChatChunk<'_> = serde_json::from_str(event).expect(event);
            let choice = chunk.into_choice();
            let read = choice.as_ref().map(|choice| choice.delta.content.into_string());
            assert_eq!(read.as_deref(), content, "{event}");
            assert_eq!(choice.unwrap_or_default().finish_reason.into_string(), finish, "{event}");
        }
    }
}
