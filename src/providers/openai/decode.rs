//! Answers of chat completions, streamed and whole (spec 07 §11.1 to §11.4).

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::providers::failure::error_message;
use crate::providers::frames::SseEvent;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::think::ThinkMatcher;
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// One event of the stream. What has another type than expected counts as absent.
#[derive(Deserialize)]
struct ChatChunk {
    #[serde(default, deserialize_with = "loose")]
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "loose")]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "loose")]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default, deserialize_with = "loose")]
    content: String,
    #[serde(default, deserialize_with = "loose")]
    reasoning_content: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    #[serde(deserialize_with = "loose")]
    prompt_tokens: f64,
    #[serde(deserialize_with = "loose")]
    completion_tokens: f64,
    #[serde(deserialize_with = "loose")]
    cache_creation_input_tokens: f64,
    #[serde(deserialize_with = "loose")]
    cache_read_input_tokens: f64,
}

fn loose<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose<T> {
        Fitting(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Fitting(value) => value,
        Loose::Other(_) => T::default(),
    })
}

impl WireUsage {
    /// Both token counts; with the cache fields unless the o-series is spoken to.
    fn usage(self, with_cache: bool) -> Usage {
        let cached = |tokens: f64| (with_cache && tokens > 0.0).then_some(tokens as u64);
        Usage {
            input_tokens: self.prompt_tokens as u64,
            output_tokens: self.completion_tokens as u64,
            cache_write_tokens: cached(self.cache_creation_input_tokens),
            cache_read_tokens: cached(self.cache_read_input_tokens),
            ..Usage::default()
        }
    }
}

/// Reads a streamed answer.
pub struct ChatDecoder {
    /// The o-series branch reads neither thinking nor tags, and reports each usage at once.
    o_series: bool,
    matcher: ThinkMatcher,
    usage: Option<Usage>,
    wording: Wording,
}

impl ChatDecoder {
    /// At the beginning of an answer.
    pub fn new(o_series: bool, wording: Wording) -> ChatDecoder {
        ChatDecoder { o_series, matcher: ThinkMatcher::default(), usage: None, wording }
    }
}

impl EventDecoder for ChatDecoder {
    fn event(&mut self, event: &SseEvent<'_>, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        if event.data.starts_with("[DONE]") {
            return Ok(Flow::End);
        }
        let chunk: ChatChunk = serde_json::from_str(event.data).map_err(|error| {
            ProviderError::worded(&self.wording, "provider.invalid_answer", &[("cause", &error.to_string())])
        })?;
        if is_truthy(&chunk.error) {
            return Err(reported(chunk.error));
        }
        let usage = chunk.usage.map(|usage| usage.usage(!self.o_series));
        let delta = chunk.choices.into_iter().next().map(|choice| choice.delta).unwrap_or_default();
        if self.o_series {
            if !delta.content.is_empty() {
                out.push_back(StreamChunk::Text(delta.content));
            }
            out.extend(usage.map(StreamChunk::Usage));
            return Ok(Flow::Continue);
        }
        self.matcher.update(&delta.content, out);
        if !delta.reasoning_content.is_empty() {
            out.push_back(StreamChunk::Reasoning(delta.reasoning_content));
        }
        self.usage = usage.or(self.usage);
        Ok(Flow::Continue)
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        self.matcher.finish(out);
        out.extend(self.usage.take().map(StreamChunk::Usage));
    }
}

/// A failure that the stream itself reports: no status.
fn reported(error: Value) -> ProviderError {
    let code = match error.get("code") {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    };
    let message = error_message(&error);
    ProviderError { message, code, details: serde_json::Map::from_iter([("error".to_owned(), error)]), status: None }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Chunks of a whole answer: text and usage, always both.
pub fn whole(answer: &Value) -> Vec<StreamChunk> {
    let usage = answer.get("usage").and_then(|usage| WireUsage::deserialize(usage).ok()).unwrap_or_default();
    vec![StreamChunk::Text(message_text(answer)), StreamChunk::Usage(usage.usage(true))]
}

/// Text of a whole answer; empty when it has none.
pub fn message_text(answer: &Value) -> String {
    answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or("").to_owned()
}
