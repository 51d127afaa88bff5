//! Conversations in provider formats, and request parameters.

use std::sync::Arc;

use lapce_ai::protocol::message::{ApiMessage, ContentBlock, MessageContent};
use lapce_ai::providers::ModelInfo;
use lapce_ai::providers::bedrock::cache::{self, CacheLimits, Placement, cache_point};
use lapce_ai::providers::claude_code;
use lapce_ai::providers::convert::{GEMINI_FREQUENCY, mark_for_claude, mark_for_gemini, mark_for_vercel};
use lapce_ai::providers::convert::{
    GeminiUnsupported, UnsupportedImage, flattened, mark_last_texts, remove_images, to_bedrock, to_cerebras, to_gemini,
    to_mistral, to_ollama, to_openai, to_r1, to_simple, without_thinking,
};
use lapce_ai::providers::ollama::estimated_tokens;
use lapce_ai::providers::params::{ParamsFormat, model_params};
use serde_json::{Map, Value, json};

use crate::support::{Area, Outcome};

/// `transforms`.
pub fn area() -> Area {
    Area::new("transforms", run, &[])
}

/// The format of parameters by its name.
pub fn params_format(name: &Value) -> Option<ParamsFormat> {
    match name.as_str()? {
        "anthropic" => Some(ParamsFormat::Anthropic),
        "openai" => Some(ParamsFormat::OpenAi),
        "gemini" => Some(ParamsFormat::Gemini),
        "openrouter" => Some(ParamsFormat::OpenRouter),
        other => panic!("unknown format {other}"),
    }
}

fn run(input: &Value) -> Outcome {
    let messages = || -> Vec<ApiMessage> { serde_json::from_value(input["messages"].clone()).expect("messages") };
    match input["fn"].as_str().unwrap_or("") {
        "openai" => json!(to_openai(&messages(), "⟦IMG_NEXT_USER⟧")).into(),
        "cerebras" => json!(to_cerebras(&messages(), "⟦IMG_NEXT_USER⟧")).into(),
        "cerebras_strip" => json!(without_thinking(input["text"].as_str().unwrap_or(""))).into(),
        "cerebras_flatten" => json!(flattened(&input["content"])).into(),
        "mistral" => json!(to_mistral(&messages()).into_iter().map(library_names).collect::<Vec<_>>()).into(),
        "ollama" => json!(to_ollama(&messages(), "⟦IMG_NEXT_USER⟧")).into(),
        "ollama_estimate" => json!(estimated_tokens(input["messages"].as_array().map_or(&[], Vec::as_slice))).into(),
        "r1" => json!(to_r1(None, &messages())).into(),
        "gemini" => match to_gemini(&messages(), "⟦IMG_NEXT_PART⟧") {
            Ok(contents) => json!(contents).into(),
            Err(GeminiUnsupported::ImageSource) => json!({"threw": "UNSUPPORTED_IMAGE_SOURCE"}).into(),
            Err(GeminiUnsupported::Block(kind)) => json!({"threw": format!("UNSUPPORTED_BLOCK|{kind}")}).into(),
        },
        "simple" => json!(to_simple(&messages())).into(),
        "bedrock" => bedrock(&messages()).into(),
        "bedrock_cache" => bedrock_cache(input, &messages()).into(),
        "remove_images" if input["supports_images"] == json!(true) => json!(messages()).into(),
        "remove_images" => json!(*remove_images(&Arc::new(messages()), "⟦IMG_REFERENCED⟧")).into(),
        "cache_anthropic" => marked(input, mark_for_claude).into(),
        "cache_vercel" => marked(input, mark_for_vercel).into(),
        "cache_gemini" => {
            let frequency = input["frequency"].as_u64().map_or(GEMINI_FREQUENCY, |n| n as usize);
            marked(input, |system, messages| mark_for_gemini(system, messages, frequency)).into()
        }
        "cache_vertex" => {
            let mut messages = input["messages"].as_array().cloned().unwrap_or_default();
            mark_last_texts(&mut messages);
            json!(messages).into()
        }
        "claude_code_filter" => {
            let note = |kind: &str, media_type: &str| format!("⟦CC_IMG|{kind}|{media_type}⟧");
            json!(*claude_code::without_images(&Arc::new(messages()), note)).into()
        }
        "model_params" => params(input).into(),
        other => Outcome::Missing(other.to_owned()),
    }
}

