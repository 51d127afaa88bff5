//! HTTP as providers see it: one request, one answer whose body comes in pieces (spec 07 §2).
//!
//! [`HttpTransport`] is the seam: the real one is [`Client`], tests put recorded answers in its place. Time limits, retries,
//! rate limits and the reading of failed answers stand above it ([`Http`]), so that they hold for both. [`Network`] is the way
//! to the network: proxies and certificates.

mod client;
mod counters;
mod gate;
mod headers;
mod network;
mod send;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
pub use reqwest::Method;
pub use reqwest::header::{HeaderMap, HeaderName};

pub use client::Client;
pub use counters::HttpCounts;
pub use headers::{DEFAULT_HEADERS, InvalidHeader, set_header};
pub use network::Network;
pub use send::{Http, HttpFailure};

/// Retries of the vendors' client libraries (spec 07 §2).
pub const SDK_RETRIES: u32 = 2;
/// How long headers may take by default.
pub const SDK_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a body may be silent by default.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Both limits of the long transport (spec 07 §2).
pub const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

/// One request. `Debug` shows neither query nor login of the address, and of the body its length.
#[derive(Clone)]
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
    /// How often a failed attempt is made again, if the failure may pass.
    pub retries: u32,
}

impl HttpRequest {
    /// A POST of JSON as the vendors' client libraries send it: 600 s for the headers, 300 s of silence, 2 retries.
    pub fn post(url: impl Into<String>, headers: HeaderMap, body: &serde_json::Value) -> HttpRequest {
        HttpRequest {
            method: Method::POST,
            url: url.into(),
            headers,
            body: Bytes::from(body.to_string()),
            header_timeout: Some(SDK_TIMEOUT),
            idle_timeout: IDLE_TIMEOUT,
            retries: SDK_RETRIES,
        }
    }

    /// A POST of JSON as a plain fetch sends it: 300 s for the headers and of silence, no retries.
    pub fn post_once(url: impl Into<String>, headers: HeaderMap, body: &serde_json::Value) -> HttpRequest {
        HttpRequest { header_timeout: Some(IDLE_TIMEOUT), retries: 0, ..HttpRequest::post(url, headers, body) }
    }

    /// A GET with the limits of [`HttpRequest::post`].
    pub fn get(url: impl Into<String>, headers: HeaderMap) -> HttpRequest {
        HttpRequest {
            method: Method::GET,
            body: Bytes::new(),
            ..HttpRequest::post(url, headers, &serde_json::Value::Null)
        }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = url::Url::parse(&self.url).ok();
        let place = url.as_ref().map(|url| (url.scheme(), url.host_str().unwrap_or_default(), url.path()));
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("place", &place)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .field("header_timeout", &self.header_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("retries", &self.retries)
            .finish()
    }
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

impl HttpResponse {
    /// Whether there is a body, even an empty one: two statuses exclude it.
    pub fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 205)
    }
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
    /// A setting that the connection needs cannot be used.
    #[error("setting `{key}`: {cause}")]
    Setting {
        /// Which one.
        key: String,
        /// What is wrong with it, without its value.
        cause: String,
    },
    /// The request was held back, since the service would refuse it.
    #[error("held back for {} s", .wait.as_secs())]
    Held {
        /// Why.
        why: Hold,
        /// How long it would have to wait.
        wait: Duration,
    },
}

/// Why a request is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The service's limit of requests or tokens is used up.
    RateLimit,
    /// The service failed several times in a row.
    Failing,
}

/// Sends requests. One attempt a call, no time limit of its own.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends and waits for status and headers.
    ///
    /// # Errors
    /// No answer came. A status of any kind is an answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;

    /// The same transport by another way to the network; `None`: it knows but one.
    fn over(&self, _network: &Network) -> Option<Arc<dyn HttpTransport>> {
        None
    }
}
