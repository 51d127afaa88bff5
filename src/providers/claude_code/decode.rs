//! What the program prints: one JSON object a line (spec 07 §19.1). No I/O.

use std::collections::VecDeque;

use serde_json::Value;

use super::lines::JoinedLines;
use crate::providers::failure::error_message;
use crate::providers::{ProviderError, StreamChunk, Usage, Wording};

/// How a failure of the service begins, where a text is expected.
const API_ERROR: &str = "API Error";
/// Beginning of an answer that the end of the output cut off.
const CUT_ANSWER: &str = r#"{"type":"assistant""#;

/// Reads the output as it comes.
pub struct OutputDecoder {
    lines: JoinedLines,
    usage: Usage,
    /// Whether the answer is paid for by the token, and not by a subscription.
    paid: bool,
    wording: Wording,
}

impl OutputDecoder {
    /// At the beginning of the output.
    pub fn new(wording: Wording) -> OutputDecoder {
        let usage = Usage { cache_write_tokens: Some(0), cache_read_tokens: Some(0), ..Usage::default() };
        OutputDecoder { lines: JoinedLines::default(), usage, paid: true, wording }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A failure that the program reports in place of an answer, or a line that is too long.
    pub fn push(&mut self, bytes: &[u8], out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        self.lines.push(bytes);
        loop {
            match self.lines.next_value() {
                Ok(Some(value)) => self.value(&value, out)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.worded(&self.wording)),
            }
        }
    }

