//! A session with a scripted model and a host that answers by rule, whose notes and files are copied at every note.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use lapce_ai::edit::disk::DiskEditor;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{ApiMessage, Ask, AskResponse, MessageContent, Role, UiKind, UiMessage};
use lapce_ai::providers::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Usage};
use lapce_ai::settings::Settings;
use lapce_ai::task::history::HistoryItem;
use lapce_ai::task::host::{
    HostRequestError, PromptRequest, SettingsSource, Surroundings, SystemPrompt, TaskEvent, TaskHistory, TaskHost,
};
use lapce_ai::task::recovery::{Note, Progress};
use lapce_ai::task::session::{self, Command};
use lapce_ai::terminal::{Direct, Terminals};
use lapce_ai::workspace::watching::{Watch, WatchedFiles};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Time in which a run must have come to its end.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a model says at its turns, by the text of the task.
#[derive(Default)]
pub struct Script {
    pub name: &'static str,
    pub files: &'static [(&'static str, &'static str)],
    pub tasks: Vec<(&'static str, Vec<Turn>)>,
    /// Settings of its own.
    pub settings: Value,
    /// The provider fails until the user has agreed to try again.
    pub fails_once: bool,
    /// The first task is stored with its first turn, and opened.
    pub stored: bool,
}

/// One answer, and by what one sees that its call was carried out.
#[derive(Clone)]
pub struct Turn {
    text: String,
    effect: Option<(String, String)>,
}

pub fn turn(text: &str) -> Turn {
    Turn { text: text.to_owned(), effect: None }
}

impl Turn {
    /// The call leaves this text in this file.
    pub fn with_effect(self, path: &str, content: &str) -> Turn {
        Turn { effect: Some((path.to_owned(), content.to_owned())), ..self }
    }

    fn took_effect(&self, workspace: &Path) -> bool {
        let Some((path, content)) = &self.effect else { return true };
        std::fs::read_to_string(workspace.join(path)).is_ok_and(|text| text.contains(content))
    }
}

/// A moment of a run: its notes, its events, and the files as they were.
pub struct Cut {
    pub number: usize,
    pub last: Vec<u8>,
    known: Known,
    mode: String,
    files: Tree,
}

impl Cut {
    /// Whether a question waits.
    pub fn waits(&self) -> bool {
        let mut progress = Progress::default();
        self.known.notes.iter().for_each(|note| progress.apply(note));
        progress.waiting().next().is_some()
    }
}

/// How a run ended.
pub struct Ended {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub ui: Vec<UiMessage>,
    pub api: Vec<ApiMessage>,
    /// The messages as the host knows them.
    pub shown: Vec<UiMessage>,
    /// Questions that are open at the host.
    pub open: BTreeSet<i64>,
    pub waiting: Option<Ask>,
    pub mode: String,
    /// A call was cut off, or a request sent again.
    pub cut_off: bool,
}

/// What the host knows.
#[derive(Clone, Default)]
struct Shown {
    messages: BTreeMap<String, BTreeMap<i64, UiMessage>>,
    open: BTreeSet<i64>,
}

/// Files and folders below a root.
type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

pub struct World {
    root: PathBuf,
    shared: Arc<Shared>,
    early: bool,
    _folder: tempfile::TempDir,
}

/// What outlives a session.
struct Shared {
    tasks: Vec<(String, Vec<Turn>)>,
    workspace: PathBuf,
    texts: Arc<Texts>,
    settings: Mutex<Arc<Settings>>,
    first: Settings,
    history: Mutex<Vec<HistoryItem>>,
    clock: AtomicI64,
    ids: AtomicUsize,
    files: Vec<(&'static str, &'static str)>,
    fails_once: bool,
    stored: bool,
}

impl World {
    pub fn new(script: &Script, settings: &Value) -> World {
        // In memory where there is such a place: what is written is flushed each time.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let root = folder.path().canonicalize().unwrap().join("root");
        let mut all = json!({
            "apiProvider": "openai", "writeDelayMs": 0, "enableCheckpoints": false, "alwaysAllowReadOnly": false, "alwaysAllowWrite": false,
            "alwaysAllowExecute": false, "alwaysAllowModeSwitch": false, "alwaysAllowSubtasks": false,
            "alwaysAllowUpdateTodoList": false, "alwaysAllowFollowupQuestions": false, "deniedCommands": [],
        });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let first: Settings = serde_json::from_value(all).unwrap();
        let shared = Shared {
            tasks: script.tasks.iter().map(|(task, turns)| ((*task).to_owned(), turns.clone())).collect(),
            workspace: root.join("workspace"),
            texts: Texts::builtin(),
            settings: Mutex::new(Arc::new(first.clone())),
            first,
            history: Mutex::default(),
            clock: AtomicI64::new(1_700_000_000_000),
            ids: AtomicUsize::new(0),
            files: script.files.to_vec(),
            fails_once: script.fails_once,
            stored: script.stored,
        };
        World { root, shared: Arc::new(shared), early: false, _folder: folder }
    }

