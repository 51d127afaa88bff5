//! Answers of Anthropic's API, streamed and whole (spec 07 §9); also those of Claude on Vertex AI (§14.2).

use std::collections::VecDeque;

use bumpalo::Bump;
use serde::Deserialize;
use serde_json::Value;

use crate::providers::frames::SseEvent;
use crate::providers::loose::{Text, object};
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ModelInfo, ProviderError, StreamChunk, Usage, Wording, cost};

/// The events that vendor's client delivers; all others but `error` are ignored.
const EVENTS: [&str; 6] = [
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
];

/// Reads a streamed answer. What has another type than expected counts as absent.
pub struct ClaudeDecoder {
    /// Facts of the model if the answer is to end with its cost.
    priced: Option<ModelInfo>,
    totals: Usage,
    /// Output tokens of the message so far; later counts contain earlier ones.
    message_output: u64,
    wording: Wording,
}

impl ClaudeDecoder {
    /// At the beginning of an answer. With `priced`, its cost is reported at the end.
    pub fn new(priced: Option<ModelInfo>, wording: Wording) -> ClaudeDecoder {
        ClaudeDecoder { priced, totals: Usage::default(), message_output: 0, wording }
    }

    fn message_start(&mut self, usage: &Value) -> StreamChunk {
        let cached = |name: &str| Some(tokens(usage, name)).filter(|tokens| *tokens > 0);
        let usage = Usage {
            input_tokens: tokens(usage, "input_tokens"),
            output_tokens: tokens(usage, "output_tokens"),
            cache_write_tokens: cached("cache_creation_input_tokens"),
            cache_read_tokens: cached("cache_read_input_tokens"),
            ..Usage::default()
        };
        self.totals.add(&usage);
        self.message_output = usage.output_tokens;
        StreamChunk::Usage(usage)
    }

    fn message_delta(&mut self, usage: &Value) -> StreamChunk {
        let output = tokens(usage, "output_tokens");
        let added = output.saturating_sub(self.message_output);
        self.totals.output_tokens = self.totals.output_tokens.saturating_add(added);
        self.message_output = self.message_output.max(output);
        StreamChunk::Usage(Usage { output_tokens: output, ..Usage::default() })
    }
}

impl EventDecoder for ClaudeDecoder {
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        if event.event == "error" {
            return Err(ProviderError::new(event.data));
        }
        if !EVENTS.contains(&event.event) {
            return Ok(Flow::Continue);
        }
        if event.event == "content_block_delta"
            && let Ok(BlockDelta { kind, delta }) = serde_json::from_str(event.data)
            && kind.read(arena) == "content_block_delta"
        {
            out.extend(delta.chunk(arena));
            return Ok(Flow::Continue);
        }
        let event: Value =
            serde_json::from_str(event.data).map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        match event["type"].as_str() {
            Some("message_start") => out.push_back(self.message_start(&event["message"]["usage"])),
            Some("message_delta") => out.push_back(self.message_delta(&event["usage"])),
            Some("content_block_start") => {
                let Some(kind) = event["content_block"]["type"].as_str().and_then(shown_kind) else {
                    return Ok(Flow::Continue);
                };
                if event["index"].as_f64().is_some_and(|index| index > 0.0) {
                    out.push_back(kind("\n".to_owned()));
                }
                out.push_back(kind(block_text(&event["content_block"])));
            }
            Some("content_block_delta") => {
                let kind = event["delta"]["type"].as_str().and_then(shown_kind);
                out.extend(kind.map(|kind| kind(block_text(&event["delta"]))));
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }

    /// Reports the cost of the final totals (deviation D04).
    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        let Some(info) = &self.priced else { return };
        let Usage { input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, .. } = self.totals;
        let counts = [input_tokens, output_tokens, cache_write_tokens.unwrap_or(0), cache_read_tokens.unwrap_or(0)];
        if counts.iter().any(|count| *count > 0) {
            let total_cost = Some(cost::anthropic(info, &self.totals));
            out.push_back(StreamChunk::Usage(Usage { total_cost, ..Usage::default() }));
        }
    }
}

/// Nearly every event of an answer, read without a document of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct BlockDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, deserialize_with = "object")]
    delta: Delta<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
}

impl Delta<'_> {
    fn chunk(self, arena: &Bump) -> Option<StreamChunk> {
        let kind = shown_kind(self.kind.read(arena))?;
        Some(kind(self.text.present().unwrap_or(self.thinking).into_string()))
    }
}

/// What a block or delta of this type becomes; `None` for those that are not shown.
fn shown_kind(kind: &str) -> Option<fn(String) -> StreamChunk> {
    match kind {
        "text" | "text_delta" => Some(StreamChunk::Text),
        "thinking" | "thinking_delta" => Some(StreamChunk::Reasoning),
        _ => None,
    }
}

/// The text of a block or delta, under the name its type has.
fn block_text(block: &Value) -> String {
    block["text"].as_str().or_else(|| block["thinking"].as_str()).unwrap_or("").to_owned()
}

fn tokens(usage: &Value, name: &str) -> u64 {
    usage[name].as_f64().unwrap_or(0.0) as u64
}

