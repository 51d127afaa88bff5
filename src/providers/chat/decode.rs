//! Reads streamed answers: events in, chunks out (spec 07 §11.1 to §11.3 and the differences of §16 to §19).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bumpalo::Bump;
use serde::Deserialize;
use serde_json::Value;

use super::wire::{ChatChunk, Delta};
use crate::ecma::is_truthy;
use crate::providers::failure::error_message;
use crate::providers::frames::SseEvent;
use crate::providers::loose::Text;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::think::ThinkMatcher;
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// What a provider takes from a stream. The default takes text, and every usage as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatReading {
    /// An answer that ends for its length is a failure (`provider.max_output_reached`, spec 07 §2). The event that says so is
    /// not read any further.
    pub finish_check: bool,
    /// Fields that hold thinking.
    pub reasoning: ReasoningFields,
    /// Tags in the text that hold thinking.
    pub think_tags: ThinkTags,
    /// When usage is reported.
    pub usage: UsageTime,
    /// Each delta may repeat the one before it and go on from there; the repetition is dropped (spec 07 §19.1, qwen-code).
    pub cumulative: bool,
}

/// Fields of a delta that hold thinking.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ReasoningFields {
    /// None.
    #[default]
    Ignored,
    /// `reasoning_content` if not empty, told after the text.
    Content,
    /// `reasoning` if not empty and `reasoning_content` even if empty, told before the text (spec 07 §17).
    BothFirst,
}

/// What `<think>` in the text means.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkTags {
    /// Nothing.
    #[default]
    Text,
    /// A block at the very beginning of the answer is thinking (spec 07 §8).
    Leading,
    /// Within one delta, every second piece between tags is thinking (spec 07 §19.1, qwen-code).
    EachDelta,
}

/// When usage is reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum UsageTime {
    /// As often as the vendor does.
    #[default]
    Each,
    /// Once, at the end: the last one counts.
    Last,
    /// Not at all.
    Never,
}

/// Makes counts of a `usage` object.
pub type UsageReader = Arc<dyn Fn(&Value) -> Usage + Send + Sync>;

/// The text of an answer as it came, tags and all.
pub type Transcript = Arc<Mutex<String>>;

/// Reads one streamed answer.
pub struct ChatDecoder {
    reading: ChatReading,
    read_usage: UsageReader,
    wording: Wording,
    matcher: ThinkMatcher,
    /// The delta before, for cumulative streams.
    previous: String,
    usage: Option<Usage>,
    transcript: Option<Transcript>,
}

impl ChatDecoder {
    /// At the beginning of an answer.
    pub fn new(reading: ChatReading, read_usage: UsageReader, wording: Wording) -> ChatDecoder {
        let matcher = ThinkMatcher::default();
        ChatDecoder { reading, read_usage, wording, matcher, previous: String::new(), usage: None, transcript: None }
    }

    /// Also writes the text to `transcript`.
    pub fn with_transcript(mut self, transcript: Transcript) -> ChatDecoder {
        self.transcript = Some(transcript);
        self
    }

    fn delta(&mut self, delta: Delta<'_>, arena: &Bump, out: &mut VecDeque<StreamChunk>) {
        let thought = |text: Text<'_>| StreamChunk::Reasoning(text.into_string());
        if self.reading.reasoning == ReasoningFields::BothFirst {
            let thoughts = [delta.reasoning.filled(), delta.reasoning_content.present()];
            out.extend(thoughts.into_iter().flatten().map(thought));
            self.text(delta.content, arena, out);
            return;
        }
        self.text(delta.content, arena, out);
        if self.reading.reasoning == ReasoningFields::Content {
            out.extend(delta.reasoning_content.filled().map(thought));
        }
    }

    fn text(&mut self, text: Text<'_>, arena: &Bump, out: &mut VecDeque<StreamChunk>) {
        let Some(text) = text.filled() else { return };
        if self.is_plain() {
            out.push_back(StreamChunk::Text(text.into_string()));
            return;
        }
        let mut text = text.read(arena);
        if let Some(transcript) = &self.transcript {
            transcript.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        }
        if self.reading.cumulative {
            let new = text.strip_prefix(self.previous.as_str()).unwrap_or(text);
            self.previous.clear();
            self.previous.push_str(std::mem::replace(&mut text, new));
        }
        match self.reading.think_tags {
            ThinkTags::Text if text.is_empty() => {}
            ThinkTags::Text => out.push_back(StreamChunk::Text(text.to_owned())),
            ThinkTags::Leading => self.matcher.update(text, out),
            ThinkTags::EachDelta => split_at_tags(text, out),
        }
    }

    /// Whether a delta's text is passed on as it is.
    fn is_plain(&self) -> bool {
        self.transcript.is_none() && !self.reading.cumulative && self.reading.think_tags == ThinkTags::Text
    }

    fn usage(&mut self, usage: &Value, out: &mut VecDeque<StreamChunk>) {
        if !usage.is_object() {
            return;
        }
        let usage = (self.read_usage)(usage);
        match self.reading.usage {
            UsageTime::Each => out.push_back(StreamChunk::Usage(usage)),
            UsageTime::Last => self.usage = Some(usage),
            UsageTime::Never => {}
        }
    }
}

