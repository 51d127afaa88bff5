//! Models behind Hugging Face's router (spec 07 §21.2): each once, and once more for every provider that serves it.

use std::time::Duration;

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{data, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const URL: &str = "https://router.huggingface.co/v1/models?collection=roocode";
const LIMIT: Duration = Duration::from_secs(10);
const DEFAULT_CONTEXT: u64 = 128_000;
const MOST_OUTPUT: u64 = 2048;
/// The router answers browsers.
const HEADERS: [(&str, &str); 5] = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "application/json"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Site", "cross-site"),
];

pub const SOURCE: Source =
    Source { name: "huggingface", request, read, limit: Some(LIMIT), needs_key: false, on_failure: OnFailure::Stale };

fn request(_: &Query) -> Result<HttpRequest, Failure> {
    Query::default().get(URL.to_owned(), &HEADERS)
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let mut list = ModelList::new();
    for entry in data(bytes)? {
        let (Some(id), Some(providers)) = (text(&entry["id"]), entry["providers"].as_array()) else { continue };
        if providers.is_empty() {
            continue;
        }
        list.push((id.to_owned(), info(&Value::Null, providers)));
        for provider in providers.iter().filter(|provider| provider["status"] == "live") {
            if let Some(name) = text(&provider["provider"]) {
                list.push((format!("{id}:{name}"), info(provider, providers)));
            }
        }
    }
    Ok(unique(list))
}

/// What `provider` says of the model, else the first that says anything.
fn info(provider: &Value, providers: &[Value]) -> ModelInfo {
    let context = |provider: &Value| Some(size(&provider["context_length"])).filter(|n| *n != 0);
    let pricing = |provider: &Value| provider.get("pricing").filter(|prices| prices.is_object()).cloned();
    let context_window = context(provider).or_else(|| providers.iter().find_map(context)).unwrap_or(DEFAULT_CONTEXT);
    let pricing = pricing(provider).or_else(|| providers.iter().find_map(pricing)).unwrap_or_default();
    ModelInfo {
        max_tokens: Some(context_window.min(MOST_OUTPUT) as i64),
        context_window,
        supports_images: Some(false),
        supports_prompt_cache: Some(false),
        input_price: pricing["input"].as_f64(),
        output_price: pricing["output"].as_f64(),
        ..ModelInfo::default()
    }
}
