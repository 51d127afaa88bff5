//! An engine in a process of its own (ring §8): one a user, found by its socket, with any number of clients attached through
//! shared memory, and a journal from which the next engine goes on when this one is killed.
//!
//! - `accept`: who comes in; `json`: requests and events as lines of JSON for programs without shared memory
//!
//! Must not: read the environment or the command line (the command line tool does), or keep anything in memory only that a
//! client was told.

mod accept;
mod json;

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::journal::{Entry, Journal, JournalError, Report};
pub use super::keeper::DetachedPolicy;
use super::keeper::Keeper;
use super::options::{EngineOptions, OpenError};
use super::{Engine, recover, surroundings};
use crate::protocol::event::{Event, Log, LogLevel};
use crate::protocol::ids::GENERATION_MAX;
use crate::transport::attach::{InstanceLock, Listener, PlaceError};

/// Name of the socket in the runtime folder.
pub const SOCKET: &str = "engine.sock";
/// Name of the lock in the runtime folder: who holds it is the engine.
pub const LOCK: &str = "engine.lock";
/// Name of the lock beside it: who holds it is the standby.
pub const STANDBY_LOCK: &str = "standby.lock";
/// Name of the socket for lines of JSON.
pub const JSON_SOCKET: &str = "json.sock";
/// Folder of the journal in the storage folder.
const JOURNAL: &str = "serve";
/// How long a spare may take to read its settings.
const SPARE_LIMIT: Duration = Duration::from_secs(5);
/// How long sessions may take to end in order.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A program to start as the engine that takes over when this one dies.
#[derive(Clone)]
pub struct Spare {
    /// Program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<std::ffi::OsString>,
    /// The settings it reads from its standard input. They may hold keys.
    pub settings: Map<String, Value>,
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spare { program, arguments, settings: _ } = self;
        f.debug_struct("Spare").field("program", program).field("arguments", arguments).finish_non_exhaustive()
    }
}

/// Options of a server.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// Options of the engine.
    pub engine: EngineOptions,
    /// Folder of socket and lock; absent: `lapce-ai` in the user's runtime folder.
    pub runtime_dir: Option<PathBuf>,
    /// A socket that listens already (socket activation).
    pub listener: Option<OwnedFd>,
    /// Go on with what the engine before left; else begin anew.
    pub resume: bool,
    /// Wait until the engine that runs now is gone.
    pub standby: bool,
    /// Keep a process waiting that takes over.
    pub spare: Option<Spare>,
    /// End when no client has been attached for this long.
    pub exit_when_unused: Option<Duration>,
    /// What becomes of sessions whose client died.
    pub detached: DetachedPolicy,
    /// Also listen for lines of JSON, at this socket.
    pub json: Option<PathBuf>,
}

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another engine runs for this user.
    #[error("an engine runs already: {0} is locked")]
    Running(PathBuf),
    /// A standby whose engine ended in order.
    #[error("the engine that this one waited for has ended in order")]
    NotNeeded,
    /// The engine cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The socket cannot be used, or is not safe to use.
    #[error(transparent)]
    Socket(#[from] PlaceError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The operating system refused.
    #[error("{what}: {cause}")]
    System {
        /// What was asked of it.
        what: String,
        /// What it said.
        cause: io::Error,
    },
}

/// A server that clients can connect to.
pub struct Server {
    engine: Engine,
    listener: Listener,
    json: Option<Listener>,
    exit_when_unused: Option<Duration>,
    spare: Option<Spare>,
    socket: PathBuf,
    /// Held until the process ends.
    locks: [InstanceLock; 2],
}

