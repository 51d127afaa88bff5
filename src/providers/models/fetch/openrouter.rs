//! OpenRouter's models and the upstream providers of one model (spec 07 §21.2, §21.3). The KiloCode gateway publishes its
//! models in the same form.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::lists::{EndpointKey, ModelList};
use super::answer::{computer_use, in_set, output_share, unique};
use super::{OnFailure, Query, Source, ask};
use crate::protocol::model::ModelInfo;
use crate::providers::Surroundings;
use crate::providers::cost::parse_price;
use crate::providers::failure::Failure;
use crate::providers::http::{DEFAULT_HEADERS, HttpRequest};

/// Name of the list, and of the built-in sets of ids.
const NAME: &str = "openrouter";
/// Where models are listed, whatever address the profile speaks to.
const BASE: &str = "https://openrouter.ai/api/v1";
/// The parameters that are told of a model.
const PARAMETERS: [&str; 4] = ["max_tokens", "temperature", "reasoning", "include_reasoning"];

pub const SOURCE: Source = Source {
    name: NAME,
    request,
    read,
    limit: None,
    needs_key: false,
    on_failure: OnFailure::Fail("provider.models.failed"),
};

pub const KILOCODE_SOURCE: Source = Source { name: "kilocode-openrouter", request: request_kilocode, ..SOURCE };

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
    #[serde(flatten)]
    facts: Facts,
    #[serde(default)]
    architecture: Option<Architecture>,
    #[serde(default)]
    top_provider: Option<TopProvider>,
    #[serde(default)]
    supported_parameters: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ModelEndpoints {
    id: String,
    #[serde(default)]
    architecture: Option<Architecture>,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    provider_name: String,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    max_completion_tokens: Option<f64>,
    #[serde(flatten)]
    facts: Facts,
}

