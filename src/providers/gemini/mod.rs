//! Google Gemini (spec 07 §13), with its own key or on Vertex AI (§14.1).
//!
//! `options` reads the profile, `endpoint` finds address and authorisation, `request` makes the bodies, `decode` reads the
//! answers, which Gemini CLI shares; this file joins them. Nothing is sent twice, and an answer may take as long as it likes
//! to begin.

pub mod decode;
pub mod endpoint;
pub mod failure;
pub mod options;
pub mod request;
mod wire;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;

use decode::{GeminiDecoder, Service};
use endpoint::Endpoint;
use failure::{CallFailure, unsupported};
use options::GeminiOptions;

use super::failure::{Failure, event_stream, read_json};
use super::http::{BodyStream, Http, HttpRequest, HttpResponse};
use super::options::Options;
use super::vertex::VertexProject;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// The provider; see the module.
#[derive(Clone)]
pub struct GeminiProvider {
    options: GeminiOptions,
    endpoint: Endpoint,
    /// `googleGeminiBaseUrl`.
    base: Option<String>,
    http: Http,
    wording: Wording,
}

impl GeminiProvider {
    /// Reads a profile of Gemini. No connection is made.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> GeminiProvider {
        let endpoint = Endpoint::read(Options::of(settings), surroundings);
        GeminiProvider::at(endpoint, "gemini", settings, surroundings)
    }

    /// Reads a profile of Vertex AI. No connection is made.
    pub fn on_vertex(settings: &Settings, surroundings: &Surroundings) -> GeminiProvider {
        let endpoint = Endpoint::Vertex(VertexProject::read(Options::of(settings), surroundings));
        GeminiProvider::at(endpoint, "vertex", settings, surroundings)
    }

    fn at(endpoint: Endpoint, models: &str, settings: &Settings, surroundings: &Surroundings) -> GeminiProvider {
        let options = Options::of(settings);
        GeminiProvider {
            options: GeminiOptions::read(options, models),
            endpoint,
            base: options.filled("googleGeminiBaseUrl").map(|base| base.strip_suffix('/').unwrap_or(base).to_owned()),
            http: surroundings.http.clone(),
            wording: surroundings.wording.clone(),
        }
    }

    /// Calls a method that uses the profile's tools.
    async fn call_with_tools(&self, method: &str, body: &Value) -> Result<HttpResponse, CallFailure> {
        match self.endpoint {
            Endpoint::Vertex(_) if self.options.url_context => Err(CallFailure::UrlContext),
            _ => self.call(self.base.as_deref(), method, body).await,
        }
    }

    /// Calls a method of the model.
    async fn call(&self, base: Option<&str>, method: &str, body: &Value) -> Result<HttpResponse, CallFailure> {
        let (headers, secret) = self.endpoint.headers().await?;
        let url = self.endpoint.url(base, &self.options.model.id, method);
        let request = HttpRequest { header_timeout: None, retries: 0, ..HttpRequest::post(url, headers, body) };
        self.http.send(request).await.map_err(|failure| CallFailure::Answer(Failure::Http(failure), secret))
    }

    async fn open(&self, body: &Value) -> Result<BodyStream, CallFailure> {
        let response = self.call_with_tools("streamGenerateContent?alt=sse", body).await?;
        Ok(event_stream(response)?)
    }

    async fn generate(&self, body: &Value) -> Result<String, CallFailure> {
        let response = self.call_with_tools("generateContent", body).await?;
        let answer = read_json(response).await?;
        let mut text = decode::text(&answer);
        let sources = decode::whole_sources(&answer);
        if !sources.is_empty() {
            let links: Vec<String> =
                sources.iter().enumerate().map(|(at, source)| format!("[{}]({})", at + 1, source.url)).collect();
            let label = (self.wording)("provider.gemini.sources_label", &[]);
            text.push_str(&format!("\n\n{label} {}", links.join(", ")));
        }
        Ok(text)
    }

    /// Asks the service; `None` when it does not say.
    async fn count_remotely(&self, blocks: &[ContentBlock]) -> Option<u64> {
        let body = request::count_tokens(blocks, &self.image_note()).ok()?;
        let answer = read_json(self.call(None, "countTokens", &body).await.ok()?).await.ok()?;
        answer.get("totalTokens")?.as_u64()
    }

    fn image_note(&self) -> String {
        (self.wording)("transform.gemini.image_note", &[])
    }

    fn wrap(&self, id: &str, message: &str) -> ProviderError {
        ProviderError::worded(&self.wording, id, &[("error", message)])
    }
}

#[async_trait]
impl Provider for GeminiProvider {
    fn model(&self) -> Model {
        self.options.model.clone()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let body = match request::conversation(&self.options, &request, &self.image_note()) {
            Ok(body) => body,
            Err(block) => return stream::iter([Err(unsupported(&block, &self.wording))]).boxed(),
        };
        let this = self.clone();
        let start = async move {
            let opened = this.open(&body).await;
            opened.map_err(|failure| ProviderError::new(failure.words(&this.wording)))
        };
        let decoder = GeminiDecoder::new(Service::Api(self.options.model.info.clone()), self.wording.clone());
        let this = self.clone();
        answer::answer(start.boxed(), decoder, self.wording.clone())
            .map(move |item| item.map_err(|error| this.wrap("provider.gemini.stream", &error.message)))
            .boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        match self.count_remotely(blocks).await {
            Some(tokens) => tokens,
            None => tokens::count_blocks_aside(blocks).await,
        }
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = request::single_prompt(&self.options, prompt);
        let answer = self.generate(&body).await;
        answer.map_err(|failure| self.wrap("provider.gemini.complete", &failure.words(&self.wording)))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::gemini(&self.options.model.info, usage).unwrap_or(0.0)
    }
}
