//! One event of a streamed answer. What has another type than expected counts as absent.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The parts of an event that mean anything to us.
#[derive(Deserialize)]
pub struct ChatChunk {
    #[serde(default, deserialize_with = "loose")]
    choices: Vec<Tolerant<Choice>>,
    /// Counts; `null` until they are known.
    #[serde(default)]
    pub usage: Value,
    /// A failure in place of an answer.
    #[serde(default)]
    pub error: Value,
}

impl ChatChunk {
    /// The choice that counts: the first.
    pub fn into_choice(self) -> Option<Choice> {
        self.choices.into_iter().next().map(|choice| choice.0)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    #[serde(deserialize_with = "loose")]
    pub delta: Delta,
    #[serde(deserialize_with = "loose")]
    pub finish_reason: String,
}

/// What was added to the message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Delta {
    #[serde(deserialize_with = "loose")]
    pub content: String,
    #[serde(deserialize_with = "loose")]
    pub reasoning_content: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub reasoning: Option<String>,
}

/// A value of the type, or its default in place of anything else.
struct Tolerant<T>(T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Tolerant<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        loose(deserializer).map(Tolerant)
    }
}

fn loose<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose<T> {
        Fitting(T),
        Other(IgnoredAny),
    }
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Fitting(value) => value,
        Loose::Other(_) => T::default(),
    })
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
            let chunk: ChatChunk = serde_json::from_str(event).expect(event);
            let choice = chunk.into_choice();
            assert_eq!(choice.as_ref().map(|choice| choice.delta.content.as_str()), content, "{event}");
            assert_eq!(choice.map_or(String::new(), |choice| choice.finish_reason), finish, "{event}");
        }
    }
}
