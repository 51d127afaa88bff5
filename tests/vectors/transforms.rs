//! Conversations in provider formats, and request parameters.

use std::sync::Arc;

use lapce_ai::protocol::message::ApiMessage;
use lapce_ai::providers::ModelInfo;
use lapce_ai::providers::convert::{
    GeminiUnsupported, mark_last_texts, remove_images, to_gemini, to_openai, to_r1, to_simple,
};
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
        "r1" => json!(to_r1(None, &messages())).into(),
        "gemini" => match to_gemini(&messages(), "⟦IMG_NEXT_PART⟧") {
            Ok(contents) => json!(contents).into(),
            Err(GeminiUnsupported::ImageSource) => json!({"threw": "UNSUPPORTED_IMAGE_SOURCE"}).into(),
            Err(GeminiUnsupported::Block(kind)) => json!({"threw": format!("UNSUPPORTED_BLOCK|{kind}")}).into(),
        },
        "simple" => json!(to_simple(&messages())).into(),
        "remove_images" if input["supports_images"] == json!(true) => json!(messages()).into(),
        "remove_images" => json!(*remove_images(&Arc::new(messages()), "⟦IMG_REFERENCED⟧")).into(),
        "cache_vertex" => {
            let mut messages = input["messages"].as_array().cloned().unwrap_or_default();
            mark_last_texts(&mut messages);
            json!(messages).into()
        }
        "model_params" => params(input).into(),
        other => Outcome::Missing(other.to_owned()),
    }
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
