//! Models of the Vercel AI Gateway (spec 07 §21.2).

use serde_json::Value;

use super::super::lists::ModelList;
use super::answer::{computer_use, count, data, description, in_set, size, text, unique};
use super::{OnFailure, Query, Source};
use crate::protocol::model::ModelInfo;
use crate::providers::cost::parse_price;
use crate::providers::failure::Failure;
use crate::providers::http::HttpRequest;

const NAME: &str = "vercel-ai-gateway";
const URL: &str = "https://ai-gateway.vercel.sh/v1/models";

pub const SOURCE: Source =
    Source { name: NAME, request, read, limit: None, needs_key: false, on_failure: OnFailure::Empty };

fn request(_: &Query) -> Result<HttpRequest, Failure> {
    Query::default().get(URL.to_owned(), &[])
}

/// The language models up to the first entry that is none.
fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let entries = data(bytes)?;
    let whole = entries.iter().map_while(|entry| Some((text(&entry["id"])?, entry)));
    let language = whole.filter(|(_, entry)| entry["type"] == "language");
    Ok(unique(language.map(|(id, entry)| (id.to_owned(), info(id, entry)))))
}

fn info(id: &str, entry: &Value) -> ModelInfo {
    let price = |name: &str| parse_price(&entry["pricing"][name]);
    let with_tools = in_set(NAME, "visionAndToolsModels", id);
    let (cache_writes_price, cache_reads_price) = (price("input_cache_write"), price("input_cache_read"));
    let mut info = ModelInfo {
        max_tokens: count(&entry["max_tokens"]),
        context_window: size(&entry["context_window"]),
        supports_images: Some(with_tools || in_set(NAME, "visionOnlyModels", id)),
        supports_prompt_cache: Some(cache_writes_price.is_some() && cache_reads_price.is_some()),
        input_price: price("input"),
        output_price: price("output"),
        cache_writes_price,
        cache_reads_price,
        other: description(entry),
        ..ModelInfo::default()
    };
    computer_use(&mut info, with_tools);
    info
}
