//! Anthropic's messages API (spec 07 §9).
//!
//! `options` reads the profile, `request` builds bodies, `decode` reads answers; this file joins them. Claude on Vertex AI
//! uses [`ClaudeDecoder`], [`shared_body`] and [`wire_id`] too.

pub(super) mod decode;
mod options;
mod request;

use async_trait::async_trait;
use futures::FutureExt;
use secrecy::SecretString;
use serde_json::Value;

use options::AnthropicOptions;

pub use decode::ClaudeDecoder;
pub use options::wire_id;
pub use request::shared as shared_body;

use super::failure::{self, Failure, Sdk};
use super::http::{Http, HttpRequest, set_header};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in errors.
const NAME: &str = "Anthropic";

/// The provider; see the module.
#[derive(Clone)]
pub struct AnthropicProvider {
    options: AnthropicOptions,
    http: Http,
    wording: Wording,
}

impl AnthropicProvider {
    /// Reads the profile. No connection is made; a missing key is noticed by the first request.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> AnthropicProvider {
        AnthropicProvider {
            options: AnthropicOptions::read(Options::of(settings), &surroundings.environment),
            http: surroundings.http.clone(),
            wording: surroundings.wording.clone(),
        }
    }

    /// A POST to `path` behind the base address.
    fn http_request(&self, path: &str, body: &Value) -> Result<HttpRequest, ProviderError> {
        let headers = self
            .options
            .headers()
            .ok_or_else(|| ProviderError::worded(&self.wording, "provider.key_required", &[("provider", NAME)]))?;
        let headers = headers.map_err(|invalid| self.failed(invalid))?;
        Ok(HttpRequest::post(format!("{}{path}", self.options.base_url), headers, body))
    }

    /// Sends a body that asks for a whole answer.
    async fn whole_answer(&self, path: &str, body: &Value) -> Result<Value, ProviderError> {
        let request = self.http_request(path, body)?;
        let response = self.http.send(request).await.map_err(|failure| self.failed(failure))?;
        failure::read_json(response).await.map_err(|failure| self.failed(failure))
    }

    fn failed(&self, failure: impl Into<Failure>) -> ProviderError {
        let secret: SecretString = self.options.secret();
        failure::raw(&failure.into(), Sdk::Anthropic, &secret, &self.wording)
    }
}

#[async_trait]
impl Provider for AnthropicProvider {
    fn model(&self) -> Model {
        Model { id: self.options.model_id.clone(), info: self.options.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let body = request::body(&self.options, &request);
        let this = self.clone();
        let start = async move {
            let mut request = this.http_request("/v1/messages", &body)?;
            set_header(&mut request.headers, "anthropic-beta", &this.options.betas)
                .map_err(|invalid| this.failed(invalid))?;
            let response = this.http.send(request).await.map_err(|failure| this.failed(failure))?;
            failure::event_stream(response).map_err(|failure| this.failed(failure))
        };
        let decoder = ClaudeDecoder::new(Some(self.options.info.clone()), self.wording.clone());
        answer::answer(start.boxed(), decoder, self.wording.clone())
    }

    /// Asks the service; counts here if it gives no number.
    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        let answer = self.whole_answer("/v1/messages/count_tokens", &request::token_count(&self.options, blocks)).await;
        match answer.ok().and_then(|answer| answer.get("input_tokens")?.as_u64()) {
            Some(count) => count,
            None => tokens::count_blocks_aside(blocks).await,
        }
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let answer = self.whole_answer("/v1/messages", &request::single_prompt(&self.options, prompt)).await?;
        Ok(decode::first_text(&answer))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::anthropic(&self.options.info, usage)
    }
}
