//! What all parts of an engine share: clients, sessions, settings, and the services that sessions get.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::history::History;
use super::host_editor::HostEditor;
use super::host_requests::HostRequests;
use super::link::Link;
use super::prompt::StandardPrompt;
use super::provider_cache;
use super::session_host::{Numbers, SessionHost};
use super::settings::{EngineSettings, SessionSettings, SettingsError};
use super::surroundings;
use crate::edit::disk::DiskEditor;
use crate::edit::view::Editor;
use crate::prompt::text::Texts;
use crate::protocol::event::SessionState;
use crate::protocol::ids::SessionId;
use crate::providers::{self, Wording};
use crate::task::host::{ProviderFactory, Surroundings, TaskHost};
use crate::task::session::{self, SessionHandle};
use crate::terminal::{Direct, Terminals};

/// Sessions an engine runs at once.
pub const SESSION_LIMIT: usize = 4096;

/// One engine.
pub struct Core {
    /// Distinguishes this engine's session ids from those of earlier engines of the process.
    pub generation: u32,
    /// Settings that sessions start from.
    pub settings: Arc<EngineSettings>,
    /// Questions to hosts that wait.
    pub host_requests: Arc<HostRequests>,
    /// Known tasks.
    pub history: Arc<History>,
    /// Folder of tasks and history.
    pub storage: PathBuf,
    /// Counters.
    pub counters: Counters,
    /// The runtime sessions run on.
    pub runtime: tokio::runtime::Handle,
    numbers: Arc<Numbers>,
    providers: providers::Surroundings,
    /// Makes providers for raw calls; keeps the last one, and with it its connections and its place in a transcript.
    raw_provider: Arc<ProviderFactory>,
    surroundings: Surroundings,
    clients: Mutex<HashMap<u32, Arc<Link>>>,
    sessions: Mutex<HashMap<u32, Entry>>,
    next_client: AtomicU32,
    next_session: AtomicU32,
    closed: AtomicBool,
    /// Told whenever a session has ended.
    ended: Notify,
    me: Weak<Core>,
}

/// Counters since the engine was opened.
#[derive(Default)]
pub struct Counters {
    /// Requests received.
    pub requests: AtomicU64,
    /// Requests that failed.
    pub failed: AtomicU64,
    /// Sessions opened.
    pub sessions: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    client: u32,
    host: Arc<SessionHost>,
    /// Taken when the session is to end: it aborts when its last handle is dropped.
    handle: Option<SessionHandle>,
    settings: Arc<SessionSettings>,
}

/// A session, while it lives.
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Towards its client.
    pub host: Arc<SessionHost>,
    /// Commands it.
    pub handle: SessionHandle,
    /// What differs from the engine's settings.
    pub settings: Arc<SessionSettings>,
}

