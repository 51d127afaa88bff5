//! OpenAI's Responses API, `openai-native` (spec 07 §10).
//!
//! `options` and `endpoint` read the profile, `continuity` knows the last response, `body` writes requests, `events` and
//! `secondary` read answers, `refused` words failures; `call` joins them into one streamed request.

mod body;
mod call;
pub(super) mod continuity;
mod endpoint;
pub(super) mod events;
mod options;
mod refused;
pub(super) mod secondary;
mod usage;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use body::Body;
use call::Call;
use continuity::Continuity;
use endpoint::Endpoint;
use events::filled;
use options::ResponsesOptions;

use super::failure::{self, Failure};
use super::http::Http;
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in wrapped errors.
const NAME: &str = "OpenAI Native";

/// The provider; see the module.
pub struct ResponsesProvider(Arc<Shared>);

/// What a provider and its requests under way have in common.
struct Shared {
    options: ResponsesOptions,
    endpoint: Endpoint,
    continuity: Arc<Continuity>,
    http: Http,
    wording: Wording,
}

impl ResponsesProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// A build without a table of these models.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<ResponsesProvider, ProviderError> {
        let Surroundings { http, wording, environment, .. } = surroundings;
        let options = ResponsesOptions::read(Options::of(settings)).ok_or_else(|| {
            ProviderError::worded(wording, "provider.not_available", &[("provider", "openai-native")])
        })?;
        let endpoint = Endpoint::new(&options, environment);
        let (http, wording) = (http.clone(), wording.clone());
        Ok(ResponsesProvider(Arc::new(Shared { options, endpoint, continuity: Arc::default(), http, wording })))
    }
}

#[async_trait]
impl Provider for ResponsesProvider {
    fn model(&self) -> Model {
        Model { id: self.0.options.model_id.to_owned(), info: self.0.options.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        Call::start(self.0.clone(), request)
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        super::tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let Shared { options, endpoint, http, wording, .. } = &*self.0;
        let answer = async {
            let request = endpoint.primary(&Body::prompt(options, prompt).to_json())?;
            failure::read_json(http.send(request).await?).await
        };
        let answer: Result<Value, Failure> = answer.await;
        match answer {
            Ok(answer) => Ok(answer_text(&answer).to_owned()),
            Err(failure) => Err(failure::wrap(&failure, NAME, endpoint.key(), wording)),
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        usage::cost_in_tier(usage, self.0.options.info, self.0.options.tier.as_deref())
    }

    fn last_response_id(&self) -> Option<String> {
        self.0.continuity.last()
    }
}

/// The first text of the first message that has one, else `response.text`.
fn answer_text(answer: &Value) -> &str {
    let messages = answer["output"].as_array().into_iter().flatten().filter(|item| item["type"] == "message");
    let parts = messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let mut texts = parts.filter(|part| part["type"] == "output_text").filter_map(|part| filled(part.get("text")));
    texts.next().or_else(|| filled(answer.get("text"))).unwrap_or("")
}
