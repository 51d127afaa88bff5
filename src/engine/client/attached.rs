//! A client whose engine runs in another process: it maps memory and polls a socket, with no thread of its own, and takes up
//! where it was when that process dies.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rkyv::util::AlignedVec;

use super::contact::Contact;
use super::outbound::Outbound;
use super::reader::Reader;
use super::{AttachError, AttachOptions, Delivery, Read, Reattached, ReceiveError, SubmitError, start};
use crate::engine::{HOST_METHODS, surroundings};
use crate::protocol::event::{Event, EventKind, RequestFailed};
use crate::protocol::failure::ErrorKind;
use crate::protocol::hello::{Hello, HelloError, RingSizes, Welcome};
use crate::protocol::request::Request;
use crate::transport::{ClientEnd, RawEvent, RecordHead, RingSize, TransportError, Waited, Watch};

/// How long a client that may start an engine tries, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of unread earlier events above which no further loss is recovered from.
const BACKLOG_LIMIT: usize = 256 << 20;

/// The ends of the shared rings, and what is needed to get new ones.
pub(super) struct Attached {
    contact: Contact,
    /// What it says at every attachment; the changing parts are filled in then.
    hello: Hello,
    number: AtomicU32,
    /// Generation of the sessions of the events handed out last.
    generation: AtomicU32,
    reader: Mutex<Reader>,
    outbound: Mutex<Outbound>,
    watch: Watch,
}

impl Attached {
    /// Attaches; see [`super::Client::attach`].
    pub fn open(options: AttachOptions) -> Result<Attached, AttachError> {
        start::reap();
        let hello = hello(&options)?;
        let timeout = options.timeout.unwrap_or(if options.start.is_some() { TIMEOUT } else { Duration::ZERO });
        let runtime_dir = options.runtime_dir.unwrap_or_else(surroundings::default_runtime_dir);
        let contact = Contact { runtime_dir, start: options.start };
        let (end, welcome) = contact.establish(&hello, deadline(timeout))?;
        let ClientEnd { events, requests, blobs_out, blobs_in } = end;
        let watch = Watch::new(events.as_fd())?;
        Ok(Attached {
            contact,
            hello,
            number: AtomicU32::new(welcome.number),
            generation: AtomicU32::new(welcome.engine_generation),
            reader: Mutex::new(Reader::new(events, blobs_in, welcome.engine_generation)),
            outbound: Mutex::new(Outbound::new(requests, blobs_out)),
            watch,
        })
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with a new connection.
    fn take(&self, reader: &mut Reader, end: ClientEnd, welcome: &Welcome) -> Result<Reattached, AttachError> {
        let ClientEnd { events, requests, blobs_out, blobs_in } = end;
        self.watch.replace(reader.ring().as_fd(), events.as_fd())?;
        let before = self.number.swap(welcome.number, Ordering::Relaxed);
        let restored = welcome.number == before && welcome.engine_generation == reader.generation;
        let mut outbound = self.outbound();
        if restored {
            // What others share comes from now on only, whatever was seen of it before.
            let shared = welcome.sessions.iter().filter(|session| !session.own);
            shared.for_each(|session| reader.seen.forget(session.session as u32));
        } else {
            // Nobody knows what became of them; to carry them out twice would be worse than not at all.
            for id in outbound.abandon() {
                let (head, body) = failed(id);
                reader.append(head, body);
            }
        }
        reader.replace(events, blobs_in, welcome.engine_generation);
        outbound.reconnect(requests, blobs_out);
        Ok(Reattached { restored })
    }
}

impl Delivery for Attached {
    fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    fn submit(&self, request: &Request, id: u64) -> Result<(), SubmitError> {
        self.outbound().submit(request, id)
    }

    fn next(&self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        let (count, generation) = self.reader().next(events, &mut |id| self.outbound().answered(id))?;
        self.generation.store(generation, Ordering::Relaxed);
        if count == 0 {
            self.watch.settle();
        }
        Ok(count)
    }

