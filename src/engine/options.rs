//! What an engine and a client are opened with.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::transport::RingSize;

/// Options of an engine. The default reads the user's folders and starts two workers.
#[derive(Clone, Default)]
pub struct EngineOptions {
    /// Folder for tasks and history; absent: `lapce-ai` in the user's data folder.
    pub storage: Option<PathBuf>,
    /// The user's home folder; absent: from the environment.
    pub home: Option<PathBuf>,
    /// Threads of the runtime; 0: two.
    pub workers: usize,
    /// Settings that differ from the defaults, by the keys of `docs/protocol.md`.
    pub settings: Map<String, Value>,
}

/// Without the settings, which may hold keys.
impl fmt::Debug for EngineOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EngineOptions { storage, home, workers, settings: _ } = self;
        let mut shown = formatter.debug_struct("EngineOptions");
        shown.field("storage", storage).field("home", home).field("workers", workers).finish_non_exhaustive()
    }
}

/// Options of a client.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Host request methods the host answers (`docs/protocol.md`); for others the engine uses the disk and its own processes.
    pub capabilities: Vec<String>,
    /// Ring of events; absent: 1,024 slots and 1 MiB.
    pub events: Option<RingSize>,
    /// Ring of requests; absent: 256 slots and 256 KiB.
    pub requests: Option<RingSize>,
}

/// Why an engine or client could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting has the wrong type.
    #[error("settings.{place}: {message}")]
    Settings {
        /// Which key.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A capability that no host request has.
    #[error("unknown capability `{0}`")]
    Capability(String),
    /// The rings could not be made.
    #[error(transparent)]
    Transport(#[from] crate::transport::TransportError),
    /// The operating system refused threads, memory or a descriptor.
    #[error("{what}: {cause}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        cause: std::io::Error,
    },
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
    /// Too many clients are attached already.
    #[error("more than {0} clients")]
    TooManyClients(usize),
}
