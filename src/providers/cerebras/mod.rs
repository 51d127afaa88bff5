//! Cerebras (spec 07 §19.1): chat completions of plain strings, sent once, read line by line.
//!
//! `decode` reads answers, `refused` words failures; the conversation's format is [`to_cerebras`].

pub(super) mod decode;
mod refused;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use decode::CerebrasDecoder;

use super::chat::body::headed;
use super::chat::message_text;
use super::convert::to_cerebras;
use super::failure::{self, Failure};
use super::http::{BodyStream, DEFAULT_HEADERS, HeaderMap, Http, HttpRequest, HttpResponse, InvalidHeader, set_header};
use super::models;
use super::options::Options;
use super::stream as answer;
use super::{ChatRequest, ChunkStream, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage, Wording};
use crate::ecma::utf16_len;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::settings::Settings;

/// Name in errors.
const NAME: &str = "Cerebras";
const URL: &str = "https://api.cerebras.ai/v1/chat/completions";
/// Models that may say more than this are not told how much.
const MAX_TOKENS_SENT: i64 = 32_768;
/// The range of temperatures.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.0..=1.5;
/// Tokens that are taken for a model's limit where none is known.
const USUAL_MAX_TOKENS: i64 = 1000;

/// The provider; see the module.
#[derive(Clone)]
pub struct CerebrasProvider {
    key: SecretString,
    model_id: String,
    /// `None`: an unknown model, which cannot be used.
    info: Option<&'static ModelInfo>,
    temperature: f64,
    http: Http,
    wording: Wording,
}

impl CerebrasProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// No key (`provider.key_required`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<CerebrasProvider, ProviderError> {
        let Surroundings { http, wording, .. } = surroundings;
        let options = Options::of(settings);
        let key = options
            .secret("cerebrasApiKey")
            .ok_or_else(|| ProviderError::worded(wording, "provider.key_required", &[("provider", NAME)]))?;
        let table = models::table("cerebras");
        let default = table.map_or("", |table| table.default_model.as_str());
        let named = options.filled("apiModelId").unwrap_or(default);
        // The free plan is a price, not a model of its own.
        let model_id = if named == "qwen-3-coder-480b-free" { "qwen-3-coder-480b" } else { named };
        Ok(CerebrasProvider {
            key,
            model_id: model_id.to_owned(),
            info: table.and_then(|table| table.get(named)),
            temperature: options.number("modelTemperature").unwrap_or(0.0),
            http: http.clone(),
            wording: wording.clone(),
        })
    }

    fn body(&self, messages: Vec<Value>, stream: bool) -> Map<String, Value> {
        let fields = [("model", json!(self.model_id)), ("messages", json!(messages)), ("stream", json!(stream))];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn conversation(&self, info: &ModelInfo, messages: Vec<Value>) -> Map<String, Value> {
        let mut body = self.body(messages, true);
        if let Some(tokens) = info.max_tokens.filter(|tokens| (1..=MAX_TOKENS_SENT).contains(tokens)) {
            body.insert("max_completion_tokens".into(), json!(tokens));
        }
        if self.temperature != 0.0 {
            let temperature = self.temperature.clamp(*TEMPERATURES.start(), *TEMPERATURES.end());
            body.insert("temperature".into(), json!(temperature));
        }
        body
    }

    async fn send(&self, body: Map<String, Value>) -> Result<HttpResponse, Failure> {
        Ok(self.http.send(HttpRequest::post_once(URL, self.headers()?, &Value::Object(body))).await?)
    }

    fn headers(&self) -> Result<HeaderMap, InvalidHeader> {
        let mut headers = HeaderMap::new();
        for (name, value) in DEFAULT_HEADERS {
            set_header(&mut headers, name, value)?;
        }
        set_header(&mut headers, "Content-Type", "application/json")?;
        set_header(&mut headers, "Authorization", &format!("Bearer {}", self.key.expose_secret()))?;
        Ok(headers)
    }

    async fn open(&self, body: Map<String, Value>) -> Result<BodyStream, ProviderError> {
        let response = self.send(body).await.map_err(|failure| self.refused(&failure))?;
        if !response.has_body() {
            let no_body = (self.wording)("provider.cerebras.no_body", &[]);
            return Err(refused::completion(&no_body, &self.wording));
        }
        failure::event_stream(response).map_err(|failure| self.refused(&failure))
    }

    fn refused(&self, failure: &Failure) -> ProviderError {
        refused::refused(failure, &self.key, &self.wording)
    }

    fn image_placeholder(&self) -> String {
        (self.wording)("transform.tool_result.image_placeholder", &[])
    }
}

#[async_trait]
impl Provider for CerebrasProvider {
    fn model(&self) -> Model {
        Model { id: self.model_id.clone(), info: self.info.cloned().unwrap_or_default() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let Some(info) = self.info else {
            let unknown = ProviderError::worded(
                &self.wording,
                "provider.cerebras.unknown_model",
                &[("model", self.model_id.as_str())],
            );
            return stream::iter([Err(unknown)]).boxed();
        };
        let messages = to_cerebras(&request.messages, &self.image_placeholder());
        let decoder = CerebrasDecoder::new(estimate(info, &request.system, &messages), self.wording.clone());
        let body = self.conversation(info, headed(json!({"role": "system", "content": request.system}), messages));
        let this = self.clone();
        answer::answer(async move { this.open(body).await }.boxed(), decoder, self.wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        super::tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let content = MessageContent::Text(prompt.to_owned());
        let message = ApiMessage { role: Role::User, content, ts: None, is_summary: None };
        let body = self.body(to_cerebras(&[message], &self.image_placeholder()), false);
        let answer = async { failure::read_json(self.send(body).await?).await };
        answer.await.map(|answer| message_text(&answer)).map_err(|failure| self.refused(&failure))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        self.info.map_or(0.0, |info| super::cost::openai(info, usage))
    }
}

/// Counts for an answer that reports none: four characters a token, and a tenth of what the model may say.
fn estimate(info: &ModelInfo, system: &str, messages: &[Value]) -> Usage {
    let contents = messages.iter().filter_map(|message| message["content"].as_str());
    let length: usize = utf16_len(system) + contents.map(utf16_len).sum::<usize>();
    let most = info.max_tokens.filter(|tokens| *tokens != 0).unwrap_or(USUAL_MAX_TOKENS);
    Usage {
        input_tokens: length.div_ceil(4) as u64,
        output_tokens: most.max(0).unsigned_abs().div_ceil(10),
        ..Usage::default()
    }
}