/// What is told of a model and of an endpoint alike.
#[derive(Deserialize)]
struct Facts {
    context_length: f64,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    pricing: Option<Pricing>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Architecture {
    input_modalities: Option<Vec<String>>,
    output_modalities: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct TopProvider {
    #[serde(default)]
    max_completion_tokens: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pricing {
    prompt: Value,
    completion: Value,
    input_cache_write: Value,
    input_cache_read: Value,
}

/// The public list, also where the profile speaks to another address (spec 07 §17), whose key it must not get.
fn request(_: &Query) -> Result<HttpRequest, Failure> {
    Query::default().get(format!("{BASE}/models"), &DEFAULT_HEADERS)
}

/// The gateway's own list. Without a base address it is OpenRouter's.
fn request_kilocode(query: &Query) -> Result<HttpRequest, Failure> {
    query.get(format!("{}/models", query.base(BASE)), &DEFAULT_HEADERS)
}

fn read(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let answer: Answer<Vec<ListedModel>> = serde_json::from_slice(bytes)?;
    Ok(unique(answer.data.into_iter().filter(|model| !draws(model.architecture.as_ref())).map(|model| {
        let most = model.top_provider.as_ref().and_then(|top| top.max_completion_tokens);
        let parameters = model.supported_parameters.as_deref();
        let info = info(&model.id, &model.facts, model.architecture.as_ref(), most, parameters);
        (model.id, info)
    })))
}

/// The upstream providers of the model `id` as a list of models by their names: as kept, else as fetched. Empty on any failure.
pub async fn endpoints(surroundings: &Surroundings, id: &str) -> Arc<ModelList> {
    let key = EndpointKey::of(id);
    let now = (surroundings.http.now)();
    if let Some(list) = surroundings.lists.endpoints(&key, now) {
        return list;
    }
    match fetch_endpoints(surroundings, id).await {
        Ok(list) if !list.is_empty() => {
            let list = surroundings.lists.put_endpoints(&key, list, now);
            keep_file(surroundings, &key, &list).await;
            list
        }
        _ => Arc::default(),
    }
}

async fn fetch_endpoints(surroundings: &Surroundings, id: &str) -> Result<ModelList, Failure> {
    let request = Query::default().get(format!("{BASE}/models/{id}/endpoints"), &DEFAULT_HEADERS)?;
    ask(surroundings, request, read_endpoints).await
}

fn read_endpoints(bytes: &[u8]) -> Result<ModelList, serde_json::Error> {
    let Answer { data: model } = serde_json::from_slice::<Answer<ModelEndpoints>>(bytes)?;
    if draws(model.architecture.as_ref()) {
        return Ok(ModelList::new());
    }
    Ok(unique(model.endpoints.into_iter().map(|endpoint| {
        let most = endpoint.max_completion_tokens;
        let info = info(&model.id, &endpoint.facts, model.architecture.as_ref(), most, None);
        (endpoint.tag.unwrap_or(endpoint.provider_name), info)
    })))
}

/// Leaves a copy for other programs; a failure to write it changes nothing.
async fn keep_file(surroundings: &Surroundings, key: &EndpointKey, list: &ModelList) {
    let folder = surroundings.storage.join("cache");
    let models: Map<String, Value> = list.iter().map(|(name, info)| (name.clone(), json!(info))).collect();
    if tokio::fs::create_dir_all(&folder).await.is_ok() {
        let _ = tokio::fs::write(folder.join(key.file_name()), Value::Object(models).to_string()).await;
    }
}

/// Whether the model answers with images; such models are not for conversations.
fn draws(architecture: Option<&Architecture>) -> bool {
    has(architecture.and_then(|all| all.output_modalities.as_deref()), "image")
}

fn has(items: Option<&[String]>, item: &str) -> bool {
    items.is_some_and(|items| items.iter().any(|own| own == item))
}

fn info(
    id: &str,
    facts: &Facts,
    architecture: Option<&Architecture>,
    max_tokens: Option<f64>,
    parameters: Option<&[String]>,
) -> ModelInfo {
    let context_window = facts.context_length as u64;
    let none = Pricing::default();
    let pricing = facts.pricing.as_ref().unwrap_or(&none);
    let cache_reads_price = parse_price(&pricing.input_cache_read);
    let in_set = |set: &str| in_set(NAME, set, id);
    let mut info = ModelInfo {
        max_tokens: Some(max_tokens.filter(|n| *n != 0.0).map_or_else(|| output_share(context_window), |n| n as i64)),
        context_window,
        supports_images: Some(has(architecture.and_then(|all| all.input_modalities.as_deref()), "image")),
        supports_prompt_cache: Some(cache_reads_price.is_some()),
        input_price: parse_price(&pricing.prompt),
        output_price: parse_price(&pricing.completion),
        cache_writes_price: parse_price(&pricing.input_cache_write),
        cache_reads_price,
        supports_reasoning_effort: parameters.map(|all| has(Some(all), "reasoning")),
        supports_reasoning_budget: in_set("reasoningBudgetModels").then_some(true),
        required_reasoning_budget: in_set("requiredReasoningBudgetModels").then_some(true),
        ..ModelInfo::default()
    };
    if let Some(words) = &facts.description {
        info.other.insert("description".into(), json!(words));
    }
    if let Some(parameters) = parameters {
        let told: Vec<&String> = parameters.iter().filter(|name| PARAMETERS.contains(&name.as_str())).collect();
        info.other.insert("supportedParameters".into(), json!(told));
    }
    if in_set("computerUseModels") {
        computer_use(&mut info, true);
    }
    overrule(id, &mut info);
    info
}

/// Models of which the list says something else than is known.
fn overrule(id: &str, info: &mut ModelInfo) {
    match id {
        "anthropic/claude-3.7-sonnet" => {
            info.max_tokens = Some(8192);
            info.supports_reasoning_budget = Some(false);
            info.supports_reasoning_effort = Some(false);
        }
        "anthropic/claude-3.7-sonnet:thinking" => info.max_tokens = Some(128_000),
        "anthropic/claude-opus-4.1" => info.max_tokens = Some(32_000),
        "openrouter/horizon-alpha" | "openrouter/horizon-beta" => info.max_tokens = Some(32_768),
        _ => {}
    }
}
