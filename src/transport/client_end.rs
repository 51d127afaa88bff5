use super::bell::Ringer;
use super::blobs::{BlobReader, BlobWriter};
use super::consumer::{Consumer, RawEvent, Waited};
use super::doorbell;
use super::error::TransportError;
use super::layout::{EventsHead, RingState};
use super::producer::{Claim, Producer, RecordHead};
use super::region::Shared;
use super::slots::Priority;
use super::sync::Ordering;
use rkyv::util::AlignedVec;
use std::time::Duration;

/// The client's end. The parts are independent: events and their large bodies are read by one thread at a time,
/// requests are written by any. When the last part of an attached client is dropped, the engine gets a goodbye.
pub struct ClientEnd {
    /// Events from the engine.
    pub events: EventReader,
    /// Requests to the engine.
    pub requests: RequestWriter,
    /// Large bodies of requests.
    pub blobs_out: BlobWriter,
    /// Large bodies of events.
    pub blobs_in: BlobReader,
}

/// Reads events.
pub struct EventReader {
    pub(super) consumer: Consumer,
    pub(super) head: Shared<EventsHead>,
    pub(super) engine: Ringer,
}

impl EventReader {
    /// Fills `events` from the front with the oldest unread events and gives their number. Their bytes stay valid
    /// until [`release`](Self::release). No system call while events wait.
    ///
    /// Call it until it gives 0 before sleeping on the handle: only a call that finds nothing makes the bell ring for
    /// what comes; the next that finds something silences it.
    ///
    /// # Errors
    /// Once nothing is left to read: [`TransportError::Lost`] when the engine's process is gone,
    /// [`TransportError::Closed`] when it said goodbye (in process a closed ring gives 0, see [`state`](Self::state)).
    /// [`TransportError::Broken`] when a slot or the socket's bytes are impossible.
    pub fn next(&mut self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        self.consumer.next(events)
    }

    /// Gives back the oldest `count` events read, at most all; gives how many. Their pointers are dead.
    pub fn release(&mut self, count: usize) -> usize {
        let released = self.consumer.release(count);
        if released > 0 {
            self.tell_of_room();
        }
        released
    }

    /// The next event, copied into `body` and released: for readers without unsafe code. `None` as 0 of
    /// [`next`](Self::next). Do not mix with events held from `next`: those would be released first.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn receive(&mut self, body: &mut AlignedVec) -> Result<Option<RecordHead>, TransportError> {
        let received = self.consumer.receive(body)?;
        if received.is_some() {
            self.tell_of_room();
        }
        Ok(received)
    }

    /// Copies the body of an event that was handed out and not released; nothing for one of another ring.
    pub fn copy(&self, event: &RawEvent, body: &mut AlignedVec) {
        self.consumer.copy(event, body);
    }

    /// Whether the engine is gone: [`next`](Self::next) gives what it committed and nothing else. Silences the bell: look for
    /// events afterwards.
    pub fn is_over(&mut self) -> bool {
        self.consumer.bell.drain();
        self.consumer.bell.gone().is_some()
    }

    /// What no client does.
    #[cfg(test)]
    pub(crate) fn lie_about_released(&self, word: u64) {
        self.consumer.released_word.store(word, Ordering::SeqCst);
    }

    fn tell_of_room(&self) {
        if doorbell::is_room_wanted(&self.head.want_room.0) {
            self.engine.ring();
        }
    }

    /// Blocks until an event is there; `None` = without limit. With `spin`, looks without sleeping that long first:
    /// worth it only in a back-to-back exchange with a processor to itself.
    pub fn wait(&mut self, timeout: Option<Duration>, spin: Duration) -> Waited {
        let state = &self.head.state.0.state;
        let is_closed = || RingState::from_word(state.load(Ordering::SeqCst)) == RingState::Closed;
        self.consumer.wait(timeout, spin, is_closed)
    }

    /// What the engine says of itself, and why.
    pub fn state(&self) -> (RingState, u32) {
        let state = RingState::from_word(self.head.state.0.state.load(Ordering::SeqCst));
        (state, self.head.state.0.reason.load(Ordering::Relaxed))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for EventReader {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.consumer.bell.as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for EventReader {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.consumer.bell.as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for EventReader {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.consumer.bell.as_handle()
    }
}

/// Writes requests from any thread.
pub struct RequestWriter {
    pub(super) producer: Producer,
}

impl RequestWriter {
    /// Writes one request and wakes the engine when it sleeps.
    ///
    /// # Errors
    /// [`TransportError::Full`] (the host's `LAI_AGAIN`): nothing is queued. [`TransportError::TooLarge`]: more than a
    /// quarter of the arena. [`TransportError::Lost`] and [`TransportError::Closed`] as soon as the reader, or an earlier
    /// request, learned that the engine is gone.
    pub fn submit(&self, head: RecordHead, bytes: &[u8]) -> Result<(), TransportError> {
        self.producer.publish(head, bytes, Priority::Control)
    }

    /// Claims room for a request, to be filled in place.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn claim(&self, head: RecordHead, max_len: usize) -> Result<Claim<'_>, TransportError> {
        self.producer.claim(head, max_len, Priority::Control)
    }

    /// Tells the engine that nothing follows, before the parts are dropped; once, without waiting.
    pub fn goodbye(&self, reason: u32) {
        self.producer.ringer.goodbye(reason);
    }

    /// Largest request in bytes.
    pub fn max_record(&self) -> usize {
        self.producer.bounds.max_record as usize
    }
}
