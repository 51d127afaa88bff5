//! Answers in Gemini's format, streamed and whole (spec 07 §13). Read loosely: what has another type than expected counts as
//! absent.

use std::collections::VecDeque;

use bumpalo::Bump;
use serde_json::Value;

use super::wire::{Candidate, Event, unwrapped};
use crate::ecma::is_truthy;
use crate::providers::frames::SseEvent;
use crate::providers::loose::{Loose, Object};
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
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        let Loose(Object(Event { candidates, usage_metadata })) = match self.service {
            Service::Api(_) => serde_json::from_str(event.data),
            Service::CodeAssist => unwrapped(event.data),
        }
        .map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        let Candidate { content, finish_reason, grounding_metadata } = candidates.0.0.unwrap_or_default().0.0;
        let is_api = matches!(self.service, Service::Api(_));
        if is_api && finish_reason.read(arena) == "MAX_TOKENS" {
            return Err(ProviderError::worded(&self.wording, "provider.max_output_reached", &[]));
        }
        if let Some(Object(metadata)) = grounding_metadata.0.filter(|_| is_api) {
            self.sources = metadata.sources();
        }
        out.extend(content.0.0.parts.0.into_iter().filter_map(|part| part.0.0.chunk()));
        if let Some(Object(counts)) = usage_metadata.0 {
            self.usage = Some(counts.usage());
        }
        let is_end = !is_api && finish_reason.filled().is_some();
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
        Some((part.get("thought").is_some_and(is_truthy), text))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    /// The chunks of these events, and the failure that ended them.
    fn decode(service: Service, events: &[Value]) -> (Vec<StreamChunk>, Option<String>) {
        let mut decoder = GeminiDecoder::new(service, Arc::new(|id, _| id.to_owned()));
        let mut out = VecDeque::new();
        for event in events {
            let data = event.to_string();
            match decoder.event(&SseEvent { event: "", data: data.as_str() }, &Bump::new(), &mut out) {
                Ok(Flow::Continue) => {}
                Ok(Flow::End) => break,
                Err(error) => return (out.into(), Some(error.message)),
            }
        }
        decoder.end(&mut out);
        (out.into(), None)
    }

    fn api() -> Service {
        Service::Api(ModelInfo { input_price: Some(1.0), output_price: Some(1.0), ..ModelInfo::default() })
    }

    fn parts(parts: Value) -> Value {
        json!({"candidates": [{"content": {"parts": parts}}]})
    }

    fn text(text: &str) -> StreamChunk {
        StreamChunk::Text(text.to_owned())
    }

    #[test]
    fn parts_become_text_and_reasoning() {
        let reasoning = |text: &str| StreamChunk::Reasoning(text.to_owned());
        for (event, expected) in [
            (parts(json!([{"text": "a"}, {"text": "b", "thought": true}])), vec![text("a"), reasoning("b")]),
            (
                parts(json!([{"text": "a", "thought": false}, {"text": "b", "thought": 1}])),
                vec![text("a"), reasoning("b")],
            ),
            (parts(json!([{"text": ""}, {"functionCall": {"name": "f"}}, {"text": 7}, 8, null])), vec![]),
            (parts(json!({"text": "a"})), vec![]),
            (json!({"candidates": []}), vec![]),
            (json!({"candidates": [{"finishReason": "SAFETY"}]}), vec![]),
            (json!({"candidates": [null, {"content": {"parts": [{"text": "second"}]}}]}), vec![]),
            (json!({"promptFeedback": {"blockReason": "SAFETY"}}), vec![]),
            (json!({"error": {"code": 500, "message": "no"}}), vec![]),
            (json!(["a"]), vec![]),
        ] {
            assert_eq!(decode(api(), std::slice::from_ref(&event)), (expected, None), "{event}");
        }
    }

    #[test]
    fn the_limit_of_output_fails_and_its_event_is_lost() {
        let last = json!({"candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "MAX_TOKENS"}]});
        let events = [parts(json!([{"text": "a"}])), last];
        assert_eq!(decode(api(), &events), (vec![text("a")], Some("provider.max_output_reached".into())));
        assert_eq!(decode(Service::CodeAssist, &events), (vec![text("a"), text("b")], None));
    }

    #[test]
    fn the_last_sources_and_counts_are_reported_at_the_end() {
        let grounded = |chunks: Value| json!({"candidates": [{"groundingMetadata": {"groundingChunks": chunks}}]});
        let source = |title: &str, url: &str| GroundingSource { title: title.into(), url: url.into(), snippet: None };
        let web = |web: Value| json!({"web": web});
        let chunks = json!([
            web(json!({"uri": "u1", "title": "t1"})), web(json!({"uri": "u2", "title": ""})), web(json!({"title": "t3"})),
            web(json!({"uri": 4})), {"retrieval": 5}, 6,
        ]);
        let events = [
            grounded(json!([web(json!({"uri": "first"}))])),
            json!({"usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 9}}),
            grounded(chunks),
            json!({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "thoughtsTokenCount": 2}}),
            json!({"candidates": [{"groundingMetadata": "odd"}], "usageMetadata": 7}),
        ];
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 1,
            reasoning_tokens: Some(2),
            total_cost: Some(4e-6),
            ..Usage::default()
        };
        let grounding = StreamChunk::Grounding(vec![source("t1", "u1"), source("u2", "u2")]);
        assert_eq!(decode(api(), &events), (vec![grounding, StreamChunk::Usage(usage)], None));
        assert_eq!(decode(api(), &[grounded(json!([]))]), (vec![], None));
        let free = Usage { total_cost: Some(0.0), ..usage };
        assert_eq!(decode(Service::CodeAssist, &events), (vec![StreamChunk::Usage(free)], None));
    }

    #[test]
    fn a_whole_answer_has_text_without_thoughts() {
        for (answer, expected) in [
            (parts(json!([{"text": "t", "thought": true}, {"text": "a"}, {"text": "b"}])), "ab"),
            (parts(json!(null)), ""),
            (json!(null), ""),
        ] {
            assert_eq!(super::text(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn an_envelope_is_taken_off() {
        for (answer, expected) in [
            (json!({"response": {"a": 1}}), json!({"a": 1})),
            (json!({"response": 1}), json!({"response": 1})),
            (json!({"a": 1}), json!({"a": 1})),
            (json!([]), json!([])),
        ] {
            assert_eq!(unwrap_response(answer), expected);
        }
    }
}
