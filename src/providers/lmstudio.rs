//! LM Studio (spec 07 §19.1): chat completions of a local server, whose tokens are counted here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, future, stream};
use serde_json::{Map, Value, json};

use super::chat::body::{self, MessageFormat};
use super::chat::{ChatClient, ChatDecoder, ChatReading, ThinkTags, Transcript, UsageTime, Wrapping};
use super::chat::{message_text, sdk_headers};
use super::failure::Failure;
use super::http::{HttpRequest, LONG_TIMEOUT};
use super::models::{dynamic, find};
use super::options::Options;
use super::params::json_number;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Surroundings, Usage};
use super::{cost, tokens};
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent};
use crate::settings::Settings;

/// Name of its list of models.
const LIST: &str = "lmstudio";
const BASE: &str = "http://localhost:1234";
/// LM Studio takes any key.
const KEY: &str = "noop";

/// The provider; see the module.
pub struct LmStudioProvider {
    base_url: String,
    model_id: String,
    /// Small model that guesses ahead, if that is switched on.
    draft_model: Option<String>,
    temperature: f64,
    client: ChatClient,
    surroundings: Surroundings,
}

impl LmStudioProvider {
    /// Reads the profile. No connection is made.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> LmStudioProvider {
        let options = Options::of(settings);
        let draft = options.filled("lmStudioDraftModelId").filter(|_| options.is("lmStudioSpeculativeDecodingEnabled"));
        LmStudioProvider {
            base_url: options.filled("lmStudioBaseUrl").unwrap_or(BASE).to_owned(),
            model_id: options.text("lmStudioModelId").unwrap_or("").to_owned(),
            draft_model: draft.map(str::to_owned),
            temperature: options.number("modelTemperature").unwrap_or(0.0),
            client: ChatClient::new(surroundings, "LM Studio", KEY.into()),
            surroundings: surroundings.clone(),
        }
    }

    fn body(&self, messages: Vec<Value>, stream: bool) -> Map<String, Value> {
        let mut body = Map::from_iter([
            ("model".to_owned(), json!(self.model_id)),
            ("messages".to_owned(), Value::Array(messages)),
            ("temperature".to_owned(), json_number(self.temperature)),
            ("stream".to_owned(), json!(stream)),
        ]);
        if let Some(draft) = &self.draft_model {
            body.insert("draft_model".into(), json!(draft));
        }
        body
    }

    fn http_request(&self, body: Map<String, Value>) -> Result<HttpRequest, Failure> {
        let headers = sdk_headers(&self.client.key, &self.surroundings.environment, false)?;
        Ok(HttpRequest {
            header_timeout: Some(LONG_TIMEOUT),
            idle_timeout: LONG_TIMEOUT,
            ..HttpRequest::post(format!("{}/v1/chat/completions", self.base_url), headers, &Value::Object(body))
        })
    }

    /// Whatever failed: only LM Studio's own log tells why.
    fn failed(&self) -> ProviderError {
        ProviderError::worded(&self.surroundings.wording, "provider.lmstudio.check_logs", &[])
    }
}

#[async_trait]
impl Provider for LmStudioProvider {
    /// With the facts of the list, if it was fetched.
    fn model(&self) -> Model {
        let list = self.surroundings.lists.get(LIST, (self.surroundings.http.now)());
        let listed = list.and_then(|list| find(&list, &self.model_id).cloned());
        // The specification's defaults for models that nothing is known of stand in the table of `openai`.
        let info = listed.or_else(|| dynamic("openai").map(|table| table.default_info.clone()));
        Model { id: self.model_id.clone(), info: info.unwrap_or_default() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let placeholder = self.client.image_placeholder();
        let messages = body::messages(MessageFormat::OpenAi, &request.system, &request.messages, &placeholder);
        let reading = ChatReading { think_tags: ThinkTags::Leading, usage: UsageTime::Never, ..ChatReading::default() };
        let transcript = Transcript::default();
        let decoder = ChatDecoder::new(reading, Arc::new(|_| Usage::default()), self.client.wording.clone())
            .with_transcript(transcript.clone());
        let request_out = self.http_request(self.body(messages, true));
        let chunks = self.client.stream(request_out, Wrapping::Raw, decoder);

        let failed = Arc::new(AtomicBool::new(false));
        let (has_failed, error) = (failed.clone(), self.failed());
        let chunks = chunks.map(move |item| {
            item.map_err(|_| {
                failed.store(true, Ordering::Relaxed);
                error.clone()
            })
        });
        let usage = async move {
            if has_failed.load(Ordering::Relaxed) {
                return None;
            }
            let answer = std::mem::take(&mut *transcript.lock().unwrap_or_else(PoisonError::into_inner));
            let input_tokens = tokens::count_blocks_aside(&asked(&request.system, &request.messages)).await;
            let output_tokens = tokens::count_blocks_aside(&[ContentBlock::text(answer)]).await;
            Some(Ok(StreamChunk::Usage(Usage { input_tokens, output_tokens, ..Usage::default() })))
        };
        chunks.chain(stream::once(usage).filter_map(future::ready)).boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = self.body(vec![json!({"role": "user", "content": prompt})], false);
        let answer = self.client.whole(self.http_request(body)).await.map_err(|_| self.failed())?;
        Ok(message_text(&answer))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.model().info, usage)
    }
}

/// What counts as input: the system prompt and all texts.
fn asked(system: &str, messages: &[ApiMessage]) -> Vec<ContentBlock> {
    let mut blocks = vec![ContentBlock::text(system)];
    for message in messages {
        match &message.content {
            MessageContent::Text(text) => blocks.push(ContentBlock::text(text)),
            MessageContent::Blocks(more) => {
                blocks.extend(more.iter().filter(|block| matches!(block, ContentBlock::Text { .. })).cloned());
            }
        }
    }
    blocks
}
