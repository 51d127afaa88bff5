//! Frames of an answer and what they mean (spec 07 §15.6), and the text of a whole answer (§15.8).
//!
//! Two rules of the specification are for hosts that feed events of their own and cannot come true here: a top-level `trace`,
//! and deltas of type `thinking_delta`.

use std::collections::VecDeque;

use bumpalo::Bump;
use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error;
use crate::ecma::trim;
use crate::providers::frames::{EventMessage, EventStream, text};
use crate::providers::loose::{Loose, Object, Text, Wanted};
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// Exceptions whose payload is JSON with a message; of all others the payload is the message.
const KNOWN_EXCEPTIONS: [&str; 5] = [
    "internalServerException",
    "modelStreamErrorException",
    "validationException",
    "throttlingException",
    "serviceUnavailableException",
];

/// Reads a streamed answer.
pub struct ConverseDecoder {
    wording: Wording,
}

impl ConverseDecoder {
    /// At the beginning of an answer.
    pub fn new(wording: Wording) -> ConverseDecoder {
        ConverseDecoder { wording }
    }

    fn parse<'de, T: Deserialize<'de>>(&self, payload: &'de str) -> Result<T, ProviderError> {
        serde_json::from_str(payload).map_err(|cause| error::not_json(&cause.to_string(), None, &self.wording))
    }

    fn delta(&self, payload: &str, out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        let event: DeltaEvent<'_> = self.parse(payload)?;
        let Some(Loose(members)) = event.delta else { return Ok(()) };
        if members.count != 1 {
            return Err(error::client("TypeError", (self.wording)("provider.bedrock.delta_members", &[])));
        }
        if let Some(text) = members.reasoning.and_then(reasoning_text) {
            out.push_back(StreamChunk::Reasoning(text));
        } else if let Some(text) = members.text.filled() {
            out.push_back(StreamChunk::Text(text.into_string()));
        }
        Ok(())
    }

    fn exception(&self, name: &str, payload: &str) -> ProviderError {
        if !KNOWN_EXCEPTIONS.contains(&name) {
            return error::service(name.to_owned(), payload.to_owned(), None);
        }
        match self.parse::<Value>(payload) {
            Ok(document) => {
                let text = |key: &str| document[key].as_str().filter(|text| !text.is_empty());
                let message = text("message").or_else(|| text("Message")).unwrap_or("").to_owned();
                let (first, rest) = name.split_at(1);
                error::service(first.to_uppercase() + rest, message, None)
            }
            Err(error) => error,
        }
    }
}

impl EventDecoder<EventStream> for ConverseDecoder {
    fn event(
        &mut self,
        frame: &EventMessage<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        let header = |name: &str| frame.headers.text(name).unwrap_or("");
        let payload = text(frame.payload, arena);
        match (header(":message-type"), header(":event-type")) {
            ("exception", _) => return Err(self.exception(header(":exception-type"), payload)),
            ("error", _) => {
                return Err(error::service(header(":error-code").into(), header(":error-message").into(), None));
            }
            ("event", "contentBlockDelta") => self.delta(payload, out)?,
            ("event", "contentBlockStart") => start(&self.parse(payload)?, out),
            ("event", "metadata") => out.extend(usage(&self.parse(payload)?)),
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, _out: &mut VecDeque<StreamChunk>) {}
}

#[derive(Deserialize)]
struct DeltaEvent<'a> {
    #[serde(borrow)]
    delta: Option<Loose<Members<'a>>>,
}

/// The members of a delta that are not null.
#[derive(Default)]
struct Members<'a> {
    count: usize,
    text: Text<'a>,
    reasoning: Option<&'a RawValue>,
}

/// Names of members.
#[derive(Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "text")]
    Text,
    #[serde(rename = "reasoningContent")]
    Reasoning,
    /// Does not count as one.
    #[serde(rename = "__type")]
    Type,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Wanted<'de> for Members<'a> {
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry::<Name, &'de RawValue>()? {
            if value.get() == "null" {
                continue;
            }
            match name {
                Name::Type => continue,
                Name::Text => members.text = Text::of(value),
                Name::Reasoning => members.reasoning = Some(value),
                Name::Other => {}
            }
            members.count += 1;
        }
        Ok(members)
    }
}

