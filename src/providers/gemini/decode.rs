//! Answers in Gemini's format, streamed and whole (spec 07 §13). Read loosely: what has another type than expected counts as
//! absent.

use std::collections::VecDeque;

use serde_json::Value;

use crate::providers::frames::SseEvent;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{GroundingSource, ModelInfo, ProviderError, StreamChunk, Usage, Wording, cost};

/// Who answers: services differ in how they end and in what they charge.
#[derive(Clone, Debug)]
pub enum Service {
    /// The Gemini API, also on Vertex AI; charges by the model's prices.
    Api(ModelInfo),
    /// Code Assist, behind Gemini CLI (spec 07 §19.1): free, events may stand under `response`, the first finish reason of any
    /// kind is the end.
    CodeAssist,
}

/// Reads a streamed answer.
pub struct GeminiDecoder {
    service: Service,
    sources: Vec<GroundingSource>,
    usage: Option<Usage>,
    wording: Wording,
}

impl GeminiDecoder {
    /// At the beginning of an answer.
    pub fn new(service: Service, wording: Wording) -> GeminiDecoder {
        GeminiDecoder { service, sources: Vec::new(), usage: None, wording }
    }
}

impl EventDecoder for GeminiDecoder {
    fn event(&mut self, event: &SseEvent<'_>, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        let mut event: Value = serde_json::from_str(event.data).map_err(|error| {
            ProviderError::worded(&self.wording, "provider.invalid_answer", &[("cause", &error.to_string())])
        })?;
        if matches!(self.service, Service::CodeAssist) {
            event = unwrap_response(event);
        }
        let candidate = event.pointer("/candidates/0");
        let finish = candidate.and_then(|candidate| candidate.get("finishReason")).and_then(Value::as_str);
        let is_api = matches!(self.service, Service::Api(_));
        if is_api && finish == Some("MAX_TOKENS") {
            return Err(ProviderError::worded(&self.wording, "provider.max_output_reached", &[]));
        }
        if let Some(candidate) = candidate {
            if is_api && candidate.get("groundingMetadata").is_some_and(Value::is_object) {
                self.sources = sources(candidate);
            }
            out.extend(parts(candidate).map(|(thought, text)| match thought {
                true => StreamChunk::Reasoning(text.to_owned()),
                false => StreamChunk::Text(text.to_owned()),
            }));
        }
        if let Some(counts) = event.get("usageMetadata").filter(|counts| counts.is_object()) {
            self.usage = Some(usage(counts));
        }
        let is_end = !is_api && finish.is_some_and(|reason| !reason.is_empty());
        Ok(if is_end { Flow::End } else { Flow::Continue })
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        if !self.sources.is_empty() {
            out.push_back(StreamChunk::Grounding(std::mem::take(&mut self.sources)));
        }
        if let Some(mut usage) = self.usage.take() {
            usage.total_cost = match &self.service {
                Service::Api(info) => cost::gemini(info, &usage),
                Service::CodeAssist => Some(0.0),
            };
            out.push_back(StreamChunk::Usage(usage));
        }
    }
}

/// The answer itself, which Code Assist may put under `response`.
pub fn unwrap_response(mut answer: Value) -> Value {
    match answer.get_mut("response").filter(|inner| inner.is_object()) {
        Some(inner) => inner.take(),
        None => answer,
    }
}

/// Text of a whole answer, without thoughts.
pub fn text(answer: &Value) -> String {
    let candidate = answer.pointer("/candidates/0");
    candidate.into_iter().flat_map(parts).filter(|(thought, _)| !thought).map(|(_, text)| text).collect()
}

/// Web sources of a whole answer.
pub fn whole_sources(answer: &Value) -> Vec<GroundingSource> {
    answer.pointer("/candidates/0").map(sources).unwrap_or_default()
}

/// Texts of a candidate that are not empty, and whether they are thoughts.
fn parts(candidate: &Value) -> impl Iterator<Item = (bool, &str)> {
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
    parts.into_iter().flatten().filter_map(|part| {
        let text = part.get("text")?.as_str().filter(|text| !text.is_empty())?;
        Some((part.get("thought") == Some(&Value::Bool(true)), text))
    })
}

fn sources(candidate: &Value) -> Vec<GroundingSource> {
    let chunks = candidate.pointer("/groundingMetadata/groundingChunks").and_then(Value::as_array);
    let filled = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    chunks
        .into_iter()
        .flatten()
        .filter_map(|chunk| {
            let web = chunk.get("web")?;
            let url = filled(web, "uri")?;
            Some(GroundingSource { title: filled(web, "title").unwrap_or_else(|| url.clone()), url, snippet: None })
        })
        .collect()
}

fn usage(counts: &Value) -> Usage {
    let count = |key: &str| counts.get(key).and_then(Value::as_f64).map(|tokens| tokens as u64);
    Usage {
        input_tokens: count("promptTokenCount").unwrap_or(0),
        output_tokens: count("candidatesTokenCount").unwrap_or(0),
        cache_read_tokens: count("cachedContentTokenCount"),
        reasoning_tokens: count("thoughtsTokenCount"),
        ..Usage::default()
    }
}
