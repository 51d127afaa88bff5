//! Prompt-cache marks on conversations in OpenAI's format (spec 07 §7). The first message is the system prompt: where a
//! strategy marks it, it is written anew, also over a message that is none.

use serde_json::{Value, json};

/// Every how many user messages strategy D marks one.
pub const GEMINI_FREQUENCY: usize = 10;

/// Strategy C: marks the system prompt and the last text of the last two user messages; all strings of users become parts.
pub fn mark_for_claude(system: &str, messages: &mut Vec<Value>) {
    set_first(messages, json!({"role": "system", "content": [marked_text(system)]}));
    users(messages).for_each(split);
    mark_last_two_user_messages(messages);
}

/// Strategy D: as C, but instead of the last two user messages every one whose number is a multiple of `frequency`.
pub fn mark_for_gemini(system: &str, messages: &mut Vec<Value>, frequency: usize) {
    set_first(messages, json!({"role": "system", "content": [marked_text(system)]}));
    users(messages).for_each(split);
    if let Some(others) = frequency.checked_sub(1) {
        users(messages).skip(others).step_by(frequency).for_each(mark_last_text);
    }
}

/// Strategy E: marks the system message as a whole, and the last text of the last two user messages unless it is empty.
pub fn mark_for_vercel(system: &str, messages: &mut Vec<Value>) {
    set_first(messages, json!({"role": "system", "content": system, "cache_control": mark()}));
    for content in users(messages).rev().take(2) {
        if content.as_str().is_some_and(|text| !text.is_empty()) {
            split(content);
        }
        if let Some(part) = last_text(content).filter(|part| part["text"] != "") {
            part["cache_control"] = mark();
        }
    }
}

/// Strategy F: marks the last text of the last two user messages; strings among these become parts, a message without
/// text gets one of three dots.
pub fn mark_last_two_user_messages(messages: &mut [Value]) {
    users(messages).rev().take(2).for_each(mark_last_text);
}

/// Strategy G: marks the system prompt and the last part, of whatever kind, of the last two user messages.
pub fn mark_for_litellm(system: &str, messages: &mut Vec<Value>) {
    set_first(messages, json!({"role": "system", "content": [marked_text(system)]}));
    for content in users(messages).rev().take(2) {
        split(content);
        if let Some(part) = content.as_array_mut().and_then(|parts| parts.last_mut()).filter(|part| part.is_object()) {
            part["cache_control"] = mark();
        }
    }
}

fn mark() -> Value {
    json!({"type": "ephemeral"})
}

fn marked_text(text: &str) -> Value {
    json!({"type": "text", "text": text, "cache_control": mark()})
}

fn set_first(messages: &mut Vec<Value>, message: Value) {
    match messages.first_mut() {
        Some(first) => *first = message,
        None => messages.push(message),
    }
}

/// Contents of the users' messages.
fn users(messages: &mut [Value]) -> impl DoubleEndedIterator<Item = &mut Value> {
    let of_users = messages.iter_mut().filter(|message| message["role"] == "user");
    of_users.filter_map(|message| message.get_mut("content"))
}

/// A string becomes one part.
fn split(content: &mut Value) {
    if content.is_string() {
        *content = json!([{"type": "text", "text": content.take()}]);
    }
}

fn last_text(content: &mut Value) -> Option<&mut Value> {
    content.as_array_mut()?.iter_mut().rev().find(|part| part["type"] == "text")
}

fn mark_last_text(content: &mut Value) {
    split(content);
    match last_text(content) {
        Some(part) => part["cache_control"] = mark(),
        None => content.as_array_mut().into_iter().for_each(|parts| parts.push(marked_text("..."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellm_marks_the_last_part_of_any_kind() {
        let image = || json!({"type": "image_url", "image_url": {"url": "data:x"}});
        for (content, expected) in [
            (json!("a"), json!([marked_text("a")])),
            (json!(""), json!([marked_text("")])),
            (json!([]), json!([])),
            (
                json!([{"type": "text", "text": "a"}, image()]),
                json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}, "cache_control": mark()}]),
            ),
        ] {
            let user = |content: &Value| json!({"role": "user", "content": content});
            let mut messages =
                vec![json!({"role": "system", "content": "S"}), user(&json!("early")), user(&content), user(&content)];
            mark_for_litellm("S", &mut messages);
            let system = json!({"role": "system", "content": [marked_text("S")]});
            assert_eq!(messages, [system, user(&json!("early")), user(&expected), user(&expected)]);
        }
    }
}