impl Server {
    /// Takes the lock, reads the journal, brings its sessions back, and listens. As a standby, waits for the lock first.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn open(options: ServeOptions) -> Result<Server, ServeError> {
        let runtime_dir = options.runtime_dir.clone().unwrap_or_else(surroundings::default_runtime_dir);
        // One waits, not one more after every kill that somebody else's engine was quicker to follow.
        let reserve = options.standby.then(|| lock(&runtime_dir.join(STANDBY_LOCK), false)).transpose()?;
        let instance = lock(&runtime_dir.join(LOCK), options.standby)?;
        drop(reserve);
        let home = options.engine.home.clone().unwrap_or_else(surroundings::home);
        let storage = options.engine.storage.clone().unwrap_or_else(|| surroundings::default_storage(&home));
        let folder = storage.join(JOURNAL);
        // Another runtime folder may have the same storage; the journal has one writer.
        let journal_lock = lock(&folder.join("lock"), options.standby)?;
        if !options.resume {
            Journal::discard(&folder)?;
        }
        let (journal, state, report) = Journal::open(&folder)?;
        let generation = match state.generation {
            0 => 1 + (surroundings::random() * f64::from(GENERATION_MAX - 1)) as u32,
            known => known,
        };
        let engine = Engine::open_with(options.engine, generation, |runtime| {
            Some(Keeper::new(journal, runtime, options.detached))
        })?;
        let core = engine.core.clone();
        core.keep(|| Entry::Engine { generation });
        warn_of_failures(&core);
        let entered = core.runtime.clone();
        let _entered = entered.enter();
        recover::restore(&core, state);
        tell_of(&core, &report);
        let socket = runtime_dir.join(SOCKET);
        let listener = match options.listener {
            Some(given) => Listener::from_fd(given).map_err(|cause| {
                let what = "use the socket given to listen on".to_owned();
                ServeError::System { what, cause }
            })?,
            None => Listener::bind(&socket)?,
        };
        let json = options.json.as_deref().map(Listener::bind).transpose()?;
        let (exit_when_unused, spare) = (options.exit_when_unused, options.spare);
        Ok(Server { engine, listener, json, exit_when_unused, spare, socket, locks: [instance, journal_lock] })
    }

    /// The socket that clients connect to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Serves until `stop` is ready, a client asks for the end, or nobody has been attached for long enough; then ends in
    /// order. Sessions that still live are gone on with by the next engine that resumes.
    ///
    /// # Errors
    /// The spare process cannot be started.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { engine, listener, json, exit_when_unused, spare, .. } = &self;
        let core = engine.core.clone();
        let mut spare = spare.as_ref().map(start_spare).transpose()?;
        let asked = CancellationToken::new();
        core.on_shutdown(asked.clone());
        core.runtime.clone().block_on(async {
            tokio::select! {
                // What ends it is watched before the first client is let in, who may ask for the end at once.
                biased;
                () = stop => {}
                () = asked.cancelled() => {}
                () = unused(&core, *exit_when_unused) => {}
                () = accept::run(&core, listener) => {}
                () = json::run(&core, json.as_ref()) => {}
            }
        });
        if let Some(spare) = &mut spare {
            // Nobody is to take over after an end in order; if it is gone already, so much the better.
            let _ = spare.kill();
            let _ = spare.wait();
        }
        engine.close(CLOSE_LIMIT);
        // A standby that somebody else started would take over all the same; where this cannot be written, it does.
        let _ = self.locks[0].retire();
        Ok(())
    }
}

fn lock(path: &Path, wait: bool) -> Result<InstanceLock, ServeError> {
    let system = |cause| ServeError::System { what: format!("lock {}", path.display()), cause };
    if wait {
        return InstanceLock::acquire(path).map_err(system)?.ok_or(ServeError::NotNeeded);
    }
    InstanceLock::try_acquire(path).map_err(system)?.ok_or_else(|| ServeError::Running(path.to_owned()))
}

fn start_spare(spare: &Spare) -> Result<Child, ServeError> {
    let start = || -> io::Result<Child> {
        // A socket: to write when nobody reads is an error and never a signal.
        let (mut settings, stdin) = UnixStream::pair()?;
        let mut command = Command::new(&spare.program);
        command.args(&spare.arguments).stdin(OwnedFd::from(stdin)).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        drop(command);
        settings.set_write_timeout(Some(SPARE_LIMIT))?;
        // One that does not take them ends for want of them.
        let _ = settings.write_all(&serde_json::to_vec(&spare.settings)?);
        Ok(child)
    };
    start().map_err(|cause| ServeError::System { what: format!("start {}", spare.program.display()), cause })
}

/// Waits until no client has been attached for `limit`; for ever without one.
async fn unused(core: &Core, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let changed = core.connection_changes();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if !core.links().is_empty() {
            changed.await;
            continue;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(limit) => return,
        }
    }
}

/// Clients are told when the journal cannot be written any more: only a crash would lose it, but they should know.
fn warn_of_failures(core: &Arc<Core>) {
    let Some(keeper) = &core.keeper else { return };
    let weak = Arc::downgrade(core);
    keeper.on_failure(move |error| {
        let (weak, message) = (weak.clone(), error.to_string());
        let Some(core) = weak.upgrade() else { return };
        // Not from here: whoever appended may hold what sending needs.
        core.runtime.clone().spawn(async move { log(&core, LogLevel::Error, message) });
    });
}

