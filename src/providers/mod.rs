//! AI providers (spec 07): one trait, one stream of chunks, one file a wire family.
//!
//! Providers know neither tools nor sessions: they get a request, [`Surroundings`] (HTTP, clock, wording) and settings, and
//! yield [`StreamChunk`]s. Stream decoding is separate from I/O, so that it can be tested on byte slices. [`create`]
//! chooses the provider of a profile.
//!
//! [`Surroundings`] come from the engine; [`models`] knows the built-in model tables and keeps fetched lists.
//!
//! Nothing here reads the environment, the clock or the text catalogue; keys are held as secrets and appear neither in
//! errors nor in `Debug`.

pub mod anthropic;
pub mod auth;
pub mod bedrock;
pub mod catalogue;
pub mod cerebras;
mod chat;
pub mod claude_code;
mod compatible;
pub mod convert;
pub mod cost;
mod create;
mod discreet;
mod error;
mod failure;
pub mod fallback;
pub mod frames;
#[doc(hidden)]
pub mod fuzzing;
pub mod gemini;
mod gemini_cli;
pub mod http;
pub mod human_relay;
mod keys;
pub mod lmstudio;
mod loose;
pub mod mistral;
mod model;
pub mod models;
pub mod ollama;
pub mod openai;
pub mod openrouter;
mod options;
pub mod params;
mod qwen_code;
pub mod replay;
pub mod responses;
mod stream;
mod surroundings;
pub mod tag_matcher;
mod think;
pub mod tokens;
mod usage;
mod vertex;
mod xai;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use create::{create, names};
pub use discreet::Discretion;
pub use error::{ProviderError, Wording};
pub use fallback::settings_of_profile;
pub use keys::{Keyring, KeyringError};
pub use model::{ApiProtocol, model_id_of, router_name};
pub use options::Options;
pub use surroundings::{Environment, Notify, Surroundings};
pub use usage::Usage;

pub use crate::protocol::model::{Model, ModelInfo};

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
    /// Whether the provider may store the answer (OpenAI Responses); absent: yes.
    pub store: Option<bool>,
    /// Thinking asked for by whoever sends the request, whatever the profile says (Bedrock).
    pub thinking: Option<ThinkingWish>,
    /// Workspace folder of the task, in which subprocess providers run.
    pub workspace: Option<PathBuf>,
}

/// Thinking as a request asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThinkingWish {
    /// Whether the model is to think.
    pub enabled: bool,
    /// Most tokens of thinking.
    pub max_tokens: Option<i64>,
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

/// The chunks of one answer. Dropping it closes the connection.
pub type ChunkStream = BoxStream<'static, Result<StreamChunk, ProviderError>>;

/// One AI provider, ready for requests. Cheap to share; one instance serves many requests at once.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The model in use.
    fn model(&self) -> Model;

    /// Fetches the list in which the provider publishes its models, so that [`Provider::model`] knows this one's facts. A request
    /// does so by itself. Does nothing for other providers.
    async fn fetch_model(&self) -> Result<(), ProviderError> {
        Ok(())
    }

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
