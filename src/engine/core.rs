//! What all parts of an engine share: clients, sessions, settings, and the services that sessions get.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use futures::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::attachment::Attachment;
use super::commit_message::LastMessage;
use super::configuration;
use super::history::History;
use super::host_editor::HostEditor;
use super::host_relay::HostRelay;
use super::host_requests::HostRequests;
use super::intake::Connection;
use super::journal::Entry;
use super::keeper::Keeper;
use super::keyring::SystemKeyring;
use super::link::{Detached, Link};
use super::modes::{self, Modes};
use super::prompt::StandardPrompt;
use super::provider_cache;
use super::rule_files::RuleFiles;
use super::session_host::{Numbers, SessionHost};
use super::settings::{self, EngineSettings, SessionSettings, SettingsError};
use super::stored::StoredSettings;
use super::surroundings;
use super::texts::{PackedTexts, Packs, wording};
use crate::edit::disk::DiskEditor;
use crate::edit::view::Editor;
use crate::prompt::instructions::locale_of_system;
use crate::prompt::text::Texts;
use crate::protocol::event::{Event, Log, LogLevel, SessionState, SettingsChanged};
use crate::protocol::hello::WelcomeSession;
use crate::protocol::ids::SessionId;
use crate::providers::http::{Client, Http};
use crate::providers::{self, Discretion};
use crate::task::TaskView;
use crate::task::host::{ProviderFactory, SettingsSource, Surroundings, TaskHost};
use crate::task::session::{self, SessionHandle};
use crate::terminal::{Direct, Terminals};
use crate::workspace::watching::{SystemWatch, WatchedFiles};

/// Sessions an engine runs at once.
pub const SESSION_LIMIT: usize = 4096;
/// Things about settings that hosts are told.
const TOLD_LIMIT: usize = 1024;

