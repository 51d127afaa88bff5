//! Simple format: every message a string (spec 07 §6.3).

use serde_json::{Value, json};

use super::role;
use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent};

/// The conversation with plain strings; markers stand for everything that is not text.
pub fn to_simple(messages: &[ApiMessage]) -> Vec<Value> {
    messages.iter().map(|message| json!({"role": role(message.role), "content": text(&message.content)})).collect()
}

fn text(content: &MessageContent) -> String {
    match content {
        MessageContent::Text(text) => text.clone(),
        MessageContent::Blocks(blocks) => {
            let parts: Vec<String> = blocks.iter().map(block).filter(|part| !part.is_empty()).collect();
            parts.join("\n")
        }
    }
}

fn block(block: &ContentBlock) -> String {
    match block {
        ContentBlock::ToolUse { name, .. } => format!("[Tool Use: {name}]"),
        ContentBlock::ToolResult { content: Some(MessageContent::Text(text)), .. } => text.clone(),
        ContentBlock::ToolResult { content: Some(MessageContent::Blocks(blocks)), .. } => {
            blocks.iter().map(text_or_marker).collect::<Vec<_>>().join("\n")
        }
        other => text_or_marker(other),
    }
}

fn text_or_marker(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text { text } => text.clone(),
        ContentBlock::Image { source: ImageSource::Url { .. } } => "[Image: URL]".into(),
        ContentBlock::Image { source: ImageSource::Base64 { media_type, .. } } => format!("[Image: {media_type}]"),
        _ => String::new(),
    }
}