    /// Runs the script from its beginning to its end.
    pub fn run_whole(&mut self) -> (Ended, Vec<Cut>) {
        let mut files = Tree::new();
        files.insert("workspace".into(), None);
        for (path, content) in &self.shared.files {
            files.insert(Path::new("workspace").join(path), Some(content.as_bytes().to_vec()));
        }
        if self.shared.stored {
            self.shared.store(&mut files);
        }
        set_tree(&self.root, &files);
        *self.shared.settings.lock().unwrap() = Arc::new(self.shared.first.clone());
        let start = self.shared.first_command();
        self.run(start, Known::default(), true)
    }

    /// Goes on from a cut.
    pub fn run_from(&mut self, cut: &Cut) -> Ended {
        self.go_on(cut, false).0
    }

    /// Goes on from a cut as if it had been tried so often in vain.
    pub fn run_after_restores(&mut self, cut: &Cut, restores: usize) -> Ended {
        let mut known = cut.known.clone();
        known.notes.extend(std::iter::repeat_n(Note::Restored.to_bytes(), restores));
        self.run_from(&Cut { known, last: Vec::new(), files: cut.files.clone(), mode: cut.mode.clone(), ..*cut })
    }

    /// Goes on from a cut at which a question waits, and answers it at once.
    pub fn run_with_early_answer(&mut self, cut: &Cut) -> Ended {
        self.early = true;
        let ended = self.run_from(cut);
        self.early = false;
        ended
    }

    /// The cuts of a run that goes on from a cut.
    pub fn cuts_from(&mut self, cut: &Cut) -> Vec<Cut> {
        self.go_on(cut, true).1
    }

    fn go_on(&mut self, cut: &Cut, record: bool) -> (Ended, Vec<Cut>) {
        set_tree(&self.root, &cut.files);
        let settings = Settings { mode: cut.mode.clone(), ..self.shared.first.clone() };
        *self.shared.settings.lock().unwrap() = Arc::new(settings);
        let mut progress = Progress::default();
        cut.known.notes.iter().for_each(|note| progress.apply(note));
        let shown = cut.known.shown.clone();
        // Half of the runs go on from a snapshot.
        let notes = if cut.number.is_multiple_of(2) { progress.notes() } else { cut.known.notes.clone() };
        let mut known = Progress::default();
        notes.iter().for_each(|note| known.apply(note));
        assert_eq!(known, progress);
        let known = Known { notes, shown, cut_off: cut.known.cut_off };
        let command = match progress.is_idle() {
            false => Command::Restore(Box::new(progress)),
            true => self.shared.first_command(),
        };
        self.run(command, known, record)
    }

    fn run(&mut self, command: Command, known: Known, record: bool) -> (Ended, Vec<Cut>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (asks, opened) = mpsc::unbounded_channel();
        let host = Arc::new(Host {
            shared: self.shared.clone(),
            root: self.root.clone(),
            state: Mutex::new(Recorded { known, cuts: Vec::new() }),
            record,
            asks,
        });
        let ended = runtime.block_on(async {
            tokio::time::timeout(DEADLINE, self.play(host.clone(), command, opened)).await.unwrap_or_else(|_| {
                let state = host.state.lock().unwrap();
                let notes: Vec<_> =
                    state.known.notes.iter().rev().take(12).map(|n| String::from_utf8_lossy(n)).collect();
                panic!("it does not end; last notes: {notes:#?}")
            })
        });
        drop(runtime);
        let cuts = std::mem::take(&mut host.state.lock().unwrap().cuts);
        (ended, cuts)
    }

