//! The engine's side of one client: events to its ring or its outbox, large bodies beside the ring, room noticed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::outbox::{BACKLOG_LIMIT, Merge, Outbox, Outgoing, Sink};
use crate::protocol::event::{Class, Event};
use crate::transport::{EventWriter, FLAG_COALESCED, Priority, RecordHead, TransportError};

/// Flag of a record whose body is the number of a [blob](Blobs).
pub const FLAG_BLOB: u16 = 2;

/// Bodies too large for a ring, by number. Put in by one side, taken out by the other.
#[derive(Default)]
pub struct Blobs {
    next: AtomicU64,
    bodies: Mutex<HashMap<u64, Arc<[u8]>>>,
}

impl Blobs {
    /// Keeps `body` and gives its number.
    pub fn put(&self, body: Vec<u8>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(number, body.into());
        number
    }

    /// Bytes kept now.
    pub fn bytes(&self) -> usize {
        self.lock().values().map(|body| body.len()).sum()
    }

    /// Takes a body out.
    pub fn take(&self, number: u64) -> Option<Arc<[u8]>> {
        self.lock().remove(&number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<[u8]>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client as sessions see it.
pub struct Link {
    /// Number of the client.
    pub client: u32,
    /// Host request methods it answers.
    pub capabilities: Vec<String>,
    /// Large bodies in both directions.
    pub blobs: Arc<Blobs>,
    events: EventWriter,
    arena: usize,
    outbox: Mutex<Outbox>,
    /// The ring's released slot number as last seen, which wraps, and all releases so far, which do not.
    released_word: AtomicU32,
    released: AtomicU64,
    /// Told whenever backlog went into the ring.
    moved: Notify,
    gone: CancellationToken,
}

impl Link {
    /// A client with its ring; `arena` bytes large.
    pub fn new(client: u32, capabilities: Vec<String>, blobs: Arc<Blobs>, events: EventWriter, arena: usize) -> Link {
        let (outbox, released_word, released, moved, gone) = Default::default();
        Link { client, capabilities, blobs, events, arena, outbox, released_word, released, moved, gone }
    }

    /// Sends an event; never blocks.
    pub fn send(&self, session: u32, correlation: u64, event: Event) {
        let kind = event.kind();
        let (merge, body) = if kind.is_text() {
            (Merge::Append, text_of(event).into_bytes())
        } else {
            let mut body = vec![0; event.encoded_upper_bound()];
            match event.encode_into(&mut body) {
                Ok(len) => body.truncate(len),
                // The bound holds for every record (property-tested); an event that broke it would be a bug, not a crash.
                Err(_) => return,
            }
            (if kind.class() == Class::Coalescable { Merge::Replace } else { Merge::Never }, body)
        };
        let outgoing = Outgoing {
            kind: kind.number(),
            session,
            correlation,
            sequence: 0,
            body,
            merge,
            control: kind.is_control(),
            coalesced: false,
        };
        if self.gone.is_cancelled() {
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
            if self.lock().backlog(session) <= BACKLOG_LIMIT || self.events.is_broken() || self.gone.is_cancelled() {
                return;
            }
            moved.await;
        }
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

    /// Lets everybody go who waits for this client, which is gone.
    pub fn detach(&self) {
        self.gone.cancel();
        *self.lock() = Outbox::default();
        self.moved.notify_waiters();
    }

    /// Whether the client is gone, and how to wait for that.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Link {
    fn max_record(&self) -> usize {
        self.events.max_record()
    }

    fn push(&self, event: &Outgoing, body: &[u8]) -> bool {
        let priority = if event.control { Priority::Control } else { Priority::Normal };
        let mut head = RecordHead {
            kind: event.kind,
            flags: if event.coalesced { FLAG_COALESCED } else { 0 },
            session_index: event.session,
            session_sequence: event.sequence,
            correlation: event.correlation,
        };
        let result = if body.len() > self.events.max_record() {
            head.flags |= FLAG_BLOB;
            let number = self.blobs.put(body.to_vec());
            let result = self.events.publish(head, &number.to_le_bytes(), priority);
            if result.is_err() {
                self.blobs.take(number);
            }
            result
        } else {
            self.events.publish(head, body, priority)
        };
        // A broken ring takes everything and gives nothing: its client is being detached.
        !matches!(result, Err(TransportError::Full))
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

fn text_of(event: Event) -> String {
    match event {
        Event::MessageDelta(text) | Event::ReasoningDelta(text) | Event::ToolDelta(text) | Event::ToolOutput(text) => {
            text
        }
        _ => String::new(),
    }
}