/// The first text block of a whole answer; empty when it has none.
pub fn first_text(answer: &Value) -> String {
    let blocks = answer["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().find(|block| block["type"] == "text").map(block_text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn decoder(priced: bool) -> ClaudeDecoder {
        let info = ModelInfo { input_price: Some(1e6), output_price: Some(1e6), ..ModelInfo::default() };
        ClaudeDecoder::new(priced.then_some(info), Arc::new(|id, _| id.to_owned()))
    }

    fn feed(decoder: &mut ClaudeDecoder, event: &str, data: &Value) -> Result<Vec<StreamChunk>, ProviderError> {
        let mut out = VecDeque::new();
        let data = data.to_string();
        decoder.event(&SseEvent { event, data: data.as_str() }, &Bump::new(), &mut out)?;
        Ok(out.into())
    }

    fn text(text: &str) -> StreamChunk {
        StreamChunk::Text(text.to_owned())
    }

    fn reasoning(text: &str) -> StreamChunk {
        StreamChunk::Reasoning(text.to_owned())
    }

    #[test]
    fn blocks_become_text_and_reasoning() {
        let start =
            |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
        for (event, expected) in [
            (start(0, json!({"type": "text", "text": "a"})), vec![text("a")]),
            (start(1, json!({"type": "text", "text": ""})), vec![text("\n"), text("")]),
            (start(2, json!({"type": "thinking", "thinking": "b"})), vec![reasoning("\n"), reasoning("b")]),
            (start(1, json!({"type": "redacted_thinking", "data": "x"})), vec![]),
            (start(1, json!({"type": "tool_use", "name": "x"})), vec![]),
            (start(0, json!(7)), vec![]),
            (delta(json!({"type": "text_delta", "text": "c"})), vec![text("c")]),
            (delta(json!({"type": "thinking_delta", "thinking": "d"})), vec![reasoning("d")]),
            (delta(json!({"type": "signature_delta", "signature": "e"})), vec![]),
            (delta(json!({"type": "text_delta", "text": 7})), vec![text("")]),
            (json!({"type": "content_block_stop", "index": 0}), vec![]),
            (json!([]), vec![]),
        ] {
            let name = event["type"].as_str().unwrap_or("content_block_start").to_owned();
            assert_eq!(feed(&mut decoder(true), &name, &event), Ok(expected), "{event}");
        }
    }

    #[test]
    fn events_without_the_right_name_are_ignored() {
        let event = json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "c"}});
        for name in ["", "ping", "completion"] {
            assert_eq!(feed(&mut decoder(true), name, &event), Ok(vec![]), "{name:?}");
        }
    }

    #[test]
    fn failures_end_the_answer() {
        let reported = json!({"type": "error", "error": {"type": "overloaded_error"}});
        let failure = feed(&mut decoder(true), "error", &reported).expect_err("a failure");
        assert_eq!((failure.message, failure.status), (reported.to_string(), None));
        let broken = SseEvent { event: "message_start", data: "{" };
        let failure = decoder(true).event(&broken, &Bump::new(), &mut VecDeque::new()).expect_err("a failure");
        assert_eq!(failure.message, "provider.invalid_answer");
    }

    #[test]
    fn the_cost_counts_every_token_once() {
        let start = |usage: Value| ("message_start", json!({"type": "message_start", "message": {"usage": usage}}));
        let delta = |usage: Value| ("message_delta", json!({"type": "message_delta", "usage": usage}));
        for (events, expected) in [
            (
                vec![start(json!({"input_tokens": 10, "output_tokens": 1})), delta(json!({"output_tokens": 8}))],
                Some(18.0),
            ),
            (
                vec![
                    start(json!({"input_tokens": 10, "output_tokens": 1})),
                    delta(json!({"output_tokens": 5})),
                    delta(json!({"output_tokens": 8})),
                ],
                Some(18.0),
            ),
            (vec![start(json!({"input_tokens": 10, "output_tokens": 3})), delta(json!({}))], Some(13.0)),
            (vec![delta(json!({"output_tokens": 8}))], Some(8.0)),
            (vec![start(json!({})), delta(json!(null))], None),
            (vec![], None),
        ] {
            let mut decoder = decoder(true);
            for (name, event) in &events {
                assert!(feed(&mut decoder, name, event).is_ok());
            }
            let mut out = VecDeque::new();
            decoder.end(&mut out);
            let total_cost = out.pop_front().map(|chunk| match chunk {
                StreamChunk::Usage(usage) => usage.total_cost.expect("a cost"),
                other => panic!("{other:?}"),
            });
            assert_eq!(total_cost, expected, "{events:?}");
        }
    }

    #[test]
    fn without_prices_no_cost_is_reported() {
        let mut decoder = decoder(false);
        let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}});
        assert!(feed(&mut decoder, "message_start", &start).is_ok());
        let mut out = VecDeque::new();
        decoder.end(&mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn the_first_text_of_a_whole_answer_is_found() {
        for (answer, expected) in [
            (json!({"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}), "a"),
            (json!({"content": []}), ""),
            (json!({"content": "x"}), ""),
            (json!(null), ""),
        ] {
            assert_eq!(first_text(&answer), expected, "{answer}");
        }
    }
}
