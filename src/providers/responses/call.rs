//! One streamed request: which transport is tried when (spec 07 §10.4).
//!
//! The reference sends the request again after any failure. Here nothing is sent again once a chunk is out (deviation
//! D14): a second answer behind half of a first one helps nobody, and is paid for twice.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};

use super::body::Body;
use super::continuity::Announcer;
use super::events::{PrimaryDecoder, Response};
use super::secondary::SecondaryDecoder;
use super::{Shared, refused};
use crate::protocol::message::ApiMessage;
use crate::providers::failure::{self, Failure, Sdk};
use crate::providers::http::{BodyStream, HttpFailure, HttpResponse};
use crate::providers::stream as answer;
use crate::providers::{ChatRequest, ChunkStream, ProviderError, Wording};

/// A request under way.
#[derive(Clone)]
pub struct Call {
    shared: Arc<Shared>,
    /// The whole conversation, for when the server has forgotten the response to go on from.
    messages: Arc<Vec<ApiMessage>>,
    announcer: Announcer,
}

impl Call {
    /// The chunks of the answer to `request`. Nothing is sent before the first is asked for.
    pub fn start(shared: Arc<Shared>, request: ChatRequest) -> ChunkStream {
        let opened = async move {
            let (start, announcer) = shared.continuity.start(&request).await;
            let body = Body::conversation(&shared.options, &request, start);
            Call { shared, messages: request.messages, announcer }.open(body).await
        };
        opened.into_stream().flatten().boxed()
    }

    /// The primary transport, once more from the beginning if that may help; else the secondary one.
    async fn open(self, mut body: Body) -> ChunkStream {
        let failure = match begun(self.primary(&body)).await {
            Ok(chunks) => return self.named(chunks),
            Err(failure) => failure,
        };
        if failure.status == Some(400) && body.goes_on() && names_lost_response(&failure.message) {
            body = self.begun_anew(body);
            if let Ok(chunks) = begun(self.primary(&body)).await {
                return self.named(chunks);
            }
        }
        self.secondary(body)
    }

    fn primary(&self, body: &Body) -> ChunkStream {
        let (this, body) = (self.clone(), body.to_json());
        let start = async move {
            let sent = async {
                let request = this.shared.endpoint.primary(&body)?;
                failure::event_stream(this.shared.http.send(request).await?)
            };
            let Shared { endpoint, wording, .. } = &*this.shared;
            sent.await.map_err(|failure| failure::raw(&failure, Sdk::OpenAi, endpoint.key(), wording))
        };
        let decoder = PrimaryDecoder::new(self.response(), self.shared.wording.clone());
        answer::answer(start.boxed(), decoder, self.shared.wording.clone())
    }

    /// What comes after the first chunk cannot be helped any more: errors get their final words.
    fn named(self, chunks: ChunkStream) -> ChunkStream {
        let wording = self.shared.wording.clone();
        let name = move |error: ProviderError| ProviderError::new(refused::in_stream(&error.message, &wording));
        chunks.map(move |item| item.map_err(&name)).boxed()
    }

    fn secondary(self, body: Body) -> ChunkStream {
        let decoder = SecondaryDecoder::new(self.response(), self.shared.wording.clone());
        let words = self.shared.wording.clone();
        // What `answer` words by itself is a stream that broke off.
        let broken: Wording =
            Arc::new(move |id, variables| refused::interrupted(&words(id, variables), &words).message);
        answer::answer(async move { self.fetch_twice(body).await }.boxed(), decoder, broken)
    }

    async fn fetch_twice(&self, body: Body) -> Result<BodyStream, ProviderError> {
        let failure = match self.fetch(&body).await {
            Ok(response) => return Ok(response.body),
            Err(failure) => failure,
        };
        let Failure::Http(HttpFailure::Status { status, body: said, .. }) = &failure else {
            return Err(self.no_answer(&failure));
        };
        let details = failure::without_key(failure::body_message(said), self.shared.endpoint.key());
        if !(*status == 400 && body.goes_on() && names_lost_response(&details)) {
            return Err(refused::status(*status, &details, &self.shared.wording));
        }
        let worded =
            |id: &str, status: u16| ProviderError::worded(&self.shared.wording, id, &[("status", &status.to_string())]);
        match self.fetch(&self.begun_anew(body)).await {
            Ok(response) if !response.has_body() => {
                Err(worded("provider.openai_native.no_body_retry", response.status))
            }
            Ok(response) => Ok(response.body),
            Err(Failure::Http(HttpFailure::Status { status, .. })) => {
                Err(worded("provider.openai_native.retry_failed", status))
            }
            Err(failure) => Err(self.no_answer(&failure)),
        }
    }

    async fn fetch(&self, body: &Body) -> Result<HttpResponse, Failure> {
        failure::unless_page(self.shared.http.send(self.shared.endpoint.secondary(&body.to_json())?).await?)
    }

    fn no_answer(&self, failure: &Failure) -> ProviderError {
        let Shared { endpoint, wording, .. } = &*self.shared;
        refused::connect_failed(&failure::words(failure, endpoint.key(), wording), wording)
    }

    fn begun_anew(&self, body: Body) -> Body {
        self.announcer.forget();
        body.begun_anew(&self.messages)
    }

    fn response(&self) -> Response {
        Response::new(self.shared.options.info, self.shared.options.tier.clone(), self.announcer.clone())
    }
}

/// Waits for the first chunk; fails if an error comes in its place.
async fn begun(mut chunks: ChunkStream) -> Result<ChunkStream, ProviderError> {
    match chunks.next().await {
        Some(Err(failure)) => Err(failure),
        first => Ok(stream::iter(first).chain(chunks).boxed()),
    }
}

/// Whether a refusal may mean that the server does not know the response to go on from.
fn names_lost_response(message: &str) -> bool {
    ["Previous response", "not found"].iter().any(|words| message.contains(words))
}
