//! A client: what a host holds. Submit from any thread; read events from one thread at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::core::Core;
use super::link::{Blobs, FLAG_BLOB};
use rkyv::util::AlignedVec;

use crate::protocol::event::Event;
use crate::protocol::ids::{RequestId, SessionId};
use crate::protocol::record::DecodeError;
use crate::protocol::request::Request;
use crate::transport::{EventReader, RawEvent, RecordHead, RequestWriter, TransportError, Waited};

/// Bytes of large request bodies that may wait for the engine.
const BLOB_LIMIT: usize = 64 << 20;

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The request ring is full: nothing was queued, try again.
    #[error("the engine has not read earlier requests yet: try again")]
    Again,
    /// More than the ring and the memory beside it take.
    #[error("a request of {len} bytes is too large: at most {max} bytes")]
    TooLarge {
        /// Bytes of this request.
        len: usize,
        /// Most bytes.
        max: usize,
    },
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
    /// The ring is damaged.
    #[error("the ring is damaged: {0}")]
    Broken(String),
}

/// Why an event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The ring is damaged.
    #[error(transparent)]
    Ring(#[from] TransportError),
    /// A record is not what its kind says.
    #[error(transparent)]
    Record(#[from] DecodeError),
}

/// An event, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its session; `None` for events of the engine itself.
    pub session: Option<SessionId>,
    /// What it is about ([`crate::protocol::event::EventKind::subject`]); 0 for nothing in particular.
    pub about: u64,
    /// The event.
    pub event: Event,
}

/// One attached client. Dropping it detaches: its sessions are aborted.
pub struct Client {
    number: u32,
    generation: u32,
    reader: Mutex<Reader>,
    requests: RequestWriter,
    blobs: Arc<Blobs>,
    next_request: AtomicU64,
    core: Arc<Core>,
    /// The reader's descriptor, beside it: asking for it must not wait for a thread that reads.
    #[cfg(unix)]
    fd: std::os::fd::RawFd,
}

struct Reader {
    events: EventReader,
    /// Large bodies handed out, each with the number of events handed out before its own.
    held: VecDeque<(u64, Arc<[u8]>)>,
    handed_out: u64,
    released: u64,
    /// Scratch of [`Client::receive`].
    body: AlignedVec,
}

impl Client {
    pub(super) fn new(
        number: u32,
        generation: u32,
        events: EventReader,
        requests: RequestWriter,
        blobs: Arc<Blobs>,
        core: Arc<Core>,
    ) -> Client {
        #[cfg(unix)]
        let fd = std::os::fd::AsRawFd::as_raw_fd(&events);
        let reader =
            Mutex::new(Reader { events, held: VecDeque::new(), handed_out: 0, released: 0, body: AlignedVec::new() });
        Client {
            number,
            generation,
            reader,
            requests,
            blobs,
            next_request: AtomicU64::new(1),
            core,
            #[cfg(unix)]
            fd,
        }
    }

    /// Submits a request; its answer is a `request.done` or `request.failed` event with this id. Never blocks.
    ///
    /// # Errors
    /// [`SubmitError::Again`] when the engine is behind; nothing is queued on the host's side.
    pub fn submit(&self, request: &Request) -> Result<RequestId, SubmitError> {
        if self.core.is_closed() {
            return Err(SubmitError::Closed);
        }
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::new(self.number, number as u32);
        let head = RecordHead { kind: request.kind().number(), correlation: id.raw(), ..RecordHead::default() };
        let bound = request.encoded_upper_bound();
        if bound <= self.requests.max_record() {
            let mut claim = self.requests.claim(head, bound).map_err(refused)?;
            let len = request.encode_into(&mut claim).map_err(|_| too_large(bound, bound))?;
            claim.commit(len).map_err(refused)?;
            return Ok(id);
        }
        let waiting = self.blobs.bytes();
        if bound > BLOB_LIMIT - waiting.min(BLOB_LIMIT) {
            return Err(if bound > BLOB_LIMIT { too_large(bound, BLOB_LIMIT) } else { SubmitError::Again });
        }
        let mut body = vec![0; bound];
        let len = request.encode_into(&mut body).map_err(|_| too_large(bound, bound))?;
        body.truncate(len);
        let blob = self.blobs.put(body);
        let head = RecordHead { flags: FLAG_BLOB, ..head };
        self.requests.submit(head, &blob.to_le_bytes()).map_err(|error| {
            self.blobs.take(blob);
            refused(error)
        })?;
        Ok(id)
    }

