//! Answers that come in one piece.

use serde_json::Value;

/// Text of a whole answer; empty when it has none.
pub fn message_text(answer: &Value) -> String {
    answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or("").to_owned()
}
