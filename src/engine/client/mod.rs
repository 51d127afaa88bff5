//! A client: what a host holds. Submit from any thread; read events from one thread at a time.
//!
//! What a client does is the same wherever its engine runs; how records travel is a [`Delivery`]: [`in_process`] or, of an
//! engine in another process, [`attached`], which is made of
//!
//! - `contact`: connecting; `start`: starting an engine that does not run
//! - `reader`: events, over the losses of engines; `seen`: what was got
//! - `outbound`: requests; `outstanding`: those that were not answered

#[cfg(unix)]
mod attached;
#[cfg(unix)]
mod contact;
mod in_process;
mod options;
#[cfg(unix)]
mod outbound;
#[cfg(unix)]
mod outstanding;
#[cfg(unix)]
mod reader;
#[cfg(unix)]
mod seen;
#[cfg(unix)]
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(unix)]
use self::attached::Attached;
use self::in_process::InProcess;
pub use self::options::{AttachError, AttachOptions, Reattached, Start};
#[cfg(unix)]
pub use self::start::{ALREADY_RUNNING, READY};
use super::core::Core;
use super::intake::Connection;
use crate::protocol::event::Event;
use crate::protocol::ids::{RequestId, SessionId};
use crate::protocol::record::DecodeError;
use crate::protocol::request::Request;
use crate::transport::{ClientEnd, RawEvent, RecordHead, TransportError, Waited};

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
    /// Its number in the session (of an event without one: at this client), without gaps; 0: may be merged, not numbered.
    pub session_sequence: u32,
    /// What it is about ([`crate::protocol::event::EventKind::subject`]); 0 for nothing in particular.
    pub about: u64,
    /// The event.
    pub event: Event,
}

/// One client. Dropping it detaches: its sessions are aborted. Those of an attached client whose process dies go on.
pub struct Client {
    delivery: Box<dyn Delivery>,
    next_request: AtomicU64,
}

/// Reads a record that was received.
type Read<'a> = &'a mut dyn FnMut(RecordHead, &[u8]) -> Result<(), ReceiveError>;

/// How records travel between a client and its engine.
trait Delivery: Send + Sync {
    /// Number of the client: the generation part of its request ids.
    fn number(&self) -> u32;
    /// Generation part of the ids of the sessions of events handed out last.
    fn generation(&self) -> u32;
    /// See [`Client::submit`].
    fn submit(&self, request: &Request, id: u64) -> Result<(), SubmitError>;
    /// See [`Client::next`].
    fn next(&self, events: &mut [RawEvent]) -> Result<usize, TransportError>;
    /// See [`Client::release`].
    fn release(&self, count: usize) -> usize;
    /// Gives the oldest unread event, in memory that nobody changes, to `read` and releases it; false when there is none.
    fn receive(&self, read: Read<'_>) -> Result<bool, ReceiveError>;
    /// See [`Client::wait`].
    fn wait(&self, timeout: Option<Duration>, spin: Duration) -> Waited;
    /// See [`Client::reattach`].
    fn reattach(&self, _timeout: Duration) -> Result<Reattached, AttachError> {
        Err(AttachError::InProcess)
    }
    /// See [`Client::fd`].
    #[cfg(unix)]
    fn fd(&self) -> std::os::fd::RawFd;
    /// See [`Client::handle`].
    #[cfg(windows)]
    fn handle(&self) -> std::os::windows::io::RawHandle;
}

impl Client {
    /// A client of an engine in this process.
    pub(super) fn in_process(connection: Connection, end: ClientEnd, core: Arc<Core>) -> Client {
        Client { delivery: Box::new(InProcess::new(connection, end, core)), next_request: AtomicU64::new(1) }
    }

    /// Attaches to an engine that serves in another process; with [`AttachOptions::start`], starts it when none answers.
    ///
    /// # Errors
    /// See [`AttachError`].
    #[cfg(unix)]
    pub fn attach(options: AttachOptions) -> Result<Client, AttachError> {
        let delivery = Box::new(Attached::open(options)?);
        // A host that comes back under the same id must not use an id again: the engine remembers what it answered.
        let first = (super::surroundings::random() * f64::from(u32::MAX)) as u64;
        Ok(Client { delivery, next_request: AtomicU64::new(first) })
    }

