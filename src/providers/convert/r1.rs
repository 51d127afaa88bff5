//! R1 format: one message a turn of speech, no system message (spec 07 §6.2).

use serde_json::{Value, json};

use super::{image_part, role};
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent};

/// The conversation with neighbouring messages of one role merged. `system` (if any) goes first, as a user message.
pub fn to_r1(system: Option<&str>, messages: &[ApiMessage]) -> Vec<Value> {
    let mut converted: Vec<Value> = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = system {
        converted.push(json!({"role": "user", "content": system}));
    }
    for message in messages {
        let content = content(&message.content);
        match converted.last_mut() {
            Some(last) if last["role"] == role(message.role) => merge(&mut last["content"], content),
            _ => converted.push(json!({"role": role(message.role), "content": content})),
        }
    }
    converted
}

/// A string, or parts (text first) if there is an image.
fn content(content: &MessageContent) -> Value {
    let blocks = match content {
        MessageContent::Text(text) => return json!(text),
        MessageContent::Blocks(blocks) => blocks,
    };
    let mut texts = Vec::new();
    let mut images = Vec::new();
    for block in blocks {
        match block {
            ContentBlock::Text { text } => texts.push(text.as_str()),
            ContentBlock::Image { source } => images.push(image_part(source)),
            _ => {}
        }
    }
    let text = texts.join("\n");
    if images.is_empty() {
        return json!(text);
    }
    let mut parts = Vec::with_capacity(images.len() + 1);
    if !texts.is_empty() {
        parts.push(json!({"type": "text", "text": text}));
    }
    parts.extend(images);
    Value::Array(parts)
}

fn merge(last: &mut Value, next: Value) {
    match (&mut *last, next) {
        (Value::String(last), Value::String(next)) => {
            last.push('\n');
            last.push_str(&next);
        }
        (_, next) => {
            let mut parts = into_parts(last.take());
            parts.extend(into_parts(next));
            *last = Value::Array(parts);
        }
    }
}

fn into_parts(content: Value) -> Vec<Value> {
    match content {
        Value::Array(parts) => parts,
        text => vec![json!({"type": "text", "text": text})],
    }
}