fn reasoning_text(value: &RawValue) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reasoning<'a> {
        #[serde(borrow)]
        text: Text<'a>,
    }
    let Loose(Object(reasoning)) = serde_json::from_str::<Loose<Object<Reasoning<'_>>>>(value.get()).ok()?;
    reasoning.text.filled().map(Text::into_string)
}

/// The beginning of a block. Thinking that is not the first block is set off by a line end; text is not.
fn start(event: &Value, out: &mut VecDeque<StreamChunk>) {
    let later = event["contentBlockIndex"].as_f64().is_some_and(|index| index > 0.0);
    let reasoning = |text: &str| StreamChunk::Reasoning(text.to_owned());
    let blocks = [&event["contentBlock"], &event["content_block"]];
    if let Some(content) = event["contentBlock"].get("reasoningContent").filter(|content| !content.is_null()) {
        out.extend(later.then(|| reasoning("\n")));
        out.push_back(reasoning(content["text"].as_str().unwrap_or("")));
    } else if blocks.iter().any(|block| block["type"] == "thinking") {
        out.extend(later.then(|| reasoning("\n")));
        let block = blocks.iter().find(|block| !block.is_null()).map(|block| &block["thinking"]);
        out.extend(block.and_then(Value::as_str).filter(|text| !text.is_empty()).map(reasoning));
    } else if let Some(text) = event["start"]["text"].as_str().filter(|text| !text.is_empty()) {
        out.push_back(StreamChunk::Text(text.to_owned()));
    }
}