    /// Not on this system.
    ///
    /// # Errors
    /// [`AttachError::Unsupported`].
    #[cfg(not(unix))]
    pub fn attach(_options: AttachOptions) -> Result<Client, AttachError> {
        Err(AttachError::Unsupported)
    }

    /// After a loss: attaches again and goes on. First come the events that were committed before the loss, then those the
    /// engine kept; requests that were not answered are sent again under their ids. Starts an engine as [`attach`](Self::attach)
    /// does. Does nothing when nothing is lost. Events held stay valid until they are released. Requests may be submitted
    /// meanwhile. Read until nothing is left before sleeping on the handle again.
    ///
    /// # Errors
    /// See [`AttachError`]; may be tried again.
    pub fn reattach(&self, timeout: Duration) -> Result<Reattached, AttachError> {
        self.delivery.reattach(timeout)
    }

    /// Submits a request; its answer is a `request.done` or `request.failed` event with this id. Never blocks.
    ///
    /// An attached client keeps it until it is answered; after a loss it is sent when the client attaches again.
    ///
    /// # Errors
    /// [`SubmitError::Again`] when the engine is behind; nothing is queued on the host's side.
    pub fn submit(&self, request: &Request) -> Result<RequestId, SubmitError> {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::new(self.delivery.number(), number as u32);
        self.delivery.submit(request, id.raw())?;
        Ok(id)
    }

    /// Fills `events` with the oldest unread events and gives their number. Pointers stay valid until they are released.
    ///
    /// Of an engine in another process, text lies in memory which that process can change: take it as bytes.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when the engine's process is gone and everything was read, [`TransportError::Closed`] when it
    /// left with a goodbye; [`TransportError::Broken`] when the ring is damaged (a bug, in process). [`reattach`](Self::reattach)
    /// mends them all.
    pub fn next(&self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        self.delivery.next(events)
    }

    /// Gives back the oldest `count` events; their pointers are dead. At most as many as were read; gives how many.
    pub fn release(&self, count: usize) -> usize {
        self.delivery.release(count)
    }

    /// The oldest unread event, decoded and released; `None` when there is none now. For hosts in Rust that prefer owned
    /// values; do not mix with events held from [`Client::next`].
    ///
    /// # Errors
    /// A damaged ring, or a record that is not what its kind says (bugs, in process).
    pub fn receive(&self) -> Result<Option<Received>, ReceiveError> {
        let mut received = None;
        self.delivery.receive(&mut |head, body| {
            let session =
                (head.session_index != 0).then(|| SessionId::new(self.delivery.generation(), head.session_index));
            let event = Event::decode(head.kind, body)?;
            let RecordHead { session_sequence, correlation: about, .. } = head;
            received = Some(Received { session, session_sequence, about, event });
            Ok(())
        })?;
        Ok(received)
    }

    /// Blocks until an event is there; `None` = without limit. With `spin`, looks that long without sleeping first.
    pub fn wait(&self, timeout: Option<Duration>, spin: Duration) -> Waited {
        self.delivery.wait(timeout, spin)
    }

    /// Readable when events wait that [`Client::next`] has not told of. The same for the client's life; never blocks.
    #[cfg(unix)]
    pub fn fd(&self) -> std::os::fd::RawFd {
        self.delivery.fd()
    }

    /// Signalled when events wait that [`Client::next`] has not told of.
    #[cfg(windows)]
    pub fn handle(&self) -> std::os::windows::io::RawHandle {
        self.delivery.handle()
    }

    /// Id of the session of an event; `None` for events of the engine itself.
    pub fn session_id(&self, event: &RawEvent) -> Option<SessionId> {
        (event.session_index != 0).then(|| SessionId::new(self.delivery.generation(), event.session_index))
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