/// One engine.
pub struct Core {
    /// Distinguishes this engine's session ids from those of earlier engines of the process.
    pub generation: u32,
    /// Keeps what a restart needs, in serve mode.
    pub keeper: Option<Keeper>,
    /// Settings that sessions start from.
    pub settings: Arc<EngineSettings>,
    /// Settings on disk.
    pub stored: StoredSettings,
    /// Questions to hosts that wait.
    pub host_requests: Arc<HostRequests>,
    /// Known tasks.
    pub history: Arc<History>,
    /// Folder of tasks and history.
    pub storage: PathBuf,
    /// Counters.
    pub counters: Counters,
    /// The system's keyring.
    pub keyring: Arc<SystemKeyring>,
    /// Connections to providers, for their counters.
    pub http: Client,
    /// The runtime sessions run on.
    pub runtime: tokio::runtime::Handle,
    numbers: Arc<Numbers>,
    providers: providers::Surroundings,
    packs: Arc<Packs>,
    /// Texts of the engine itself.
    packed: PackedTexts,
    /// Makes providers for raw calls; keeps the last one, and with it its connections and its place in a transcript.
    raw_provider: Arc<ProviderFactory>,
    surroundings: Surroundings,
    /// Custom modes in files.
    pub modes: Modes,
    /// Builds the system prompts of all sessions.
    pub prompt: Arc<StandardPrompt>,
    /// The commit message that was made last.
    pub last_commit_message: LastMessage,
    clients: Mutex<HashMap<u32, Arc<Attachment>>>,
    sessions: Mutex<HashMap<u32, Open>>,
    next_client: AtomicU32,
    next_pair: AtomicU64,
    next_session: AtomicU32,
    closed: AtomicBool,
    /// What hosts were told of settings, once and for all.
    told: Mutex<BTreeSet<String>>,
    /// What the first client is to be told.
    untold: Mutex<Vec<Event>>,
    /// Cancelled by a request to end the process, when the engine has one of its own.
    shutdown: OnceLock<CancellationToken>,
    /// Told whenever a session has ended.
    ended: Notify,
    /// Told whenever a connection came or went.
    connections: Notify,
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
struct Open {
    client: u32,
    shared: bool,
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
        keeper: Option<Keeper>,
        settings: EngineSettings,
        storage: PathBuf,
        home: PathBuf,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Core> {
        let keyring = Arc::new(SystemKeyring::new(storage.join("settings/secrets.json")));
        let client = Client::default();
        let clock = Arc::new(std::time::SystemTime::now);
        let http = Http::new(Arc::new(client.clone()), clock, Arc::new(surroundings::random));
        let environment = surroundings::environment_text();
        Arc::new_cyclic(|me: &Weak<Core>| {
            let core = me.clone();
            let packs = Packs::new(home.clone(), move |message| {
                let Some(core) = core.upgrade().filter(|core| core.tell_once(&message)) else { return };
                core.announce(Event::Log(Log { level: LogLevel::Warning, target: "texts".into(), message }));
            });
            let packed = packs.texts(None);
            let texts = packed.texts().clone();
            let core = me.clone();
            let history = History::new(storage.join("task_history.json"), move |message| {
                let log = Log { level: LogLevel::Error, target: "history".into(), message };
                core.upgrade().iter().for_each(|core| core.announce(Event::Log(log.clone())));
            });
            runtime.spawn(history.clone().keep_saved());
            let core = me.clone();
            let providers = providers::Surroundings {
                keyring: keyring.clone(),
                environment: Arc::new(move |name| environment.get(name).cloned()),
                program_environment: surroundings::environment().into(),
                home: home.clone(),
                storage: storage.clone(),
                tables: Some(storage.join("settings/providers")),
                notify: Arc::new(move |message| {
                    let log = Log { level: LogLevel::Info, target: "provider".into(), message: message.to_owned() };
                    core.upgrade().iter().for_each(|core| core.announce(Event::Log(log.clone())));
                }),
                ..providers::Surroundings::new(http, wording(texts.clone()))
            };
            let core = me.clone();
            let files = RuleFiles::new(home.clone(), storage.clone(), move |message| {
                let log = Log { level: LogLevel::Warning, target: "rules".into(), message };
                core.upgrade().iter().for_each(|core| core.announce(Event::Log(log.clone())));
            });
            let prompt = Arc::new(StandardPrompt {
                files,
                texts: texts.clone(),
                home: home.clone(),
                os: surroundings::operating_system(),
                shells: surroundings::shells(),
                locale: locale_of_system(&surroundings::locale()),
            });
            let surroundings = Surroundings {
                now_ms: Arc::new(surroundings::now_ms),
                new_id: Arc::new(surroundings::new_id),
                home,
                storage: storage.clone(),
                watch: Arc::new(SystemWatch::default()),
                time_zone: surroundings::time_zone(),
                texts,
                environment: surroundings::environment().into(),
                terminals: Arc::new(Terminals::new(Arc::new(Direct::new(surroundings::environment())))),
                providers: provider_cache::cached(providers.clone()),
                prompt: prompt.clone(),
                last_request: Arc::default(),
                history: history.clone(),
                editor: Arc::new(DiskEditor::default()),
            };
            Core {
                generation,
                keeper,
                settings: Arc::new(settings),
                stored: StoredSettings::new(&storage),
                modes: Modes::new(&storage),
                host_requests: Arc::default(),
                history,
                storage,
                counters: Counters::default(),
                keyring,
                http: client,
                runtime,
                numbers: Arc::default(),
                raw_provider: provider_cache::cached(providers.clone()),
                providers,
                packs,
                packed,
                surroundings,
                prompt,
                last_commit_message: LastMessage::default(),
                clients: Mutex::default(),
                sessions: Mutex::default(),
                next_client: AtomicU32::new(1),
                // Grows over restarts too: nobody attaches a million times a second.
                next_pair: AtomicU64::new(surroundings::now_ns() / 1000),
                next_session: AtomicU32::new(1),
                closed: AtomicBool::new(false),
                told: Mutex::default(),
                untold: Mutex::default(),
                shutdown: OnceLock::new(),
                ended: Notify::new(),
                connections: Notify::new(),
                me: me.clone(),
            }
        })
    }

    /// After a restart: numbers beyond those of the engine's earlier run.
    pub fn number_from(&self, numbers: &super::journal::Numbers) {
        self.next_client.store(numbers.client.saturating_add(1), Ordering::Relaxed);
        self.next_session.store(numbers.session.saturating_add(1), Ordering::Relaxed);
        self.numbers.continue_from(numbers.ask, numbers.host_request);
    }

