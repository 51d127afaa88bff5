//! Ollama's own chat API (spec 07 §19.1): lines of JSON, a local list of models, no tokens to pay.
//!
//! `request` builds bodies, `decode` reads answers; this file joins them.

pub(super) mod decode;
mod request;

use async_trait::async_trait;
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use decode::OllamaDecoder;

pub use request::estimated_tokens;

use super::convert::to_ollama;
use super::failure::{self, Failure, Sdk};
use super::http::{HeaderMap, HttpFailure, HttpRequest, HttpResponse, LONG_TIMEOUT, TransportError, set_header};
use super::models::fetch::{self, Query};
use super::models::{dynamic, find};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in wrapped errors.
const NAME: &str = "Ollama";
/// Name of its list of models.
const LIST: &str = "ollama";
const BASE: &str = "http://localhost:11434";
/// Part of the ids of models that want some temperature.
const REASONER: &str = "deepseek-r1";
const REASONER_TEMPERATURE: f64 = 0.6;

/// The provider; see the module.
#[derive(Clone)]
pub struct OllamaProvider {
    base_url: String,
    key: Option<SecretString>,
    model_id: String,
    options: request::ModelOptions,
    surroundings: Surroundings,
}

impl OllamaProvider {
    /// Reads the profile. No connection is made: the list of models is fetched for the first request.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> OllamaProvider {
        let options = Options::of(settings);
        let base_url = options.filled("ollamaBaseUrl").unwrap_or(BASE);
        let model_id = options.text("ollamaModelId").unwrap_or("").to_owned();
        let default = if model_id.to_lowercase().contains(REASONER) { REASONER_TEMPERATURE } else { 0.0 };
        OllamaProvider {
            base_url: base_url.strip_suffix('/').unwrap_or(base_url).to_owned(),
            key: options.secret("ollamaApiKey"),
            options: request::ModelOptions {
                temperature: options.number("modelTemperature").unwrap_or(default),
                context: options.value(fetch::OLLAMA_CONTEXT).and_then(Value::as_u64),
            },
            model_id,
            surroundings: surroundings.clone(),
        }
    }

    /// Facts of the model, which must be in Ollama's list.
    async fn listed(&self) -> Result<ModelInfo, ProviderError> {
        let query =
            Query { key: self.key.clone(), base_url: Some(self.base_url.clone()), context: self.options.context };
        let list = fetch::models(&self.surroundings, LIST, &query).await?;
        find(&list, &self.model_id).cloned().ok_or_else(|| {
            let ids: Vec<&str> = list.iter().map(|(id, _)| id.as_str()).collect();
            self.worded("provider.ollama.model_not_found", &[("id", &self.model_id), ("available", &ids.join(", "))])
        })
    }

    /// Refuses a conversation that cannot fit, before Ollama cuts off its beginning without a word.
    fn check_length(&self, messages: &[Value], info: &ModelInfo) -> Result<(), ProviderError> {
        let (estimated, max) = (estimated_tokens(messages), self.options.context.unwrap_or(info.context_window));
        if estimated <= max {
            return Ok(());
        }
        let variables = [("estimated", &*estimated.to_string()), ("max", &*max.to_string())];
        Err(self.worded("provider.ollama.prompt_too_long", &variables))
    }

    /// One attempt, which may take an hour: a large model is slow to load.
    async fn send(&self, body: &Value) -> Result<HttpResponse, Failure> {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Content-Type", "application/json")?;
        set_header(&mut headers, "Accept", "application/json")?;
        if let Some(key) = &self.key {
            set_header(&mut headers, "Authorization", &format!("Bearer {}", key.expose_secret()))?;
        }
        let request = HttpRequest {
            header_timeout: Some(LONG_TIMEOUT),
            idle_timeout: LONG_TIMEOUT,
            retries: 0,
            ..HttpRequest::post(format!("{}/api/chat", self.base_url), headers, body)
        };
        Ok(self.surroundings.http.send(request).await?)
    }

    fn failed(&self, failure: &Failure) -> ProviderError {
        match failure {
            Failure::Http(HttpFailure::Transport(TransportError::Connection(cause)))
                if cause.to_lowercase().contains("refused") =>
            {
                self.worded("provider.ollama.not_running", &[("url", &self.base_url)])
            }
            Failure::Http(HttpFailure::Status { status: 404, .. }) => {
                self.worded("provider.ollama.pull_model", &[("id", &self.model_id)])
            }
            _ => {
                let key = self.key.clone().unwrap_or_default();
                let error = failure::raw(failure, Sdk::OpenAi, &key, &self.surroundings.wording);
                // Ollama's errors are plain texts, and its client library shows nothing else.
                match error.details.get("error") {
                    Some(Value::String(message)) => ProviderError::new(message),
                    _ => ProviderError::new(error.message),
                }
            }
        }
    }

    fn worded(&self, id: &str, variables: &[(&str, &str)]) -> ProviderError {
        ProviderError::worded(&self.surroundings.wording, id, variables)
    }

    /// Sends a body that asks for a whole answer.
    async fn whole_answer(&self, body: &Value) -> Result<Value, ProviderError> {
        self.listed().await?;
        let answer = async { failure::read_json(self.send(body).await?).await };
        answer.await.map_err(|failure| self.failed(&failure))
    }
}

#[async_trait]
impl Provider for OllamaProvider {
    /// With the facts of the list, if it was fetched.
    fn model(&self) -> Model {
        let list = self.surroundings.lists.get(LIST, (self.surroundings.http.now)());
        let listed = list.and_then(|list| find(&list, &self.model_id).cloned());
        let info = listed.or_else(|| dynamic(LIST).map(|table| table.default_info.clone()));
        Model { id: self.model_id.clone(), info: info.unwrap_or_default() }
    }

    async fn fetch_model(&self) -> Result<(), ProviderError> {
        self.listed().await.map(drop)
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let start = async move {
            let info = this.listed().await?;
            let placeholder = (this.surroundings.wording)("transform.tool_result.image_placeholder", &[]);
            let mut messages = vec![json!({"role": "system", "content": request.system})];
            messages.extend(to_ollama(&request.messages, &placeholder));
            this.check_length(&messages, &info)?;
            let body = this.options.body(&this.model_id, messages, true);
            let sent = async { failure::event_stream(this.send(&body).await?) };
            sent.await.map_err(|failure| this.failed(&failure))
        };
        let wording = &self.surroundings.wording;
        answer::answer(start.boxed(), OllamaDecoder::new(wording.clone()), wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let messages = vec![json!({"role": "user", "content": prompt})];
        let answer = self.whole_answer(&self.options.body(&self.model_id, messages, false)).await;
        answer
            .map(|answer| answer["message"]["content"].as_str().unwrap_or("").to_owned())
            .map_err(|error| failure::completion_error(NAME, &error.message, &self.surroundings.wording))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.model().info, usage)
    }
}
