//! Ollama's streamed answers (spec 07 §19.1): a line an event, thinking between tags, counts at the end.

use std::collections::VecDeque;

use bumpalo::Bump;
use serde::Deserialize;

use crate::providers::frames::JsonLines;
use crate::providers::loose::{Loose, Object, Text};
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::think::ThinkMatcher;
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// One line. What has another type than expected counts as absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    message: Loose<Object<Message<'a>>>,
    prompt_eval_count: Loose<Option<f64>>,
    eval_count: Loose<Option<f64>>,
    done: Loose<bool>,
    #[serde(borrow)]
    error: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Text<'a>,
}

/// Reads a streamed answer.
pub struct OllamaDecoder {
    matcher: ThinkMatcher,
    input_tokens: u64,
    output_tokens: u64,
    wording: Wording,
}

impl OllamaDecoder {
    /// At the beginning of an answer.
    pub fn new(wording: Wording) -> OllamaDecoder {
        OllamaDecoder { matcher: ThinkMatcher::default(), input_tokens: 0, output_tokens: 0, wording }
    }
}

impl EventDecoder<JsonLines> for OllamaDecoder {
    fn event(&mut self, line: &&str, arena: &Bump, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        let line: Line<'_> =
            serde_json::from_str(line).map_err(|error| ProviderError::not_json(&error, &self.wording))?;
        if let Some(error) = line.error.filled() {
            return Err(ProviderError::new(error.read(arena)));
        }
        self.matcher.update(line.message.0.0.content.read(arena), out);
        remember(&mut self.input_tokens, line.prompt_eval_count.0);
        remember(&mut self.output_tokens, line.eval_count.0);
        Ok(if line.done.0 { Flow::End } else { Flow::Continue })
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        self.matcher.finish(out);
        let (input_tokens, output_tokens) = (self.input_tokens, self.output_tokens);
        if input_tokens > 0 || output_tokens > 0 {
            out.push_back(StreamChunk::Usage(Usage { input_tokens, output_tokens, ..Usage::default() }));
        }
    }

    fn failed(&mut self, error: ProviderError, out: &mut VecDeque<StreamChunk>) -> ProviderError {
        self.matcher.finish(out);
        ProviderError::worded(&self.wording, "provider.ollama.stream", &[("message", &error.message)])
    }
}

/// The last count that is not 0.
fn remember(count: &mut u64, reported: Option<f64>) {
    *count = reported.map(|tokens| tokens as u64).filter(|tokens| *tokens != 0).unwrap_or(*count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn read(lines: &[&str]) -> (Vec<StreamChunk>, Result<Flow, String>) {
        let wording: Wording = Arc::new(|id, variables| format!("{id} {variables:?}"));
        let (mut decoder, mut out, mut flow) = (OllamaDecoder::new(wording), VecDeque::new(), Ok(Flow::Continue));
        for line in lines {
            flow = decoder.event(line, &Bump::new(), &mut out).map_err(|error| decoder.failed(error, &mut out).message);
        }
        if flow.is_ok() {
            decoder.end(&mut out);
        }
        (out.into(), flow)
    }

    #[test]
    fn counts_are_told_once_at_the_end() {
        let (text, thought) = (|t: &str| StreamChunk::Text(t.into()), |t: &str| StreamChunk::Reasoning(t.into()));
        let usage =
            |input_tokens, output_tokens| StreamChunk::Usage(Usage { input_tokens, output_tokens, ..Usage::default() });
        let think = r#"{"message":{"content":"<think>a</think>b"},"prompt_eval_count":3}"#;
        let counts = r#"{"done":true,"eval_count":4,"prompt_eval_count":0}"#;
        for (lines, expected) in [
            (vec![think, counts], vec![thought("a"), text("b"), usage(3, 4)]),
            (vec![r#"{"message":{"content":"a"}}"#, r#"{"message":7,"done":true}"#], vec![text("a")]),
            (vec![r#"{"message":{"content":"<thi"},"eval_count":"9"}"#], vec![text("<thi")]),
        ] {
            assert_eq!(read(&lines).0, expected, "{lines:?}");
        }
    }

    #[test]
    fn failures_come_after_what_was_received() {
        let (chunks, flow) = read(&[r#"{"message":{"content":"<thi"}}"#, r#"{"error":"out of memory"}"#]);
        assert_eq!(chunks, [StreamChunk::Text("<thi".into())]);
        assert_eq!(flow, Err(r#"provider.ollama.stream [("message", "out of memory")]"#.to_owned()));
        assert!(read(&["<html>"]).1.is_err_and(|message| message.contains("provider.invalid_answer")));
    }
}
