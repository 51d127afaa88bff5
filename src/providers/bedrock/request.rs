//! Bodies of requests (spec 07 §15.4, §15.8).

use serde_json::{Map, Value, json};

use super::cache::{Plan, cache_point};
use super::options::BedrockOptions;
use crate::providers::ChatRequest;
use crate::providers::params::ModelParams;

/// Sent with every request that does not think.
const TOP_P: f64 = 0.1;
/// Thinking tokens when a request asks for thinking and nobody says how much.
const THINKING_BUDGET: i64 = 4096;
/// Asks for a window of a million tokens.
const MILLION_BETA: &str = "context-1m-2025-08-07";

/// The body for a conversation, converted, with the points of `plan`.
pub fn streamed(options: &BedrockOptions, request: &ChatRequest, mut messages: Vec<Value>, plan: &Plan) -> Value {
    for point in plan.messages.iter().flatten() {
        if let Some(Value::Array(blocks)) = messages.get_mut(point.index).and_then(|message| message.get_mut("content"))
        {
            blocks.push(cache_point());
        }
    }
    let mut system = Vec::new();
    if !request.system.is_empty() {
        system.push(json!({"text": request.system}));
    }
    system.extend(plan.system.then(cache_point));
    let budget = thinking_budget(options, request);
    let mut body = json!({
        "messages": messages,
        "system": system,
        "inferenceConfig": inference(options, budget.is_some()),
    });
    let mut additional = Map::new();
    if let Some(tokens) = budget {
        additional.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": tokens}));
    }
    if options.million_window {
        additional.insert("anthropic_beta".into(), json!([MILLION_BETA]));
    }
    if !additional.is_empty() {
        body["additionalModelRequestFields"] = Value::Object(additional);
    }
    body
}

/// The body for a single prompt.
pub fn single_prompt(options: &BedrockOptions, prompt: &str) -> Value {
    json!({
        "messages": [{"role": "user", "content": [{"text": prompt}]}],
        "inferenceConfig": inference(options, thinks(options)),
    })
}

fn inference(options: &BedrockOptions, thinking: bool) -> Value {
    let ModelParams { max_tokens, temperature, .. } = options.params;
    let mut config = Map::new();
    if let Some(tokens) = max_tokens.filter(|tokens| *tokens != 0).or(options.model.info.max_tokens) {
        config.insert("maxTokens".into(), json!(tokens));
    }
    if let Some(temperature) = temperature {
        config.insert("temperature".into(), json!(temperature));
    }
    if !thinking {
        config.insert("topP".into(), json!(TOP_P));
    }
    Value::Object(config)
}

/// Whether the profile has the model think.
fn thinks(options: &BedrockOptions) -> bool {
    options.model.info.supports_reasoning_budget == Some(true)
        && options.params.reasoning.is_some()
        && options.params.reasoning_budget.is_some_and(|tokens| tokens != 0)
}

/// Thinking tokens of a request that thinks, by the profile's wish or its own.
fn thinking_budget(options: &BedrockOptions, request: &ChatRequest) -> Option<i64> {
    let wish = request.metadata.as_ref().and_then(|metadata| metadata.thinking.as_ref());
    let asked = wish.is_some_and(|wish| wish.enabled) && options.model.info.supports_reasoning_budget == Some(true);
    if !asked && !thinks(options) {
        return None;
    }
    let own = wish.and_then(|wish| wish.max_tokens);
    let budget = own.filter(|tokens| *tokens != 0).or(options.params.reasoning_budget.filter(|tokens| *tokens != 0));
    Some(budget.unwrap_or(THINKING_BUDGET))
}
