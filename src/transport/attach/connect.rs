//! The client's side of attaching.

use super::super::channel::{self, Foreign};
use super::super::client_end::ClientEnd;
use super::super::error::TransportError;
use super::super::header::Identity;
use super::super::os;
use super::super::pair::Pair;
use super::super::slots::Position;
use super::message::{Message, MessageError, Reader, Step, Writer};
use super::place::{self, PlaceError};
use super::{Role, client_end, create_region, open_region, requests_identity};
use crate::protocol::abi::abi_hash;
use crate::protocol::hello::{Hello, HelloError, MessageKind, Refusal, Welcome};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// An attached client.
pub struct Connected {
    /// What the engine said.
    pub welcome: Welcome,
    /// The rings.
    pub end: ClientEnd,
}

/// Why a client could not attach.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens: no folder, no socket, or one that a dead engine left. Starting an engine helps.
    #[error("no engine is running")]
    NoServer,
    /// The engine does not take this client in.
    #[error("the engine refuses: {}", .0.message)]
    Refused(Refusal),
    /// The engine is of another version; both are named.
    #[error(transparent)]
    Version(HelloError),
    /// The folder or socket is not ours alone.
    #[error(transparent)]
    NotOurs(#[from] PlaceError),
    /// Another user is at the other end.
    #[error("the engine's socket is answered by user {uid}, not by us")]
    Stranger {
        /// That user.
        uid: u32,
    },
    /// Not attached within the time given.
    #[error("the engine did not answer in time")]
    Timeout,
    /// The engine went away before it answered.
    #[error("the engine closed the connection before it answered")]
    Lost,
    /// An answer that no engine gives.
    #[error("the engine's answer cannot be used: {0}")]
    Answer(String),
    /// Sizes in the hello outside of their limits, or no memory for the rings.
    #[error(transparent)]
    Ring(TransportError),
    /// The operating system refused.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

/// Attaches to the engine that listens at `path`, within `timeout`, blocking. Sizes are those of the hello;
/// `created_unix_ns` is written into the requests region for people.
///
/// # Errors
/// See [`ConnectError`]; only [`NoServer`](ConnectError::NoServer), [`Lost`](ConnectError::Lost) and
/// [`Timeout`](ConnectError::Timeout) are worth another try.
pub fn connect(path: &Path, hello: &Hello, created_unix_ns: u64, timeout: Duration) -> Result<Connected, ConnectError> {
    let begin = Instant::now();
    let left = || timeout.saturating_sub(begin.elapsed());
    let socket = open_socket(path, left)?;
    let identity = requests_identity(created_unix_ns, std::process::id());
    let (object, requests) = create_region(Role::Requests, hello.requests.into(), Position::default(), &identity)
        .map_err(ConnectError::Ring)?;
    let message = exchange(&socket, Writer::new(hello.to_bytes(), Some(object)), left)?;
    let welcome = match message.head.kind {
        MessageKind::Welcome => Welcome::from_body(&message.body).map_err(unusable)?,
        MessageKind::Refusal => {
            return Err(ConnectError::Refused(Refusal::from_body(&message.body).map_err(unusable)?));
        }
        MessageKind::Hello => return Err(ConnectError::Answer("it said hello".into())),
    };
    let object = message.file.ok_or_else(|| ConnectError::Answer("there is no region with it".into()))?;
    let identity = Identity { abi_hash: abi_hash(), generation: welcome.generation, ..Identity::default() };
    let events = open_region(Role::Events, object, welcome.events.into(), &identity).map_err(unusable)?;
    let end = client_end(socket, &Pair { events, requests, start: Position::default() });
    Ok(Connected { welcome, end })
}

fn unusable(error: impl std::fmt::Display) -> ConnectError {
    ConnectError::Answer(error.to_string())
}

fn system(what: &'static str) -> impl Fn(Errno) -> ConnectError {
    move |error| ConnectError::System { what, source: error.into() }
}

/// A connected socket to a process of our own user.
fn open_socket(path: &Path, left: impl Fn() -> Duration) -> Result<OwnedFd, ConnectError> {
    let absent = |error: PlaceError| match error {
        PlaceError::System { ref source, .. } if source.kind() == io::ErrorKind::NotFound => ConnectError::NoServer,
        other => ConnectError::NotOurs(other),
    };
    place::check_folder(place::folder_of(path)?).map_err(absent)?;
    place::check_socket(path).map_err(absent)?;
    let address = SocketAddrUnix::new(path).map_err(system("the socket's path"))?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).map_err(system("a socket"))?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).map_err(system("a socket"))?;
    loop {
        let limit = left();
        if limit.is_zero() {
            return Err(ConnectError::Timeout);
        }
        // A listener whose queue is full makes connecting wait, which this limits; the socket is not non-blocking yet.
        set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(system("a socket's time limit"))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(ConnectError::Timeout),
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(ConnectError::NoServer),
            Err(error) => return Err(system("connecting")(error)),
        }
    }
    rustix::io::ioctl_fionbio(&socket, true).map_err(system("a socket"))?;
    let asked = |what| move |source| ConnectError::System { what, source };
    os::prepare(socket.as_fd()).map_err(asked("a socket"))?;
    let uid = os::peer_uid(socket.as_fd()).map_err(asked("asking who answers"))?;
    if uid == rustix::process::geteuid().as_raw() { Ok(socket) } else { Err(ConnectError::Stranger { uid }) }
}

/// Sends a message and reads the answer.
fn exchange(socket: &OwnedFd, mut out: Writer, left: impl Fn() -> Duration) -> Result<Message<Foreign>, ConnectError> {
    let mut answer = Reader::new();
    // An engine that refuses may answer and close before it has read everything.
    match run(socket, PollFlags::OUT, &left, || out.write(socket)) {
        Ok(()) | Err(ConnectError::Lost) => {}
        Err(error) => return Err(error),
    }
    run(socket, PollFlags::IN, &left, || answer.read(socket))?;
    answer.finish().map_err(failed)
}

fn run(
    socket: &OwnedFd,
    flags: PollFlags,
    left: &impl Fn() -> Duration,
    mut step: impl FnMut() -> Result<Step, MessageError>,
) -> Result<(), ConnectError> {
    loop {
        match step().map_err(failed)? {
            Step::Whole => return Ok(()),
            Step::More if left().is_zero() => return Err(ConnectError::Timeout),
            Step::More => {}
            Step::Blocked => {
                let limit = left();
                if limit.is_zero() {
                    return Err(ConnectError::Timeout);
                }
                match channel::wait_for(socket.as_fd(), flags, Some(limit)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(system("waiting for the engine")(error)),
                }
            }
        }
    }
}

fn failed(error: MessageError) -> ConnectError {
    match error {
        MessageError::Ended => ConnectError::Lost,
        MessageError::Hello(error @ HelloError::Version { .. }) => ConnectError::Version(error),
        MessageError::System(source) => ConnectError::System { what: "talking to the engine", source },
        other => ConnectError::Answer(other.to_string()),
    }
}
