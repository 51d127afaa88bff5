//! Glama's models (spec 07 §21.2).

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{computer_use, count, description, has, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::cost::parse_price;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const URL: &str = "https://glama.ai/api/gateway/v1/models";

pub const SOURCE: Source =
    Source { name: "glama", request, read, limit: None, needs_key: false, on_failure: OnFailure::Empty };

fn request(_: &Query) -> Result<HttpRequest, Failure> {
    Query::default().get(URL.to_owned(), &[])
}

/// The entries up to the first that is none.
fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let entries: Vec<Value> = serde_json::from_slice(bytes)?;
    Ok(unique(entries.iter().map_while(|entry| {
        let capabilities = entry.get("capabilities").filter(|all| all.is_array())?;
        Some((text(&entry["id"])?.to_owned(), info(entry, capabilities)))
    })))
}

fn info(entry: &Value, capabilities: &Value) -> ModelInfo {
    let price = |name: &str| parse_price(&entry["pricePerToken"][name]);
    let mut info = ModelInfo {
        max_tokens: count(&entry["maxTokensOutput"]),
        context_window: size(&entry["maxTokensInput"]),
        supports_images: Some(has(capabilities, "input:image")),
        supports_prompt_cache: Some(has(capabilities, "caching")),
        input_price: price("input"),
        output_price: price("output"),
        cache_writes_price: price("cacheWrite"),
        cache_reads_price: price("cacheRead"),
        other: description(entry),
        ..ModelInfo::default()
    };
    computer_use(&mut info, has(capabilities, "computer_use"));
    info
}