    /// The output has ended. An answer that is cut off is given out as it stands.
    ///
    /// # Errors
    /// As [`OutputDecoder::push`].
    pub fn finish(&mut self, out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        self.push(b"\n", out)?;
        let rest = self.lines.rest();
        if rest.starts_with(CUT_ANSWER) {
            out.push_back(StreamChunk::Text(rest.into_owned()));
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        match value["type"].as_str() {
            Some("system") if value["subtype"] == "init" => self.paid = value["apiKeySource"] != "none",
            Some("assistant") => self.answer(&value["message"], out)?,
            Some("result") => {
                let cost = if self.paid { value["total_cost_usd"].as_f64() } else { Some(0.0) };
                out.push_back(StreamChunk::Usage(Usage { total_cost: cost, ..self.usage }));
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, message: &Value, out: &mut VecDeque<StreamChunk>) -> Result<(), ProviderError> {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let first = blocks.first().and_then(|block| block["text"].as_str()).unwrap_or("");
        if first.starts_with(API_ERROR) && message.get("stop_reason") != Some(&Value::Null) {
            return Err(self.api_error(first));
        }
        for block in blocks {
            let text = |name: &str| block[name].as_str().unwrap_or("").to_owned();
            match block["type"].as_str() {
                Some("text") => out.push_back(StreamChunk::Text(text("text"))),
                Some("thinking") => out.push_back(StreamChunk::Reasoning(text("thinking"))),
                Some("redacted_thinking") => {
                    let placeholder = (self.wording)("provider.claude_code.redacted_thinking", &[]);
                    out.push_back(StreamChunk::Reasoning(placeholder));
                }
                _ => {}
            }
        }
        let tokens = |name: &str| message["usage"][name].as_f64().unwrap_or(0.0) as u64;
        self.usage.add(&Usage {
            input_tokens: tokens("input_tokens"),
            output_tokens: tokens("output_tokens"),
            cache_write_tokens: Some(tokens("cache_creation_input_tokens")),
            cache_read_tokens: Some(tokens("cache_read_input_tokens")),
            ..Usage::default()
        });
        Ok(())
    }

    /// `API Error: <status> <JSON>`: the JSON counts, if it is any.
    fn api_error(&self, text: &str) -> ProviderError {
        let json = text.find('{').and_then(|start| text.get(start..)).unwrap_or("");
        let Ok(body) = serde_json::from_str::<Value>(json) else { return ProviderError::new(text) };
        if !error_message(&body["error"]).contains("Invalid model name") {
            return ProviderError::new(json);
        }
        ProviderError::worded(&self.wording, "provider.claude_code.model_not_in_plan", &[("message", json)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn text(text: &str) -> StreamChunk {
        StreamChunk::Text(text.into())
    }

    /// The chunks of these lines, and the failure that ends them.
    fn decode(output: &str, step: usize) -> (Vec<StreamChunk>, Option<String>) {
        let mut decoder = OutputDecoder::new(Arc::new(|id, variables| format!("{id} {variables:?}")));
        let mut out = VecDeque::new();
        let mut read = || -> Result<(), ProviderError> {
            output.as_bytes().chunks(step).try_for_each(|piece| decoder.push(piece, &mut out))?;
            decoder.finish(&mut out)
        };
        let failure = read().err().map(|error| error.message);
        (out.into(), failure)
    }

    fn answer(blocks: Value, stop: Value) -> Value {
        json!({"type": "assistant", "message": {"content": blocks, "stop_reason": stop,
            "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}}})
    }

    fn usage(times: u64, cost: Option<f64>) -> StreamChunk {
        StreamChunk::Usage(Usage {
            input_tokens: 3 * times,
            output_tokens: 4 * times,
            cache_read_tokens: Some(5 * times),
            cache_write_tokens: Some(0),
            total_cost: cost,
            ..Usage::default()
        })
    }

    #[test]
    fn lines_become_chunks() {
        let says = |words: &str| answer(json!([{"type": "text", "text": words}]), json!("end_turn"));
        let init = |source: &str| json!({"type": "system", "subtype": "init", "apiKeySource": source});
        let result = json!({"type": "result", "result": "a", "total_cost_usd": 0.5});
        for (lines, expected) in [
            (vec![init("none"), says("a"), result.clone()], vec![text("a"), usage(1, Some(0.0))]),
            (vec![init("user"), says("a"), says("b"), result.clone()], vec![text("a"), text("b"), usage(2, Some(0.5))]),
            (vec![says("a")], vec![text("a")]),
            (vec![json!({"type": "result"})], vec![usage(0, None)]),
            (
                vec![answer(
                    json!([
                        {"type": "thinking", "thinking": "t"},
                        {"type": "redacted_thinking", "data": "x"},
                        {"type": "tool_use", "name": "x"},
                        {"type": "text"},
                        7,
                    ]),
                    json!(null),
                )],
                vec![
                    StreamChunk::Reasoning("t".into()),
                    StreamChunk::Reasoning("provider.claude_code.redacted_thinking []".into()),
                    text(""),
                ],
            ),
            (vec![json!({"type": "user"}), json!(7), json!({"type": "assistant"})], vec![]),
        ] {
            let output: String = lines.iter().map(|line| format!("{line}\n")).collect();
            for step in [1, 7, output.len()] {
                assert_eq!(decode(&output, step), (expected.clone(), None), "{output}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_given_out_as_it_stands() {
        for (output, expected) in [
            (
                r#"{"type":"assistant","message":{"content":[{"ty"#,
                vec![text(r#"{"type":"assistant","message":{"content":[{"ty"#)],
            ),
            (r#"{"type":"result","#, vec![]),
            ("not JSON", vec![]),
        ] {
            assert_eq!(decode(output, 3), (expected, None), "{output}");
        }
    }

    #[test]
    fn failures_of_the_service_end_the_answer() {
        let stop = || json!("stop_sequence");
        for (words, stop, failure) in [
            (
                r#"API Error: 400 {"error":{"message":"bad"}}"#,
                stop(),
                Some(r#"{"error":{"message":"bad"}}"#.to_owned()),
            ),
            ("API Error: connection lost", stop(), Some("API Error: connection lost".to_owned())),
            ("API Error {", stop(), Some("API Error {".to_owned())),
            (
                r#"API Error: 404 {"error":{"message":"Invalid model name x"}}"#,
                stop(),
                Some(format!(
                    "provider.claude_code.model_not_in_plan {:?}",
                    [("message", r#"{"error":{"message":"Invalid model name x"}}"#)]
                )),
            ),
            ("API Error: 400", json!(null), None),
            ("An API Error", stop(), None),
        ] {
            let line = answer(json!([{"type": "text", "text": words}]), stop).to_string();
            let expected = if failure.is_none() { vec![text(words)] } else { vec![] };
            assert_eq!(decode(&line, 100), (expected, failure), "{words}");
        }
    }
}