impl EventDecoder for ChatDecoder {
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        if event.data.starts_with("[DONE]") {
            return Ok(Flow::End);
        }
        let mut chunk: ChatChunk<'_> =
            serde_json::from_str(event.data).map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        if is_truthy(&chunk.error) {
            return Err(reported(chunk.error));
        }
        let usage = chunk.usage.take();
        if let Some(choice) = chunk.into_choice() {
            if self.reading.finish_check && choice.finish_reason.read(arena) == "length" {
                return Err(ProviderError::worded(&self.wording, "provider.max_output_reached", &[]));
            }
            self.delta(choice.delta, arena, out);
        }
        self.usage(&usage, out);
        Ok(Flow::Continue)
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        self.matcher.finish(out);
        out.extend(self.usage.take().map(StreamChunk::Usage));
    }

    /// Text that waited for the rest of a tag and counts that waited for the end are not lost (deviations D03, D04).
    fn failed(&mut self, error: ProviderError, out: &mut VecDeque<StreamChunk>) -> ProviderError {
        self.end(out);
        error
    }
}

/// Pieces between `<think>` and `</think>`, whichever of the two; text and thinking take turns.
fn split_at_tags(text: &str, out: &mut VecDeque<StreamChunk>) {
    let pieces = text.split("<think>").flat_map(|piece| piece.split("</think>"));
    for (index, piece) in pieces.enumerate().filter(|(_, piece)| !piece.is_empty()) {
        out.push_back(match index % 2 {
            0 => StreamChunk::Text(piece.to_owned()),
            _ => StreamChunk::Reasoning(piece.to_owned()),
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(reading: ChatReading, events: &[Value]) -> (Vec<String>, Option<String>) {
        let usage = |usage: &Value| Usage { input_tokens: usage["n"].as_u64().unwrap_or(0), ..Usage::default() };
        let mut decoder = ChatDecoder::new(reading, Arc::new(usage), Arc::new(|id, _| id.to_owned()));
        let mut out = VecDeque::new();
        let failed = events.iter().find_map(|event| {
            let event = SseEvent { event: "", data: &event.to_string() };
            decoder.event(&event, &Bump::new(), &mut out).err()
        });
        let failed = match failed {
            Some(error) => Some(decoder.failed(error, &mut out)),
            None => {
                decoder.end(&mut out);
                None
            }
        };
        let show = |chunk| match chunk {
            StreamChunk::Text(text) => format!("T:{text}"),
            StreamChunk::Reasoning(text) => format!("R:{text}"),
            StreamChunk::Usage(usage) => format!("U:{}", usage.input_tokens),
            other => format!("{other:?}"),
        };
        (out.into_iter().map(show).collect(), failed.map(|error| error.message))
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"delta": delta}]})
    }

    #[test]
    fn each_knob_does_what_it_says() {
        let plain = ChatReading::default();
        let both = delta(json!({"content": "a", "reasoning": "r", "reasoning_content": ""}));
        let content = ChatReading { reasoning: ReasoningFields::Content, ..plain };
        let first = ChatReading { reasoning: ReasoningFields::BothFirst, ..plain };
        let leading = ChatReading { think_tags: ThinkTags::Leading, usage: UsageTime::Last, ..plain };
        let qwen = ChatReading { think_tags: ThinkTags::EachDelta, cumulative: true, ..plain };
        let text = |text: &str| delta(json!({"content": text}));
        let (one, two) = (json!({"usage": {"n": 1}}), json!({"choices": [], "usage": {"n": 2}}));
        for (reading, events, expected) in [
            (plain, vec![both.clone()], vec!["T:a"]),
            (first, vec![both], vec!["R:r", "R:", "T:a"]),
            (content, vec![delta(json!({"content": "a", "reasoning_content": "c"}))], vec!["T:a", "R:c"]),
            (content, vec![delta(json!({"reasoning_content": ""}))], vec![]),
            (plain, vec![one.clone(), two.clone()], vec!["U:1", "U:2"]),
            (leading, vec![one.clone(), text("<think>x"), two.clone()], vec!["R:x", "U:2"]),
            (leading, vec![text("<thi"), two.clone()], vec!["T:<thi", "U:2"]),
            (ChatReading { usage: UsageTime::Never, ..plain }, vec![one, two], vec![]),
            (plain, vec![json!({"usage": null}), json!({"usage": 3})], vec![]),
            (qwen, vec![text("a"), text("ab"), text("ab"), text("c")], vec!["T:a", "T:b", "T:c"]),
            (qwen, vec![text("x<think>y</think>z"), text("<think>w")], vec!["T:x", "R:y", "T:z", "R:w"]),
        ] {
            assert_eq!(
                read(reading, &events),
                (expected.iter().map(|s| (*s).to_owned()).collect(), None),
                "{reading:?}"
            );
        }
    }

    #[test]
    fn failures_end_the_answer_and_keep_what_came_before() {
        let strict = ChatReading { finish_check: true, ..ChatReading::default() };
        let cut = json!({"choices": [{"delta": {"content": "lost"}, "finish_reason": "length"}]});
        let told = json!({"error": {"message": "overloaded", "code": 529}});
        for (reading, last, expected) in [
            (strict, cut.clone(), (vec!["T:a"], Some("provider.max_output_reached"))),
            (ChatReading::default(), cut, (vec!["T:a", "T:lost"], None)),
            (strict, told, (vec!["T:a"], Some("overloaded"))),
            (strict, json!({"error": ""}), (vec!["T:a"], None)),
        ] {
            let (chunks, failure) = read(reading, &[delta(json!({"content": "a"})), last.clone()]);
            assert_eq!(
                (chunks.iter().map(String::as_str).collect(), failure.as_deref()),
                (expected.0, expected.1),
                "{last}"
            );
        }
    }
}
