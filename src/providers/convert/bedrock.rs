//! Bedrock's Converse format (spec 07 §6.5).

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Value, json};

use super::role;
use crate::ecma::text::text_of;
use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent};

/// Image formats the service takes.
const IMAGE_FORMATS: [&str; 4] = ["png", "jpeg", "gif", "webp"];
/// Stands for a block of a kind the format does not know; a marker, not a sentence.
const UNKNOWN_BLOCK: &str = "[Unknown Block Type]";

/// An image the service does not take. The request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedImage {
    /// The media type names another format than PNG, JPEG, GIF or WebP (`transform.bedrock.unsupported_image_format`).
    #[error("image format {0:?}")]
    Format(String),
    /// A link (`transform.bedrock.unsupported_image_source`).
    #[error("image link")]
    Link,
}

/// The conversation in Converse format. `image_placeholder` (`transform.tool_result.image_placeholder`) stands for images in
/// old tool results; bytes are base64 text, as on the wire.
///
/// # Errors
/// An image of a message that the service does not take.
pub fn to_bedrock(messages: &[ApiMessage], image_placeholder: &str) -> Result<Vec<Value>, UnsupportedImage> {
    let message = |message: &ApiMessage| {
        let content = match &message.content {
            MessageContent::Text(text) => vec![json!({"text": text})],
            MessageContent::Blocks(blocks) => {
                blocks.iter().map(|part| block(part, image_placeholder)).collect::<Result<_, _>>()?
            }
        };
        Ok(json!({"role": role(message.role), "content": content}))
    };
    messages.iter().map(message).collect()
}

fn block(block: &ContentBlock, image_placeholder: &str) -> Result<Value, UnsupportedImage> {
    Ok(match block {
        ContentBlock::Text { text } => json!({"text": text}),
        ContentBlock::Image { source: ImageSource::Url { .. } } => return Err(UnsupportedImage::Link),
        ContentBlock::Image { source: ImageSource::Base64 { media_type, data } } => {
            let format = media_type.split('/').nth(1).unwrap_or("");
            if !IMAGE_FORMATS.contains(&format) {
                return Err(UnsupportedImage::Format(format.to_owned()));
            }
            json!({"image": {"format": format, "source": {"bytes": canonical_base64(data)}}})
        }
        ContentBlock::ToolUse { id, name, input } => {
            json!({"toolUse": {"toolUseId": id, "name": name, "input": call_as_xml(name, input)}})
        }
        ContentBlock::ToolResult { tool_use_id, content, output, .. } => {
            let content = match content {
                Some(MessageContent::Blocks(items)) => items.iter().map(text_part).collect(),
                _ => old_output(output.as_ref(), image_placeholder),
            };
            json!({"toolResult": {"toolUseId": tool_use_id, "content": content, "status": "success"}})
        }
        ContentBlock::Other(other) if other["type"] == "video" => video(other),
        ContentBlock::Other(_) => json!({"text": UNKNOWN_BLOCK}),
    })
}

/// The arguments of a call as the agent's XML calls show them.
fn call_as_xml(name: &str, input: &Value) -> String {
    let parameter = |key: &str, value: &Value| format!("<{key}>\n{}\n</{key}>", text_of(value));
    let parameters: Vec<String> = match input {
        Value::Object(map) => map.iter().map(|(key, value)| parameter(key, value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| parameter(&i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    format!("<{name}>\n{}\n</{name}>", parameters.join("\n"))
}

/// An item of a tool result: its text, whatever it is; an empty block if it has none.
fn text_part(item: &ContentBlock) -> Value {
    match item {
        ContentBlock::Text { text } => json!({"text": text}),
        ContentBlock::Other(Value::Object(other)) => match other.get("text") {
            Some(text) => json!({"text": text}),
            None => json!({}),
        },
        _ => json!({}),
    }
}

/// A tool result without an array of content: the field some old histories have instead.
fn old_output(output: Option<&Value>, image_placeholder: &str) -> Vec<Value> {
    let part = |part: &Value| match (part.get("text"), part.get("type").and_then(Value::as_str)) {
        (Some(text), _) => json!({"text": text}),
        (None, Some("image")) => json!({"text": image_placeholder}),
        (None, _) => json!({"text": text_of(part)}),
    };
    match output {
        None | Some(Value::Null | Value::Bool(false)) => vec![json!({"text": ""})],
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => vec![json!({"text": ""})],
        Some(other) => vec![json!({"text": text_of(other)})],
    }
}

fn video(block: &Value) -> Value {
    let source = match block.get("s3Location").filter(|location| !location.is_null()) {
        Some(location) => {
            let mut kept = serde_json::Map::new();
            for key in ["uri", "bucketOwner"] {
                kept.extend(location.get(key).map(|value| (key.to_owned(), value.clone())));
            }
            json!({"s3Location": kept})
        }
        None => block.get("source").cloned().unwrap_or(Value::Null),
    };
    json!({"video": {"format": "mp4", "source": source}})
}

/// The same bytes in the one form the service reads: histories hold data URLs of any origin, which may be unpadded, in the
/// alphabet for URLs, or broken into lines.
fn canonical_base64(data: &str) -> Cow<'_, str> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    if STANDARD.decode(data).is_ok() {
        return Cow::Borrowed(data);
    }
    let mut letters: String = data
        .chars()
        .take_while(|c| *c != '=')
        .filter_map(|c| match c {
            '-' => Some('+'),
            '_' => Some('/'),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' => Some(c),
            _ => None,
        })
        .collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    let bytes = GeneralPurpose::new(&ALPHABET, LENIENT).decode(letters).unwrap_or_default();
    Cow::Owned(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_any_origin_becomes_canonical() {
        for (data, expected) in [
            ("QUJD", "QUJD"),
            ("QUI=", "QUI="),
            ("QUI", "QUI="),
            ("QU\nJD", "QUJD"),
            ("__-_", "//+/"),
            ("QR==", "QQ=="),
            ("QUJDR", "QUJD"),
            ("", ""),
        ] {
            assert_eq!(canonical_base64(data), expected, "{data:?}");
        }
    }
}
