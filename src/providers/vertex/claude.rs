//! Claude on Vertex AI (spec 07 §14.2): Anthropic's messages behind Google's address and authorisation.

use async_trait::async_trait;
use futures::FutureExt;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::project::VertexProject;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::providers::anthropic::{ClaudeDecoder, shared_body, wire_id};
use crate::providers::auth::google::GoogleAuthError;
use crate::providers::convert::{mark_last_texts, marked_system, to_anthropic};
use crate::providers::failure::{Failure, Sdk, completion_error, event_stream, message, raw, read_json, without_key};
use crate::providers::http::{HeaderMap, Http, HttpRequest, HttpResponse, set_header};
use crate::providers::models::table;
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat};
use crate::providers::{
    ChatRequest, ChunkStream, Model, ModelInfo, Provider, ProviderError, Surroundings, Usage, Wording, cost, stream,
    tokens,
};
use crate::settings::Settings;

/// Name in wrapped errors.
const NAME: &str = "Vertex";
/// Version of Anthropic's API, and of its form on Vertex AI.
const API_VERSION: &str = "2023-06-01";
const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// More output tokens might take longer than an answer that is not streamed may (600 s, at 128,000 tokens an hour).
const LONGEST_WHOLE_ANSWER: i64 = 21_333;

/// The provider; see the module.
#[derive(Clone)]
pub struct ClaudeProvider {
    model: Model,
    params: ModelParams,
    project: VertexProject,
    /// `ANTHROPIC_VERTEX_BASE_URL`.
    base: Option<String>,
    http: Http,
    wording: Wording,
}

/// Why a call gave no answer.
enum CallFailure {
    Auth(GoogleAuthError),
    /// The token may stand in the service's words.
    Call(Failure, SecretString),
    /// The answer could take too long; most output tokens asked for.
    TooLong(i64),
}

impl ClaudeProvider {
    /// Reads the profile. No connection is made.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> ClaudeProvider {
        let options = Options::of(settings);
        let (id, info) = match table("vertex") {
            Some(table) => table.known_or_default(options.filled("apiModelId")),
            None => ("", &ModelInfo::default()),
        };
        ClaudeProvider {
            params: options.params(ParamsFormat::Anthropic, id, info, 0.0),
            model: Model { id: wire_id(id).to_owned(), info: info.clone() },
            project: VertexProject::read(options, surroundings),
            base: (surroundings.environment)("ANTHROPIC_VERTEX_BASE_URL").filter(|base| !base.is_empty()),
            http: surroundings.http.clone(),
            wording: surroundings.wording.clone(),
        }
    }

    /// The body for a conversation, marked if the model caches.
    fn body(&self, system: Option<&str>, messages: &[ApiMessage], stream: bool) -> Map<String, Value> {
        let caches = self.model.info.supports_prompt_cache == Some(true);
        let mut messages = to_anthropic(messages);
        if caches {
            mark_last_texts(&mut messages);
        }
        let system = system.map(|system| if caches { marked_system(system) } else { json!(system) });
        let mut body = shared_body(&self.params, system, messages, stream);
        body.insert("anthropic_version".into(), json!(VERTEX_VERSION));
        body
    }

    /// Calls a method of the model; the token comes along for what is said of the answer.
    async fn call(&self, method: &str, body: Map<String, Value>) -> Result<(HttpResponse, SecretString), CallFailure> {
        let access = self.project.auth.access().await.map_err(CallFailure::Auth)?;
        let failed = |failure: Failure| CallFailure::Call(failure, access.token.clone());
        let mut headers = HeaderMap::new();
        let authorized = access.authorize(&mut headers).and_then(|()| {
            set_header(&mut headers, "anthropic-version", API_VERSION)?;
            set_header(&mut headers, "Content-Type", "application/json")
        });
        authorized.map_err(|invalid| failed(invalid.into()))?;
        let url = self.project.claude_url(self.base.as_deref(), &self.model.id, method);
        let request = HttpRequest::post(url, headers, &Value::Object(body));
        let response = self.http.send(request).await.map_err(|failure| failed(failure.into()))?;
        Ok((response, access.token))
    }

    async fn answer(&self, prompt: &str) -> Result<Value, CallFailure> {
        let content = MessageContent::Text(prompt.to_owned());
        let prompt = ApiMessage { role: Role::User, content, ts: None, is_summary: None };
        let body = self.body(None, &[prompt], false);
        match body.get("max_tokens").and_then(Value::as_i64) {
            Some(tokens) if tokens > LONGEST_WHOLE_ANSWER => return Err(CallFailure::TooLong(tokens)),
            _ => {}
        }
        let (response, token) = self.call("rawPredict", body).await?;
        read_json(response).await.map_err(|failure| CallFailure::Call(failure, token))
    }

    /// Errors of the stream keep status and the vendor's words.
    fn as_is(&self, failure: CallFailure) -> ProviderError {
        match failure {
            CallFailure::Call(failure, token) => raw(&failure, Sdk::Anthropic, &token, &self.wording),
            other => ProviderError::new(self.words(&other)),
        }
    }

    fn words(&self, failure: &CallFailure) -> String {
        match failure {
            CallFailure::Auth(error) => error.words(&self.wording),
            CallFailure::Call(failure, token) => without_key(message(failure, &self.wording), token),
            CallFailure::TooLong(tokens) => {
                let (tokens, limit) = (tokens.to_string(), LONGEST_WHOLE_ANSWER.to_string());
                (self.wording)("provider.vertex.answer_too_long", &[("tokens", &tokens), ("limit", &limit)])
            }
        }
    }
}

#[async_trait]
impl Provider for ClaudeProvider {
    fn model(&self) -> Model {
        self.model.clone()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let body = self.body(Some(&request.system), &request.messages, true);
        let this = self.clone();
        let start = async move {
            let (response, token) = this.call("streamRawPredict", body).await.map_err(|failure| this.as_is(failure))?;
            event_stream(response).map_err(|failure| this.as_is(CallFailure::Call(failure, token)))
        };
        // No cost in the stream: the caller has it from the totals.
        stream::answer(start.boxed(), ClaudeDecoder::new(None, self.wording.clone()), self.wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    /// The text of the first block, if it is one: a model that thinks begins with its thoughts and gives nothing.
    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        match self.answer(prompt).await {
            Ok(answer) if answer["content"][0]["type"] == "text" => {
                Ok(answer["content"][0]["text"].as_str().unwrap_or("").to_owned())
            }
            Ok(_) => Ok(String::new()),
            Err(failure) => Err(completion_error(NAME, &self.words(&failure), &self.wording)),
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::anthropic(&self.model.info, usage)
    }
}
