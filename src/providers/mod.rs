//! AI providers (spec 07): one trait, one stream of chunks, one file a wire family.
//!
//! Providers know neither tools nor sessions: they get a request, an HTTP client and settings, and yield chunks. Stream
//! decoding is separate from I/O, so that it can be tested on byte slices.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::message::{ApiMessage, ContentBlock};

/// One item of a provider's answer (spec 01 §2.3, spec 07 §1.3).
#[derive(Clone, Debug, PartialEq)]
pub enum StreamChunk {
    /// Assistant text; may be empty.
    Text(String),
    /// Thinking output.
    Reasoning(String),
    /// Token counts: increments, to be summed. The cost of the last such chunk counts.
    Usage(Usage),
    /// Web sources, never empty.
    Grounding(Vec<GroundingSource>),
    /// Declared by the specification, ignored by the loop.
    Error {
        /// Kind.
        error: String,
        /// Text.
        message: String,
    },
}

/// Token counts of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// US dollars, when the provider reports or computes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_cost: Option<f64>,
}

/// A web source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroundingSource {
    /// Title of the page.
    pub title: String,
    /// Its address.
    pub url: String,
    /// Quoted text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

/// What a model can do and costs (spec 08 §1). Prices are US dollars a million tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelInfo {
    /// Most output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Size of the context window in tokens.
    pub context_window: u64,
    /// Takes images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_images: Option<bool>,
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
    /// All other facts of the model table (reasoning flags, tiers, …).
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// The model a provider speaks to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Id on the wire.
    pub id: String,
    /// Its facts.
    pub info: ModelInfo,
}

/// Side information of a request (spec 07 §1.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestMetadata {
    /// Id of the asking task.
    pub task_id: String,
    /// Mode slug.
    pub mode: Option<String>,
    /// Response to go on from (OpenAI Responses).
    pub previous_response_id: Option<String>,
    /// Do not go on from an earlier response.
    pub suppress_previous_response_id: bool,
}

/// One request for a streamed answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// System prompt.
    pub system: String,
    /// Conversation; only role and content are sent.
    pub messages: Arc<Vec<ApiMessage>>,
    /// Absent for condensing requests.
    pub metadata: Option<RequestMetadata>,
}

/// Why a provider could not answer. Never holds a key.
#[derive(Clone, Debug, Default, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What to show; empty when the failure carried no message (the loop then shows [`ProviderError::details`] as JSON).
    pub message: String,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// Provider's error code.
    pub code: Option<String>,
    /// Whatever else the error carries (`errorDetails`, `error`, …), as the specification names it.
    pub details: serde_json::Map<String, Value>,
}

impl ProviderError {
    /// An error with nothing but a message.
    pub fn new(message: impl Into<String>) -> ProviderError {
        ProviderError { message: message.into(), ..ProviderError::default() }
    }
}

/// The chunks of one answer. Dropping it closes the connection.
pub type ChunkStream = BoxStream<'static, Result<StreamChunk, ProviderError>>;

/// One AI provider, ready for requests. Cheap to share; one instance serves many requests at once.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The model in use.
    fn model(&self) -> Model;

    /// Sends the request. The stream yields chunks as they arrive; an error may come at any point and ends it.
    fn stream(&self, request: ChatRequest) -> ChunkStream;

    /// Tokens of these blocks, by the provider's own counter or the default one (spec 07 §4).
    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64;

    /// Answers a single prompt without streaming.
    async fn complete(&self, prompt: &str) -> Result<String, ProviderError>;

    /// Cost in US dollars of these totals by the provider's own formula (spec 07 §5, deviation D04), used when no
    /// usage chunk carried a cost.
    fn cost(&self, usage: &Usage) -> f64;

    /// Id of the last response, for providers that can go on from it.
    fn last_response_id(&self) -> Option<String> {
        None
    }
}
