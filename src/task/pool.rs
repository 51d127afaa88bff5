//! Concurrency within one session: futures that run beside each other inside the session's own future, so that a session
//! needs no runtime tasks and ends as a whole.

use std::future::Future;
use std::pin::pin;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

/// Starts futures in a [`Pool`].
#[derive(Clone)]
pub(super) struct Spawner(mpsc::UnboundedSender<BoxFuture<'static, ()>>);

impl Spawner {
    /// Runs `future` beside the others. Dropped unstarted when the session has ended.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let _ = self.0.send(Box::pin(future));
    }
}

/// The running futures of a session.
pub(super) struct Pool {
    incoming: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
}

/// An empty pool and its spawner.
pub(super) fn new() -> (Spawner, Pool) {
    let (sender, incoming) = mpsc::unbounded_channel();
    (Spawner(sender), Pool { incoming, running: FuturesUnordered::new() })
}

impl Pool {
    /// Polls `main` and everything spawned until `main` is done; then gives the rest the chance to finish what does not
    /// wait for anything outside.
    pub async fn run_until(mut self, main: impl Future<Output = ()>) {
        let mut main = pin!(main);
        loop {
            tokio::select! {
                biased;
                () = &mut main => break,
                Some(future) = self.incoming.recv() => self.running.push(future),
                Some(()) = self.running.next(), if !self.running.is_empty() => {}
            }
        }
        while let Ok(future) = self.incoming.try_recv() {
            self.running.push(future);
        }
        for _ in 0..self.running.len() {
            tokio::select! {
                biased;
                Some(()) = self.running.next() => {}
                () = tokio::task::yield_now() => {}
            }
        }
    }
}
