//! Bodies of chat requests (spec 07 §11.1, §11.2, §11.4, §11.5).

use serde_json::{Map, Value, json};

use super::options::OpenAiOptions;
use crate::providers::ChatRequest;
use crate::providers::chat::body::{self as chat, MessageFormat, headed};
use crate::providers::convert::{mark_last_two_user_messages, to_openai, to_r1, to_simple};
use crate::providers::params::json_number;

/// First line of the developer message; a convention of the vendor's wire, not a sentence of ours.
const MARKDOWN_MARK: &str = "Formatting re-enabled\n";
/// Temperature of reasoning models in R1 format.
const REASONER_TEMPERATURE: f64 = 0.6;

/// The body for a conversation.
pub fn body(options: &OpenAiOptions, request: &ChatRequest, image_placeholder: &str) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!(options.model_id));
    if options.is_o_series() {
        body.insert("messages".into(), developer(request, image_placeholder));
        if options.streaming {
            ask_for_stream(options, &mut body);
        }
        if let Some(effort) = &options.info.reasoning_effort {
            body.insert("reasoning_effort".into(), json!(effort));
        }
    } else if options.streaming {
        let default = if options.is_reasoner() { REASONER_TEMPERATURE } else { 0.0 };
        body.insert("temperature".into(), json_number(options.temperature.unwrap_or(default)));
        body.insert("messages".into(), streamed(options, request, image_placeholder));
        ask_for_stream(options, &mut body);
        if let Some(Value::Object(reasoning)) = &options.params.reasoning {
            body.extend(reasoning.clone());
        }
    } else {
        body.insert("messages".into(), unstreamed(options, request, image_placeholder));
    }
    add_max_tokens(options, &mut body);
    Value::Object(body)
}

/// The body for a single prompt.
pub fn single_prompt(options: &OpenAiOptions, prompt: &str) -> Value {
    let mut body = chat::single_prompt(&options.model_id, "user", prompt);
    add_max_tokens(options, &mut body);
    Value::Object(body)
}

fn developer(request: &ChatRequest, image_placeholder: &str) -> Value {
    let system = json!({"role": "developer", "content": format!("{MARKDOWN_MARK}{}", request.system)});
    headed(system, to_openai(&request.messages, image_placeholder)).into()
}

fn streamed(options: &OpenAiOptions, request: &ChatRequest, image_placeholder: &str) -> Value {
    let format = if options.is_reasoner() {
        MessageFormat::R1
    } else if options.legacy_format || options.base_url.contains(".volces.com") {
        MessageFormat::Simple
    } else {
        MessageFormat::OpenAi
    };
    if format != MessageFormat::OpenAi || options.info.supports_prompt_cache != Some(true) {
        return chat::messages(format, &request.system, &request.messages, image_placeholder).into();
    }
    let mut messages = to_openai(&request.messages, image_placeholder);
    mark_last_two_user_messages(&mut messages);
    let marked = json!([{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}]);
    headed(json!({"role": "system", "content": marked}), messages).into()
}

/// The system prompt goes first as a user message.
fn unstreamed(options: &OpenAiOptions, request: &ChatRequest, image_placeholder: &str) -> Value {
    if options.is_reasoner() {
        return to_r1(Some(&request.system), &request.messages).into();
    }
    let messages = match options.legacy_format {
        true => to_simple(&request.messages),
        false => to_openai(&request.messages, image_placeholder),
    };
    headed(json!({"role": "user", "content": request.system}), messages).into()
}

fn ask_for_stream(options: &OpenAiOptions, body: &mut Map<String, Value>) {
    chat::ask_for_stream(body, !options.host().contains("x.ai"));
}

fn add_max_tokens(options: &OpenAiOptions, body: &mut Map<String, Value>) {
    if !options.include_max_tokens {
        return;
    }
    let from_info = || match options.info.max_tokens {
        Some(tokens) => Some(json!(tokens)),
        None => options.max_tokens_null.then_some(Value::Null),
    };
    if let Some(tokens) = options.model_max_tokens.clone().or_else(from_info) {
        body.insert(options.max_tokens_field.into(), tokens);
    }
}
