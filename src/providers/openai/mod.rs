//! OpenAI-compatible chat completions, Azure included (spec 07 §11, §12).
//!
//! `endpoint` finds address and authorisation, `request` the body, `decode` reads the answer; this file joins them.

mod decode;
mod endpoint;
mod options;
mod request;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;

use decode::ChatDecoder;
use endpoint::Endpoint;
use options::OpenAiOptions;

use super::failure::{self, Failure};
use super::http::{Http, HttpRequest};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{cost, stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Name in wrapped errors.
const NAME: &str = "OpenAI";

/// The provider; see the module.
pub struct OpenAiProvider {
    options: OpenAiOptions,
    http: Http,
    wording: Wording,
}

impl OpenAiProvider {
    /// Reads the profile. No connection is made.
    ///
    /// # Errors
    /// A model info that is not one (`provider.invalid_setting`).
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Result<OpenAiProvider, ProviderError> {
        let wording = surroundings.wording.clone();
        let options = OpenAiOptions::read(Options::of(settings)).map_err(|(key, cause)| {
            ProviderError::worded(&wording, "provider.invalid_setting", &[("key", key), ("cause", &cause)])
        })?;
        Ok(OpenAiProvider { options, http: surroundings.http.clone(), wording })
    }

    fn http_request(&self, body: &Value) -> Result<HttpRequest, Failure> {
        let endpoint = Endpoint::of(&self.options);
        Ok(HttpRequest {
            method: super::http::Method::POST,
            url: endpoint.url(&self.options).ok_or(Failure::InvalidUrl)?,
            headers: endpoint.headers(&self.options)?,
            body: Bytes::from(body.to_string()),
            header_timeout: self.options.timeout,
            idle_timeout: super::http::IDLE_TIMEOUT,
            retries: super::http::SDK_RETRIES,
        })
    }

    fn wrap(&self, failure: &Failure) -> ProviderError {
        failure::wrap(failure, NAME, &self.options.key, &self.wording)
    }

    /// Sends a body that asks for a whole answer.
    async fn whole_answer(&self, body: &Value) -> Result<Value, Failure> {
        let response = self.http.send(self.http_request(body)?).await?;
        failure::read_json(response).await
    }
}

#[async_trait]
impl Provider for OpenAiProvider {
    fn model(&self) -> Model {
        Model { id: self.options.model_id.clone(), info: self.options.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let placeholder = (self.wording)("transform.tool_result.image_placeholder", &[]);
        let body = request::body(&self.options, &request, &placeholder);
        let this = self.shared();
        if !self.options.streaming {
            let answer = async move {
                match this.whole_answer(&body).await {
                    Ok(answer) => decode::whole(&answer).into_iter().map(Ok).collect(),
                    Err(failure) => vec![Err(this.wrap(&failure))],
                }
            };
            return answer.map(stream::iter).flatten_stream().boxed();
        }
        let decoder = ChatDecoder::new(self.options.is_o_series(), self.wording.clone());
        let wording = self.wording.clone();
        let start = async move {
            let sent = async { failure::event_stream(this.http.send(this.http_request(&body)?).await?) };
            sent.await.map_err(|failure| this.wrap(&failure))
        };
        answer::answer(start.boxed(), decoder, wording)
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let body = request::single_prompt(&self.options, prompt);
        match self.whole_answer(&body).await {
            Ok(answer) => Ok(decode::message_text(&answer)),
            // The specification has this error wrapped twice (spec 07 §11.5).
            Err(failure) => {
                let inner = self.wrap(&failure).message;
                Err(failure::completion_error(NAME, &inner, &self.wording))
            }
        }
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.options.info, usage)
    }
}

impl OpenAiProvider {
    /// A copy for a request that outlives the borrow of `self`.
    fn shared(&self) -> OpenAiProvider {
        OpenAiProvider { options: self.options.clone(), http: self.http.clone(), wording: self.wording.clone() }
    }
}
