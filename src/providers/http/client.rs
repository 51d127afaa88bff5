//! The real transport: one pooled client for all providers, made at the first request.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;

use super::{HttpRequest, HttpResponse, HttpTransport, TransportError};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// Unused connections kept a host (HTTP/1; HTTP/2 needs one).
const POOL_SIZE: usize = 32;
/// How often a silent connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// HTTP/1.1 and HTTP/2 over TLS with the Mozilla roots, gzip, connections reused. Making one costs nothing.
#[derive(Debug, Default)]
pub struct Client {
    inner: OnceLock<reqwest::Client>,
}

impl Client {
    fn inner(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.inner.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .tcp_keepalive(KEEPALIVE)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            // The environment's proxy variables are the host's business, not read below the engine.
            .no_proxy()
            .build()
            .map_err(transport_error)?;
        Ok(self.inner.get_or_init(|| client))
    }
}

#[async_trait]
impl HttpTransport for Client {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let response = self
            .inner()?
            .request(request.method, &request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(transport_error)?;
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().map(|piece| piece.map_err(transport_error)).boxed(),
        })
    }
}

/// The innermost cause says most ("connection refused"); the address, which may hold a key, is left out.
fn transport_error(error: reqwest::Error) -> TransportError {
    if error.is_builder() {
        return TransportError::InvalidUrl;
    }
    if error.is_timeout() {
        return TransportError::Timeout;
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    TransportError::Connection(cause.to_string())
}
