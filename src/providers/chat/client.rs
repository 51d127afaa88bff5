//! Sends chat requests and words what fails.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::providers::failure::{self, Failure, Sdk};
use crate::providers::http::{HeaderMap, Http, HttpRequest};
use crate::providers::stream::{self as answer, EventDecoder};
use crate::providers::{ChunkStream, ProviderError, StreamChunk, Surroundings, Wording};

/// How a provider reports a request that failed before its answer (spec 07 §2, "Error wrapping").
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Wrapping {
    /// The provider's name in front, no status.
    Wrapped,
    /// Status and code survive.
    Raw,
}

/// Sends the requests of one provider. Cheap to clone.
#[derive(Clone)]
pub struct ChatClient {
    /// Sends.
    pub http: Http,
    /// Words failures.
    pub wording: Wording,
    /// The provider's name in wrapped failures.
    pub name: Arc<str>,
    /// Taken out of messages that repeat it.
    pub key: SecretString,
}

impl ChatClient {
    /// A client with what `surroundings` give.
    pub fn new(surroundings: &Surroundings, name: impl Into<Arc<str>>, key: SecretString) -> ChatClient {
        let Surroundings { http, wording, .. } = surroundings;
        ChatClient { http: http.clone(), wording: wording.clone(), name: name.into(), key }
    }

    /// `transform.tool_result.image_placeholder`.
    pub fn image_placeholder(&self) -> String {
        (self.wording)("transform.tool_result.image_placeholder", &[])
    }

    /// The streamed answer to `request`, read by `decoder`. Only failures before the answer are wrapped.
    pub fn stream(
        &self,
        request: Result<HttpRequest, Failure>,
        wrapping: Wrapping,
        decoder: impl EventDecoder,
    ) -> ChunkStream {
        self.stream_noting(request, wrapping, decoder, |_| {})
    }

    /// The same; `note` sees the headers of an answer of success before anything else of it.
    pub fn stream_noting(
        &self,
        request: Result<HttpRequest, Failure>,
        wrapping: Wrapping,
        decoder: impl EventDecoder,
        note: impl FnOnce(&HeaderMap) + Send + 'static,
    ) -> ChunkStream {
        let this = self.clone();
        let start = async move {
            let sent = async {
                let response = this.http.send(request?).await?;
                note(&response.headers);
                failure::event_stream(response)
            };
            sent.await.map_err(|failure| this.error(&failure, wrapping))
        };
        answer::answer(start.boxed(), decoder, self.wording.clone())
    }

    /// The chunks that `read` makes of the whole answer to `request`.
    pub fn stream_of_whole(
        &self,
        request: Result<HttpRequest, Failure>,
        wrapping: Wrapping,
        read: impl FnOnce(&Value) -> Vec<StreamChunk> + Send + 'static,
    ) -> ChunkStream {
        let this = self.clone();
        let answer = async move {
            match this.whole(request).await {
                Ok(answer) => read(&answer).into_iter().map(Ok).collect(),
                Err(failure) => vec![Err(this.error(&failure, wrapping))],
            }
        };
        answer.map(stream::iter).flatten_stream().boxed()
    }

    /// The whole answer to `request`.
    ///
    /// # Errors
    /// No answer, one of failure, or none that is JSON; to be worded by [`ChatClient::error`].
    pub async fn whole(&self, request: Result<HttpRequest, Failure>) -> Result<Value, Failure> {
        failure::read_json(self.http.send(request?).await?).await
    }

    /// The failure in words.
    pub fn error(&self, failure: &Failure, wrapping: Wrapping) -> ProviderError {
        match wrapping {
            Wrapping::Wrapped => failure::wrap(failure, &self.name, &self.key, &self.wording),
            Wrapping::Raw => failure::raw(failure, Sdk::OpenAi, &self.key, &self.wording),
        }
    }
}
