//! Bodies of requests to OpenRouter (spec 07 §17).

use serde_json::{Map, Value, json};

use super::options::{Choice, RoutingOptions};
use crate::providers::ChatRequest;
use crate::providers::chat::body::{self, MessageFormat};
use crate::providers::convert::{GEMINI_FREQUENCY, mark_for_claude, mark_for_gemini};
use crate::providers::params::json_number;

/// Models whose thinking is left out of the answer unless something is said about it.
const SILENT_THINKERS: [&str; 2] = ["google/gemini-2.5-pro", "google/gemini-2.5-pro-preview"];

/// The body for a conversation.
pub fn conversation(
    options: &RoutingOptions,
    choice: &Choice,
    request: &ChatRequest,
    image_placeholder: &str,
) -> Map<String, Value> {
    let mut body = head(choice, choice.params.max_tokens.filter(|tokens| *tokens > 0));
    if let Some(top_p) = choice.top_p {
        body.insert("top_p".into(), json!(top_p));
    }
    body.insert("messages".into(), messages(choice, request, image_placeholder).into());
    body::ask_for_stream(&mut body, true);
    if options.middle_out {
        body.insert("transforms".into(), json!(["middle-out"]));
    }
    let silent = || SILENT_THINKERS.contains(&choice.model.id.as_str()).then(|| json!({"exclude": true}));
    if let Some(reasoning) = choice.params.reasoning.clone().or_else(silent) {
        body.insert("reasoning".into(), reasoning);
    }
    body
}

/// The body for a single prompt.
pub fn single_prompt(choice: &Choice, prompt: &str) -> Map<String, Value> {
    let mut body = head(choice, choice.params.max_tokens);
    body.insert("messages".into(), json!([{"role": "user", "content": prompt}]));
    body.insert("stream".into(), json!(false));
    if let Some(reasoning) = &choice.params.reasoning {
        body.insert("reasoning".into(), reasoning.clone());
    }
    body
}

/// Model, limits and preferences.
fn head(choice: &Choice, max_tokens: Option<i64>) -> Map<String, Value> {
    let fields = [
        ("model", Some(json!(choice.model.id))),
        ("max_tokens", max_tokens.map(Value::from)),
        ("temperature", choice.params.temperature.map(json_number)),
        ("provider", choice.provider.clone()),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn messages(choice: &Choice, request: &ChatRequest, image_placeholder: &str) -> Vec<Value> {
    let format = if choice.reasoner { MessageFormat::R1 } else { MessageFormat::OpenAi };
    let mut messages = body::messages(format, &request.system, &request.messages, image_placeholder);
    match choice.cached {
        true if choice.model.id.starts_with("google") => {
            mark_for_gemini(&request.system, &mut messages, GEMINI_FREQUENCY);
        }
        true => mark_for_claude(&request.system, &mut messages),
        false => {}
    }
    messages
}
