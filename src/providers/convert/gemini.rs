//! Gemini format (spec 07 §6.4).

use serde_json::{Map, Value, json};

use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent, Role};

/// A block that Gemini's format has no place for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeminiUnsupported {
    /// An image that is not given as base64.
    #[error("an image that is not base64")]
    ImageSource,
    /// A block of this type.
    #[error("a block of type {0}")]
    Block(String),
}

/// The conversation as `contents`. `image_note` (`transform.gemini.image_note`) says in a tool result that its images follow.
///
/// # Errors
/// The first block the format has no place for.
pub fn to_gemini(messages: &[ApiMessage], image_note: &str) -> Result<Vec<Value>, GeminiUnsupported> {
    messages.iter().map(|message| content(message, image_note)).collect()
}

/// Blocks as `parts` of one message.
///
/// # Errors
/// The first block the format has no place for.
pub fn gemini_parts(blocks: &[ContentBlock], image_note: &str) -> Result<Vec<Value>, GeminiUnsupported> {
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            ContentBlock::Text { text } => parts.push(json!({"text": text})),
            ContentBlock::Image { source } => parts.push(image(source).ok_or(GeminiUnsupported::ImageSource)?),
            ContentBlock::ToolUse { name, input, .. } => {
                let mut call = Map::from_iter([("name".to_owned(), json!(name))]);
                if !input.is_null() {
                    call.insert("args".into(), input.clone());
                }
                parts.push(json!({"functionCall": call}));
            }
            ContentBlock::ToolResult { tool_use_id, content, .. } => {
                tool_result(tool_use_id, content.as_ref(), image_note, &mut parts);
            }
            ContentBlock::Other(block) => return Err(unknown(block)),
        }
    }
    Ok(parts)
}

fn content(message: &ApiMessage, image_note: &str) -> Result<Value, GeminiUnsupported> {
    let role = match message.role {
        Role::Assistant => "model",
        Role::User => "user",
    };
    let parts = match &message.content {
        MessageContent::Text(text) => vec![json!({"text": text})],
        MessageContent::Blocks(blocks) => gemini_parts(blocks, image_note)?,
    };
    Ok(json!({"role": role, "parts": parts}))
}

fn image(source: &ImageSource) -> Option<Value> {
    match source {
        ImageSource::Base64 { media_type, data } => Some(json!({"inlineData": {"data": data, "mimeType": media_type}})),
        ImageSource::Url { .. } => None,
    }
}

/// One response for the texts, then the images; nothing for an empty one.
fn tool_result(id: &str, content: Option<&MessageContent>, image_note: &str, parts: &mut Vec<Value>) {
    let name = id.split('-').next().unwrap_or(id);
    let response =
        |content: &str| json!({"functionResponse": {"name": name, "response": {"name": name, "content": content}}});
    match content {
        None => {}
        Some(MessageContent::Text(text)) if text.is_empty() => {}
        Some(MessageContent::Text(text)) => parts.push(response(text)),
        Some(MessageContent::Blocks(blocks)) => {
            let texts: Vec<&str> = blocks.iter().filter_map(text).collect();
            let images: Vec<Value> = blocks.iter().filter_map(block_image).collect();
            let note = if images.is_empty() { String::new() } else { format!("\n\n{image_note}") };
            parts.push(response(&format!("{}{note}", texts.join("\n\n"))));
            parts.extend(images);
        }
    }
}

fn text(block: &ContentBlock) -> Option<&str> {
    match block {
        ContentBlock::Text { text } => Some(text),
        _ => None,
    }
}

fn block_image(block: &ContentBlock) -> Option<Value> {
    match block {
        ContentBlock::Image { source } => image(source),
        _ => None,
    }
}

fn unknown(block: &Value) -> GeminiUnsupported {
    match block.get("type").and_then(Value::as_str).unwrap_or("") {
        "image" => GeminiUnsupported::ImageSource,
        kind => GeminiUnsupported::Block(kind.to_owned()),
    }
}
