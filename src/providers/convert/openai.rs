//! OpenAI chat format (spec 07 §6.1).

use serde_json::{Map, Value, json};

use super::{image_part, role};
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};

/// The conversation in OpenAI chat format. `image_placeholder` (`transform.tool_result.image_placeholder`) stands for images
/// in tool results.
pub fn to_openai(messages: &[ApiMessage], image_placeholder: &str) -> Vec<Value> {
    let mut converted = Vec::with_capacity(messages.len());
    for message in messages {
        match (&message.content, message.role) {
            (MessageContent::Text(text), speaker) => converted.push(json!({"role": role(speaker), "content": text})),
            (MessageContent::Blocks(blocks), Role::User) => user(blocks, image_placeholder, &mut converted),
            (MessageContent::Blocks(blocks), Role::Assistant) => converted.push(assistant(blocks)),
        }
    }
    converted
}

/// Tool results first, then everything else as one message.
fn user(blocks: &[ContentBlock], image_placeholder: &str, converted: &mut Vec<Value>) {
    let mut parts = Vec::new();
    for block in blocks {
        match block {
            ContentBlock::ToolResult { tool_use_id, content, .. } => {
                let content = tool_result(content.as_ref(), image_placeholder);
                converted.push(json!({"role": "tool", "tool_call_id": tool_use_id, "content": content}));
            }
            ContentBlock::Text { text } => parts.push(json!({"type": "text", "text": text})),
            ContentBlock::Image { source } => parts.push(image_part(source)),
            ContentBlock::ToolUse { .. } | ContentBlock::Other(_) => {}
        }
    }
    if !parts.is_empty() {
        converted.push(json!({"role": "user", "content": parts}));
    }
}

fn tool_result(content: Option<&MessageContent>, image_placeholder: &str) -> String {
    match content {
        None => String::new(),
        Some(MessageContent::Text(text)) => text.clone(),
        Some(MessageContent::Blocks(blocks)) => {
            let parts: Vec<&str> = blocks
                .iter()
                .map(|block| match block {
                    ContentBlock::Text { text } => text.as_str(),
                    ContentBlock::Image { .. } => image_placeholder,
                    _ => "",
                })
                .collect();
            parts.join("\n")
        }
    }
}

fn assistant(blocks: &[ContentBlock]) -> Value {
    let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for block in blocks {
        match block {
            ContentBlock::Text { text } => texts.push(text.as_str()),
            ContentBlock::Image { .. } => texts.push(""),
            ContentBlock::ToolUse { id, name, input } => {
                let mut function = json!({"name": name});
                if !input.is_null() {
                    function["arguments"] = json!(input.to_string());
                }
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            ContentBlock::ToolResult { .. } | ContentBlock::Other(_) => {}
        }
    }
    if !texts.is_empty() {
        message.insert("content".into(), json!(texts.join("\n")));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), json!(calls));
    }
    Value::Object(message)
}