/// Messages that are in OpenAI's format already, with cache marks.
fn marked(input: &Value, mark: impl Fn(&str, &mut Vec<Value>)) -> Value {
    let mut messages = input["messages"].as_array().cloned().unwrap_or_default();
    mark(input["system"].as_str().unwrap_or(""), &mut messages);
    messages.into()
}

/// The vectors of `mistral` have the client library's name of a field.
fn library_names(mut message: Value) -> Value {
    let parts = message.get_mut("content").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(url) = part.remove("image_url") {
            part.insert("imageUrl".into(), url);
        }
    }
    message
}

fn params(input: &Value) -> Value {
    let info: ModelInfo = serde_json::from_value(input["model"].clone()).expect("a model info");
    let options: Map<String, Value> = input["settings"].as_object().cloned().unwrap_or_default();
    let params = model_params(
        params_format(&input["format"]).expect("a format"),
        input["modelId"].as_str().unwrap_or(""),
        &info,
        &options,
        input["defaultTemperature"].as_f64().unwrap_or(0.0),
    );
    let fields = [
        ("format", Some(input["format"].clone())),
        ("maxTokens", params.max_tokens.map(Value::from)),
        ("temperature", params.temperature.map(Value::from)),
        ("verbosity", params.verbosity.map(Value::from)),
        ("reasoningEffort", params.reasoning_effort.map(Value::from)),
        ("reasoningBudget", params.reasoning_budget.map(Value::from)),
        ("reasoning", params.reasoning),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}

fn bedrock(messages: &[ApiMessage]) -> Value {
    match to_bedrock(messages, "⟦IMG_NEXT_MSG⟧") {
        Ok(converted) => shown_bedrock(json!(converted)),
        Err(UnsupportedImage::Format(format)) => json!({"threw": format!("UNSUPPORTED_IMAGE_FORMAT|{format}")}),
        Err(UnsupportedImage::Link) => json!({"threw": "TYPE_ERROR"}),
    }
}

/// Bytes and the marker of unknown blocks as the vectors show them.
fn shown_bedrock(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(data) if key == "bytes" => (key, json!({"$bytes": data})),
                Value::String(text) if text == "[Unknown Block Type]" => (key, json!("⟦UNKNOWN_BLOCK⟧")),
                value => (key, shown_bedrock(value)),
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(shown_bedrock).collect(),
        other => other,
    }
}

/// What the cache planner decides, with messages in its own text-only rendering.
fn bedrock_cache(input: &Value, messages: &[ApiMessage]) -> Value {
    let number = |key: &str| input["modelInfo"][key].as_u64().unwrap_or(0);
    let cachable =
        |field: &str| input["modelInfo"]["cachableFields"].as_array().is_some_and(|f| f.contains(&json!(field)));
    let limits = CacheLimits {
        max_points: number("maxCachePoints") as i64,
        min_tokens: number("minTokensPerCachePoint"),
        system: cachable("system"),
        messages: cachable("messages"),
    };
    let system = input["systemPrompt"].as_str().unwrap_or("");
    let previous: Vec<Placement> =
        serde_json::from_value(input["previousCachePointPlacements"].clone()).unwrap_or_default();
    let plan = match input["usePromptCache"] == json!(true) {
        true => cache::plan(&limits, system, messages, &previous),
        false => cache::Plan::default(),
    };
    let mut system: Vec<Value> =
        Some(system).filter(|s| !s.is_empty()).map(|s| json!({"text": s})).into_iter().collect();
    system.extend(plan.system.then(cache_point));
    let points = plan.messages.as_deref().unwrap_or(&[]);
    let message = |(i, message): (usize, &ApiMessage)| {
        let mut content = text_only(&message.content);
        content.extend(points.iter().any(|point| point.index == i).then(cache_point));
        json!({"role": message.role, "content": content})
    };
    let messages: Vec<Value> = messages.iter().enumerate().map(message).collect();
    let mut output = json!({"system": system, "messages": messages});
    if let Some(points) = plan.messages {
        let shown =
            points.iter().map(|p| json!({"index": p.index, "type": "message", "tokensCovered": p.tokens_covered}));
        output["messageCachePointPlacements"] = shown.collect();
    }
    output
}

fn text_only(content: &MessageContent) -> Vec<Value> {
    let block = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => json!({"text": text}),
        _ => json!({"text": "⟦UNSUPPORTED_CONTENT⟧"}),
    };
    match content {
        MessageContent::Text(text) => vec![json!({"text": text})],
        MessageContent::Blocks(blocks) => blocks.iter().map(block).collect(),
    }
}
