use super::blobs::{BlobReader, BlobWriter};
use super::consumer::Consumer;
use super::doorbell;
use super::error::TransportError;
use super::layout::{EventsHead, RingState};
use super::producer::{Claim, Producer, RecordHead};
use super::region::Shared;
use super::slots::Priority;
use super::sync::Ordering;
use rkyv::util::AlignedVec;
use std::time::Duration;

/// The engine's end of a client's pair of rings. The parts are independent: the writers are shared by all threads, the
/// readers belong to one task.
pub struct EngineEnd {
    /// Events to the client.
    pub events: EventWriter,
    /// Requests from the client.
    pub requests: RequestReader,
    /// Large bodies of events.
    pub blobs_out: BlobWriter,
    /// Large bodies of requests.
    pub blobs_in: BlobReader,
}

/// Writes events from any thread. Closes the ring when dropped.
pub struct EventWriter {
    pub(super) producer: Producer,
    pub(super) head: Shared<EventsHead>,
}

/// Totals since the ring was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Records committed, padding included.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that stand for several merged ones.
    pub coalesced: u64,
    /// Claims refused for want of room.
    pub full: u64,
}

impl EventWriter {
    /// Claims room for a record of at most `max_len` bytes, to be filled in place. Lock-free, no allocation.
    ///
    /// # Errors
    /// [`TransportError::Full`]: keep the event, [`set_want_room`](Self::set_want_room), claim once more, and wait for
    /// the engine's bell. [`TransportError::TooLarge`]: more than a quarter of the arena.
    /// [`TransportError::Broken`]: the client lies about what it released; detach it. [`TransportError::Lost`],
    /// [`TransportError::Closed`]: it is gone, as the [`RequestReader`] tells too.
    pub fn claim(&self, head: RecordHead, max_len: usize, priority: Priority) -> Result<Claim<'_>, TransportError> {
        self.producer.claim(head, max_len, priority)
    }

    /// Writes one record.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn publish(&self, head: RecordHead, bytes: &[u8], priority: Priority) -> Result<(), TransportError> {
        self.producer.publish(head, bytes, priority)
    }

    /// While true, the client rings the engine's bell whenever it releases. After setting it, claim once more before
    /// sleeping: room may have come meanwhile.
    pub fn set_want_room(&self, wanted: bool) {
        doorbell::set_want_room(&self.head.want_room.0, wanted);
    }

    /// Shows the client a new state and wakes it. Closing is a [`goodbye`](Self::goodbye).
    pub fn set_state(&self, state: RingState, reason: u32) {
        self.head.state.0.reason.store(reason, Ordering::Relaxed);
        self.head.state.0.state.store(state as u32, Ordering::SeqCst);
        if state == RingState::Closed {
            self.producer.ringer.goodbye(reason);
        }
        self.producer.ringer.ring();
    }

    /// Closes the ring for a reason and says so on the socket, once; nothing waits. What was committed stays readable.
    pub fn goodbye(&self, reason: u32) {
        self.set_state(RingState::Closed, reason);
    }

    /// Number of the first slot the client has not released; wraps at 2^32. A value that cannot be true breaks the ring,
    /// and the last one that could stands.
    pub fn released_slots(&self) -> u32 {
        self.producer.released().slot
    }

    /// Whether the client was caught lying, or is known to be gone.
    pub fn is_broken(&self) -> bool {
        self.producer.is_broken()
    }

    /// Largest record in bytes.
    pub fn max_record(&self) -> usize {
        self.producer.bounds.max_record as usize
    }

    /// Totals for statistics; each exact, not one moment's.
    pub fn counters(&self) -> RingCounters {
        let counters = &self.head.counters.0;
        RingCounters {
            records: counters.records.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            coalesced: counters.coalesced.load(Ordering::Relaxed),
            full: counters.full.load(Ordering::Relaxed),
        }
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        if RingState::from_word(self.head.state.0.state.load(Ordering::Relaxed)) != RingState::Closed {
            self.goodbye(0);
        }
    }
}

/// Reads requests; one task.
pub struct RequestReader {
    pub(super) consumer: Consumer,
}

impl RequestReader {
    /// The next request, copied into `body` (aligned for rkyv) and released: the client cannot change it any more.
    /// Kind, session and body are unchecked. `None`: nothing is there, and the bell will ring for what comes.
    ///
    /// With tokio: `AsyncFd::with_interest(reader, READABLE)`; await `readable_mut`, **then** `clear_ready`, then call
    /// this until `None`. The bell also rings when the client released room that was wanted.
    ///
    /// # Errors
    /// [`TransportError::Broken`] when a slot or the socket's bytes are impossible. Once nothing is left to read:
    /// [`TransportError::Lost`] when the client's process is gone, [`TransportError::Closed`] when it said goodbye.
    /// Detach the client after any of them.
    pub fn receive(&mut self, body: &mut AlignedVec) -> Result<Option<RecordHead>, TransportError> {
        self.consumer.receive(body)
    }

    /// Looks for a request for `limit` without asking for the bell; whether there is one. Worth it only in a back-to-back
    /// exchange with a processor to itself.
    pub fn spin(&mut self, limit: Duration) -> bool {
        self.consumer.spin(limit)
    }

    /// Watches the bell with the tokio runtime this is called on: readable when requests came or wanted room was freed.
    ///
    /// # Errors
    /// The runtime has no I/O or the system no handles.
    #[cfg(unix)]
    pub fn watch(self) -> std::io::Result<tokio::io::unix::AsyncFd<RequestReader>> {
        // SAFETY: the descriptor belongs to the bell inside the reader, which the `AsyncFd` owns: it stays open and the
        // same until the registration is gone.
        let watched = unsafe { tokio::io::unix::AsyncFd::register_with_interest(self, tokio::io::Interest::READABLE) };
        watched.map_err(|error| error.into_parts().1)
    }
}

/// Wakes a reader that waits.
#[cfg(windows)]
pub struct Waker(super::os::Ringer);

#[cfg(windows)]
impl Waker {
    /// Ends the present or the next wait.
    pub fn wake(&self) {
        self.0.ring();
    }
}

#[cfg(windows)]
impl RequestReader {
    /// What ends [`wait`](Self::wait) from elsewhere.
    pub fn waker(&self) -> Waker {
        Waker(self.consumer.bell.ringer())
    }

    /// Blocks until the bell rings: for requests, freed room, or a [`Waker`].
    pub fn wait(&mut self) {
        self.consumer.bell.wait(None);
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for RequestReader {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.consumer.bell.as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for RequestReader {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.consumer.bell.as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for RequestReader {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.consumer.bell.as_handle()
    }
}