    async fn play(
        &self,
        host: Arc<Host>,
        command: Command,
        mut opened: mpsc::UnboundedReceiver<(String, UiMessage)>,
    ) -> Ended {
        let shared = &self.shared;
        let (handle, future) = session::open(
            host.clone(),
            self.surroundings(),
            Arc::new(Source(shared.clone())),
            shared.workspace.clone(),
        );
        let session = tokio::spawn(future);
        let early = match &command {
            Command::Restore(progress) if self.early => progress.waiting().last().map(|(_, ts)| ts),
            _ => None,
        };
        let restored = handle.submit(command).unwrap();
        if let Some(ask) = early {
            let (response, images) = (AskResponse::Yes, Vec::new());
            let answer = Command::Respond { ask: Some(ask), response, text: None, images };
            handle.call(answer).await.expect("it is taken");
        }
        restored.await.unwrap().unwrap();
        let waiting = loop {
            let (task, message) = opened.recv().await.unwrap();
            let UiKind::Ask(ask) = message.kind else { continue };
            let is_root = handle.current().is_some_and(|view| view.snapshot().parent.is_none() && view.id() == task);
            let text = message.text.as_deref().unwrap_or("");
            let (response, words) = match ask {
                Ask::CompletionResult if is_root => break Some(ask),
                Ask::CommandOutput => continue,
                Ask::Followup => {
                    let empty = handle.current().is_some_and(|view| view.snapshot().queue.is_empty());
                    if text.contains("Queue?") && empty {
                        let queue = Command::Queue { text: "queued words".into(), images: Vec::new() };
                        handle.call(queue).await.unwrap();
                    }
                    (AskResponse::Message, Some("blue"))
                }
                Ask::ApiReqFailed => {
                    std::fs::write(shared.workspace.join("repaired"), "").unwrap();
                    (AskResponse::Yes, None)
                }
                Ask::AutoApprovalMaxReqReached => (AskResponse::Yes, None),
                Ask::MistakeLimitReached => (AskResponse::Message, Some("like this")),
                Ask::ResumeTask if shared.stored => (AskResponse::Message, Some("go on")),
                Ask::Tool if text.contains("cancel.txt") => {
                    let _ = handle.call(Command::Cancel).await;
                    continue;
                }
                Ask::Tool if text.contains("secret.txt") => (AskResponse::Message, Some("not that one")),
                Ask::Tool if text.contains("rejected too") => (AskResponse::No, None),
                Ask::Tool | Ask::Command => (AskResponse::Yes, None),
                other => break Some(other),
            };
            let (text, images) = (words.map(str::to_owned), Vec::new());
            // A question that was closed meanwhile needs no answer.
            let _ = handle.call(Command::Respond { ask: Some(message.ts), response, text, images }).await;
        };
        let snapshot = handle.current().map(|view| view.snapshot()).unwrap();
        let Known { shown, cut_off, .. } = host.state.lock().unwrap().known.clone();
        session.abort();
        let _ = session.await;
        let files = tree(&shared.workspace).into_iter().filter_map(|(path, content)| Some((path, content?))).collect();
        Ended {
            files,
            shown: shown.messages.get(&snapshot.id).map(|all| all.values().cloned().collect()).unwrap_or_default(),
            ui: snapshot.ui,
            api: snapshot.api,
            open: shown.open,
            waiting,
            mode: shared.settings.lock().unwrap().mode.clone(),
            cut_off,
        }
    }

    fn surroundings(&self) -> Surroundings {
        let (clock, ids, provider) = (self.shared.clone(), self.shared.clone(), self.shared.clone());
        let provider = Arc::new(Scripted(provider));
        Surroundings {
            now_ms: Arc::new(move || clock.clock.fetch_add(1, Ordering::SeqCst)),
            new_id: Arc::new(move || format!("id-{}", ids.ids.fetch_add(1, Ordering::SeqCst))),
            home: self.root.join("home"),
            storage: self.root.join("storage"),
            watch: Arc::new(Unwatched),
            time_zone: ("UTC".into(), 0),
            texts: self.shared.texts.clone(),
            environment: std::env::vars_os().collect(),
            terminals: Arc::new(Terminals::new(Arc::new(Direct::new(std::env::vars_os())))),
            providers: Arc::new(move |_| Ok(provider.clone())),
            prompt: Arc::new(Prompt),
            last_request: Arc::default(),
            history: Arc::new(Source(self.shared.clone())),
            editor: Arc::new(DiskEditor::default()),
        }
    }
}

impl Shared {
    fn first_command(&self) -> Command {
        let text = self.tasks[0].0.clone();
        match self.stored {
            true => Command::Resume { task: text },
            false => Command::Start { text, images: Vec::new(), todos: None, dry_run: false },
        }
    }

