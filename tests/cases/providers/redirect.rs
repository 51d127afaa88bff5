//! A transport that leads every request to the loopback, whatever host it is meant for.

use std::sync::Arc;

use async_trait::async_trait;
use lapce_ai::providers::http::{HttpRequest, HttpResponse, HttpTransport, Network, TransportError};

/// Header that tells the server for whom a request was meant.
pub const MEANT_FOR: &str = "x-meant-for";

/// Sends through `inner`, to `origin` (`http://127.0.0.1:1234`) in place of the request's own.
pub struct Redirect {
    pub inner: Arc<dyn HttpTransport>,
    pub origin: String,
}

#[async_trait]
impl HttpTransport for Redirect {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let url = url::Url::parse(&request.url).map_err(|_| TransportError::InvalidUrl)?;
        let meant_for = url.origin().ascii_serialization();
        let rest = request.url.splitn(4, '/').nth(3).unwrap_or("");
        request.url = format!("{}/{rest}", self.origin);
        request.headers.insert(MEANT_FOR, meant_for.parse().expect("an origin is a header value"));
        self.inner.send(request).await
    }

    fn over(&self, network: &Network) -> Option<Arc<dyn HttpTransport>> {
        Some(Arc::new(Redirect { inner: self.inner.over(network)?, origin: self.origin.clone() }))
    }
}
