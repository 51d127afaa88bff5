//! Facts about models (spec 08 §1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a model can do and costs. Prices are US dollars a million tokens; an absent flag is false.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelInfo {
    /// Most output tokens; −1 means "not known" in user-written infos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
    /// Size of the context window in tokens.
    pub context_window: u64,
    /// Takes images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_images: Option<bool>,
    /// Caches marked parts of a prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_prompt_cache: Option<bool>,
    /// Price of input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_price: Option<f64>,
    /// Price of output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_price: Option<f64>,
    /// Price of tokens written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_writes_price: Option<f64>,
    /// Price of tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_reads_price: Option<f64>,
    /// Thinks within a budget of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_reasoning_budget: Option<bool>,
    /// Always thinks within a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_reasoning_budget: Option<bool>,
    /// Takes a reasoning effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_reasoning_effort: Option<bool>,
    /// Reasoning effort it uses by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// All other facts of the model table (tiers, verbosity, …).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The model a provider speaks to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Id on the wire.
    pub id: String,
    /// Its facts.
    pub info: ModelInfo,
}
