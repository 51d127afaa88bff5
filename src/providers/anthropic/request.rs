//! Bodies of requests to Anthropic's API (spec 07 §9).

use serde_json::{Map, Value, json};

use super::options::AnthropicOptions;
use crate::protocol::message::ContentBlock;
use crate::providers::ChatRequest;
use crate::providers::convert::{mark_last_blocks, marked_system, to_anthropic};
use crate::providers::params::{ModelParams, json_number};

/// Output tokens of models that name none, and of single prompts.
const DEFAULT_MAX_TOKENS: i64 = 8192;

/// The body for a conversation.
pub fn body(options: &AnthropicOptions, request: &ChatRequest) -> Value {
    let mut messages = to_anthropic(&request.messages);
    mark_last_blocks(&mut messages);
    let mut body = shared(&options.params, Some(marked_system(&request.system)), messages, true);
    body.insert("model".into(), json!(options.model_id));
    Value::Object(body)
}

/// What the bodies of requests to Claude have in common, whoever serves it: all but model and version.
pub fn shared(params: &ModelParams, system: Option<Value>, messages: Vec<Value>, stream: bool) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("max_tokens".into(), json!(params.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)));
    body.extend(params.temperature.map(|temperature| ("temperature".into(), json_number(temperature))));
    body.extend(params.reasoning.clone().map(|thinking| ("thinking".into(), thinking)));
    body.extend(system.map(|system| ("system".into(), system)));
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), json!(stream));
    body
}

/// The body for a single prompt. The temperature is the conversation's, though nothing is thought here.
pub fn single_prompt(options: &AnthropicOptions, prompt: &str) -> Value {
    json!({
        "model": options.model_id,
        "max_tokens": DEFAULT_MAX_TOKENS,
        "temperature": options.params.temperature.map(json_number),
        "messages": [{"role": "user", "content": prompt}],
        "stream": false,
    })
}

/// The body that asks how many tokens `blocks` are.
pub fn token_count(options: &AnthropicOptions, blocks: &[ContentBlock]) -> Value {
    json!({"model": options.model_id, "messages": [{"role": "user", "content": blocks}]})
}
