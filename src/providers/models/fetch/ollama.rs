//! Ollama's models (spec 07 §21.2): one request for the names, one for the facts of each.

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::super::lists::ModelList;
use super::answer::{has, text, unique};
use super::{Query, Surroundings};
use crate::protocol::model::ModelInfo;
use crate::providers::failure::{self, Failure};
use crate::providers::http::{HttpRequest, Method};

pub const NAME: &str = "ollama";
const BASE: &str = "http://localhost:11434";
/// The vendor's own service, whose models say how large their window is.
const CLOUD: &str = "https://ollama.com";
/// Variable of Ollama's own that sets the window of all models.
const CONTEXT_VARIABLE: &str = "OLLAMA_CONTEXT_LENGTH";
const DEFAULT_CONTEXT: u64 = 4096;
/// A `num_ctx` that some models carry by mistake.
const BOGUS_CONTEXT: u64 = 40_960;
/// Models asked about at once.
const ASKED_AT_ONCE: usize = 8;

/// The models in the order in which Ollama lists them, up to the first of which no facts can be had.
pub async fn models(surroundings: &Surroundings, query: &Query) -> ModelList {
    let Ok(tags) = ask(surroundings, query, Method::GET, "/api/tags", Value::Null).await else { return Vec::new() };
    let entries = tags["models"].as_array().cloned().unwrap_or_default();
    let facts = stream::iter(entries).map(|entry| async move {
        let name = text(&entry["name"])?.to_owned();
        let model = text(&entry["model"]).unwrap_or(&name);
        let facts = ask(surroundings, query, Method::POST, "/api/show", json!({"model": model})).await.ok()?;
        Some((name, info(&facts, query, (surroundings.environment)(CONTEXT_VARIABLE).as_deref())))
    });
    let known = facts.buffered(ASKED_AT_ONCE).take_while(|model| std::future::ready(model.is_some()));
    unique(known.collect::<Vec<_>>().await.into_iter().flatten())
}

async fn ask(
    surroundings: &Surroundings,
    query: &Query,
    method: Method,
    path: &str,
    body: Value,
) -> Result<Value, Failure> {
    let mut request = query.get(format!("{}{path}", query.base(BASE)), &[("Content-Type", "application/json")])?;
    if method == Method::POST {
        request = HttpRequest { method, body: body.to_string().into(), ..request };
    }
    failure::read_json(surroundings.http.send(request).await?).await
}

fn info(facts: &Value, query: &Query, variable: Option<&str>) -> ModelInfo {
    let context = query
        .context
        .or_else(|| own_context(facts).filter(|_| query.base(BASE).starts_with(CLOUD)))
        .or_else(|| variable?.trim().parse().ok())
        .or_else(|| parameter(facts["parameters"].as_str()?, "num_ctx").filter(|size| *size != BOGUS_CONTEXT))
        .unwrap_or(DEFAULT_CONTEXT);
    ModelInfo {
        max_tokens: i64::try_from(context).ok(),
        context_window: context,
        supports_images: Some(has(&facts["capabilities"], "vision")),
        supports_prompt_cache: Some(true),
        input_price: Some(0.0),
        output_price: Some(0.0),
        ..ModelInfo::default()
    }
}

/// The window the model was made with: `<architecture>.context_length`.
fn own_context(facts: &Value) -> Option<u64> {
    let (_, size) = facts["model_info"].as_object()?.iter().find(|(key, _)| key.contains("context_length"))?;
    size.as_u64()
}

/// A number among the parameters: lines of a name, blanks and a value.
fn parameter(parameters: &str, name: &str) -> Option<u64> {
    let value = parameters.lines().find_map(|line| line.trim_start().strip_prefix(name)?.split_whitespace().next())?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_window_is_the_first_that_is_said() {
        let facts =
            json!({"model_info": {"llama.context_length": 131_072}, "parameters": "stop \"x\"\nnum_ctx    8192"});
        let bogus = json!({"parameters": "num_ctx 40960"});
        let (local, cloud) = (None, Some("https://ollama.com"));
        for (facts, set, base, variable, expected) in [
            (&facts, Some(1000), cloud, Some("2000"), 1000),
            (&facts, None, cloud, Some("2000"), 131_072),
            (&facts, None, local, Some("2000"), 2000),
            (&facts, None, local, Some("many"), 8192),
            (&facts, None, local, None, 8192),
            (&bogus, None, local, None, 4096),
            (&json!({"parameters": 7}), None, cloud, None, 4096),
        ] {
            let query = Query { context: set, base_url: base.map(str::to_owned), ..Query::default() };
            let info = info(facts, &query, variable);
            assert_eq!((info.context_window, info.max_tokens), (expected, Some(expected as i64)), "{set:?} {base:?}");
        }
    }
}
