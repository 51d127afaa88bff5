//! Prompt-cache marks on converted conversations (spec 07 §7).

use serde_json::{Value, json};

/// Strategy F: marks the last text of the last two user messages; strings among these become parts, a message without
/// text gets one of three dots.
pub fn mark_last_two_user_messages(messages: &mut [Value]) {
    for message in messages.iter_mut().filter(|message| message["role"] == "user").rev().take(2) {
        mark_last_text(&mut message["content"]);
    }
}

fn mark_last_text(content: &mut Value) {
    if content.is_string() {
        *content = json!([{"type": "text", "text": content.take()}]);
    }
    let Value::Array(parts) = content else { return };
    let mark = json!({"type": "ephemeral"});
    match parts.iter_mut().rev().find(|part| part["type"] == "text") {
        Some(part) => part["cache_control"] = mark,
        None => parts.push(json!({"type": "text", "text": "...", "cache_control": mark})),
    }
}
