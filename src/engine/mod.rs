//! The engine: an owned runtime, clients with their rings and outboxes, sessions, host requests, settings in force.
//!
//! [`Engine`] is opened once by a host, [`Client`] is what it reads events from and submits requests to. What the agent
//! does is decided in `task`; here it is run, routed and reported. Only [`surroundings`] reads the clock, the
//! environment and the home folder; everything below gets values.

mod attachment;
mod changes;
mod channel;
mod checkpoints;
mod client;
pub mod commit_message;
mod completing;
mod completion;
mod configuration;
mod core;
mod history;
mod host_editor;
mod host_relay;
mod host_requests;
mod intake;
pub mod journal;
mod keeper;
mod keyring;
mod link;
mod modes;
mod old_files;
mod options;
mod outbox;
mod preview;
mod prompt;
mod provider_cache;
mod providers;
mod recover;
mod router;
mod rule_files;
mod rules;
mod secrets;
#[cfg(unix)]
pub mod serve;
mod session_host;
mod sessions;
mod settings;
pub mod shells;
mod stats;
mod stored;
mod support;
pub mod surroundings;
mod tasks;
mod texts;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::attachment::Attachment;
#[cfg(unix)]
pub use self::client::{ALREADY_RUNNING, READY};
pub use self::client::{AttachError, AttachOptions, Client, Reattached, ReceiveError, Received, Start, SubmitError};
use self::core::Core;
pub use self::host_requests::METHODS as HOST_METHODS;
use self::intake::Connection;
use self::keeper::Keeper;
use self::link::Link;
pub use self::options::{ClientOptions, EngineOptions, OpenError};
use crate::transport::{self, EngineEnd, PairOptions, RingState};

/// Threads of the runtime unless the options say otherwise.
const WORKERS: usize = 2;
/// Most threads for blocking work (disk, search), which end when idle.
const BLOCKING_THREADS: usize = 16;
/// Clients an engine serves at once.
const CLIENT_LIMIT: usize = 256;

/// An engine. Closing or dropping it aborts its sessions.
pub struct Engine {
    core: Arc<Core>,
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
}

/// What closing left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Sessions that had not ended by the deadline; their work is cut off where it stood.
    pub sessions_left: usize,
}

impl Engine {
    /// Opens an engine: threads are started and the settings of its storage are read, nothing else of disk or network.
    ///
    /// # Errors
    /// A wrong setting, or an operating system that refuses threads.
    pub fn open(options: EngineOptions) -> Result<Engine, OpenError> {
        static GENERATION: AtomicU32 = AtomicU32::new(1);

        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        Engine::open_with(options, generation, |_| None)
    }

    /// As [`open`](Self::open), with the generation part of session ids, and what keeps for a restart.
    fn open_with(
        options: EngineOptions,
        generation: u32,
        keeper: impl FnOnce(tokio::runtime::Handle) -> Option<Keeper>,
    ) -> Result<Engine, OpenError> {
        let settings = settings::EngineSettings::new(options.settings.into())
            .map_err(|error| OpenError::Settings { place: error.place, message: error.message })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(if options.workers == 0 { WORKERS } else { options.workers.min(64) })
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("lapce-ai")
            .enable_all()
            .build()
            .map_err(|cause| OpenError::System { what: "threads for the engine", cause })?;
        let home = options.home.unwrap_or_else(surroundings::home);
        let storage = options.storage.unwrap_or_else(|| surroundings::default_storage(&home));
        let handle = runtime.handle().clone();
        let core = Core::new(generation, keeper(handle.clone()), settings, storage, home, handle);
        configuration::open(&core);
        configuration::watch(&core);
        Ok(Engine { core, runtime: Mutex::new(Some(runtime)) })
    }

    /// Attaches a client.
    ///
    /// # Errors
    /// An unknown capability, rings of an impossible size, or a closed engine.
    pub fn client(&self, options: ClientOptions) -> Result<Client, OpenError> {
        in_process(&self.core, options).map(|(client, _)| client)
    }

    /// Counters, as of the request `engine.stats`.
    pub fn stats(&self) -> Value {
        stats::collect(&self.core)
    }

    /// Ends all sessions and the runtime, by `deadline` at the latest. A second call does nothing.
    pub fn close(&self, deadline: Duration) -> CloseReport {
        let until = Instant::now() + deadline;
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime else { return CloseReport { sessions_left: 0 } };
        let core = self.core.clone();
        let (done, ended) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            core.close().await;
            // Nobody waits any more once the deadline is past.
            let _ = done.send(());
        });
        let _ = ended.recv_timeout(deadline);
        let sessions_left = self.core.session_count();
        // A history that cannot be written is reported by the next list; there is nobody left to tell here.
        let _ = self.core.history.save();
        runtime.shutdown_timeout(until.saturating_duration_since(Instant::now()));
        // Nothing more will come: wakes clients that wait for it.
        self.core.links().iter().for_each(|link| link.ring().set_state(RingState::Closed, 0));
        CloseReport { sessions_left }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close(Duration::from_secs(2));
    }
}

/// A client in this process, with its connection as the engine sees it.
fn in_process(core: &Arc<Core>, options: ClientOptions) -> Result<(Client, Connection), OpenError> {
    if core.is_closed() {
        return Err(OpenError::Closed);
    }
    if !core.has_room(CLIENT_LIMIT) {
        return Err(OpenError::TooManyClients(CLIENT_LIMIT));
    }
    for capability in &options.capabilities {
        if !HOST_METHODS.iter().any(|(method, _)| method == capability) {
            return Err(OpenError::Capability(capability.clone()));
        }
    }
    let mut pair = PairOptions::default();
    pair.identity.abi_hash = crate::protocol::abi::abi_hash();
    pair.events = options.events.unwrap_or(pair.events);
    pair.requests = options.requests.unwrap_or(pair.requests);
    let arena = pair.events.arena_bytes as usize;
    let (engine_end, client_end) = transport::in_process(&pair)?;
    let number = core.client_number();
    let client = Attachment::new(number, String::new(), String::new(), false, None);
    let EngineEnd { events, requests, blobs_out, blobs_in } = engine_end;
    let link = Arc::new(Link::new(number, events, blobs_out, blobs_in, arena));
    let connection = Connection { client, link };
    core.admit(connection.client.clone());
    core.connect(&connection, options.capabilities, false, |_| None);
    intake::serve(core.clone(), connection.clone(), requests);
    Ok((Client::in_process(connection.clone(), client_end, core.clone()), connection))
}

/// The providers of this build, as of the request `provider.list`.
pub fn provider_list() -> Value {
    providers::built_in()
}

/// What this build is, as of the request `engine.info`.
pub fn info() -> Value {
    let tools: Vec<&str> = crate::tools::list().iter().map(|tool| tool.name().as_str()).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "abi_hash": format!("{:016x}", crate::protocol::abi::abi_hash()),
        "features": [],
        "providers": crate::providers::names().collect::<Vec<_>>(),
        "tools": tools,
        "languages": [],
        "host_methods": HOST_METHODS.iter().map(|(method, _)| *method).collect::<Vec<_>>(),
    })
}
