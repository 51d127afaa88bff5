//! DeepInfra's models (spec 07 §21.2).

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{count, data, description, has, output_share, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::Failure;
use crate::providers::http::{DEFAULT_HEADERS, HttpRequest};

const BASE: &str = "https://api.deepinfra.com/v1/openai";
const DEFAULT_CONTEXT: u64 = 8192;

pub const SOURCE: Source = Source {
    name: "deepinfra",
    request,
    read,
    limit: None,
    needs_key: false,
    on_failure: OnFailure::Fail("provider.models.failed"),
};

fn request(query: &Query) -> Result<HttpRequest, Failure> {
    query.get(format!("{}/models", query.base(BASE)), &DEFAULT_HEADERS)
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    Ok(unique(data(bytes)?.iter().filter_map(|entry| Some((text(&entry["id"])?.to_owned(), info(&entry["metadata"]))))))
}

fn info(facts: &Value) -> ModelInfo {
    let context_window = Some(size(&facts["context_length"])).filter(|n| *n != 0).unwrap_or(DEFAULT_CONTEXT);
    let price = |name: &str| facts["pricing"][name].as_f64();
    ModelInfo {
        max_tokens: Some(count(&facts["max_tokens"]).unwrap_or_else(|| output_share(context_window))),
        context_window,
        supports_images: Some(has(&facts["tags"], "vision")),
        supports_prompt_cache: Some(has(&facts["tags"], "prompt_cache")),
        input_price: price("input_tokens"),
        output_price: price("output_tokens"),
        cache_reads_price: price("cache_read_tokens"),
        other: description(facts),
        ..ModelInfo::default()
    }
}
