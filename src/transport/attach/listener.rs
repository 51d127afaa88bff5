//! The engine's side of attaching.

use super::super::engine_end::EngineEnd;
use super::super::error::TransportError;
use super::super::header::Identity;
use super::super::os;
use super::super::pair::Pair;
use super::super::region::Region;
use super::super::slots::Position;
use super::message::{MessageError, Reader, Step, Writer};
use super::place::{self, PlaceError};
use super::{Role, check_wishes, create_region, engine_end, open_region, requests_identity};
use crate::protocol::abi::abi_hash;
use crate::protocol::failure::ErrorKind;
use crate::protocol::hello::{Hello, HelloError, MessageKind, Refusal, Welcome};
use rustix::net::sockopt::socket_type;
use rustix::net::{SocketAddrUnix, SocketType, getsockname};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};

/// Listens for clients of our own user.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    /// What to remove at the end: path, device, file number.
    bound: Option<(PathBuf, u64, u64)>,
}

/// A connection of our own user, which has said nothing yet.
#[derive(Debug)]
pub struct Arriving {
    stream: UnixStream,
}

/// A client that said a valid hello and waits for the answer.
pub struct Waiting {
    stream: UnixStream,
    requests: Region,
}

/// Why a connection came to nothing. It is closed, and where it helps was told why; the server goes on.
#[derive(Debug, thiserror::Error)]
pub enum ArriveError {
    /// Not within the time given.
    #[error("the client did not do its part in time")]
    Timeout,
    /// It closed the connection.
    #[error("the client closed the connection")]
    Ended,
    /// Of another version; both are named. The client was told.
    #[error(transparent)]
    Version(HelloError),
    /// Not a hello, or not a usable one. The client was told.
    #[error("not a hello: {0}")]
    Hello(String),
    /// Its region cannot be used. The client was told.
    #[error("its region cannot be used: {0}")]
    Region(TransportError),
    /// Our own region could not be made.
    #[error(transparent)]
    Ring(TransportError),
    /// The operating system refused.
    #[error("talking to the client: {0}")]
    System(#[from] io::Error),
}

impl Listener {
    /// Listens at `path`. The folder is made with 0700, or must be ours and closed to others; the socket gets 0600. A
    /// socket that was left there is replaced: the caller holds the [`InstanceLock`](super::InstanceLock), and drops
    /// this before the lock. Within a tokio runtime.
    ///
    /// # Errors
    /// A place that is not ours alone, or the system's refusal.
    pub fn bind(path: &Path) -> Result<Listener, PlaceError> {
        place::make_folder(place::folder_of(path)?)?;
        if fs::symlink_metadata(path).is_ok() {
            place::check_socket(path)?;
        }
        // It gets its name when its mode is set: a client that looks meanwhile would think that it is open to others.
        let new = path.with_extension("new");
        if fs::symlink_metadata(&new).is_ok() {
            fs::remove_file(&new).map_err(place::failed("removing", &new))?;
        }
        let listener = UnixListener::bind(&new).map_err(place::failed("listening at", path))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).map_err(place::failed("closing", path))?;
        fs::rename(&new, path).map_err(place::failed("naming", path))?;
        let found = place::check_socket(path)?;
        Ok(Listener { listener, bound: Some((path.to_owned(), found.dev(), found.ino())) })
    }

