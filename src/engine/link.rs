//! The engine's side of one client: events to its ring or its outbox, large bodies beside the ring, room noticed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::outbox::{BACKLOG_LIMIT, Outbox, Outgoing, Pushed, Sink};
use crate::transport::{
    BlobReader, BlobWriter, EventWriter, FLAG_BLOB, FLAG_COALESCED, Priority, RecordHead, TransportError,
};

/// Why a client was let go. The numbers are those of goodbyes (`docs/serve.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Detached {
    /// It said goodbye; in process, it was freed.
    Left = 0,
    /// It died.
    Gone = 1,
    /// It broke the ring's or the socket's rules.
    Protocol = 2,
    /// It did not read what it asked to observe.
    Slow = 3,
    /// It attached again, over another connection.
    Replaced = 4,
}

/// One connection of a client: its ring, and what found no room there.
pub struct Link {
    /// Number of the client.
    pub client: u32,
    /// Large bodies of its requests.
    pub blobs_in: BlobReader,
    blobs_out: BlobWriter,
    events: EventWriter,
    arena: usize,
    outbox: Mutex<Outbox>,
    /// The ring's released slot number as last seen, which wraps, and all releases so far, which do not.
    released_word: AtomicU32,
    released: AtomicU64,
    /// Told whenever backlog went into the ring.
    moved: Notify,
    gone: CancellationToken,
    /// The ring is broken, and whoever reads its requests must let the client go.
    broken: CancellationToken,
    why: OnceLock<Detached>,
}

impl Link {
    /// A client with its ring; `arena` bytes large.
    pub fn new(client: u32, events: EventWriter, blobs_out: BlobWriter, blobs_in: BlobReader, arena: usize) -> Link {
        let (outbox, released_word, released, moved, gone, broken, why) = Default::default();
        Link { client, blobs_in, blobs_out, events, arena, outbox, released_word, released, moved, gone, broken, why }
    }

    /// Sends an event; never blocks.
    pub fn push(&self, outgoing: Outgoing) {
        if self.is_gone() {
            return;
        }
        let mut outbox = self.lock();
        outbox.send(outgoing, self);
        if outbox.total_backlog() > 0 {
            self.ask_for_room(&mut outbox);
        }
    }

    /// Moves backlog into the ring. Called when the client's bell rings.
    pub fn refill(&self) {
        let mut outbox = self.lock();
        if !outbox.refill(self) {
            self.ask_for_room(&mut outbox);
        } else {
            self.events.set_want_room(false);
        }
        drop(outbox);
        self.moved.notify_waiters();
    }

    /// Room may have come between the last try and the wish for it: the wish first, then one more try.
    fn ask_for_room(&self, outbox: &mut Outbox) {
        self.events.set_want_room(true);
        if outbox.refill(self) {
            self.events.set_want_room(false);
        }
    }

    /// Waits while this session's backlog is above its limit.
    pub async fn ready(&self, session: u32) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the look, so that a move in between is not missed.
            moved.as_mut().enable();
            if self.backlog_of(session) <= BACKLOG_LIMIT || self.events.is_broken() || self.is_gone() {
                return;
            }
            moved.await;
        }
    }

    /// Number of the last event of this session that the client has released; 0 for none yet.
    pub fn released(&self, session: u32) -> u32 {
        let mut outbox = self.lock();
        outbox.settle(self);
        outbox.released(session)
    }

    /// The session is over.
    pub fn forget(&self, session: u32) {
        self.lock().forget(session);
    }

    /// Bytes of this session that wait outside the ring.
    pub fn backlog_of(&self, session: u32) -> usize {
        self.lock().backlog(session)
    }

    /// Bytes that wait outside the ring, and events merged so far.
    pub fn backlog(&self) -> (usize, u64) {
        let outbox = self.lock();
        (outbox.total_backlog(), outbox.coalesced())
    }

    /// The ring, for state and counters.
    pub fn ring(&self) -> &EventWriter {
        &self.events
    }

    /// Lets everybody go who waits for this client. What it released until now stays known.
    pub fn detach(&self, why: Detached) {
        if self.why.set(why).is_err() {
            return;
        }
        // Whoever can still read is told why.
        match why {
            Detached::Protocol | Detached::Slow | Detached::Replaced => self.events.goodbye(why as u32),
            Detached::Left | Detached::Gone => {}
        }
        self.gone.cancel();
        self.lock().abandon(self);
        self.moved.notify_waiters();
    }

    /// Why it was let go, once it was.
    pub fn why(&self) -> Option<Detached> {
        self.why.get().copied()
    }

    /// Whether the client is gone.
    pub fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Waits until the client is gone.
    pub async fn until_gone(&self) {
        self.gone.cancelled().await;
    }

    /// Waits until the client was caught breaking the ring's rules while events were written.
    pub async fn until_broken(&self) {
        self.broken.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// The body is copied out once, however often the ring is full; it is sent when its record has a place, since one that
    /// no record names would never be taken.
    fn push_large(&self, event: &mut Outgoing, head: RecordHead, priority: Priority) -> Result<Pushed, TransportError> {
        let blob = match event.blob.take() {
            Some(blob) => blob,
            None => self.blobs_out.seal(event.body.clone())?,
        };
        let blob = event.blob.insert(blob);
        let mut claim = self.events.claim(head, 8, priority)?;
        match self.blobs_out.place(blob) {
            Ok(number) => claim.copy_from_slice(&number.to_le_bytes()),
            Err(error) if is_full(&error) => return Ok(Pushed::Wasted),
            Err(error) => return Err(error),
        }
        claim.commit(8).map(|()| Pushed::Written)
    }
}

/// Whether there is only no room, or no memory, now.
fn is_full(error: &TransportError) -> bool {
    matches!(error, TransportError::Full | TransportError::System { .. })
}

impl Sink for Link {
    fn max_record(&self) -> usize {
        self.events.max_record()
    }

    fn push(&self, event: &mut Outgoing, len: usize) -> Pushed {
        let priority = if event.control { Priority::Control } else { Priority::Normal };
        let mut head = RecordHead {
            kind: event.kind,
            flags: if event.coalesced { FLAG_COALESCED } else { 0 },
            session_index: event.session,
            session_sequence: event.sequence,
            correlation: event.correlation,
        };
        let result = if len > self.events.max_record() {
            head.flags |= FLAG_BLOB;
            self.push_large(event, head, priority)
        } else {
            let body = event.body.get(..len).unwrap_or_default();
            self.events.publish(head, body, priority).map(|()| Pushed::Written)
        };
        if matches!(result, Err(TransportError::Broken(_))) {
            self.broken.cancel();
        }
        match result {
            Ok(pushed) => pushed,
            Err(error) if is_full(&error) => Pushed::Full,
            // A broken ring takes everything and gives nothing: its client is being detached.
            Err(_) => Pushed::Written,
        }
    }

    fn capacity(&self) -> usize {
        self.arena
    }

    fn released_records(&self) -> u64 {
        // Only called with the outbox locked, so the pair changes as one.
        let now = self.events.released_slots();
        let before = self.released_word.swap(now, Ordering::Relaxed);
        let step = u64::from(now.wrapping_sub(before));
        self.released.fetch_add(step, Ordering::Relaxed) + step
    }
}
