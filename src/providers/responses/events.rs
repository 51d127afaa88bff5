//! Events of a response that both transports know (spec 07 §10.5), and how the primary one reads its stream.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::continuity::Announcer;
use super::usage::usage;
use crate::providers::failure::error_message;
use crate::providers::frames::SseEvent;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ModelInfo, ProviderError, StreamChunk, Wording};

/// What stands before each piece of a refusal; a layout mark, like those of conversations.
const REFUSAL_MARK: &str = "[Refusal] ";

/// What is known of a response while its events come.
pub struct Response {
    info: &'static ModelInfo,
    /// Tier that was asked for, then the one that the server names.
    tier: Option<String>,
    announcer: Announcer,
}

/// What a delta holds.
#[derive(Clone, Copy)]
enum Delta {
    Text,
    Reasoning,
    Refusal,
}

impl Delta {
    fn of(event_type: &str) -> Option<Delta> {
        Some(match event_type {
            "response.text.delta" | "response.output_text.delta" => Delta::Text,
            "response.reasoning.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary.delta"
            | "response.reasoning_summary_text.delta" => Delta::Reasoning,
            "response.refusal.delta" => Delta::Refusal,
            _ => return None,
        })
    }

    fn chunk(self, text: String) -> Option<StreamChunk> {
        if text.is_empty() {
            return None;
        }
        Some(match self {
            Delta::Text => StreamChunk::Text(text),
            Delta::Reasoning => StreamChunk::Reasoning(text),
            Delta::Refusal => StreamChunk::Text(format!("{REFUSAL_MARK}{text}")),
        })
    }
}

/// By far the most events: a delta and nothing else that counts.
#[derive(Deserialize)]
struct DeltaEvent<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    delta: String,
    response: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

impl Response {
    /// Before its first event.
    pub fn new(info: &'static ModelInfo, tier: Option<String>, announcer: Announcer) -> Response {
        Response { info, tier, announcer }
    }

    /// Takes an event that is a plain delta, without building a tree of it. False: it is something else.
    pub fn delta(&self, event: &str, out: &mut VecDeque<StreamChunk>) -> bool {
        let Ok(event) = serde_json::from_str::<DeltaEvent<'_>>(event) else { return false };
        let Some(delta) = Delta::of(&event.event_type) else { return false };
        if event.response.is_some() || event.error.is_some() {
            return false;
        }
        out.extend(delta.chunk(event.delta));
        true
    }

    /// Takes note of the response's id and tier, which any event may name.
    pub fn note(&mut self, event: &Value) {
        if let Some(id) = filled(event.pointer("/response/id")) {
            self.announcer.announce(id);
        }
        if let Some(tier) = filled(event.pointer("/response/service_tier")) {
            self.tier = Some(tier.to_owned());
        }
    }

    /// Takes an event of a type that both transports know. False: it is of another type.
    pub fn known(&self, event: &Value, out: &mut VecDeque<StreamChunk>) -> bool {
        let event_type = event["type"].as_str().unwrap_or("");
        if let Some(delta) = Delta::of(event_type) {
            out.extend(filled(event.get("delta")).and_then(|text| delta.chunk(text.to_owned())));
            return true;
        }
        match event_type {
            "response.output_item.added" => added(&event["item"], out),
            "response.done" | "response.completed" => {
                let reported = event.pointer("/response/usage").filter(|usage| usage.is_object());
                self.usage(reported.or(event.get("usage")), out);
            }
            _ => return false,
        }
        true
    }

    /// Takes an event of an older form: text of chat completions, or else a usage.
    pub fn older(&self, event: &Value, out: &mut VecDeque<StreamChunk>) {
        match filled(event.pointer("/choices/0/delta/content")) {
            Some(text) => out.push_back(StreamChunk::Text(text.to_owned())),
            None => self.usage(event.get("usage"), out),
        }
    }

    /// Takes a usage, if it is one.
    pub fn usage(&self, reported: Option<&Value>, out: &mut VecDeque<StreamChunk>) {
        let reported = reported.filter(|reported| reported.is_object());
        out.extend(reported.map(|reported| StreamChunk::Usage(usage(reported, self.info, self.tier.as_deref()))));
    }
}

/// A text that is not empty.
pub fn filled(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn added(item: &Value, out: &mut VecDeque<StreamChunk>) {
    let text = |value: &Value| filled(value.get("text")).map(str::to_owned);
    match item["type"].as_str() {
        Some("text") => out.extend(text(item).map(StreamChunk::Text)),
        Some("reasoning") => out.extend(text(item).map(StreamChunk::Reasoning)),
        Some("message") => {
            let parts = item["content"].as_array().into_iter().flatten();
            let texts = parts.filter(|part| part["type"] == "text" || part["type"] == "output_text");
            out.extend(texts.filter_map(text).map(StreamChunk::Text));
        }
        _ => {}
    }
}

/// Reads the stream of the primary transport as the vendor's client library does.
pub struct PrimaryDecoder {
    response: Response,
    wording: Wording,
}

impl PrimaryDecoder {
    /// At the beginning of an answer.
    pub fn new(response: Response, wording: Wording) -> PrimaryDecoder {
        PrimaryDecoder { response, wording }
    }
}

impl EventDecoder for PrimaryDecoder {
    fn event(&mut self, event: &SseEvent<'_>, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        if event.data.starts_with("[DONE]") {
            return Ok(Flow::End);
        }
        if self.response.delta(event.data, out) {
            return Ok(Flow::Continue);
        }
        let mut event: Value = serde_json::from_str(event.data).map_err(|error| {
            ProviderError::worded(&self.wording, "provider.invalid_answer", &[("cause", &error.to_string())])
        })?;
        if let Some(error) = event.get_mut("error").map(Value::take).filter(crate::ecma::is_truthy) {
            return Err(ProviderError::new(error_message(&error)));
        }
        self.response.note(&event);
        if !self.response.known(&event, out) {
            self.response.older(&event, out);
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, _out: &mut VecDeque<StreamChunk>) {}
}
