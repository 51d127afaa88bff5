//! Mistral's chat API (spec 07 §19.1): chat completions whose content may come in parts, one of them thinking.

pub(super) mod decode;

use async_trait::async_trait;
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use decode::MistralDecoder;

use super::convert::to_mistral;
use super::failure::{self, Failure, Sdk};
use super::http::{HeaderMap, Http, HttpRequest, set_header};
use super::models::table;
use super::options::Options;
use super::params::json_number;
use super::{ChatRequest, ChunkStream, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in errors.
const NAME: &str = "Mistral";
const BASE: &str = "https://api.mistral.ai";
/// Where models are asked whose ids begin with [`CODESTRAL`].
const CODESTRAL_BASE: &str = "https://codestral.mistral.ai";
const CODESTRAL: &str = "codestral-";

/// The provider; see the module.
#[derive(Clone)]
pub struct MistralProvider {
    base_url: String,
    key: SecretString,
    model_id: String,
    info: ModelInfo,
    temperature: f64,
    include_max_tokens: bool,
    http: Http,
    wording: Wording,
}

impl MistralProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// A profile without a key (`provider.key_required`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<MistralProvider, ProviderError> {
        let wording = surroundings.wording.clone();
        let options = Options::of(settings);
        let key = options
            .secret("mistralApiKey")
            .ok_or_else(|| ProviderError::worded(&wording, "provider.key_required", &[("provider", NAME)]))?;
        let (mut model_id, mut info, own_id) = (String::new(), ModelInfo::default(), options.filled("apiModelId"));
        if let Some(table) = table("mistral") {
            let (id, known) = table.known_or_default(own_id);
            (model_id, info) = (own_id.unwrap_or(id).to_owned(), known.clone());
        }
        let base_url = match model_id.starts_with(CODESTRAL) {
            true => options.filled("mistralCodestralUrl").unwrap_or(CODESTRAL_BASE),
            false => BASE,
        };
        Ok(MistralProvider {
            base_url: base_url.to_owned(),
            key,
            model_id,
            info,
            temperature: options.number("modelTemperature").unwrap_or(0.0),
            include_max_tokens: options.is("includeMaxTokens"),
            http: surroundings.http.clone(),
            wording,
        })
    }

    /// A body without the fields that only conversations have.
    fn body(&self, messages: Vec<Value>) -> Map<String, Value> {
        let fields = [
            ("model", json!(self.model_id)),
            ("messages", Value::Array(messages)),
            ("temperature", json_number(self.temperature)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn streamed_body(&self, request: &ChatRequest) -> Value {
        let mut messages = to_mistral(&request.messages);
        for message in messages.iter_mut().filter(|message| message["role"] == "assistant") {
            message["prefix"] = json!(false);
        }
        messages.insert(0, json!({"role": "system", "content": request.system}));
        let mut body = self.body(messages);
        if let Some(tokens) = self.info.max_tokens.filter(|_| self.include_max_tokens) {
            body.insert("max_tokens".into(), json!(tokens));
        }
        body.insert("stream".into(), json!(true));
        body.into()
    }

    /// One attempt, however long it takes.
    fn http_request(&self, body: &Value, accept: &str) -> Result<HttpRequest, Failure> {
        let mut url = url::Url::parse(&self.base_url).map_err(|_| Failure::InvalidUrl)?;
        let path = url.path();
        url.set_path(&format!("{}/v1/chat/completions", path.strip_suffix('/').unwrap_or(path)));
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Authorization", &format!("Bearer {}", self.key.expose_secret()))?;
        set_header(&mut headers, "Content-Type", "application/json")?;
        set_header(&mut headers, "Accept", accept)?;
        Ok(HttpRequest { header_timeout: None, retries: 0, ..HttpRequest::post(url, headers, body) })
    }

    /// The client library puts the whole body into its message; of a body with a `message` this is enough.
    fn failed(&self, failure: &Failure) -> ProviderError {
        failure::raw(failure, Sdk::Anthropic, &self.key, &self.wording)
    }

    /// Sends a body that asks for a whole answer.
    async fn whole_answer(&self, body: &Value) -> Result<Value, Failure> {
        failure::read_json(self.http.send(self.http_request(body, "application/json")?).await?).await
    }
}

#[async_trait]
impl Provider for MistralProvider {
    fn model(&self) -> Model {
        Model { id: self.model_id.clone(), info: self.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let start = async move {
            let body = this.streamed_body(&request);
            let sent =
                async { failure::event_stream(this.http.send(this.http_request(&body, "text/event-stream")?).await?) };
            sent.await.map_err(|failure: Failure| this.failed(&failure))
        };
        answer::answer(start.boxed(), MistralDecoder::new(self.wording.clone()), self.wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = self.body(vec![json!({"role": "user", "content": prompt})]).into();
        let answer = self.whole_answer(&body).await;
        answer
            .map(|answer| decode::message_text(&answer))
            .map_err(|failure| failure::wrap(&failure, NAME, &self.key, &self.wording))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.info, usage)
    }
}
