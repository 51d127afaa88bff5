//! Costs, token counts and limits.

use lapce_ai::protocol::message::{ContentBlock, TokenUsage, UiMessage};
use lapce_ai::providers::params::{max_output_tokens, use_reasoning_budget, use_reasoning_effort};
use lapce_ai::providers::{ModelInfo, Usage, cost, router_name, tokens};
use lapce_ai::task::{combine_api_requests, combine_command_sequences, token_usage, usage_changed};
use serde_json::{Map, Value, json};

use crate::support::{Area, Outcome};
use crate::transforms::params_format;

/// `cost_tokens`.
pub fn area() -> Area {
    Area::new("cost_tokens", run, &[])
}

fn run(input: &Value) -> Outcome {
    let info = || -> ModelInfo { serde_json::from_value(input["model"].clone()).expect("a model info") };
    let options: Map<String, Value> = input["settings"].as_object().cloned().unwrap_or_default();
    match input["fn"].as_str().unwrap_or("") {
        "cost_anthropic" => json!(cost::anthropic(&info(), &usage(input))).into(),
        "cost_openai" => json!(cost::openai(&info(), &usage(input))).into(),
        "parse_price" => json!(cost::parse_price(&input["price"])).into(),
        "max_output_tokens" => {
            let model_id = input["modelId"].as_str().unwrap_or("");
            json!(max_output_tokens(model_id, &info(), &options, params_format(&input["format"]))).into()
        }
        "use_reasoning_budget" => json!(use_reasoning_budget(&info(), &options)).into(),
        "use_reasoning_effort" => json!(use_reasoning_effort(&info(), &options)).into(),
        "router_name" => match input["name"].as_str().map(|name| (name, router_name(name))) {
            Some((_, Some(name))) => json!({"is": true, "to": name}).into(),
            Some((_, None)) => json!({"is": false, "to": {"threw": "INVALID_ROUTER"}}).into(),
            None => json!({"is": null, "to": {"threw": "INVALID_ROUTER"}}).into(),
        },
        "encode" => json!({"ids": tokens::encode(input["text"].as_str().unwrap_or(""))}).into(),
        "count_tokens" => {
            let blocks: Vec<ContentBlock> = serde_json::from_value(input["content"].clone()).expect("blocks");
            json!(tokens::count_blocks(&blocks)).into()
        }
        "api_metrics" => json!(token_usage(&messages(input))).into(),
        "combine_api_requests" => json!(combine_api_requests(&messages(input))).into(),
        "combine_commands" => json!(combine_command_sequences(&messages(input))).into(),
        "usage_changed" => {
            let usage: TokenUsage = serde_json::from_value(input["current"].clone()).expect("a usage");
            // A snapshot that lacks a count differs from any usage.
            let snapshot: Option<TokenUsage> = serde_json::from_value(input["snapshot"].clone()).ok();
            json!(usage_changed(&usage, snapshot.as_ref())).into()
        }
        other => Outcome::Missing(other.to_owned()),
    }
}

fn messages(input: &Value) -> Vec<UiMessage> {
    serde_json::from_value(input["messages"].clone()).expect("messages")
}

fn usage(input: &Value) -> Usage {
    let tokens = |key: &str| input[key].as_u64();
    Usage {
        input_tokens: tokens("input").unwrap_or(0),
        output_tokens: tokens("output").unwrap_or(0),
        cache_write_tokens: tokens("cache_writes"),
        cache_read_tokens: tokens("cache_reads"),
        ..Usage::default()
    }
}
