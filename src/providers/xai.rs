//! xAI (spec 07 §16).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::chat::body::{self, MessageFormat};
use super::chat::{ChatClient, ChatDecoder, ChatReading, Count, ReasoningFields, UsageRule, Wrapping, Zero};
use super::chat::{message_text, sdk_headers};
use super::failure::Failure;
use super::http::HttpRequest;
use super::options::Options;
use super::params::{ModelParams, ParamsFormat, json_number};
use super::{ChatRequest, ChunkStream, Environment, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage};
use super::{cost, models, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

const URL: &str = "https://api.x.ai/v1/chat/completions";

/// The provider; see the module.
pub struct XaiProvider {
    model_id: &'static str,
    info: &'static ModelInfo,
    params: ModelParams,
    client: ChatClient,
    environment: Environment,
}

impl XaiProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// This build knows no xAI models (`provider.not_available`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<XaiProvider, ProviderError> {
        let table = models::table("xai").ok_or_else(|| {
            ProviderError::worded(&surroundings.wording, "provider.not_available", &[("provider", "xai")])
        })?;
        let options = Options::of(settings);
        let (model_id, info) = table.known_or_default(options.text("apiModelId"));
        let key = options.secret_text("xaiApiKey").unwrap_or_else(|| "not-provided".into());
        Ok(XaiProvider {
            model_id,
            info,
            params: options.params(ParamsFormat::OpenAi, model_id, info, 0.0),
            client: ChatClient::new(surroundings, "xAI", key),
            environment: surroundings.environment.clone(),
        })
    }

    fn http_request(&self, body: Map<String, Value>) -> Result<HttpRequest, Failure> {
        let headers = sdk_headers(&self.client.key, &self.environment, true)?;
        Ok(HttpRequest::post(URL, headers, &Value::Object(body)))
    }

    fn add_reasoning(&self, body: &mut Map<String, Value>) {
        if let Some(Value::Object(reasoning)) = &self.params.reasoning {
            body.extend(reasoning.clone());
        }
    }

    fn body(&self, request: &ChatRequest) -> Map<String, Value> {
        let placeholder = self.client.image_placeholder();
        let messages = body::messages(MessageFormat::OpenAi, &request.system, &request.messages, &placeholder);
        let mut body = Map::from_iter([("model".to_owned(), json!(self.model_id))]);
        // The model's own limit, whatever the profile says.
        if let Some(tokens) = self.info.max_tokens {
            body.insert("max_tokens".into(), json!(tokens));
        }
        if let Some(temperature) = self.params.temperature {
            body.insert("temperature".into(), json_number(temperature));
        }
        body.insert("messages".into(), json!(messages));
        body::ask_for_stream(&mut body, true);
        self.add_reasoning(&mut body);
        body
    }
}

#[async_trait]
impl Provider for XaiProvider {
    fn model(&self) -> Model {
        Model { id: self.model_id.to_owned(), info: self.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let reading = ChatReading { finish_check: true, reasoning: ReasoningFields::Content, ..ChatReading::default() };
        let rule = UsageRule {
            cache_write: Count::at(&["cache_creation_input_tokens"], Zero::Report),
            cache_read: Count::at(&["prompt_tokens_details.cached_tokens", "cache_read_input_tokens"], Zero::Report),
            ..UsageRule::default()
        };
        let info = self.info;
        let decoder =
            ChatDecoder::new(reading, Arc::new(move |usage| rule.read(usage, info)), self.client.wording.clone());
        self.client.stream(self.http_request(self.body(&request)), Wrapping::Wrapped, decoder)
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let mut body = body::single_prompt(self.model_id, "user", prompt);
        self.add_reasoning(&mut body);
        let answer = self.client.whole(self.http_request(body)).await;
        answer.map(|answer| message_text(&answer)).map_err(|failure| self.client.error(&failure, Wrapping::Wrapped))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(self.info, usage)
    }
}
