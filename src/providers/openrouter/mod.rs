//! OpenRouter, and the gateways that speak its dialect (spec 07 §17, §20).
//!
//! `options` chooses model and upstream provider from the fetched lists, `request` builds bodies, `decode` reads streams; this
//! file joins them. A [`Gateway`] says where all that goes and in whose name. Lists are fetched by [`models::fetch`].

mod decode;
mod gateway;
mod image;
mod options;
mod request;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, future, stream};
use serde_json::{Map, Value};

use decode::OpenRouterDecoder;
use gateway::Gateway;
pub use gateway::{KILOCODE_LIST, kilocode_query};
pub use image::{GeneratedImage, ImageRequest, generate_image};
use options::{Choice, RoutingOptions};

use super::chat::{ChatClient, Wrapping, message_text};
use super::failure::{self, Failure};
use super::http::HttpRequest;
use super::models::{self, ModelList, fetch};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, RequestMetadata, Surroundings, Usage};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// The provider; see the module. Cheap to clone: requests outlive the borrow of `self`.
#[derive(Clone)]
pub struct OpenRouterProvider {
    gateway: Arc<Gateway>,
    options: Arc<RoutingOptions>,
    client: ChatClient,
    surroundings: Surroundings,
    fetched: Arc<Mutex<Fetched>>,
}

/// What was fetched last; nothing before the first request.
#[derive(Clone, Default)]
struct Fetched {
    model_id: Option<String>,
    models: Arc<ModelList>,
    endpoints: Arc<ModelList>,
}

impl OpenRouterProvider {
    /// OpenRouter itself. Reads the profile; no connection is made.
    ///
    /// # Errors
    /// This build knows nothing of OpenRouter's models (`provider.not_available`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<OpenRouterProvider, ProviderError> {
        OpenRouterProvider::at(Gateway::openrouter(Options::of(settings)), settings, surroundings)
    }

    /// The KiloCode gateway, likewise.
    ///
    /// # Errors
    /// As [`OpenRouterProvider::new`].
    pub fn kilocode(settings: &Settings, surroundings: &Surroundings) -> Result<OpenRouterProvider, ProviderError> {
        OpenRouterProvider::at(Gateway::kilocode(Options::of(settings)), settings, surroundings)
    }

    fn at(
        gateway: Gateway,
        settings: &Settings,
        surroundings: &Surroundings,
    ) -> Result<OpenRouterProvider, ProviderError> {
        let table = models::dynamic("openrouter").ok_or_else(|| {
            ProviderError::worded(&surroundings.wording, "provider.not_available", &[("provider", gateway.name)])
        })?;
        Ok(OpenRouterProvider {
            client: ChatClient::new(surroundings, gateway.name, gateway.key.clone()),
            gateway: Arc::new(gateway),
            options: Arc::new(RoutingOptions::read(Options::of(settings), table)),
            surroundings: surroundings.clone(),
            fetched: Arc::default(),
        })
    }

    /// Fetches what a request must know: the models, and the upstream providers if one of them is asked for.
    async fn prepare(&self) -> Result<Choice, ProviderError> {
        self.gateway.check(&self.client.wording)?;
        let listed = async { fetch::models(&self.surroundings, self.gateway.list, &self.gateway.query()).await };
        let model_id = self.gateway.model_id(&self.surroundings);
        let (models, model_id) = future::join(listed, model_id).await;
        let endpoints = match &self.options.specific_provider {
            Some(_) if !model_id.is_empty() => fetch::endpoints(&self.surroundings, &model_id).await,
            _ => Arc::default(),
        };
        let fetched = Fetched { model_id: Some(model_id), models: models?, endpoints };
        let choice = self.choose(&fetched);
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = fetched;
        Ok(choice)
    }

    fn choose(&self, fetched: &Fetched) -> Choice {
        let id = fetched.model_id.as_deref().unwrap_or_else(|| self.gateway.first_model_id());
        self.options.choose(id.to_owned(), &fetched.models, &fetched.endpoints)
    }

    /// The model as far as it is known now.
    fn current(&self) -> Choice {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.choose(&fetched)
    }

    fn http_request(
        &self,
        body: Map<String, Value>,
        metadata: Option<&RequestMetadata>,
    ) -> Result<HttpRequest, Failure> {
        let headers = self.gateway.headers(metadata, &self.surroundings)?;
        Ok(HttpRequest::post(self.gateway.url(), headers, &Value::Object(body)))
    }

    fn send(&self, choice: &Choice, request: &ChatRequest) -> ChunkStream {
        let body = request::conversation(&self.options, choice, request, &self.client.image_placeholder());
        let sent = self.http_request(body, request.metadata.as_ref());
        let wording = self.client.wording.clone();
        let decoder = OpenRouterDecoder::new(self.gateway.usage_reader(&choice.model.info), wording.clone());
        let this = self.clone();
        let start = async move {
            let opened = async { failure::event_stream(this.client.http.send(sent?).await?) };
            opened.await.map_err(|failure| this.error(&failure))
        };
        answer::answer(start.boxed(), decoder, wording)
    }

    /// A failure before the answer.
    fn error(&self, failure: &Failure) -> ProviderError {
        let raw = self.client.error(failure, Wrapping::Raw);
        if self.gateway.passes(&raw) { raw } else { self.client.error(failure, Wrapping::Wrapped) }
    }
}

#[async_trait]
impl Provider for OpenRouterProvider {
    fn model(&self) -> Model {
        self.current().model
    }

    async fn fetch_model(&self) -> Result<(), ProviderError> {
        self.prepare().await.map(drop)
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let chunks = async move {
            match this.prepare().await {
                Ok(choice) => this.send(&choice, &request),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        chunks.flatten_stream().boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let choice = self.prepare().await?;
        let sent = self.http_request(request::single_prompt(&choice, prompt), None);
        let answer = self.client.whole(sent).await.map_err(|failure| self.error(&failure))?;
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(self.reported(error)),
            None => Ok(message_text(&answer)),
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.current().model.info, usage)
    }
}

impl OpenRouterProvider {
    /// A failure that a whole answer reports in place of a message.
    fn reported(&self, error: &Value) -> ProviderError {
        let code = match &error["code"] {
            Value::String(code) => code.clone(),
            Value::Null => String::new(),
            code => code.to_string(),
        };
        let message = failure::error_message(error);
        let variables = [("code", code.as_str()), ("message", message.as_str())];
        ProviderError::worded(&self.client.wording, "provider.openrouter.api_error", &variables)
    }
}
