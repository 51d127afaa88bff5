//! Ollama format (spec 07 §6.7).

use serde_json::{Value, json};

use super::role;
use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent, Role};

/// The conversation with plain strings and images beside them. `image_placeholder` (`transform.tool_result.image_placeholder`)
/// stands for images in tool results.
pub fn to_ollama(messages: &[ApiMessage], image_placeholder: &str) -> Vec<Value> {
    let mut converted = Vec::with_capacity(messages.len());
    for message in messages {
        match (&message.content, message.role) {
            (MessageContent::Text(text), speaker) => converted.push(json!({"role": role(speaker), "content": text})),
            (MessageContent::Blocks(blocks), Role::User) => user(blocks, image_placeholder, &mut converted),
            (MessageContent::Blocks(blocks), Role::Assistant) => {
                converted.push(json!({"role": "assistant", "content": joined(blocks, Some(""))}));
            }
        }
    }
    converted
}

/// Tool results first, each with the images of all of them; then everything else as one message.
fn user(blocks: &[ContentBlock], image_placeholder: &str, converted: &mut Vec<Value>) {
    let results = || {
        blocks.iter().filter_map(|block| match block {
            ContentBlock::ToolResult { content, .. } => Some(content.as_ref()),
            _ => None,
        })
    };
    let in_results = results().filter_map(|content| match content {
        Some(MessageContent::Blocks(blocks)) => Some(images(blocks)),
        _ => None,
    });
    let in_results: Vec<&str> = in_results.flatten().collect();
    for content in results() {
        let text = match content {
            None => String::new(),
            Some(MessageContent::Text(text)) => text.clone(),
            Some(MessageContent::Blocks(blocks)) => joined(blocks, Some(image_placeholder)),
        };
        converted.push(message(text, &in_results));
    }
    let is_said = |block: &ContentBlock| matches!(block, ContentBlock::Text { .. } | ContentBlock::Image { .. });
    if blocks.iter().any(is_said) {
        converted.push(message(joined(blocks, None), &images(blocks).collect::<Vec<_>>()));
    }
}

fn message(content: String, images: &[&str]) -> Value {
    let mut message = json!({"role": "user", "content": content});
    if !images.is_empty() {
        message["images"] = json!(images);
    }
    message
}

/// Data of the images; those that are only linked cannot be sent.
fn images(blocks: &[ContentBlock]) -> impl Iterator<Item = &str> {
    blocks.iter().filter_map(|block| match block {
        ContentBlock::Image { source: ImageSource::Base64 { data, .. } } => Some(data.as_str()),
        _ => None,
    })
}

/// Texts and, in place of each image, `image`, if there is one.
fn joined(blocks: &[ContentBlock], image: Option<&str>) -> String {
    let parts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            ContentBlock::Text { text } => Some(text.as_str()),
            ContentBlock::Image { .. } => image,
            _ => None,
        })
        .collect();
    parts.join("\n")
}
