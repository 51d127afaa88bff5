//! Mistral's answers, streamed and whole (spec 07 §19.1).

use std::collections::VecDeque;

use bumpalo::Bump;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::providers::frames::SseEvent;
use crate::providers::loose::{First, Items, Loose, Object, Text};
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// One event. What has another type than expected counts as absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Loose<First<Loose<Object<Choice<'a>>>>>,
    usage: Loose<Option<Object<WireUsage>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Loose<Object<Delta<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

/// A text, or parts.
enum Content<'a> {
    Text(Text<'a>),
    Parts(Items<Loose<Object<Part<'a>>>>),
}

impl Default for Content<'_> {
    fn default() -> Self {
        Content::Text(Text::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Content<'a>, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        match value.get().starts_with('[') {
            true => {
                serde_json::from_str(value.get()).map(|Loose(parts)| Content::Parts(parts)).map_err(D::Error::custom)
            }
            false => Ok(Content::Text(Text::of(value))),
        }
    }
}

/// A part of the content, or of a thinking part.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Loose<Items<Loose<Object<Thought<'a>>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Thought<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Loose<Option<f64>>,
    #[serde(default)]
    completion_tokens: Loose<Option<f64>>,
}

/// Reads a streamed answer.
pub struct MistralDecoder {
    wording: Wording,
}

impl MistralDecoder {
    /// At the beginning of an answer.
    pub fn new(wording: Wording) -> MistralDecoder {
        MistralDecoder { wording }
    }
}

impl EventDecoder for MistralDecoder {
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        if event.data.starts_with("[DONE]") {
            return Ok(Flow::End);
        }
        let chunk: Chunk<'_> =
            serde_json::from_str(event.data).map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        match chunk.choices.0.0.unwrap_or_default().0.0.delta.0.0.content {
            Content::Text(text) => out.extend(filled(text).map(StreamChunk::Text)),
            Content::Parts(parts) => parts.into_iter().for_each(|part| push_part(part.0.0, arena, out)),
        }
        out.extend(chunk.usage.0.map(|Object(usage)| {
            let tokens = |count: Loose<Option<f64>>| count.0.unwrap_or(0.0) as u64;
            StreamChunk::Usage(Usage {
                input_tokens: tokens(usage.prompt_tokens),
                output_tokens: tokens(usage.completion_tokens),
                ..Usage::default()
            })
        }));
        Ok(Flow::Continue)
    }

    fn end(&mut self, _: &mut VecDeque<StreamChunk>) {}
}

fn push_part(part: Part<'_>, arena: &Bump, out: &mut VecDeque<StreamChunk>) {
    match part.kind.read(arena) {
        "text" => out.extend(filled(part.text).map(StreamChunk::Text)),
        "thinking" => {
            let thoughts = part.thinking.0.into_iter().map(|thought| thought.0.0);
            let texts = thoughts.filter(|thought| thought.kind.read(arena) == "text");
            out.extend(texts.filter_map(|thought| filled(thought.text)).map(StreamChunk::Reasoning));
        }
        _ => {}
    }
}

fn filled(text: Text<'_>) -> Option<String> {
    text.filled().map(Text::into_string)
}

/// Text of a whole answer: the content, or its text parts.
pub fn message_text(answer: &Value) -> String {
    match answer.pointer("/choices/0/message/content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn content_is_a_text_or_parts() {
        let (text, thought) = (|t: &str| StreamChunk::Text(t.into()), |t: &str| StreamChunk::Reasoning(t.into()));
        let inner =
            json!([{"type": "text", "text": "a"}, {"type": "reference", "text": "x"}, {"type": "text", "text": "b"}]);
        for (content, expected) in [
            (json!("plain \u{e9}\n"), vec![text("plain \u{e9}\n")]),
            (json!(""), vec![]),
            (
                json!([{"type": "thinking", "thinking": inner}, {"type": "text", "text": "c"}]),
                vec![thought("a"), thought("b"), text("c")],
            ),
            (json!([{"type": "image_url", "text": "x"}, 7, null]), vec![]),
            (json!([{"type": "thinking", "thinking": "odd"}]), vec![]),
            (json!(null), vec![]),
            (json!({"text": "x"}), vec![]),
        ] {
            let data = json!({"choices": [{"delta": {"role": "assistant", "content": content}}]}).to_string();
            let mut out = VecDeque::new();
            let mut decoder = MistralDecoder::new(Arc::new(|id, _| id.to_owned()));
            assert_eq!(decoder.event(&SseEvent { event: "", data: &data }, &Bump::new(), &mut out), Ok(Flow::Continue));
            assert_eq!(Vec::from(out), expected, "{content}");
        }
    }

    #[test]
    fn whole_answers_have_a_text() {
        for (content, expected) in [
            (json!("a"), "a"),
            (json!([{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]), "ab"),
            (json!(null), ""),
        ] {
            assert_eq!(message_text(&json!({"choices": [{"message": {"content": content}}]})), expected);
        }
    }
}
