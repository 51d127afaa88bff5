//! Cerebras' streamed answers: chat completions, read line by line.

use std::collections::VecDeque;

use bumpalo::Bump;
use serde_json::Value;

use super::refused;
use crate::providers::chat::wire::ChatChunk;
use crate::providers::frames::DataLines;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::think::ThinkMatcher;
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// Reads one answer.
pub struct CerebrasDecoder {
    matcher: ThinkMatcher,
    /// What the last counts of the stream said.
    reported: Usage,
    /// Counts for where it says nothing, or 0.
    estimated: Usage,
    wording: Wording,
}

impl CerebrasDecoder {
    /// At the beginning of an answer.
    pub fn new(estimated: Usage, wording: Wording) -> CerebrasDecoder {
        CerebrasDecoder { matcher: ThinkMatcher::default(), reported: Usage::default(), estimated, wording }
    }
}

impl EventDecoder<DataLines> for CerebrasDecoder {
    fn event(&mut self, line: &&str, arena: &Bump, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError> {
        let Some(data) = line.strip_prefix("data: ") else { return Ok(Flow::Continue) };
        // What is no JSON is passed over, the end mark among it.
        let Ok(mut chunk) = serde_json::from_str::<ChatChunk<'_>>(data.trim()) else { return Ok(Flow::Continue) };
        let usage = chunk.usage.take();
        if let Some(choice) = chunk.into_choice() {
            self.matcher.update(choice.delta.content.read(arena), out);
        }
        if usage.is_object() {
            let count = |key: &str| usage.get(key).and_then(Value::as_f64).unwrap_or(0.0) as u64;
            self.reported = Usage {
                input_tokens: count("prompt_tokens"),
                output_tokens: count("completion_tokens"),
                ..Usage::default()
            };
        }
        Ok(Flow::Continue)
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        self.matcher.finish(out);
        let or = |reported: u64, estimated: u64| if reported == 0 { estimated } else { reported };
        out.push_back(StreamChunk::Usage(Usage {
            input_tokens: or(self.reported.input_tokens, self.estimated.input_tokens),
            output_tokens: or(self.reported.output_tokens, self.estimated.output_tokens),
            ..Usage::default()
        }));
    }

    /// Text that waited for the rest of a tag and counts that waited for the end are not lost (deviations D03, D04).
    fn failed(&mut self, error: ProviderError, out: &mut VecDeque<StreamChunk>) -> ProviderError {
        self.matcher.finish(out);
        if self.reported != Usage::default() {
            out.push_back(StreamChunk::Usage(self.reported));
        }
        refused::completion(&error.message, &self.wording)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn counts_that_are_missing_are_estimated() {
        let estimated = Usage { input_tokens: 4, output_tokens: 100, ..Usage::default() };
        for (lines, input, output) in [
            (vec![], 4, 100),
            (vec!["data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":0}}"], 1, 100),
            (vec!["data: {\"usage\":{\"completion_tokens\":2}}", "data: {\"usage\":{}}"], 4, 100),
            (
                vec![
                    ": {\"usage\":{\"prompt_tokens\":1}}",
                    "data: {bad",
                    "data: {\"usage\":{\"completion_tokens\":2}}",
                ],
                4,
                2,
            ),
        ] {
            let mut decoder = CerebrasDecoder::new(estimated, Arc::new(|id, _| id.to_owned()));
            let mut out = VecDeque::new();
            for line in &lines {
                assert_eq!(decoder.event(line, &Bump::new(), &mut out), Ok(Flow::Continue));
            }
            decoder.end(&mut out);
            let expected = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
            assert_eq!(out, [StreamChunk::Usage(expected)], "{lines:?}");
        }
    }
}
