//! AWS Bedrock by its Converse API (spec 07 §15).
//!
//! `options` reads the profile (with [`arn`] and `model`), `request` builds bodies with the points of [`cache`], `send` signs
//! and sends them, `events` reads the frames of an answer, `error` says what a failure was and `report` how it is told; this
//! file joins them. Who asks is the business of `providers::auth::aws`.

mod arn;
pub mod cache;
mod endpoint;
mod error;
pub(super) mod events;
mod model;
mod options;
mod report;
mod request;
mod send;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;

use cache::{Conversations, Plan};
use events::ConverseDecoder;
use options::BedrockOptions;
use send::{Operation, Sender};

use super::convert::{UnsupportedImage, to_bedrock};
use super::frames::EventStream;
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{cost, failure, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// The provider; see the module.
pub struct BedrockProvider {
    options: BedrockOptions,
    sender: Sender,
    wording: Wording,
    /// Points of the last request of each conversation.
    conversations: Mutex<Conversations>,
}

impl BedrockProvider {
    /// Reads the profile. Opens no connection; credentials and a region that the profile does not name are looked for by the
    /// first request.
    ///
    /// # Errors
    /// A resource name that is none, no model, or an empty region.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<BedrockProvider, ProviderError> {
        let wording = surroundings.wording.clone();
        let options = BedrockOptions::read(Options::of(settings))
            .map_err(|error| ProviderError::worded(&wording, error.id(), &[]))?;
        let sender = Sender::new(&options, surroundings);
        Ok(BedrockProvider { options, sender, wording, conversations: Mutex::default() })
    }

    /// The body of a conversation's request; remembers its cache points.
    fn body(&self, request: &ChatRequest) -> Result<Value, UnsupportedImage> {
        let placeholder = (self.wording)("transform.tool_result.image_placeholder", &[]);
        let messages = to_bedrock(&request.messages, &placeholder)?;
        let plan = match &self.options.cache {
            None => Plan::default(),
            Some(limits) => {
                let mut known = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
                let previous = known.previous(&request.messages);
                let plan = cache::plan(limits, &request.system, &request.messages, previous);
                if let Some(points) = &plan.messages {
                    known.remember(&request.messages, points.clone());
                }
                plan
            }
        };
        Ok(request::streamed(&self.options, request, messages, &plan))
    }

    fn unsupported(&self, image: &UnsupportedImage) -> ProviderError {
        match image {
            UnsupportedImage::Format(format) => {
                let id = "transform.bedrock.unsupported_image_format";
                ProviderError::worded(&self.wording, id, &[("format", format)])
            }
            UnsupportedImage::Link => {
                error::client("TypeError", (self.wording)("transform.bedrock.unsupported_image_source", &[]))
            }
        }
    }
}

#[async_trait]
impl Provider for BedrockProvider {
    fn model(&self) -> Model {
        self.options.model.clone()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let body = match self.body(&request) {
            Ok(body) => body,
            Err(image) => return stream::iter([Err(self.unsupported(&image))]).boxed(),
        };
        let sender = self.sender.clone();
        let start = async move { Ok(sender.send(Operation::Stream, &body).await?.body) };
        let decoder = ConverseDecoder::new(self.wording.clone());
        let chunks = answer::answer::<EventStream, _>(start.boxed(), decoder, self.wording.clone());
        report::reported(chunks, self.wording.clone())
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = request::single_prompt(&self.options, prompt);
        let answer = async {
            let response = self.sender.send(Operation::Whole, &body).await?;
            failure::read_json(response).await.map_err(|failure| self.sender.failed(&failure))
        };
        match answer.await {
            Ok(answer) => Ok(events::first_text(&answer)),
            Err(error) => Err(report::completion_error(error, &self.wording)),
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::anthropic(&self.options.model.info, usage)
    }
}