    /// Fills `events` with the oldest unread events and gives their number. Pointers stay valid until they are released.
    ///
    /// # Errors
    /// The ring is damaged (a bug, in process).
    pub fn next(&self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        let mut reader = self.reader();
        let count = reader.events.next(events)?;
        for event in &mut events[..count] {
            let at = reader.handed_out;
            reader.handed_out += 1;
            if event.flags & FLAG_BLOB == 0 {
                continue;
            }
            event.flags &= !FLAG_BLOB;
            if let Some(body) = event.word().and_then(|number| self.blobs.take(number)) {
                (event.ptr, event.len) = (body.as_ptr(), body.len());
                reader.held.push_back((at, body));
            }
        }
        Ok(count)
    }

    /// Gives back the oldest `count` events; their pointers are dead. At most as many as were read; gives how many.
    pub fn release(&self, count: usize) -> usize {
        let mut reader = self.reader();
        let released = reader.events.release(count);
        reader.released += released as u64;
        while reader.held.front().is_some_and(|(at, _)| *at < reader.released) {
            reader.held.pop_front();
        }
        released
    }

    /// The oldest unread event, decoded and released; `None` when there is none now. For hosts in Rust that prefer owned
    /// values; do not mix with events held from [`Client::next`].
    ///
    /// # Errors
    /// A damaged ring, or a record that is not what its kind says (bugs, in process).
    pub fn receive(&self) -> Result<Option<Received>, ReceiveError> {
        let mut reader = self.reader();
        let reader = &mut *reader;
        let Some(head) = reader.events.receive(&mut reader.body)? else { return Ok(None) };
        let large = if head.flags & FLAG_BLOB == 0 {
            None
        } else {
            reader.body.as_slice().try_into().ok().and_then(|number| self.blobs.take(u64::from_le_bytes(number)))
        };
        let event = Event::decode(head.kind, large.as_deref().unwrap_or(&reader.body))?;
        let session = (head.session_index != 0).then(|| SessionId::new(self.generation, head.session_index));
        Ok(Some(Received { session, about: head.correlation, event }))
    }

    /// Blocks until an event is there; `None` = without limit. With `spin`, looks that long without sleeping first.
    pub fn wait(&self, timeout: Option<Duration>, spin: Duration) -> Waited {
        self.reader().events.wait(timeout, spin)
    }

    /// Readable when events wait that [`Client::next`] has not told of. The same for the client's life; never blocks.
    #[cfg(unix)]
    pub fn fd(&self) -> std::os::fd::RawFd {
        self.fd
    }

    /// Signalled when events wait that [`Client::next`] has not told of.
    #[cfg(windows)]
    pub fn handle(&self) -> std::os::windows::io::RawHandle {
        use std::os::windows::io::{AsHandle, AsRawHandle};
        self.reader().events.as_handle().as_raw_handle()
    }

    /// Id of the session of an event; `None` for events of the engine itself.
    pub fn session_id(&self, event: &RawEvent) -> Option<SessionId> {
        (event.session_index != 0).then(|| SessionId::new(self.generation, event.session_index))
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.core.detach(self.number);
    }
}

fn refused(error: TransportError) -> SubmitError {
    match error {
        TransportError::Full => SubmitError::Again,
        TransportError::TooLarge { len, max } => too_large(len, max),
        other => SubmitError::Broken(other.to_string()),
    }
}

fn too_large(len: usize, max: usize) -> SubmitError {
    SubmitError::TooLarge { len, max }
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::engine::{ClientOptions, Engine, EngineOptions};

    #[test]
    fn the_descriptor_and_requests_do_not_wait_for_a_thread_that_reads() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Some(folder.path().to_owned());
        let engine = Engine::open(EngineOptions { storage, ..EngineOptions::default() }).unwrap();
        let client = engine.client(ClientOptions::default()).unwrap();
        let (reading, started) = mpsc::channel();
        std::thread::scope(|scope| {
            let client = &client;
            scope.spawn(move || {
                let mut reader = client.reader();
                reading.send(()).unwrap();
                reader.events.wait(None, Duration::ZERO)
            });
            started.recv().unwrap();
            // The reader is locked now, for as long as it takes; the answer to this request ends its wait.
            assert!(client.fd() >= 0);
            client.submit(&Request::from_json(r#"{"type":"engine.info"}"#).unwrap()).unwrap();
        });
        engine.close(Duration::from_secs(10));
    }
}
