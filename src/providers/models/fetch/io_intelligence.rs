//! IO Intelligence's models (spec 07 §21.2), whose list tells nothing but ids.

use std::time::Duration;

use super::super::lists::ModelList;
use super::answer::{data, output_share, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const URL: &str = "https://api.intelligence.io.solutions/api/v1/models";
const LIMIT: Duration = Duration::from_secs(10);
const DEFAULT_CONTEXT: u64 = 8192;
const MOST_OUTPUT: i64 = 32_768;
const MAVERICK: &str = "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8";
const CONTEXTS: [(&str, u64); 4] = [
    (MAVERICK, 430_000),
    ("deepseek-ai/DeepSeek-R1-0528", 128_000),
    ("Intel/Qwen3-Coder-480B-A35B-Instruct-int4-mixed-ar", 106_000),
    ("openai/gpt-oss-120b", 131_072),
];
const VISION: [&str; 3] = ["Qwen/Qwen2.5-VL-32B-Instruct", "meta-llama/Llama-3.2-90B-Vision-Instruct", MAVERICK];

pub const SOURCE: Source = Source {
    name: "io-intelligence",
    request,
    read,
    limit: Some(LIMIT),
    needs_key: true,
    on_failure: OnFailure::Stale,
};

fn request(query: &Query) -> Result<HttpRequest, Failure> {
    query.get(URL.to_owned(), &[("Content-Type", "application/json")])
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    Ok(unique(data(bytes)?.iter().filter_map(|entry| text(&entry["id"]).map(|id| (id.to_owned(), info(id))))))
}

fn info(id: &str) -> ModelInfo {
    let context_window =
        CONTEXTS.iter().find(|(known, _)| *known == id).map_or(DEFAULT_CONTEXT, |(_, context)| *context);
    ModelInfo {
        max_tokens: Some(output_share(context_window).min(MOST_OUTPUT).min(context_window as i64)),
        context_window,
        supports_images: Some(VISION.contains(&id)),
        supports_prompt_cache: Some(false),
        ..ModelInfo::default()
    }
}