impl Core {
    /// An engine without clients.
    pub fn new(
        generation: u32,
        settings: EngineSettings,
        storage: PathBuf,
        home: PathBuf,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Core> {
        let texts = Texts::builtin();
        let words = texts.clone();
        let wording: Wording = Arc::new(move |id, variables| {
            words.render(id, variables.iter().copied().collect::<std::collections::BTreeMap<_, _>>())
        });
        let http = providers::http::Http {
            transport: Arc::new(providers::http::Client::default()),
            now: Arc::new(std::time::SystemTime::now),
            random: Arc::new(surroundings::random),
        };
        let providers = providers::Surroundings { http, wording };
        let history = History::new(storage.join("task_history.json"));
        runtime.spawn(history.clone().keep_saved());
        let surroundings = Surroundings {
            now_ms: Arc::new(surroundings::now_ms),
            new_id: Arc::new(surroundings::new_id),
            home: home.clone(),
            storage: storage.clone(),
            time_zone: surroundings::time_zone(),
            texts: texts.clone(),
            terminals: Arc::new(Terminals::new(Arc::new(Direct::new(surroundings::environment())))),
            providers: provider_cache::cached(providers.clone()),
            prompt: Arc::new(StandardPrompt {
                texts,
                home,
                os: surroundings::operating_system(),
                shell: surroundings::shell(),
            }),
            last_request: Arc::default(),
            history: history.clone(),
            editor: Arc::new(DiskEditor::default()),
        };
        Arc::new_cyclic(|me| Core {
            generation,
            settings: Arc::new(settings),
            host_requests: Arc::default(),
            history,
            storage,
            counters: Counters::default(),
            runtime,
            numbers: Arc::default(),
            raw_provider: provider_cache::cached(providers.clone()),
            providers,
            surroundings,
            clients: Mutex::default(),
            sessions: Mutex::default(),
            next_client: AtomicU32::new(1),
            next_session: AtomicU32::new(1),
            closed: AtomicBool::new(false),
            ended: Notify::new(),
            me: me.clone(),
        })
    }

    /// Number for the next client.
    pub fn client_number(&self) -> u32 {
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    /// Attaches a client.
    pub fn attach(&self, link: Arc<Link>) {
        self.clients().insert(link.client, link);
    }

    /// Detaches a client: its sessions are aborted.
    pub fn detach(&self, client: u32) {
        if let Some(link) = self.clients().remove(&client) {
            link.detach();
        }
        self.sessions().values_mut().filter(|entry| entry.client == client).for_each(|entry| entry.handle = None);
    }

    /// How many clients are attached.
    pub fn client_count(&self) -> usize {
        self.clients().len()
    }

    /// All clients.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.clients().values().cloned().collect()
    }

    /// Opens a session in `cwd` for a client, with settings of its own.
    ///
    /// # Errors
    /// A setting of a wrong type.
    pub fn open_session(
        &self,
        link: &Arc<Link>,
        cwd: &Path,
        settings: Map<String, Value>,
    ) -> Result<Session, SettingsError> {
        let settings = Arc::new(SessionSettings::new(self.settings.clone(), settings)?);
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        let host = Arc::new(SessionHost::new(number, link.clone(), self.numbers.clone(), self.host_requests.clone()));
        let task_host: Arc<dyn TaskHost> = host.clone();
        let editor: Arc<dyn Editor> = match HostEditor::of(&task_host) {
            Some(editor) => Arc::new(editor),
            None => Arc::new(DiskEditor::default()),
        };
        let providers = provider_cache::cached(self.providers.clone());
        let surroundings = Surroundings { editor, providers, ..self.surroundings.clone() };
        let (handle, future) = session::open(task_host, surroundings, settings.clone(), cwd.to_owned());
        let entry =
            Entry { client: link.client, host: host.clone(), handle: Some(handle.clone()), settings: settings.clone() };
        self.sessions().insert(number, entry);
        // The client or the engine may have gone while its last requests were read: nobody else would end this session.
        if self.is_closed() || !self.clients().contains_key(&link.client) {
            self.end_session(number);
        }
        self.counters.sessions.fetch_add(1, Ordering::Relaxed);
        // The second request of a task counts tokens; the model's first answer takes longer than this.
        self.runtime.spawn_blocking(providers::tokens::warm);
        let core = self.me.clone();
        let reporter = host.clone();
        self.runtime.spawn(async move {
            // A panic in the loop is a bug of ours; it ends this session and nothing else.
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            if let Err(panic) = &outcome {
                reporter.ended(SessionState::Failed, Some(panic_text(&**panic)));
            }
            if let Some(core) = core.upgrade() {
                core.host_requests.withdraw(number);
                core.sessions().remove(&number);
                core.ended.notify_waiters();
            }
        });
        Ok(Session { id: SessionId::new(self.generation, number), host, handle, settings })
    }

    /// The session of this id, if it lives and belongs to the client.
    pub fn session(&self, id: SessionId, client: u32) -> Option<Session> {
        if id.generation() != self.generation {
            return None;
        }
        self.session_by_number(id.index(), client)
    }

    /// The session of this number, if it lives and belongs to the client.
    pub fn session_by_number(&self, number: u32, client: u32) -> Option<Session> {
        let entry = self.sessions().get(&number).filter(|entry| entry.client == client).cloned()?;
        let id = SessionId::new(self.generation, number);
        Some(Session { id, host: entry.host, handle: entry.handle?, settings: entry.settings })
    }

    /// Lets go of a session, which aborts and ends.
    pub fn end_session(&self, number: u32) {
        if let Some(entry) = self.sessions().get_mut(&number) {
            entry.handle = None;
        }
    }

    /// How many sessions live.
    pub fn session_count(&self) -> usize {
        self.sessions().len()
    }

    /// A provider for raw calls, by the engine's settings with `changes`.
    ///
    /// # Errors
    /// What the provider lacks.
    pub fn provider(
        &self,
        settings: &crate::settings::Settings,
    ) -> Result<Arc<dyn providers::Provider>, providers::ProviderError> {
        (self.raw_provider)(settings)
    }

    /// Whether the engine was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes no more requests and lets go of all sessions, which abort; waits until they have ended.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.surroundings.terminals.abort_all();
        self.sessions().values_mut().for_each(|entry| entry.handle = None);
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.sessions().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u32, Arc<Link>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("internal error: {}", said.unwrap_or_else(|| "panic".into()))
}
