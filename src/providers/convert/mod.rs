//! Conversations in the formats of the wire families (spec 07 §6) and the cache marks on them (§7). Pure functions.

mod anthropic;
mod bedrock;
mod cache;
mod cerebras;
mod gemini;
mod mistral;
mod ollama;
mod openai;
mod r1;
mod simple;

use std::sync::Arc;

pub use anthropic::{mark_last_blocks, mark_last_texts, marked_system, to_anthropic};
pub use bedrock::{UnsupportedImage, to_bedrock};
pub use cache::{
    GEMINI_FREQUENCY, mark_for_claude, mark_for_gemini, mark_for_litellm, mark_for_vercel, mark_last_two_user_messages,
};
pub use cerebras::{flattened, to_cerebras, without_thinking};
pub use gemini::{GeminiUnsupported, gemini_parts, to_gemini};
pub use mistral::to_mistral;
pub use ollama::to_ollama;
pub use openai::to_openai;
pub use r1::to_r1;
use serde_json::{Value, json};
pub use simple::to_simple;

use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent, Role};

/// The conversation for a model that takes no images: each top-level image block becomes a text block with `note`
/// (`transform.image_removed`, spec 07 §1.2). Shares the conversation when there is none.
pub fn remove_images(messages: &Arc<Vec<ApiMessage>>, note: &str) -> Arc<Vec<ApiMessage>> {
    replace_images(messages, |_| note.to_owned())
}

/// The conversation with the text that `note` gives in place of each top-level image. Shares it when there is none.
pub fn replace_images(messages: &Arc<Vec<ApiMessage>>, note: impl Fn(&ImageSource) -> String) -> Arc<Vec<ApiMessage>> {
    let is_image = |block: &ContentBlock| matches!(block, ContentBlock::Image { .. });
    let has_images = |message: &ApiMessage| matches!(&message.content, MessageContent::Blocks(blocks) if blocks.iter().any(is_image));
    if !messages.iter().any(has_images) {
        return messages.clone();
    }
    let mut messages = messages.as_ref().clone();
    for message in &mut messages {
        let MessageContent::Blocks(blocks) = &mut message.content else { continue };
        for block in blocks {
            if let ContentBlock::Image { source } = block {
                *block = ContentBlock::text(note(source));
            }
        }
    }
    Arc::new(messages)
}

/// Name of a role on most wires.
fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// Image part of the OpenAI formats.
fn image_part(source: &ImageSource) -> Value {
    json!({"type": "image_url", "image_url": {"url": image_url(source)}})
}

/// Address of an image: its own, or a data URL.
pub fn image_url(source: &ImageSource) -> String {
    match source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url { url } => url.clone(),
    }
}
