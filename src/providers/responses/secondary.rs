//! How the secondary transport reads its stream: line by line, tolerant of many dialects (spec 07 §10.5).

use std::collections::VecDeque;

use bumpalo::Bump;
use serde_json::Value;

use super::events::{Response, filled};
use super::refused;
use super::wire::{Event, document};
use crate::providers::failure::error_message;
use crate::providers::frames::DataLines;
use crate::providers::loose::{Loose, Object};
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ProviderError, StreamChunk, Wording};

/// Families of events that hold nothing to show.
const STRUCTURAL: [&str; 17] = [
    "text.",
    "text_annotation",
    "output_text",
    "output_item",
    "content_part",
    "reasoning",
    "refusal",
    "audio",
    "function_call",
    "mcp",
    "web_search",
    "code_interpreter",
    "file_search",
    "image_gen",
    "computer",
    "queued",
    "in_progress",
];

/// Reads the lines of the secondary transport.
pub struct SecondaryDecoder {
    response: Response,
    wording: Wording,
}

impl SecondaryDecoder {
    /// At the beginning of an answer.
    pub fn new(response: Response, wording: Wording) -> SecondaryDecoder {
        SecondaryDecoder { response, wording }
    }

    fn data(&mut self, data: &str, arena: &Bump, out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        // What is no JSON is passed over, the end mark among it.
        let Ok(Loose(Object(event))) = serde_json::from_str::<Loose<Object<Event<'_>>>>(data) else { return Ok(()) };
        self.response.note(&event, arena);
        if self.response.known(&event, arena, out) {
            return Ok(());
        }
        if let Value::Array(items) = document(event.head().and_then(|head| head.output)) {
            items.iter().for_each(|item| output_item(item, out));
            self.response.usage(event.head().and_then(|head| head.usage), out);
            return Ok(());
        }
        match event.kind.read(arena) {
            "response.audio_transcript.delta" => {
                out.extend(event.delta.filled().map(|text| StreamChunk::Text(text.into_string())));
            }
            "response.content_part.added" if document(event.part)["type"] == "text" => {
                out.extend(text(document(event.part).get("text")));
            }
            "response.error" | "error" if reports_failure(&event) => {
                return Err(refused::reported(&said(&event), &self.wording));
            }
            "response.failed" if reports_failure(&event) => {
                return Err(refused::failed(&said(&event), &self.wording));
            }
            kind if is_structural(kind) => {}
            _ => match (event.content().filled(), text(document(event.item).get("text"))) {
                (Some(content), _) => out.push_back(StreamChunk::Text(content.into_string())),
                (None, Some(chunk)) => out.push_back(chunk),
                (None, None) => self.response.usage(event.usage, out),
            },
        }
        Ok(())
    }
}

impl EventDecoder<DataLines> for SecondaryDecoder {
    fn event(&mut self, line: &&str, arena: &Bump, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        match line.strip_prefix("data: ") {
            Some(data) => self.data(data.trim(), arena, out)?,
            None if line.starts_with(':') => {}
            None => {
                if let Ok(document) = serde_json::from_str::<Value>(line) {
                    let keys = ["content", "text", "message"];
                    out.extend(keys.into_iter().find_map(|key| text(document.get(key))));
                }
            }
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, _out: &mut VecDeque<StreamChunk>) {}
}

fn text(value: Option<&Value>) -> Option<StreamChunk> {
    filled(value).map(|text| StreamChunk::Text(text.to_owned()))
}

/// A finished item, as events carry it that hold the whole response.
fn output_item(item: &Value, out: &mut VecDeque<StreamChunk>) {
    let parts = |key: &str, kind: &'static str| {
        let parts = item[key].as_array().into_iter().flatten();
        parts.filter(move |part| part["type"] == kind).filter_map(|part| filled(part.get("text"))).map(str::to_owned)
    };
    match item["type"].as_str() {
        Some("text") => out.extend(parts("content", "text").map(StreamChunk::Text)),
        Some("reasoning") => out.extend(parts("summary", "summary_text").map(StreamChunk::Reasoning)),
        _ => {}
    }
}

fn is_structural(event_type: &str) -> bool {
    let Some(name) = event_type.strip_prefix("response.") else { return false };
    matches!(name, "created" | "incomplete") || STRUCTURAL.iter().any(|family| name.starts_with(family))
}

fn reports_failure(event: &Event<'_>) -> bool {
    [event.error, event.message].into_iter().any(|told| crate::ecma::is_truthy(&document(told)))
}

/// What a reported failure says: `error.message`, else `message`, else the error as it is.
fn said(event: &Event<'_>) -> String {
    let (error, message) = (document(event.error), document(event.message));
    match (filled(error.get("message")), filled(Some(&message))) {
        (Some(message), _) | (None, Some(message)) => message.to_owned(),
        (None, None) => error_message(&error),
    }
}