    /// Stores the first task as it is after its first turn, with a call that has its result.
    fn store(&self, files: &mut Tree) {
        let (task, turns) = &self.tasks[0];
        let user = |text: &str| json!({"role": "user", "content": [{"type": "text", "text": text}]});
        let answer = json!({"role": "assistant", "content": [{"type": "text", "text": turns[0].text}]});
        let api = json!([user(&format!("<task>\n{task}\n</task>")), answer, user("the result")]);
        let ui = json!([
            {"ts": 1, "type": "say", "say": "text", "text": task},
            {"ts": 2, "type": "say", "say": "api_req_started", "text": "{\"cost\":0}"},
            {"ts": 3, "type": "say", "say": "api_req_started", "text": "{\"request\":\"x\"}"},
            {"ts": 4, "type": "ask", "ask": "resume_task"},
        ]);
        let folder = Path::new("storage/tasks").join(task);
        files.insert(folder.clone(), None);
        files.insert(folder.join("ui_messages.json"), Some(ui.to_string().into_bytes()));
        files.insert(folder.join("api_conversation_history.json"), Some(api.to_string().into_bytes()));
        let item = HistoryItem { id: task.clone(), number: 1, mode: Some("code".into()), ..HistoryItem::default() };
        *self.history.lock().unwrap() = vec![item];
    }
}

/// Everything below `root`, at a moment at which nothing is being renamed.
fn tree(root: &Path) -> Tree {
    let mut seen = scan(root);
    loop {
        let again = scan(root);
        if again == seen {
            return seen;
        }
        seen = again;
    }
}

/// Everything below `root`; folders have no content.
fn scan(root: &Path) -> Tree {
    let mut all = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                all.insert(name, None);
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "tmp") {
                // What a killed write leaves.
            } else if let Ok(content) = std::fs::read(&path) {
                all.insert(name, Some(content));
            }
        }
    }
    all
}

fn set_tree(root: &Path, tree: &Tree) {
    let _ = std::fs::remove_dir_all(root);
    std::fs::create_dir_all(root).unwrap();
    for (path, content) in tree {
        match content {
            None => std::fs::create_dir_all(root.join(path)).unwrap(),
            Some(content) => std::fs::write(root.join(path), content).unwrap(),
        }
    }
}

struct Host {
    shared: Arc<Shared>,
    root: PathBuf,
    state: Mutex<Recorded>,
    asks: mpsc::UnboundedSender<(String, UiMessage)>,
    /// Makes a cut at every note.
    record: bool,
}

struct Recorded {
    known: Known,
    cuts: Vec<Cut>,
}

/// What is known of a run, over all its sessions.
#[derive(Clone, Default)]
struct Known {
    notes: Vec<Vec<u8>>,
    shown: Shown,
    cut_off: bool,
}

#[async_trait]
impl TaskHost for Host {
    fn emit(&self, event: TaskEvent) {
        let mut state = self.state.lock().unwrap();
        let shown = &mut state.known.shown;
        match event {
            TaskEvent::MessageCreated { task, message } => {
                let before = shown.messages.entry(task).or_default().insert(message.ts, message);
                assert!(before.is_none(), "a message was created twice: {before:?}");
            }
            TaskEvent::MessageUpdated { task, message } => {
                shown.messages.entry(task).or_default().insert(message.ts, message);
            }
            TaskEvent::MessageDelta { task, ts, text } => {
                let message = shown.messages.get_mut(&task).and_then(|all| all.get_mut(&ts)).unwrap();
                message.text.get_or_insert_default().push_str(&text);
            }
            TaskEvent::AskOpened { task, message, .. } => {
                shown.open.insert(message.ts);
                let _ = self.asks.send((task, message));
            }
            TaskEvent::AskClosed { ts, .. } => {
                shown.open.remove(&ts);
            }
            _ => {}
        }
    }

    fn keeps_notes(&self) -> bool {
        true
    }

    fn note(&self, note: Note) {
        let mut state = self.state.lock().unwrap();
        let bytes = note.to_bytes();
        let cut_off = matches!(&note, Note::Again { .. })
            || String::from_utf8_lossy(&bytes).contains(self.shared.texts.get("recovery.tool_interrupted").trim());
        state.known.cut_off |= cut_off;
        state.known.notes.push(bytes.clone());
        if !self.record {
            return;
        }
        let cut = Cut {
            number: state.cuts.len(),
            last: bytes,
            known: state.known.clone(),
            mode: self.shared.settings.lock().unwrap().mode.clone(),
            files: tree(&self.root),
        };
        state.cuts.push(cut);
    }

    async fn ready(&self) {}

    async fn request(&self, method: &'static str, _params: Value) -> Result<Value, HostRequestError> {
        Err(HostRequestError::Unsupported(method))
    }

    fn offers(&self, _method: &str) -> bool {
        false
    }
}

struct Source(Arc<Shared>);

