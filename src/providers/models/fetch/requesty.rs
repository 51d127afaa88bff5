//! Requesty's models (spec 07 §21.2).

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{computer_use, count, data, description, is, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::cost::parse_price;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const URL: &str = "https://router.requesty.ai/v1/models";

pub const SOURCE: Source =
    Source { name: "requesty", request, read, limit: None, needs_key: false, on_failure: OnFailure::Empty };

fn request(query: &Query) -> Result<HttpRequest, Failure> {
    let given = query.base_url.as_deref().and_then(|base| url::Url::parse(base).ok());
    let url = match given {
        Some(base) => base.join("v1/models").map_err(|_| Failure::InvalidUrl)?.into(),
        None => URL.to_owned(),
    };
    query.get(url, &[])
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    Ok(unique(data(bytes)?.iter().filter_map(|entry| {
        let id = text(&entry["id"])?;
        Some((id.to_owned(), info(id, entry)))
    })))
}

fn info(id: &str, entry: &Value) -> ModelInfo {
    let reasons = is(&entry["supports_reasoning"]);
    let named = |marks: &[&str]| marks.iter().any(|mark| id.contains(mark));
    let mut info = ModelInfo {
        max_tokens: count(&entry["max_output_tokens"]),
        context_window: size(&entry["context_window"]),
        supports_images: Some(is(&entry["supports_vision"])),
        supports_prompt_cache: Some(is(&entry["supports_caching"])),
        supports_reasoning_budget: Some(reasons && named(&["claude", "coding/gemini-2.5", "vertex/gemini-2.5"])),
        supports_reasoning_effort: Some(reasons && named(&["openai", "google/gemini-2.5"])),
        input_price: parse_price(&entry["input_price"]),
        output_price: parse_price(&entry["output_price"]),
        cache_writes_price: parse_price(&entry["caching_price"]),
        cache_reads_price: parse_price(&entry["cached_price"]),
        other: description(entry),
        ..ModelInfo::default()
    };
    computer_use(&mut info, is(&entry["supports_computer_use"]));
    info
}