    /// Listens on a socket that somebody else made, such as systemd: as the user we are, since clients look who made it, with
    /// mode 0600 in a folder of 0700, which they check too. Within a tokio runtime.
    ///
    /// # Errors
    /// Not a listening Unix stream socket.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Listener> {
        let is_unix = SocketAddrUnix::try_from(getsockname(&socket)?).is_ok();
        // Apple's systems cannot say; there accepting fails.
        #[cfg(target_vendor = "apple")]
        let is_listening = true;
        #[cfg(not(target_vendor = "apple"))]
        let is_listening = rustix::net::sockopt::socket_acceptconn(&socket)?;
        if !is_unix || !is_listening || socket_type(&socket)? != SocketType::STREAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a listening Unix stream socket"));
        }
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Listener { listener: UnixListener::from_std(socket.into())?, bound: None })
    }

    /// The next connection of our own user; strangers are closed at once. Cancel safe.
    ///
    /// # Errors
    /// The system has no descriptors or memory now: wait a moment before trying again.
    pub async fn accept(&self) -> io::Result<Arriving> {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let ours = os::peer_uid(stream.as_fd()).is_ok_and(|uid| uid == rustix::process::geteuid().as_raw());
            if ours && os::prepare(stream.as_fd()).is_ok() {
                return Ok(Arriving { stream });
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, device, number)) = &self.bound {
            let still_ours = fs::symlink_metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (*device, *number));
            if still_ours {
                // Left behind it does no harm: connecting is refused, and the next engine replaces it.
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Arriving {
    #[cfg(test)]
    pub(super) fn of(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// The bare connection, for another protocol than the hello.
    ///
    /// # Errors
    /// The system refuses to let go of it.
    pub fn into_stream(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.stream.into_std()
    }

    /// Reads and checks the hello, ring sizes included, within `limit`. A client that cannot be taken in is told why and closed.
    ///
    /// # Errors
    /// See [`ArriveError`].
    pub async fn hello(self, limit: Duration) -> Result<(Hello, Waiting), ArriveError> {
        let stream = self.stream;
        let mut reader = Reader::new();
        let read = transfer(&stream, Interest::READABLE, limit, || reader.read(&stream)).await;
        let message = match read.map(|()| reader.finish()) {
            Ok(Ok(message)) => message,
            Ok(Err(error)) | Err(Stopped::Message(error)) => return Err(turn_away(&stream, error.into())),
            Err(Stopped::Timeout) => return Err(ArriveError::Timeout),
        };
        let checked = match (message.head.kind, message.file) {
            (MessageKind::Hello, Some(object)) => {
                let hello = Hello::from_body(&message.body).map_err(|error| ArriveError::Hello(error.to_string()));
                hello.and_then(|hello| {
                    let identity = requests_identity(0, 0);
                    check_wishes(&hello)
                        .and_then(|()| open_region(Role::Requests, object, hello.requests.into(), &identity))
                        .map(|requests| (hello, requests))
                        .map_err(ArriveError::Region)
                })
            }
            (MessageKind::Hello, None) => Err(ArriveError::Hello("there is no region with it".into())),
            (kind, _) => Err(ArriveError::Hello(format!("it is a {kind:?}"))),
        };
        match checked {
            Ok((hello, requests)) => Ok((hello, Waiting { stream, requests })),
            Err(error) => Err(turn_away(&stream, error)),
        }
    }
}

impl Waiting {
    /// Takes the client in, within `limit`: makes the events region of the welcome's size and generation and sends both.
    /// `created_unix_ns` is written into it for people. Give the end to a runtime with
    /// [`RequestReader::watch`](super::super::RequestReader::watch).
    ///
    /// # Errors
    /// See [`ArriveError`].
    pub async fn welcome(
        self,
        welcome: &Welcome,
        created_unix_ns: u64,
        limit: Duration,
    ) -> Result<EngineEnd, ArriveError> {
        let Self { stream, requests } = self;
        let Welcome { generation, pid, .. } = *welcome;
        let identity = Identity { abi_hash: abi_hash(), generation, created_unix_ns, pid };
        let start = Position::default();
        let (object, events) =
            create_region(Role::Events, welcome.events.into(), start, &identity).map_err(ArriveError::Ring)?;
        let mut out = Writer::new(welcome.to_bytes(), Some(object));
        transfer(&stream, Interest::WRITABLE, limit, || out.write(&stream)).await?;
        let socket = OwnedFd::from(stream.into_std()?);
        Ok(engine_end(socket, &Pair { events, requests, start }))
    }

    /// Turns the client away. Sent as far as the socket takes it at once, which is all of a short message.
    pub fn refuse(self, refusal: &Refusal) {
        refuse(&self.stream, refusal);
    }
}

/// Tells a client why it is turned away, where that can help it.
fn turn_away(stream: &UnixStream, error: ArriveError) -> ArriveError {
    let kind = match error {
        ArriveError::Version(_) => ErrorKind::NotSupported,
        ArriveError::Hello(_) | ArriveError::Region(_) => ErrorKind::InvalidRequest,
        _ => return error,
    };
    refuse(stream, &Refusal { kind: kind.as_str().to_owned(), message: error.to_string() });
    error
}

fn refuse(stream: &UnixStream, refusal: &Refusal) {
    // The client gets the end of the stream in any case.
    let _ = Writer::new(refusal.to_bytes(), None).write(stream);
}

enum Stopped {
    Timeout,
    Message(MessageError),
}

impl From<Stopped> for ArriveError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Timeout => Self::Timeout,
            Stopped::Message(error) => error.into(),
        }
    }
}

impl From<MessageError> for ArriveError {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Ended => Self::Ended,
            MessageError::Hello(error @ HelloError::Version { .. }) => Self::Version(error),
            MessageError::Hello(error) => Self::Hello(error.to_string()),
            MessageError::Files => Self::Hello(error.to_string()),
            MessageError::System(error) => Self::System(error),
        }
    }
}

/// Repeats a step until it is done or the time is past.
async fn transfer(
    stream: &UnixStream,
    interest: Interest,
    limit: Duration,
    mut step: impl FnMut() -> Result<Step, MessageError>,
) -> Result<(), Stopped> {
    let work = stream.async_io(interest, || {
        loop {
            match step() {
                Ok(Step::More) => {}
                Ok(Step::Whole) => return Ok(Ok(())),
                Ok(Step::Blocked) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => return Ok(Err(error)),
            }
        }
    });
    match tokio::time::timeout(limit, work).await {
        Err(_) => Err(Stopped::Timeout),
        Ok(Err(error)) => Err(Stopped::Message(MessageError::System(error))),
        Ok(Ok(done)) => done.map_err(Stopped::Message),
    }
}
