//! Cerebras' format: OpenAI's with plain strings, and without what the model thought (spec 07 §19.1).

use serde_json::{Value, json};

use super::to_openai;
use crate::ecma;
use crate::protocol::message::ApiMessage;

/// Stands for an image.
const IMAGE_MARK: &str = "[Image]";

/// The conversation in Cerebras' format; messages without text are left out. `image_placeholder`
/// (`transform.tool_result.image_placeholder`) stands for images in tool results.
pub fn to_cerebras(messages: &[ApiMessage], image_placeholder: &str) -> Vec<Value> {
    let flat = |message: Value| {
        let content = flattened(&message["content"]);
        let content = if message["role"] == "assistant" { without_thinking(&content) } else { content };
        (!ecma::trim(&content).is_empty()).then(|| json!({"role": message["role"], "content": content}))
    };
    to_openai(messages, image_placeholder).into_iter().filter_map(flat).collect()
}

/// The content of a message as one string.
pub fn flattened(content: &Value) -> String {
    match content {
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(part).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join("\n")
        }
        other if ecma::is_truthy(other) => ecma::text::text_of(other),
        _ => String::new(),
    }
}

/// The text without its `<think>…</think>` blocks and the white space around what is left.
pub fn without_thinking(text: &str) -> String {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        // Where one block is not closed, none after it is.
        let Some((_, after)) = after.split_once(CLOSE) else { break };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    ecma::trim(&kept).to_owned()
}

fn part(part: &Value) -> Option<&str> {
    match (part.as_str(), part["type"].as_str()) {
        (Some(text), _) => Some(text),
        (None, Some("text")) => part["text"].as_str(),
        (None, Some("image_url")) => Some(IMAGE_MARK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_taken_out_block_by_block() {
        for (text, expected) in [
            ("a<think>b</think>c<think>\n</think> ", "ac"),
            ("<think>a<think>b</think>c</think>", "c</think>"),
            ("a</think><think>b", "a</think><think>b"),
            ("<THINK>a</THINK>", "<THINK>a</THINK>"),
        ] {
            assert_eq!(without_thinking(text), expected, "{text}");
        }
    }

    #[test]
    fn any_content_becomes_a_string() {
        for (content, expected) in [
            (json!(["x", {"type": "image_url"}, {"type": "other"}, {"type": "text", "text": ""}, 5]), "x\n[Image]"),
            (json!(0), ""),
            (json!(true), "true"),
            (json!(1.5), "1.5"),
            (json!({"a": 1}), "[object Object]"),
        ] {
            assert_eq!(flattened(&content), expected, "{content}");
        }
    }
}