impl SettingsSource for Source {
    fn current(&self) -> Arc<Settings> {
        self.0.settings.lock().unwrap().clone()
    }

    fn set_mode(&self, slug: &str) {
        let mut settings = self.0.settings.lock().unwrap();
        *settings = Arc::new(Settings { mode: slug.to_owned(), ..(**settings).clone() });
    }
}

impl TaskHistory for Source {
    fn get(&self, task: &str) -> Option<HistoryItem> {
        self.0.history.lock().unwrap().iter().find(|item| item.id == task).cloned()
    }

    fn put(&self, item: HistoryItem) {
        let mut items = self.0.history.lock().unwrap();
        match items.iter_mut().find(|known| known.id == item.id) {
            Some(known) => *known = item,
            None => items.push(item),
        }
    }
}

struct Prompt;

#[async_trait]
impl SystemPrompt for Prompt {
    async fn build(&self, _request: PromptRequest<'_>) -> Result<String, String> {
        Ok("system".into())
    }
}

/// Answers by what the conversation holds: the same conversation gets the same answer.
struct Scripted(Arc<Shared>);

impl Scripted {
    fn answer(&self, messages: &[ApiMessage]) -> String {
        let shared = &self.0;
        let said = messages.first().map(all_text).unwrap_or_default();
        let turns = shared.tasks.iter().find(|(task, _)| said.contains(&format!("<task>\n{task}\n</task>")));
        let turns = &turns.expect("a task of the script").1;
        let cut_off = shared.texts.get("recovery.tool_interrupted");
        let mut at = 0;
        for (index, _) in messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant) {
            let results = messages[index + 1..].iter().take_while(|message| message.role == Role::User);
            let cut_off = results.map(all_text).any(|text| text.contains(cut_off.trim()));
            let next = messages[index + 1..].iter().find(|message| message.role == Role::Assistant);
            let made_again = match next {
                Some(next) => all_text(next).starts_with(&turns[at].text[..8]),
                None => !turns[at].took_effect(&shared.workspace),
            };
            if !(cut_off && made_again) {
                at += 1;
            }
        }
        turns.get(at).map(|turn| turn.text.clone()).unwrap_or_else(|| "There is nothing more to say.".into())
    }
}

fn all_text(message: &ApiMessage) -> String {
    match &message.content {
        MessageContent::Text(text) => text.clone(),
        MessageContent::Blocks(blocks) => {
            blocks.iter().filter_map(|block| json!(block)["text"].as_str().map(str::to_owned)).collect()
        }
    }
}

#[async_trait]
impl Provider for Scripted {
    fn model(&self) -> Model {
        let info = serde_json::from_value(json!({"contextWindow": 200_000, "maxTokens": 8192})).unwrap();
        Model { id: "test/model".into(), info }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let answer = self.answer(&request.messages);
        if self.0.fails_once && !self.0.workspace.join("repaired").exists() {
            let error = ProviderError::new("out of order");
            return futures::stream::iter([Err(error)]).boxed();
        }
        let mut chunks = vec![StreamChunk::Reasoning("Thinking about it".into())];
        let pieces: Vec<char> = answer.chars().collect();
        chunks.extend(pieces.chunks(24).map(|piece| StreamChunk::Text(piece.iter().collect())));
        chunks.push(StreamChunk::Usage(Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() }));
        let paced = futures::stream::iter(chunks).then(|chunk| async move {
            // Gives the presenter its turn, as the network would.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Ok(chunk)
        });
        paced.boxed()
    }

    async fn count_tokens(&self, blocks: &[lapce_ai::protocol::message::ContentBlock]) -> u64 {
        10 * blocks.len() as u64
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ProviderError> {
        Err(ProviderError::new("not scripted"))
    }

    fn cost(&self, _usage: &Usage) -> f64 {
        0.0
    }
}

/// Nobody but the session changes files here, and its clock is not that of the disk.
struct Unwatched;

impl Watch for Unwatched {
    fn open(&self) -> Box<dyn WatchedFiles> {
        Box::new(Unwatched)
    }
}

#[async_trait]
impl WatchedFiles for Unwatched {
    fn add(&self, _: &Path) -> bool {
        true
    }

    fn hold(&self, _: &Path) {}

    fn release(&self, _: &Path) -> bool {
        true
    }

    fn newer_than(&self, _: &Path, _: i64) -> bool {
        false
    }

    async fn stirred(&self) {
        std::future::pending().await
    }

    async fn changed(&self, _: bool) -> Vec<PathBuf> {
        Vec::new()
    }
}