/// Token counts, the cached ones under either of two names.
fn usage(event: &Value) -> Option<StreamChunk> {
    let usage = event.get("usage").filter(|usage| !usage.is_null())?;
    let tokens = |keys: &[&str]| {
        keys.iter().filter_map(|key| usage[key].as_f64()).find(|tokens| *tokens > 0.0).unwrap_or(0.0) as u64
    };
    Some(StreamChunk::Usage(Usage {
        input_tokens: tokens(&["inputTokens"]),
        output_tokens: tokens(&["outputTokens"]),
        cache_read_tokens: Some(tokens(&["cacheReadInputTokens", "cacheReadInputTokenCount"])),
        cache_write_tokens: Some(tokens(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"])),
        ..Usage::default()
    }))
}

/// Text of the first block of a whole answer; empty when it is blank or no text.
pub fn first_text(answer: &Value) -> String {
    let text = answer.pointer("/output/message/content/0/text").and_then(Value::as_str).unwrap_or("");
    if trim(text).is_empty() { String::new() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::frames::Framing;
    use crate::providers::frames::fuzzing::{message, text_header};
    use serde_json::json;
    use std::sync::Arc;

    /// Chunks and the error of one message; reasoning in angle brackets.
    fn read(headers: &[(&str, &str)], payload: &str) -> (Vec<String>, Option<(String, String)>) {
        let mut frames = EventStream::default();
        let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| text_header(name, value)).collect();
        frames.push(&message(&headers, payload.as_bytes()));
        let frame = frames.next_frame().expect("a frame").expect("a whole frame");
        let mut decoder = ConverseDecoder::new(Arc::new(|id, _| id.to_owned()));
        let mut out = VecDeque::new();
        let error = decoder.event(&frame, &Bump::new(), &mut out).err();
        let shown = out.into_iter().map(|chunk| match chunk {
            StreamChunk::Text(text) => text,
            StreamChunk::Reasoning(text) => format!("<{text}>"),
            other => format!("{other:?}"),
        });
        let name = |error: &ProviderError| error.details["name"].as_str().unwrap_or("").to_owned();
        (shown.collect(), error.map(|error| (name(&error), error.message)))
    }

    #[test]
    fn events_become_chunks() {
        for (kind, payload, expected) in [
            ("messageStart", json!({"role": "assistant"}), vec![]),
            ("contentBlockDelta", json!({"delta": {"text": "a"}}), vec!["a"]),
            ("contentBlockDelta", json!({"delta": {"text": ""}}), vec![]),
            ("contentBlockDelta", json!({"delta": {"text": "a", "toolUse": null, "__type": "x"}}), vec!["a"]),
            ("contentBlockDelta", json!({"delta": {"text": 1}}), vec![]),
            ("contentBlockDelta", json!({"delta": {"reasoningContent": {"text": "r"}}}), vec!["<r>"]),
            ("contentBlockDelta", json!({"delta": {"reasoningContent": {"signature": "s"}}}), vec![]),
            ("contentBlockDelta", json!({"delta": {"mystery": 1}}), vec![]),
            ("contentBlockDelta", json!({"delta": null}), vec![]),
            ("contentBlockStart", json!({"contentBlockIndex": 3, "start": {"text": "s"}}), vec!["s"]),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 0, "contentBlock": {"reasoningContent": {}}}),
                vec!["<>"],
            ),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 1, "contentBlock": {"reasoningContent": {"text": "r"}}}),
                vec!["<\n>", "<r>"],
            ),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 1, "content_block": {"type": "thinking", "thinking": "t"}}),
                vec!["<\n>", "<t>"],
            ),
            ("contentBlockStart", json!({"contentBlock": {"type": "thinking", "thinking": ""}}), vec![]),
            ("metadata", json!({"metrics": {}}), vec![]),
            ("trace", json!({"promptRouter": {}}), vec![]),
            ("surprise", json!(1), vec![]),
        ] {
            let headers = [(":message-type", "event"), (":event-type", kind)];
            let (chunks, error) = read(&headers, &payload.to_string());
            assert_eq!((chunks, error), (expected.into_iter().map(str::to_owned).collect(), None), "{kind} {payload}");
        }
    }

    #[test]
    fn cached_tokens_have_two_names() {
        for (counts, expected) in [
            (json!({"inputTokens": 1, "outputTokens": 2}), (0, 0)),
            (json!({"cacheReadInputTokens": 3, "cacheWriteInputTokens": 4}), (3, 4)),
            (json!({"cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 6}), (5, 6)),
            (json!({"cacheReadInputTokens": 0, "cacheReadInputTokenCount": 7}), (7, 0)),
        ] {
            let Some(StreamChunk::Usage(read)) = usage(&json!({"usage": counts})) else { panic!("no usage") };
            assert_eq!(
                (read.cache_read_tokens, read.cache_write_tokens),
                (Some(expected.0), Some(expected.1)),
                "{counts}"
            );
        }
    }

    #[test]
    fn frames_that_fail() {
        let exception = |name| [(":message-type", "exception"), (":exception-type", name)];
        let delta = [(":message-type", "event"), (":event-type", "contentBlockDelta")];
        let error = [(":message-type", "error"), (":error-code", "E"), (":error-message", "m")];
        for (headers, payload, name, message) in [
            (&exception("throttlingException")[..], r#"{"message":"m"}"#, "ThrottlingException", "m"),
            (&exception("validationException"), r#"{"Message":"M"}"#, "ValidationException", "M"),
            (&exception("validationException"), "no", "SyntaxError", "provider.invalid_answer"),
            (&exception("otherException"), r#"{"message":"m"}"#, "otherException", r#"{"message":"m"}"#),
            (&error, "", "E", "m"),
            (&delta, r#"{"delta":{}}"#, "TypeError", "provider.bedrock.delta_members"),
            (&delta, r#"{"delta":{"text":"a","toolUse":{}}}"#, "TypeError", "provider.bedrock.delta_members"),
            (&delta, r#"{"delta":"a"}"#, "TypeError", "provider.bedrock.delta_members"),
            (&delta, r#"{"delta":"#, "SyntaxError", "provider.invalid_answer"),
        ] {
            let expected = (vec![], Some((name.to_owned(), message.to_owned())));
            assert_eq!(read(headers, payload), expected, "{headers:?} {payload}");
        }
    }

    #[test]
    fn the_first_text_of_a_whole_answer() {
        for (content, expected) in [
            (json!([{"text": " a "}]), " a "),
            (json!([{"text": " \n"}]), ""),
            (json!([{"reasoningContent": {}}, {"text": "a"}]), ""),
            (json!([]), ""),
        ] {
            assert_eq!(first_text(&json!({"output": {"message": {"content": content}}})), expected);
        }
    }
}
