//! Bodies of Gemini's calls (spec 07 §13).

use serde_json::{Map, Value, json};

use super::options::GeminiOptions;
use crate::protocol::message::ContentBlock;
use crate::providers::ChatRequest;
use crate::providers::convert::{GeminiUnsupported, gemini_parts, to_gemini};

/// The body for a conversation.
///
/// # Errors
/// A block that cannot be sent.
pub fn conversation(
    options: &GeminiOptions,
    request: &ChatRequest,
    image_note: &str,
) -> Result<Value, GeminiUnsupported> {
    let mut body = Map::from_iter([
        ("contents".to_owned(), Value::Array(to_gemini(&request.messages, image_note)?)),
        ("systemInstruction".to_owned(), user(vec![json!({"text": request.system})])),
    ]);
    body.extend(tools(options));
    body.insert("generationConfig".into(), generation(options));
    Ok(Value::Object(body))
}

/// The `generationConfig` of a conversation.
pub fn generation(options: &GeminiOptions) -> Value {
    let mut generation = Map::from_iter([("temperature".to_owned(), options.temperature.clone())]);
    if let Some(tokens) = &options.max_tokens {
        generation.insert("maxOutputTokens".into(), tokens.clone());
    }
    if let Some(thinking) = &options.params.reasoning {
        generation.insert("thinkingConfig".into(), thinking.clone());
    }
    Value::Object(generation)
}

/// One message of the user.
pub fn user(parts: Vec<Value>) -> Value {
    json!({"role": "user", "parts": parts})
}

/// The body for a single prompt: no limit of tokens, no thinking.
pub fn single_prompt(options: &GeminiOptions, prompt: &str) -> Value {
    let mut body = Map::from_iter([("contents".to_owned(), json!([user(vec![json!({"text": prompt})])]))]);
    body.extend(tools(options));
    body.insert("generationConfig".into(), json!({"temperature": options.temperature}));
    Value::Object(body)
}

/// The body that asks how many tokens these blocks are.
///
/// # Errors
/// A block that cannot be sent.
pub fn count_tokens(blocks: &[ContentBlock], image_note: &str) -> Result<Value, GeminiUnsupported> {
    Ok(json!({"contents": [user(gemini_parts(blocks, image_note)?)]}))
}

/// The `tools` member, if there is any tool.
fn tools(options: &GeminiOptions) -> Option<(String, Value)> {
    let tools: Vec<Value> = [(options.url_context, "urlContext"), (options.grounding, "googleSearch")]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, name)| json!({name: {}}))
        .collect();
    (!tools.is_empty()).then(|| ("tools".to_owned(), tools.into()))
}