    /// Number for the next client.
    pub fn client_number(&self) -> u32 {
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps an entry for a restart, when one can come.
    pub fn keep<'a>(&self, entry: impl FnOnce() -> Entry<'a>) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(&entry());
        }
    }

    /// Takes in a client.
    pub fn admit(&self, client: Arc<Attachment>) {
        self.clients().insert(client.number, client);
    }

    /// Tells all clients something of the engine itself; when there is none, the first that comes.
    pub fn announce(&self, event: Event) {
        let clients = self.attachments();
        if clients.is_empty() {
            self.untold.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            return;
        }
        clients.iter().for_each(|client| client.channel.send(0, event.clone()));
    }

    /// The engine itself, for what goes on beside a request.
    pub fn me(&self) -> Option<Arc<Core>> {
        self.me.upgrade()
    }

    /// A set of files to be watched.
    pub fn open_watch(&self) -> Box<dyn WatchedFiles> {
        self.surroundings.watch.open()
    }

    /// Whether hosts were told this.
    pub fn told(&self, words: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(words)
    }

    /// Whether hosts are to be told this: the first time. What would be too much to remember is not told.
    pub fn tell_once(&self, words: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_LIMIT && told.insert(words.to_owned())
    }

    /// Connects a client: it gets back its sessions, and from then on what happens in them. `seen` is the last sequence it got
    /// in a session (0: of no session), if it knows.
    pub fn connect(
        &self,
        connection: &Connection,
        capabilities: Vec<String>,
        observes: bool,
        seen: impl Fn(u32) -> Option<u32>,
    ) {
        let Connection { client, link } = connection;
        if let Some(before) = client.connect(link.clone(), capabilities, observes) {
            before.detach(Detached::Replaced);
        }
        client.channel.attach(link.clone(), seen(0), |_| {});
        // Only now: what is sent to a client in this process before it is connected is gone.
        for event in std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner)) {
            client.channel.send(0, event);
        }
        for open in self.open_sessions() {
            if open.client == client.number {
                open.host.attach(link.clone(), seen(open.host.session));
            } else if open.shared && observes {
                open.host.observe(link);
            }
        }
        self.connections.notify_waiters();
    }

    /// A connection is over. In process, and when it went in order, the client is gone for good and its sessions with it; else
    /// they wait for its return.
    pub fn detach(&self, connection: &Connection, why: Detached) {
        let Connection { client, link } = connection;
        link.detach(why);
        client.disconnect(link);
        client.channel.detach(link);
        self.open_sessions().iter().for_each(|open| open.host.channel().detach(link));
        let returns = client.returns() && link.why() != Some(Detached::Left);
        if !returns && client.link().is_none() {
            self.dismiss(client);
        }
        self.connections.notify_waiters();
    }

    /// A client is gone for good: its sessions are aborted.
    pub fn dismiss(&self, client: &Attachment) {
        client.leave();
        self.clients().remove(&client.number);
        self.sessions().values_mut().filter(|open| open.client == client.number).for_each(|open| open.handle = None);
        if client.returns() {
            self.keep(|| Entry::ClientGone { number: client.number });
        }
    }

    /// Number for the next pair of rings.
    pub fn next_pair(&self) -> u64 {
        self.next_pair.fetch_add(1, Ordering::Relaxed)
    }

    /// The sessions that this client owns, and with `observes` those of others that it may see.
    pub fn sessions_of(&self, client: &Attachment, observes: bool) -> Vec<WelcomeSession> {
        let sessions = self.sessions();
        let visible = sessions.iter().filter(|(_, open)| open.client == client.number || (open.shared && observes));
        let named = visible.map(|(number, open)| WelcomeSession {
            session: SessionId::new(self.generation, *number).raw(),
            own: open.client == client.number,
        });
        named.collect()
    }

    /// The client with this id of its own choice.
    pub fn client_by_id(&self, id: &str) -> Option<Arc<Attachment>> {
        self.clients().values().find(|client| client.returns() && client.id == id).cloned()
    }

    /// Makes room for one more client by letting go of one that is not connected and has no sessions. True when there is room.
    pub fn has_room(&self, limit: usize) -> bool {
        if self.client_count() < limit {
            return true;
        }
        let owners: Vec<u32> = self.sessions().values().map(|open| open.client).collect();
        let idle = |client: &Arc<Attachment>| client.link().is_none() && !owners.contains(&client.number);
        let idle = self.attachments().into_iter().filter(idle).min_by_key(|client| client.number);
        idle.inspect(|client| self.dismiss(client)).is_some()
    }

    /// How many clients there are, connected or not.
    pub fn client_count(&self) -> usize {
        self.clients().len()
    }

    /// All clients.
    pub fn attachments(&self) -> Vec<Arc<Attachment>> {
        self.clients().values().cloned().collect()
    }

    /// All connections.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.clients().values().filter_map(|client| client.link()).collect()
    }

    /// Waits until a connection comes or goes; what happens from the call on counts.
    pub fn connection_changes(&self) -> tokio::sync::futures::Notified<'_> {
        self.connections.notified()
    }

    fn open_sessions(&self) -> Vec<Open> {
        self.sessions().values().cloned().collect()
    }

    /// Takes in changed files of modes everywhere, and says so.
    pub fn modes_changed(&self) {
        self.open_sessions().iter().for_each(|open| open.settings.refresh());
        self.announce(Event::SettingsChanged(SettingsChanged { keys: vec!["customModes".into()] }));
    }

    /// Opens a session in `cwd` for a client's `request`, with settings of its own.
    ///
    /// # Errors
    /// A setting of a wrong type.
    pub fn open_session(
        &self,
        client: &Arc<Attachment>,
        request: u64,
        cwd: &Path,
        settings: Map<String, Value>,
    ) -> Result<Session, SettingsError> {
        let settings = settings::Values::from(settings);
        let kept = settings.without_secrets().to_string();
        let workspace = configuration::of_workspace(self, cwd).into();
        let settings = Arc::new(SessionSettings::in_workspace(self.settings.clone(), workspace, settings)?);
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        if client.returns() {
            self.keep(|| Entry::Session {
                number,
                client: client.number,
                shared: client.share,
                cwd: cwd.to_string_lossy(),
                settings: kept.into(),
                request,
            });
        }
        let host = self.session_host(number, client);
        let link = client.link();
        if let Some(link) = &link {
            host.attach(link.clone(), None);
        }
        if client.share {
            let observers = self.attachments();
            let observers = observers.iter().filter(|other| other.number != client.number && other.observes());
            observers.filter_map(|other| other.link()).for_each(|link| host.observe(&link));
        }
        let session = self.run_session(host, client, cwd, settings);
        // A connection that came or went before the session was listed did not find it.
        match client.link() {
            now if now.as_ref().map(Arc::as_ptr) == link.as_ref().map(Arc::as_ptr) => {}
            Some(now) => session.host.attach(now, None),
            None => link.iter().for_each(|gone| session.host.channel().detach(gone)),
        }
        // The client or the engine may have gone while its last requests were read: nobody else would end this session.
        if self.is_closed() || !self.clients().contains_key(&client.number) {
            self.end_session(number);
        }
        Ok(session)
    }

    /// The engine's side of session `number` of a client. What it says is kept for a client that can come back.
    pub fn session_host(&self, number: u32, client: &Arc<Attachment>) -> Arc<SessionHost> {
        let (keeper, numbers) = (client.returns().then(|| self.keeper.clone()).flatten(), self.numbers.clone());
        Arc::new(SessionHost::new(number, client.clone(), keeper, numbers, self.host_requests.clone()))
    }

    /// Runs a session.
    pub fn run_session(
        &self,
        host: Arc<SessionHost>,
        client: &Attachment,
        cwd: &Path,
        settings: Arc<SessionSettings>,
    ) -> Session {
        let number = host.session;
        if let Some(keeper) = client.returns().then(|| self.keeper.clone()).flatten() {
            settings.keep_with(move |own| {
                let settings = own.to_string().into();
                keeper.keep(&Entry::SessionSettings { number, settings });
            });
        }
        let custom = self.modes.of(Some(cwd));
        let (texts, listener) = (self.surroundings.texts.clone(), host.clone());
        let warn = move |files: &[Arc<modes::Loaded>]| {
            for message in files.iter().filter_map(|file| modes::notice(&texts, file)) {
                let log = Log { level: LogLevel::Warning, target: "modes".into(), message };
                listener.channel().send(0, Event::Log(log));
            }
        };
        warn(&custom.faulty());
        let listener = host.clone();
        custom.tell_with(move |changed| {
            let changes = SettingsChanged { keys: vec!["customModes".into()] };
            listener.channel().send(0, Event::SettingsChanged(changes));
            warn(changed);
        });
        settings.with_modes(custom);
        let task_host: Arc<dyn TaskHost> = host.clone();
        let editor: Arc<dyn Editor> = match HostEditor::of(&task_host) {
            Some(editor) => Arc::new(editor),
            None => Arc::new(DiskEditor::default()),
        };
        let relay = Arc::new(HostRelay(task_host.clone()));
        let packed = Arc::new(self.packs.texts(Some(cwd)));
        settings.with_texts(packed.clone());
        let texts = packed.texts().clone();
        let prompt = Arc::new(StandardPrompt { texts: texts.clone(), ..(*self.prompt).clone() });
        let wording = wording(texts.clone());
        let providers = provider_cache::cached(providers::Surroundings { relay, wording, ..self.providers.clone() });
        let surroundings = Surroundings { editor, providers, texts, prompt, ..self.surroundings.clone() };
        let (handle, future) = session::open(task_host, surroundings, settings.clone(), cwd.to_owned());
        let (shared, kept) = (client.share, client.returns());
        let open = Open {
            client: client.number,
            shared,
            host: host.clone(),
            handle: Some(handle.clone()),
            settings: settings.clone(),
        };
        self.sessions().insert(number, open);
        self.counters.sessions.fetch_add(1, Ordering::Relaxed);
        // The second request of a task counts tokens; the model's first answer takes longer than this.
        self.runtime.spawn_blocking(providers::tokens::warm);
        let core = self.me.clone();
        let reporter = host.clone();
        let in_force = settings.clone();
        self.runtime.spawn(async move {
            // A panic in the loop is a bug of ours; it ends this session and nothing else.
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            if let Err(panic) = &outcome {
                let secrets = Discretion::of(&in_force.current());
                reporter.ended(SessionState::Failed, Some(secrets.text(panic_text(&**panic))));
            }
            reporter.closed();
            if let Some(core) = core.upgrade() {
                core.host_requests.withdraw(number);
                core.sessions().remove(&number);
                // One that ends because the engine stops goes on with the next engine.
                if kept && !core.is_closed() {
                    core.keep(|| Entry::SessionEnded { number });
                }
                core.ended.notify_waiters();
            }
        });
        Session { id: SessionId::new(self.generation, number), host, handle, settings }
    }

    /// The session of this id, if it lives and the client may command it.
    pub fn session(&self, id: SessionId, client: &Attachment) -> Option<Session> {
        if id.generation() != self.generation {
            return None;
        }
        self.session_by_number(id.index(), client)
    }

    /// The session of this number, if it lives and the client may command it: its own, or a shared one that it observes.
    pub fn session_by_number(&self, number: u32, client: &Attachment) -> Option<Session> {
        let may = |open: &&Open| open.client == client.number || (open.shared && client.observes());
        let entry = self.sessions().get(&number).filter(may).cloned()?;
        let id = SessionId::new(self.generation, number);
        Some(Session { id, host: entry.host, handle: entry.handle?, settings: entry.settings })
    }

    /// The numbers of the sessions that have this task open.
    pub fn sessions_with(&self, task: &str) -> Vec<u32> {
        let sessions = self.sessions();
        let has = |open: &Open| open.handle.as_ref().is_some_and(|handle| handle.tasks().iter().any(|id| id == task));
        sessions.iter().filter(|(_, open)| has(open)).map(|(number, _)| *number).collect()
    }

    /// Offset of the local time from UTC in minutes.
    pub fn minutes_east(&self) -> i32 {
        self.surroundings.time_zone.1
    }

    /// Lets go of a session, which aborts and ends.
    pub fn end_session(&self, number: u32) {
        if let Some(entry) = self.sessions().get_mut(&number) {
            entry.handle = None;
        }
    }

    /// The task of this id, if a session has it.
    pub fn running(&self, task: &str) -> Option<TaskView> {
        self.sessions().values().filter_map(|open| open.handle.clone()).find_map(|handle| handle.task(task))
    }

    /// The user's home directory.
    pub fn home(&self) -> &Path {
        &self.surroundings.home
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

    /// What providers get from the engine.
    pub fn provider_surroundings(&self) -> &providers::Surroundings {
        &self.providers
    }

    /// The engine's texts, with the user's pack as it is now.
    pub fn texts(&self) -> &Texts {
        self.packed.refresh(&self.settings.current());
        self.packed.texts()
    }

    /// The texts of a workspace, or without one the engine's, with the packs that are in force there.
    pub fn texts_in<'a>(&self, cwd: impl Into<Option<&'a Path>>) -> Arc<Texts> {
        let Some(cwd) = cwd.into() else {
            self.packed.refresh(&self.settings.current());
            return self.packed.texts().clone();
        };
        let packed = self.packs.texts(Some(cwd));
        packed.refresh(&self.settings.current());
        packed.texts().clone()
    }

    /// What this build is, and the user's text pack in force.
    pub fn info(&self) -> Value {
        self.packed.refresh(&self.settings.current());
        let mut info = super::info();
        info["text_pack"] = self.packed.shown();
        info
    }

    /// Sets what a request to end the process cancels: the engine has the process for itself.
    pub fn on_shutdown(&self, token: CancellationToken) {
        // Set once, when the server opens.
        let _ = self.shutdown.set(token);
    }

    /// Whether the process is the engine's own, so that a client may end it.
    pub fn owns_process(&self) -> bool {
        self.shutdown.get().is_some()
    }

    /// Ends the process in order.
    pub fn shut_down(&self) {
        self.shutdown.get().inspect(|token| token.cancel());
    }

    /// Whether the engine was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes no more requests and lets go of all sessions, which abort; waits until they have ended.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.keeper.iter().for_each(Keeper::freeze);
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

    fn clients(&self) -> MutexGuard<'_, HashMap<u32, Arc<Attachment>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Open>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("internal error: {}", said.unwrap_or_else(|| "panic".into()))
}
