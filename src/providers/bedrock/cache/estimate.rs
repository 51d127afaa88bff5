//! How many tokens a text has, roughly: by words, punctuation and lines (spec 07 §15.5).

use crate::ecma::is_space;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent};

const A_WORD: f64 = 1.3;
const A_MARK: f64 = 0.3;
const A_LINE: f64 = 0.5;
const AN_IMAGE: f64 = 300.0;
/// What the request adds to a system prompt.
const SYSTEM_OVERHEAD: f64 = 5.0;
/// What the request adds to a message.
const MESSAGE_OVERHEAD: f64 = 10.0;

/// Tokens of a system prompt.
pub fn system_tokens(text: &str) -> u64 {
    (tokens(text) + SYSTEM_OVERHEAD).ceil() as u64
}

/// Tokens of a message; an empty text has none.
pub fn message_tokens(message: &ApiMessage) -> u64 {
    let sum = match &message.content {
        MessageContent::Text(text) if text.is_empty() => return 0,
        MessageContent::Text(text) => tokens(text),
        MessageContent::Blocks(blocks) => blocks.iter().map(block_tokens).sum(),
    };
    (sum + MESSAGE_OVERHEAD).ceil() as u64
}

fn block_tokens(block: &ContentBlock) -> f64 {
    match block {
        ContentBlock::Text { text } => tokens(text),
        ContentBlock::Image { .. } => AN_IMAGE,
        ContentBlock::ToolUse { .. } | ContentBlock::ToolResult { .. } | ContentBlock::Other(_) => 0.0,
    }
}

fn tokens(text: &str) -> f64 {
    let (mut words, mut marks, mut lines) = (0u64, 0u64, 0u64);
    let mut in_word = false;
    for c in text.chars() {
        let space = is_space(c);
        words += u64::from(!space && !in_word);
        in_word = !space;
        marks += u64::from(matches!(
            c,
            '.' | ',' | '!' | '?' | ';' | ':' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | '\'' | '`'
        ));
        lines += u64::from(c == '\n');
    }
    words as f64 * A_WORD + marks as f64 * A_MARK + lines as f64 * A_LINE
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_and_images_count() {
        for (content, expected) in [
            (json!(""), 0),
            (json!("word"), 12),
            (json!("a b\tc\u{a0}d"), 16),
            (json!("a.b, “c”\n"), 14),
            (json!([{"type": "image", "source": {"type": "url", "url": "u"}}, {"type": "text", "text": "a"}]), 312),
            (json!([{"type": "tool_use", "id": "i", "name": "n"}]), 10),
        ] {
            let message: ApiMessage =
                serde_json::from_value(json!({"role": "user", "content": content})).expect("a message");
            assert_eq!(message_tokens(&message), expected, "{content}");
        }
        assert_eq!(system_tokens("  a\n"), 7);
    }
}
