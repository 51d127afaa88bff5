//! The real transport: pooled connections, shared by all providers of an engine that reach the network the same way.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::redirect;
use tokio::sync::OnceCell;

use super::counters::{CountConnections, Counters};
use super::{HttpCounts, HttpRequest, HttpResponse, HttpTransport, Network, TransportError};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// Unused connections kept a host: as many as an engine has requests at once under heavy use, so that these find theirs
/// again (HTTP/1; with HTTP/2 one carries all).
const POOL_SIZE: usize = 1024;
/// How often a silent connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Redirections followed.
const REDIRECTS: usize = 5;
/// Ways to the network whose connections are kept for those who come back to them.
const POOLS: usize = 4;

/// HTTP/1.1 and HTTP/2 over TLS with the Mozilla roots, gzip, connections reused. Making one costs nothing.
#[derive(Clone, Default)]
pub struct Client {
    network: Network,
    pool: Pool,
    shared: Arc<Shared>,
}

/// The connections of one network; made at the first request.
type Pool = Arc<OnceCell<reqwest::Client>>;

/// What clients of all networks share.
#[derive(Default)]
struct Shared {
    counters: Arc<Counters>,
    /// Networks in use or used lately, the latest first.
    known: Mutex<VecDeque<(Network, Pool)>>,
}

impl Client {
    /// Counts of all clients that share with this one.
    pub fn counts(&self) -> HttpCounts {
        self.shared.counters.read()
    }

    async fn inner(&self) -> Result<&reqwest::Client, TransportError> {
        let build = || async {
            let (network, counters) = (self.network.clone(), self.shared.counters.clone());
            // Certificates are read from a file.
            let built = tokio::task::spawn_blocking(move || build(&network, counters)).await;
            built.unwrap_or_else(|_| Err(self.network.build_failed()))
        };
        self.pool.get_or_try_init(build).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("network", &self.network).finish_non_exhaustive()
    }
}

fn build(network: &Network, counters: Arc<Counters>) -> Result<reqwest::Client, TransportError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .tcp_keepalive(KEEPALIVE)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .redirect(redirect::Policy::custom(follow))
        .connector_layer(CountConnections(counters));
    network.apply(builder)?.build().map_err(|_| network.build_failed())
}

/// Follows a redirection within a host. Another host must get neither keys, which stand in headers of many names, nor
/// prompts: its answer is the redirection itself.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let next = attempt.url();
    let same = attempt.previous().last().is_some_and(|last| {
        let upgraded =
            last.scheme() == "http" && next.scheme() == "https" && (last.port(), next.port()) == (None, None);
        last.host() == next.host() && (last.origin() == next.origin() || upgraded)
    });
    if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

#[async_trait]
impl HttpTransport for Client {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let inner = self.inner().await?;
        self.shared.counters.sent();
        let response = inner
            .request(request.method, &request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(transport_error)?;
        self.shared.counters.answered();
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().map(|piece| piece.map_err(transport_error)).boxed(),
        })
    }

    fn over(&self, network: &Network) -> Option<Arc<dyn HttpTransport>> {
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().position(|(other, _)| other == network).and_then(|at| known.remove(at));
        let (network, pool) = found.unwrap_or_else(|| (network.clone(), Pool::default()));
        known.push_front((network.clone(), pool.clone()));
        known.truncate(POOLS);
        Some(Arc::new(Client { network, pool, shared: self.shared.clone() }))
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
