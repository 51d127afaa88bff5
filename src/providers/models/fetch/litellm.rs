//! Models of a LiteLLM proxy (spec 07 §21.2).

use std::time::Duration;

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{computer_use, count, data, is, set_of, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::Failure;
use crate::providers::http::{DEFAULT_HEADERS, HttpRequest};

const NAME: &str = "litellm";
const BASE: &str = "http://localhost:4000";
const LIMIT: Duration = Duration::from_secs(5);
const DEFAULT_OUTPUT: i64 = 8192;
const DEFAULT_CONTEXT: u64 = 200_000;

pub const SOURCE: Source = Source {
    name: NAME,
    request,
    read,
    limit: Some(LIMIT),
    needs_key: false,
    on_failure: OnFailure::Fail("provider.models.failed"),
};

fn request(query: &Query) -> Result<HttpRequest, Failure> {
    let mut url = url::Url::parse(query.base(BASE)).map_err(|_| Failure::InvalidUrl)?;
    let path: String = url.path().split('/').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
    url.set_path(&format!("{path}/v1/model/info"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(DEFAULT_HEADERS);
    query.get(url.into(), &headers)
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    Ok(unique(data(bytes)?.iter().filter_map(|entry| {
        let facts = entry.get("model_info").filter(|facts| facts.is_object())?;
        let model = text(&entry["litellm_params"]["model"])?;
        Some((text(&entry["model_name"])?.to_owned(), info(model, facts)))
    })))
}

fn info(model: &str, facts: &Value) -> ModelInfo {
    let price = |name: &str| facts[name].as_f64().filter(|price| *price != 0.0).map(|price| price * 1_000_000.0);
    let known = || set_of(NAME, "computerUseModels").any(|name| model.ends_with(name));
    let mut info = ModelInfo {
        max_tokens: Some(count(&facts["max_tokens"]).unwrap_or(DEFAULT_OUTPUT)),
        context_window: Some(size(&facts["max_input_tokens"])).filter(|n| *n != 0).unwrap_or(DEFAULT_CONTEXT),
        supports_images: Some(is(&facts["supports_vision"])),
        supports_prompt_cache: Some(is(&facts["supports_prompt_caching"])),
        input_price: price("input_cost_per_token"),
        output_price: price("output_cost_per_token"),
        cache_writes_price: price("cache_creation_input_token_cost"),
        cache_reads_price: price("cache_read_input_token_cost"),
        ..ModelInfo::default()
    };
    computer_use(&mut info, facts["supports_computer_use"].as_bool().unwrap_or_else(known));
    info
}
