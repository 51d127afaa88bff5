//! Events of a response that both transports know (spec 07 §10.5), and how the primary one reads its stream.

use std::collections::VecDeque;

use bumpalo::Bump;
use serde_json::Value;
use serde_json::value::RawValue;

use super::continuity::Announcer;
use super::usage::usage;
use super::wire::{Event, document, is_object};
use crate::providers::failure::error_message;
use crate::providers::frames::SseEvent;
use crate::providers::loose::{Loose, Object, Text};
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

    fn chunk(self, text: Text<'_>) -> Option<StreamChunk> {
        let text = text.filled()?.into_string();
        Some(match self {
            Delta::Text => StreamChunk::Text(text),
            Delta::Reasoning => StreamChunk::Reasoning(text),
            Delta::Refusal => StreamChunk::Text(format!("{REFUSAL_MARK}{text}")),
        })
    }
}

impl Response {
    /// Before its first event.
    pub fn new(info: &'static ModelInfo, tier: Option<String>, announcer: Announcer) -> Response {
        Response { info, tier, announcer }
    }

    /// Takes note of the response's id and tier, which any event may name.
    pub fn note(&mut self, event: &Event<'_>, arena: &Bump) {
        let Some(head) = event.head() else { return };
        if let Some(id) = head.id.filled() {
            self.announcer.announce(id.read(arena));
        }
        if let Some(tier) = head.service_tier.filled() {
            self.tier = Some(tier.into_string());
        }
    }

    /// Takes an event of a type that both transports know. False: it is of another type.
    pub fn known(&self, event: &Event<'_>, arena: &Bump, out: &mut VecDeque<StreamChunk>) -> bool {
        let kind = event.kind.read(arena);
        if let Some(delta) = Delta::of(kind) {
            out.extend(delta.chunk(event.delta));
            return true;
        }
        match kind {
            "response.output_item.added" => added(&document(event.item), out),
            "response.done" | "response.completed" => {
                let reported = event.head().and_then(|head| head.usage).filter(|usage| is_object(usage));
                self.usage(reported.or(event.usage), out);
            }
            _ => return false,
        }
        true
    }

    /// Takes an event of an older form: text of chat completions, or else a usage.
    pub fn older(&self, event: &Event<'_>, out: &mut VecDeque<StreamChunk>) {
        match event.content().filled() {
            Some(text) => out.push_back(StreamChunk::Text(text.into_string())),
            None => self.usage(event.usage, out),
        }
    }

    /// Takes a usage, if it is one.
    pub fn usage(&self, reported: Option<&RawValue>, out: &mut VecDeque<StreamChunk>) {
        let reported = reported.filter(|reported| is_object(reported));
        let usage = |reported| StreamChunk::Usage(usage(&document(Some(reported)), self.info, self.tier.as_deref()));
        out.extend(reported.map(usage));
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
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        if event.data.starts_with("[DONE]") {
            return Ok(Flow::End);
        }
        let Loose(Object(event)) = serde_json::from_str::<Loose<Object<Event<'_>>>>(event.data)
            .map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        if let Some(error) = event.error.map(|error| document(Some(error))).filter(crate::ecma::is_truthy) {
            return Err(ProviderError::new(error_message(&error)));
        }
        self.response.note(&event, arena);
        if !self.response.known(&event, arena, out) {
            self.response.older(&event, out);
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, _out: &mut VecDeque<StreamChunk>) {}
}
