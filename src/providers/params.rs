//! Request parameters that follow from model and settings: output tokens, temperature, reasoning (spec 07 §3).

use serde_json::{Map, Value, json};

use super::ModelInfo;

/// Output tokens of models that name none.
const DEFAULT_MAX_TOKENS: i64 = 8192;
/// Output tokens of thinking models by default.
const REASONING_MAX_TOKENS: i64 = 16_384;
/// Output tokens of Claude Code by default.
const CLAUDE_CODE_MAX_TOKENS: i64 = 16_000;

/// How a wire family writes reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsFormat {
    /// Anthropic's `thinking`.
    Anthropic,
    /// OpenAI's `reasoning_effort`.
    OpenAi,
    /// Gemini's `thinkingConfig`.
    Gemini,
    /// OpenRouter's `reasoning`.
    OpenRouter,
}

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelParams {
    /// Most output tokens.
    pub max_tokens: Option<i64>,
    /// Temperature; absent where the model takes none.
    pub temperature: Option<f64>,
    /// Verbosity as set.
    pub verbosity: Option<String>,
    /// Reasoning effort in force.
    pub reasoning_effort: Option<String>,
    /// Budget of thinking tokens in force.
    pub reasoning_budget: Option<i64>,
    /// Reasoning as the family writes it.
    pub reasoning: Option<Value>,
}

/// Whether the model thinks within a budget (spec 07 §3.1).
pub fn use_reasoning_budget(info: &ModelInfo, options: &Map<String, Value>) -> bool {
    info.required_reasoning_budget == Some(true)
        || info.supports_reasoning_budget == Some(true) && options.get("enableReasoningEffort") == Some(&json!(true))
}

/// Whether a reasoning effort is in force (spec 07 §3.1).
pub fn use_reasoning_effort(info: &ModelInfo, options: &Map<String, Value>) -> bool {
    options.get("enableReasoningEffort") != Some(&json!(false))
        && (info.supports_reasoning_effort == Some(true) && text(options, "reasoningEffort").is_some()
            || info.reasoning_effort.as_deref().is_some_and(|effort| !effort.is_empty()))
}

/// Most output tokens (spec 07 §3.2). `None` only with a format.
pub fn max_output_tokens(
    model_id: &str,
    info: &ModelInfo,
    options: &Map<String, Value>,
    format: Option<ParamsFormat>,
) -> Option<i64> {
    if text(options, "apiProvider") == Some("claude-code") {
        return Some(number(options, "claudeCodeMaxOutputTokens").unwrap_or(CLAUDE_CODE_MAX_TOKENS));
    }
    if use_reasoning_budget(info, options) {
        return Some(number(options, "modelMaxTokens").unwrap_or(REASONING_MAX_TOKENS));
    }
    let anthropic = model_id.contains("claude")
        || format == Some(ParamsFormat::Anthropic)
        || format == Some(ParamsFormat::OpenRouter) && model_id.starts_with("anthropic/");
    match info.max_tokens.filter(|tokens| *tokens != 0) {
        None if anthropic => Some(DEFAULT_MAX_TOKENS),
        None if format.is_some() => None,
        None => Some(DEFAULT_MAX_TOKENS),
        Some(tokens) if model_id.to_lowercase().contains("gpt-5") => Some(tokens),
        Some(tokens) => Some(tokens.min((info.context_window as f64 * 0.2).ceil() as i64)),
    }
}

/// All parameters of a request (spec 07 §3.3).
pub fn model_params(
    format: ParamsFormat,
    model_id: &str,
    info: &ModelInfo,
    options: &Map<String, Value>,
    default_temperature: f64,
) -> ModelParams {
    let max_tokens = max_output_tokens(model_id, info, options, Some(format));
    let mut params = ModelParams {
        max_tokens,
        temperature: Some(options.get("modelTemperature").and_then(Value::as_f64).unwrap_or(default_temperature)),
        verbosity: text(options, "verbosity").map(str::to_owned),
        ..ModelParams::default()
    };
    if use_reasoning_budget(info, options) {
        params.reasoning_budget = Some(reasoning_budget(model_id, max_tokens, options));
        params.temperature = Some(1.0);
    } else if use_reasoning_effort(info, options) {
        let effort = text(options, "reasoningEffort").or(info.reasoning_effort.as_deref());
        params.reasoning_effort = effort.map(str::to_owned);
    }
    let no_temperature = match format {
        ParamsFormat::OpenAi => model_id.starts_with("o1") || model_id.starts_with("o3-mini"),
        ParamsFormat::OpenRouter => model_id == "openai/o1-pro",
        ParamsFormat::Anthropic | ParamsFormat::Gemini => false,
    };
    if no_temperature {
        params.temperature = None;
    }
    params.reasoning = reasoning(format, model_id, &params, options);
    params
}

/// At most 80 % of the output, but never below the floor, which wins.
fn reasoning_budget(model_id: &str, max_tokens: Option<i64>, options: &Map<String, Value>) -> i64 {
    let gemini_pro = model_id.contains("gemini-2.5-pro");
    let (default, floor) = if gemini_pro { (128, 128) } else { (8192, 1024) };
    let mut budget = options.get("modelMaxThinkingTokens").and_then(Value::as_f64).map_or(default, |n| n as i64);
    if let Some(tokens) = max_tokens.filter(|tokens| *tokens != 0) {
        budget = budget.min((tokens as f64 * 0.8).floor() as i64);
    }
    budget.max(floor)
}

fn reasoning(
    format: ParamsFormat,
    model_id: &str,
    params: &ModelParams,
    options: &Map<String, Value>,
) -> Option<Value> {
    let (budget, effort) = (params.reasoning_budget, params.reasoning_effort.as_deref());
    match format {
        ParamsFormat::Anthropic => budget.map(|tokens| json!({"type": "enabled", "budget_tokens": tokens})),
        ParamsFormat::OpenAi => {
            effort.filter(|effort| *effort != "minimal").map(|effort| json!({"reasoning_effort": effort}))
        }
        ParamsFormat::Gemini => budget.map(|tokens| json!({"thinkingBudget": tokens, "includeThoughts": true})),
        ParamsFormat::OpenRouter => {
            let can_be_off = ["deepseek/deepseek-v3.1", "deepseek/deepseek-chat-v3.1", "x-ai/grok-4-fast"]
                .iter()
                .any(|prefix| model_id.starts_with(prefix));
            if can_be_off && text(options, "reasoningEffort") == Some("minimal") && budget.is_none() && effort.is_some()
            {
                return Some(json!({"enabled": false}));
            }
            budget
                .map(|tokens| json!({"max_tokens": tokens}))
                .or_else(|| effort.map(|effort| json!({"effort": effort})))
        }
    }
}

/// A number as ECMAScript writes it: no fraction where there is none.
pub fn json_number(n: f64) -> Value {
    if n.fract() == 0.0 && n.abs() < 9e15 { json!(n as i64) } else { json!(n) }
}

/// A text option that is not empty.
fn text<'a>(options: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    options.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A number option that is not 0.
fn number(options: &Map<String, Value>, key: &str) -> Option<i64> {
    options.get(key).and_then(Value::as_f64).map(|n| n as i64).filter(|n| *n != 0)
}