    fn release(&self, count: usize) -> usize {
        self.reader().release(count)
    }

    fn receive(&self, read: Read<'_>) -> Result<bool, ReceiveError> {
        let received = self.reader().receive(&mut |id| self.outbound().answered(id), |generation, head, body| {
            self.generation.store(generation, Ordering::Relaxed);
            read(head, body)
        })?;
        if !received {
            self.watch.settle();
        }
        Ok(received)
    }

    fn wait(&self, timeout: Option<Duration>, spin: Duration) -> Waited {
        let mut reader = self.reader();
        if reader.has_backlog() {
            return Waited::Ready;
        }
        if reader.has_fault() {
            return Waited::Lost;
        }
        reader.ring().wait(timeout, spin)
    }

    fn reattach(&self, timeout: Duration) -> Result<Reattached, AttachError> {
        start::reap();
        let deadline = deadline(timeout);
        let mut reader = self.reader();
        if !reader.is_over() {
            return Ok(Reattached { restored: true });
        }
        reader.drain(&mut |id| self.outbound().answered(id));
        if reader.backlog_bytes() > BACKLOG_LIMIT {
            return Err(AttachError::Unread(reader.backlog_bytes()));
        }
        let hello = Hello {
            number: self.number(),
            seen: reader.seen.sessions(),
            seen_own: reader.seen.own(),
            ..self.hello.clone()
        };
        let (end, welcome) = self.contact.establish(&hello, deadline)?;
        self.take(&mut reader, end, &welcome)
    }

    fn fd(&self) -> RawFd {
        self.watch.as_raw_fd()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.outbound().goodbye(GOODBYE_DETACHED);
        start::reap();
    }
}

/// Reason of the goodbye of a client that is dropped.
const GOODBYE_DETACHED: u32 = 0;

fn deadline(timeout: Duration) -> Instant {
    // A day: keeps the arithmetic far from its limits.
    Instant::now() + timeout.min(Duration::from_secs(86_400))
}

/// What a client of these options says first.
fn hello(options: &AttachOptions) -> Result<Hello, AttachError> {
    let sizes = |size: Option<RingSize>, default: RingSize| {
        let RingSize { slots, arena_bytes } = size.unwrap_or(default);
        RingSizes { slots, bytes: arena_bytes }
    };
    if let Some(unknown) =
        options.client.capabilities.iter().find(|name| !HOST_METHODS.iter().any(|(method, _)| method == name))
    {
        let message = format!("unknown capability `{unknown}`");
        return Err(AttachError::Option { place: "capabilities", message });
    }
    let hello = Hello {
        client: options.id.clone().unwrap_or_else(surroundings::random_name),
        name: options.name.clone(),
        number: 0,
        capabilities: options.client.capabilities.clone(),
        share: options.share,
        observe: options.observe,
        events: sizes(options.client.events, RingSize::EVENTS),
        requests: sizes(options.client.requests, RingSize::REQUESTS),
        seen: Vec::new(),
        seen_own: None,
    };
    match hello.validate() {
        Err(HelloError::Malformed { place, message }) => {
            Err(AttachError::Option { place: if place == "client" { "id" } else { place }, message })
        }
        Err(other) => Err(AttachError::Version(other.to_string())),
        Ok(()) => Ok(hello),
    }
}

/// The answer to a request that nobody will answer any more.
fn failed(id: u64) -> (RecordHead, AlignedVec) {
    let message = "the engine lost its journal: whether this was done is unknown";
    let event = Event::RequestFailed(RequestFailed::new(ErrorKind::Lost, message));
    let mut body = AlignedVec::new();
    body.resize(event.encoded_upper_bound(), 0);
    // The bound holds for every record (property-tested).
    let len = event.encode_into(&mut body).unwrap_or(0);
    body.resize(len, 0);
    let kind = EventKind::RequestFailed.number();
    (RecordHead { kind, correlation: id, ..RecordHead::default() }, body)
}
