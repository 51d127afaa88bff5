//! HTTP as providers see it: one request, one answer whose body comes in pieces (spec 07 §2).
//!
//! [`HttpTransport`] is the seam: the real one is [`Client`], tests put recorded answers in its place. Time limits, retries
//! and the reading of failed answers stand above it ([`Http`]), so that they hold for both.

mod client;
mod headers;
mod send;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
pub use reqwest::Method;
pub use reqwest::header::{HeaderMap, HeaderName};

pub use client::Client;
pub use headers::{DEFAULT_HEADERS, InvalidHeader, set_header};
pub use send::{Http, HttpFailure};

/// One request.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Whole address; may hold a key, so it stays out of errors.
    pub url: String,
    /// Headers; values with keys are marked sensitive.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How long the answer's headers may take. `None`: for ever.
    pub header_timeout: Option<Duration>,
    /// How long the answer's body may be silent.
    pub idle_timeout: Duration,
}

/// The answer: status and headers are here, the body follows.
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed. Dropping it closes the connection.
    pub body: BodyStream,
}

/// Pieces of a body as they arrive.
pub type BodyStream = BoxStream<'static, Result<Bytes, TransportError>>;

/// Why no answer, or not the whole one, came.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TransportError {
    /// The address is not one.
    #[error("invalid address")]
    InvalidUrl,
    /// Nothing came in time.
    #[error("timed out")]
    Timeout,
    /// The connection could not be made or was lost; the system's words, without the address.
    #[error("{0}")]
    Connection(String),
}

/// Sends requests. One attempt a call, no time limit of its own.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends and waits for status and headers.
    ///
    /// # Errors
    /// No answer came. A status of any kind is an answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}
