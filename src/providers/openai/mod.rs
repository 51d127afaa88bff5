//! OpenAI-compatible chat completions, Azure included (spec 07 §11, §12).
//!
//! `endpoint` finds address and authorisation, `request` the body; this file joins them over the shared core (`chat`).

mod endpoint;
mod options;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use endpoint::Endpoint;
use options::OpenAiOptions;
pub use options::Vendor;

use super::chat::{ChatClient, ChatDecoder, ChatReading, ReasoningFields, ThinkTags, UsageRule, UsageTime, Wrapping};
use super::chat::{UsageReader, message_text};
use super::failure::{self, Failure};
use super::http::HttpRequest;
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Surroundings, Usage};
use super::{cost, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in wrapped errors.
const NAME: &str = "OpenAI";

/// The provider; see the module.
pub struct OpenAiProvider {
    options: Arc<OpenAiOptions>,
    client: ChatClient,
    surroundings: Surroundings,
}

impl OpenAiProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// A model info that is not one (`provider.invalid_setting`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<OpenAiProvider, ProviderError> {
        let options = OpenAiOptions::read(Options::of(settings)).map_err(|(key, cause)| {
            ProviderError::worded(&surroundings.wording, "provider.invalid_setting", &[("key", key), ("cause", &cause)])
        })?;
        Ok(OpenAiProvider::with(options, surroundings))
    }

    /// The same for a vendor that is spoken to as OpenAI is.
    pub fn of_vendor(vendor: Vendor, options: Options<'_>, surroundings: &Surroundings) -> OpenAiProvider {
        OpenAiProvider::with(OpenAiOptions::of_vendor(options, vendor), surroundings)
    }

    fn with(options: OpenAiOptions, surroundings: &Surroundings) -> OpenAiProvider {
        let client = ChatClient::new(surroundings, NAME, options.key.clone());
        OpenAiProvider { options: Arc::new(options), client, surroundings: surroundings.clone() }
    }

    fn http_request(&self, body: &Value) -> Result<HttpRequest, Failure> {
        let endpoint = Endpoint::of(&self.options);
        let url = endpoint.url(&self.options).ok_or(Failure::InvalidUrl)?;
        let headers = endpoint.headers(&self.options, &self.surroundings.environment)?;
        Ok(HttpRequest { header_timeout: self.options.timeout, ..HttpRequest::post(url, headers, body) })
    }

    fn usage_reader(&self, rule: UsageRule) -> UsageReader {
        let options = self.options.clone();
        Arc::new(move |usage| rule.read(usage, &options.info))
    }

    /// What the two branches of the specification take from a stream (spec 07 §11.1, §11.2).
    fn decoder(&self) -> ChatDecoder {
        let (reading, rule) = match self.options.is_o_series() {
            true => (ChatReading::default(), UsageRule::default()),
            false => {
                let reading = ChatReading {
                    reasoning: ReasoningFields::Content,
                    think_tags: ThinkTags::Leading,
                    usage: UsageTime::Last,
                    ..ChatReading::default()
                };
                (reading, self.options.usage.clone())
            }
        };
        ChatDecoder::new(reading, self.usage_reader(rule), self.client.wording.clone())
    }
}

#[async_trait]
impl Provider for OpenAiProvider {
    fn model(&self) -> Model {
        Model { id: self.options.model_id.clone(), info: self.options.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let body = request::body(&self.options, &request, &self.client.image_placeholder());
        let request = self.http_request(&body);
        if self.options.streaming {
            return self.client.stream(request, Wrapping::Wrapped, self.decoder());
        }
        let read_usage = self.usage_reader(self.options.usage.clone());
        // Text and usage, always both (spec 07 §11.4).
        self.client.stream_of_whole(request, Wrapping::Wrapped, move |answer| {
            vec![StreamChunk::Text(message_text(answer)), StreamChunk::Usage(read_usage(&answer["usage"]))]
        })
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = request::single_prompt(&self.options, prompt);
        match self.client.whole(self.http_request(&body)).await {
            Ok(answer) => Ok(message_text(&answer)),
            // The specification has this error wrapped twice (spec 07 §11.5).
            Err(failure) => {
                let inner = self.client.error(&failure, Wrapping::Wrapped).message;
                Err(failure::completion_error(NAME, &inner, &self.client.wording))
            }
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.options.info, usage)
    }
}
