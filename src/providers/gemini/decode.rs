//! Answers in Gemini's format, streamed and whole (spec 07 §13). Read loosely: what has another type than expected counts as
//! absent.

use std::collections::VecDeque;

use serde_json::Value;

use crate::ecma::is_truthy;
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
            match decoder.event(&SseEvent { event: "", data: data.as_str() }, &mut out) {
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