fn tell_of(core: &Core, report: &Report) {
    if report.cut > 0 {
        log(core, LogLevel::Warning, format!("the journal ended in {} damaged bytes, which were cut off", report.cut));
    }
    if let Some(aside) = &report.set_aside {
        let aside = aside.display();
        log(core, LogLevel::Error, format!("the journal was damaged and is kept as {aside}; sessions begin anew"));
    }
}

/// Tells all clients, or the first that comes.
fn log(core: &Core, level: LogLevel, message: String) {
    core.announce(Event::Log(Log { level, target: "journal".into(), message }));
}

#[cfg(test)]
mod tests {
    use rkyv::util::AlignedVec;

    use super::*;
    use crate::protocol::hello::{Hello, RingSizes};
    use crate::protocol::request::Request;
    use crate::transport::attach::connect;
    use crate::transport::{ClientEnd, RecordHead, TransportError, Waited};

    fn hello(seen_own: Option<u32>) -> Hello {
        Hello {
            client: "0123456789abcdef0123456789abcdef".into(),
            name: "test".into(),
            number: 0,
            capabilities: Vec::new(),
            share: false,
            observe: false,
            events: RingSizes { slots: 64, bytes: 1 << 16 },
            requests: RingSizes { slots: 64, bytes: 1 << 16 },
            seen: Vec::new(),
            seen_own,
        }
    }

    fn submit(end: &ClientEnd, id: u64, json: &str) {
        let request = Request::from_json(json).unwrap();
        let mut body = vec![0; request.encoded_upper_bound()];
        let len = request.encode_into(&mut body).unwrap();
        let head = RecordHead { kind: request.kind().number(), correlation: id, ..RecordHead::default() };
        end.requests.submit(head, &body[..len]).unwrap();
    }

    /// The next event: its number and what it answers.
    fn next(end: &mut ClientEnd) -> Result<(u32, u64), TransportError> {
        let mut body = AlignedVec::new();
        loop {
            match end.events.receive(&mut body)? {
                Some(head) => return Ok((head.session_sequence, head.correlation)),
                None => drop(end.events.wait(Some(Duration::from_secs(60)), Duration::ZERO)),
            }
        }
    }

    fn serve(root: &Path, resume: bool) -> (PathBuf, std::thread::JoinHandle<()>) {
        let engine = EngineOptions {
            storage: Some(root.join("storage")),
            home: Some(root.to_owned()),
            ..EngineOptions::default()
        };
        let options = ServeOptions { engine, runtime_dir: Some(root.join("run")), resume, ..ServeOptions::default() };
        let server = Server::open(options).unwrap();
        let socket = server.socket().to_owned();
        (socket, std::thread::spawn(move || server.run(std::future::pending()).unwrap()))
    }

    #[test]
    fn a_client_that_comes_back_gets_what_it_had_not_released_under_the_same_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let limit = Duration::from_secs(60);
        let (socket, server) = serve(&root, true);
        let mut first = connect(&socket, &hello(None), 0, limit).unwrap();
        for id in 1..=2 {
            submit(&first.end, id, r#"{"type":"engine.info"}"#);
            assert_eq!(next(&mut first.end).unwrap(), (id as u32, id));
        }
        // The third is there and not released: what was released may be forgotten.
        submit(&first.end, 3, r#"{"type":"engine.info"}"#);
        assert_eq!(first.end.events.wait(Some(limit), Duration::ZERO), Waited::Ready);
        // A second connection takes the place of the first.
        let mut second = connect(&socket, &hello(Some(2)), 0, limit).unwrap();
        assert_eq!(second.welcome.number, first.welcome.number);
        assert_eq!(next(&mut second.end).unwrap(), (3, 3));
        assert_eq!(next(&mut first.end).unwrap(), (3, 3));
        assert!(matches!(next(&mut first.end), Err(TransportError::Closed { .. })));
        // A request sent again is not carried out again.
        submit(&second.end, 2, r#"{"type":"engine.info"}"#);
        submit(&second.end, 4, r#"{"type":"engine.shutdown"}"#);
        assert_eq!(next(&mut second.end).unwrap(), (4, 4));
        server.join().unwrap();

        let (socket, server) = serve(&root, true);
        let mut third = connect(&socket, &hello(Some(3)), 0, limit).unwrap();
        assert_eq!(
            (third.welcome.number, third.welcome.engine_generation),
            (first.welcome.number, first.welcome.engine_generation)
        );
        assert_eq!(next(&mut third.end).unwrap(), (4, 4));
        submit(&third.end, 5, r#"{"type":"engine.shutdown"}"#);
        assert_eq!(next(&mut third.end).unwrap(), (5, 5));
        server.join().unwrap();
    }
}
