//! The journal as sessions and clients use it: appending never fails for them. What cannot be written is told once; the
//! engine goes on, and only a crash would lose it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::journal::{Entry, Journal, JournalError};
use super::outbox::Outgoing;

/// What becomes of the sessions of a client that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetachedPolicy {
    /// They run on until they need an answer, or 4 MiB of events wait for the client.
    #[default]
    RunOn,
    /// They stop at the next request to a model until the client is back.
    Pause,
}

/// Told of the journal's first failure.
type Alarm = Box<dyn Fn(&JournalError) + Send + Sync>;

/// Keeps what a restart needs. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Journal,
    runtime: tokio::runtime::Handle,
    detached: DetachedPolicy,
    compacting: AtomicBool,
    frozen: AtomicBool,
    failed: AtomicBool,
    alarm: OnceLock<Alarm>,
}

impl Keeper {
    /// Keeps in `journal`, which is rewritten in the background when it has grown.
    pub fn new(journal: Journal, runtime: tokio::runtime::Handle, detached: DetachedPolicy) -> Keeper {
        let (compacting, frozen, failed, alarm) = Default::default();
        Keeper { inner: Arc::new(Inner { journal, runtime, detached, compacting, frozen, failed, alarm }) }
    }

    /// Sets who is told of the first failure.
    pub fn on_failure(&self, alarm: impl Fn(&JournalError) + Send + Sync + 'static) {
        // Set once, when the engine opens.
        let _ = self.inner.alarm.set(Box::new(alarm));
    }

    /// Keeps an entry. It is in the file when this returns.
    pub fn keep(&self, entry: &Entry<'_>) {
        let inner = &self.inner;
        if self.is_frozen() {
            return;
        }
        match inner.journal.append(entry) {
            Ok(()) => {
                if inner.failed.swap(false, Ordering::Relaxed) {
                    tracing::info!("the journal is written again");
                }
            }
            Err(error) => self.failed(&error),
        }
        if inner.journal.is_due() && !inner.compacting.swap(true, Ordering::Relaxed) {
            let keeper = self.clone();
            inner.runtime.spawn_blocking(move || {
                if let Err(error) = keeper.inner.journal.compact_if_due() {
                    keeper.failed(&error);
                }
                keeper.inner.compacting.store(false, Ordering::Relaxed);
            });
        }
    }

    /// Keeps a lossless event until it is released.
    pub fn event(&self, client: u32, event: &Outgoing) {
        let Outgoing { kind, session, correlation: subject, sequence, ref body, control, .. } = *event;
        self.keep(&Entry::Event { client, session, sequence, kind, control, subject, body: body.into() });
    }

    /// The client has released everything of this session up to `sequence`.
    pub fn released(&self, client: u32, session: u32, sequence: u32) {
        self.keep(&Entry::Released { client, session, sequence });
    }

    /// The engine stops in order: from now on nothing is kept, so that the next one finds its sessions as they were before they
    /// were told to end.
    pub fn freeze(&self) {
        self.inner.frozen.store(true, Ordering::SeqCst);
    }

    /// Whether the engine stops.
    pub fn is_frozen(&self) -> bool {
        self.inner.frozen.load(Ordering::SeqCst)
    }

    /// Whether sessions wait while their client is gone.
    pub fn pauses(&self) -> bool {
        self.inner.detached == DetachedPolicy::Pause
    }

    /// Whether the last append failed.
    pub fn has_failed(&self) -> bool {
        self.inner.failed.load(Ordering::Relaxed)
    }

    fn failed(&self, error: &JournalError) {
        if !self.inner.failed.swap(true, Ordering::Relaxed)
            && let Some(alarm) = self.inner.alarm.get()
        {
            alarm(error);
        }
    }
}
