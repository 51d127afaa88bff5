//! Unbound's models (spec 07 §21.2).

use serde_json::{Map, Value};

use super::super::lists::ModelList;
use super::answer::{computer_use, is, number};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const URL: &str = "https://api.getunbound.ai/models";
/// What Anthropic's models are given, unless the list says [`SMALL_OUTPUT`].
const ANTHROPIC_OUTPUT: i64 = 8192;
const SMALL_OUTPUT: i64 = 4096;

pub const SOURCE: Source = Source {
    name: "unbound",
    request,
    read,
    limit: None,
    needs_key: false,
    on_failure: OnFailure::Fail("provider.models.unbound"),
};

fn request(query: &Query) -> Result<HttpRequest, Failure> {
    query.get(URL.to_owned(), &[])
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let entries: Map<String, Value> = serde_json::from_slice(bytes)?;
    Ok(entries.iter().map(|(id, entry)| (id.clone(), info(id, entry))).collect())
}

/// Prices are dollars a million tokens already.
fn info(id: &str, entry: &Value) -> ModelInfo {
    let whole = |name: &str| number(&entry[name]).map(|n| n as i64);
    let mut info = ModelInfo {
        max_tokens: whole("maxTokens"),
        context_window: whole("contextWindow").unwrap_or(0).unsigned_abs(),
        supports_images: Some(is(&entry["supportsImages"])),
        supports_prompt_cache: Some(is(&entry["supportsPromptCaching"])),
        input_price: number(&entry["inputTokenPrice"]),
        output_price: number(&entry["outputTokenPrice"]),
        cache_writes_price: number(&entry["cacheWritePrice"]),
        cache_reads_price: number(&entry["cacheReadPrice"]),
        ..ModelInfo::default()
    };
    computer_use(&mut info, is(&entry["supportsComputerUse"]));
    if id.starts_with("anthropic/") && info.max_tokens != Some(SMALL_OUTPUT) {
        info.max_tokens = Some(ANTHROPIC_OUTPUT);
    }
    info
}
