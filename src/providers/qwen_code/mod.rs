//! Qwen Code: chat completions with the login of its command line program (spec 07 §19.1).
//!
//! `login` keeps the token; this file sends requests, a refused one again with a fresh token.

mod login;

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use serde_json::{Map, Value, json};

use login::{Access, Login};

use super::chat::body::{self, MessageFormat};
use super::chat::{ChatClient, ChatDecoder, ChatReading, ReasoningFields, ThinkTags, UsageRule, Wrapping};
use super::chat::{message_text, sdk_headers};
use super::failure::{self, Failure};
use super::http::{HttpFailure, HttpRequest, HttpResponse};
use super::models::{self, ModelTable};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Environment, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in errors.
const NAME: &str = "Qwen Code";

/// The provider; see the module. Cheap to clone.
#[derive(Clone)]
pub struct QwenCodeProvider {
    model_id: Arc<str>,
    info: &'static ModelInfo,
    login: Arc<Login>,
    client: ChatClient,
    environment: Environment,
}

impl QwenCodeProvider {
    /// Reads the profile; the login is read with the first request.
    ///
    /// # Errors
    /// This build knows no models of Qwen Code (`provider.not_available`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<QwenCodeProvider, ProviderError> {
        let table: &ModelTable = models::table("qwen-code").ok_or_else(|| {
            ProviderError::worded(&surroundings.wording, "provider.not_available", &[("provider", "qwen-code")])
        })?;
        let options = Options::of(settings);
        let model_id = options.filled("apiModelId").unwrap_or(&table.default_model);
        Ok(QwenCodeProvider {
            model_id: model_id.into(),
            info: table.get(model_id).unwrap_or(table.default_info()),
            login: Arc::new(Login::new(options.filled("qwenCodeOauthPath"), surroundings)),
            client: ChatClient::new(surroundings, NAME, Default::default()),
            environment: surroundings.environment.clone(),
        })
    }

    /// The answer to `body`; one that is refused for its token is sent once more.
    async fn send(&self, body: &Value) -> Result<HttpResponse, ProviderError> {
        let access = self.login.access().await?;
        match self.attempt(&access, body).await {
            Err(Failure::Http(HttpFailure::Status { status: 401, .. })) => {
                let access = self.login.fresh_access(&access.token).await?;
                self.attempt(&access, body).await.map_err(|failure| self.error(&failure, access))
            }
            answer => answer.map_err(|failure| self.error(&failure, access)),
        }
    }

    async fn attempt(&self, access: &Access, body: &Value) -> Result<HttpResponse, Failure> {
        let url = format!("{}/chat/completions", access.base_url);
        let headers = sdk_headers(&access.token, &self.environment, false)?;
        Ok(self.client.http.send(HttpRequest::post(url, headers, body)).await?)
    }

    fn error(&self, failure: &Failure, access: Access) -> ProviderError {
        ChatClient { key: access.token, ..self.client.clone() }.error(failure, Wrapping::Raw)
    }

    fn add_max_tokens(&self, mut body: Map<String, Value>) -> Value {
        if let Some(tokens) = self.info.max_tokens {
            body.insert("max_completion_tokens".into(), json!(tokens));
        }
        Value::Object(body)
    }

    fn body(&self, request: &ChatRequest) -> Value {
        let placeholder = self.client.image_placeholder();
        let messages = body::messages(MessageFormat::OpenAi, &request.system, &request.messages, &placeholder);
        let mut body = Map::from_iter([
            ("model".to_owned(), json!(&*self.model_id)),
            ("temperature".to_owned(), json!(0)),
            ("messages".to_owned(), json!(messages)),
        ]);
        body::ask_for_stream(&mut body, true);
        self.add_max_tokens(body)
    }
}

#[async_trait]
impl Provider for QwenCodeProvider {
    fn model(&self) -> Model {
        Model { id: self.model_id.to_string(), info: self.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let reading = ChatReading {
            reasoning: ReasoningFields::Content,
            think_tags: ThinkTags::EachDelta,
            cumulative: true,
            ..ChatReading::default()
        };
        let info = self.info;
        let read_usage = Arc::new(move |usage: &Value| UsageRule::default().read(usage, info));
        let decoder = ChatDecoder::new(reading, read_usage, self.client.wording.clone());
        let (this, body) = (self.clone(), self.body(&request));
        let start = async move {
            let response = this.send(&body).await?;
            failure::event_stream(response).map_err(|failure| this.client.error(&failure, Wrapping::Raw))
        };
        answer::answer(start.boxed(), decoder, self.client.wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = self.add_max_tokens(body::single_prompt(&self.model_id, "user", prompt));
        let answer = failure::read_json(self.send(&body).await?).await;
        answer.map(|answer| message_text(&answer)).map_err(|failure| self.client.error(&failure, Wrapping::Raw))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(self.info, usage)
    }
}
