//! What the transport counts: requests, connections, and the time to make them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Counters since the transport was made.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    answers: AtomicU64,
    connections: AtomicU64,
    failures: AtomicU64,
    connect_us: AtomicU64,
    slowest_us: AtomicU64,
}

/// What [`Counters`] read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpCounts {
    /// Requests sent, attempts counted one by one.
    pub requests: u64,
    /// Answers that came, of any status.
    pub answers: u64,
    /// New connections.
    pub connections: u64,
    /// Connections that could not be made.
    pub failed_connections: u64,
    /// Answers over a connection that was there already.
    pub reused: u64,
    /// Time that all new connections took together, TLS included.
    pub connecting: Duration,
    /// Time that the slowest took.
    pub slowest: Duration,
}

impl Counters {
    /// The counts now.
    pub fn read(&self) -> HttpCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (answers, connections) = (count(&self.answers), count(&self.connections));
        HttpCounts {
            requests: count(&self.requests),
            answers,
            connections,
            failed_connections: count(&self.failures),
            reused: answers.saturating_sub(connections),
            connecting: Duration::from_micros(count(&self.connect_us)),
            slowest: Duration::from_micros(count(&self.slowest_us)),
        }
    }

    pub(super) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    fn connected(&self, made: bool, took: Duration) {
        if !made {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connect_us.fetch_add(took, Ordering::Relaxed);
        self.slowest_us.fetch_max(took, Ordering::Relaxed);
    }
}

/// Counts the connections that a client makes.
#[derive(Clone)]
pub(super) struct CountConnections(pub Arc<Counters>);

impl<S> Layer<S> for CountConnections {
    type Service = Counted<S>;

    fn layer(&self, connector: S) -> Counted<S> {
        Counted { connector, counters: self.0.clone() }
    }
}

/// A connector whose connections are counted.
#[derive(Clone)]
pub(super) struct Counted<S> {
    connector: S,
    counters: Arc<Counters>,
}

impl<S, Target> Service<Target> for Counted<S>
where
    S: Service<Target>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let (connecting, counters) = (self.connector.call(target), self.counters.clone());
        Box::pin(async move {
            let begun = Instant::now();
            let outcome = connecting.await;
            counters.connected(outcome.is_ok(), begun.elapsed());
            outcome
        })
    }
}
