//! What a client of an engine in another process is opened with, and what can go wrong.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::engine::options::ClientOptions;
use crate::protocol::failure::ErrorKind;
use crate::transport::TransportError;

/// Options of [`Client::attach`](super::Client::attach).
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Capabilities and ring sizes, as in process.
    pub client: ClientOptions,
    /// Name for people, such as that of the editor.
    pub name: String,
    /// 32 lower-case hex digits. A host that keeps them gets its sessions back after it was restarted itself; absent:
    /// random, so that only [`Client::reattach`](super::Client::reattach) gets them back.
    pub id: Option<String>,
    /// Other clients of the same user may see and answer this one's sessions.
    pub share: bool,
    /// This client sees the sessions that others share.
    pub observe: bool,
    /// Folder of the engine's socket; absent: the user's runtime folder.
    pub runtime_dir: Option<PathBuf>,
    /// How to start an engine when none answers; absent: it is not started.
    pub start: Option<Start>,
    /// How long to try; absent: five seconds with `start`, otherwise once.
    pub timeout: Option<Duration>,
}

/// How to start a serving engine when none answers.
#[derive(Clone, Default)]
pub struct Start {
    /// The `lapce-ai` program; absent: beside the executable, else on the search path.
    pub program: Option<PathBuf>,
    /// Folder for tasks and history; absent: `lapce-ai` in the user's data folder.
    pub storage: Option<PathBuf>,
    /// The user's home folder; absent: from the environment.
    pub home: Option<PathBuf>,
    /// Settings that differ from the defaults. They may hold keys, and reach the engine through a socket only it holds.
    pub settings: Map<String, Value>,
    /// Further options of `lapce-ai serve`.
    pub arguments: Vec<OsString>,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Start { program, storage, home, settings: _, arguments } = self;
        let mut shown = f.debug_struct("Start");
        shown.field("program", program).field("storage", storage).field("home", home).field("arguments", arguments);
        shown.finish_non_exhaustive()
    }
}

/// What [`Client::reattach`](super::Client::reattach) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reattached {
    /// The engine knows this client and its sessions. False: its journal was lost; session ids of before name nothing, and
    /// requests that were not answered are answered by `request.failed` of kind `lost`.
    pub restored: bool,
}

/// Why a client could not attach.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// An option that cannot be.
    #[error("{place}: {message}")]
    Option {
        /// Which.
        place: &'static str,
        /// What is wrong.
        message: String,
    },
    /// No engine answers in this folder.
    #[error("no engine answers in {}: {cause}", folder.display())]
    NoEngine {
        /// The folder.
        folder: PathBuf,
        /// Why the last try failed.
        cause: String,
    },
    /// The engine does not want this client.
    #[error("the engine refuses: {message}")]
    Refused {
        /// Why, for programs.
        kind: ErrorKind,
        /// Why, for people.
        message: String,
    },
    /// The engine is of another version, or no engine at all.
    #[error("{0}")]
    Version(String),
    /// The socket's place is not ours alone, or what answers there is no engine of ours.
    #[error("the engine's socket cannot be used: {0}")]
    Unusable(String),
    /// The program could not be started.
    #[error("starting {}: {cause}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The program ended without serving.
    #[error("the engine did not start: {0}")]
    NotStarted(String),
    /// Memory, descriptors or the rings.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Too much of what came before the loss was not read yet.
    #[error("{0} bytes of earlier events wait: read them first")]
    Unread(usize),
    /// Processes cannot share rings on this system.
    #[error("attaching to another process is not supported on this system")]
    Unsupported,
    /// A client of an engine in this process cannot lose it.
    #[error("the engine of this client runs in this process")]
    InProcess,
}

impl AttachError {
    /// The kind of failure that hosts are told.
    pub fn kind(&self) -> ErrorKind {
        match self {
            AttachError::Option { .. } => ErrorKind::InvalidArgument,
            AttachError::NoEngine { .. } => ErrorKind::Lost,
            AttachError::Refused { kind, .. } => *kind,
            AttachError::Version(_) | AttachError::Unsupported | AttachError::InProcess => ErrorKind::NotSupported,
            AttachError::Unusable(_) | AttachError::Start { .. } | AttachError::NotStarted(_) => ErrorKind::Io,
            AttachError::Transport(TransportError::Size { .. }) => ErrorKind::InvalidArgument,
            AttachError::Transport(_) => ErrorKind::Io,
            AttachError::Unread(_) => ErrorKind::Busy,
        }
    }
}
