//! What surrounds the session: scripted provider, recording host, settings, history, texts as codes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{ContentBlock, UiKind};
use lapce_ai::providers::{
    ChatRequest, ChunkStream, GroundingSource, Model, ModelInfo, Provider, ProviderError, StreamChunk, Usage,
};
use lapce_ai::settings::Settings;
use lapce_ai::task::TaskView;
use lapce_ai::task::history::HistoryItem;
use lapce_ai::task::host::{
    HostRequestError, PromptRequest, SettingsSource, SystemPrompt, TaskEvent, TaskHistory, TaskHost,
};
use lapce_ai::task::session::{Command, SessionHandle};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Milliseconds a stub waits for what should come soon.
pub const PATIENCE: usize = 10_000;

/// State of one run, shared by all its stubs.
pub struct World {
    pub input: Value,
    pub workspace: PathBuf,
    pub handle: OnceLock<SessionHandle>,
    pub turns: Mutex<VecDeque<Value>>,
    pub requests: Mutex<Vec<(usize, ChatRequest)>>,
    pub events: Mutex<Vec<Value>>,
    pub tasks: Mutex<Vec<(String, Option<TaskView>)>>,
    pub settings: Mutex<Arc<Settings>>,
    pub history: Mutex<Vec<HistoryItem>>,
    pub asks: mpsc::UnboundedSender<i64>,
    /// Streams that are not closed, by index of their task instance.
    pub open: Mutex<Vec<usize>>,
    /// The question that waits gets no answer while the stream is read.
    pub stalled: AtomicBool,
    pub no_more_turns: AtomicBool,
    pub calls: AtomicUsize,
    pub clock: AtomicI64,
    pub watch: super::watch::Scripted,
}

impl World {
    /// Index of the newest instance of this task.
    pub fn instance(&self, id: &str) -> usize {
        self.tasks.lock().unwrap().iter().rposition(|(task, _)| task == id).unwrap_or(0)
    }

    fn push(&self, event: Value) {
        self.events.lock().unwrap().push(event);
    }

    /// The texts as the vectors' codes; the host's own words for a dropped subtask are those of the case.
    pub fn texts(&self) -> Arc<Texts> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/codes");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut texts = Texts::builtin().with_pack("").unwrap();
        for file in files {
            let pack = std::fs::read_to_string(&file).unwrap();
            for entry in pack.split("\n[[").map(|entry| entry.trim_start_matches("[[")) {
                // Codes of tools that are not built yet have no text to replace.
                if entry.split_once("]]").is_some_and(|(id, _)| texts.has(id)) {
                    texts = texts.with_pack(&format!("[[{entry}")).unwrap();
                }
            }
        }
        let result = self.input["after"].as_array().into_iter().flatten().find_map(|a| a["finish_subtask"].as_str());
        if let Some(result) = result {
            texts = texts.with_pack(&format!("[[task.canceled]]\n{result}")).unwrap();
        }
        Arc::new(texts)
    }

    /// Carries out an action of the script.
    pub async fn act(&self, action: &Value) {
        let handle = self.handle.get().expect("opened").clone();
        let command = if action["cancel"] == true {
            Command::Cancel
        } else if action["clear"] == true || action.get("finish_subtask").is_some() {
            Command::Clear
        } else if let Some(queue) = action.get("queue") {
            Command::Queue { text: text(queue, "text"), images: strings(&queue["images"]) }
        } else if let Some(todos) = action.get("set_todos") {
            Command::SetTodos(todos.clone())
        } else if let Some(touch) = action.get("touch") {
            let path = self.workspace.join(text(touch, "path"));
            std::fs::write(&path, text(touch, "content")).unwrap();
            return self.watch.fire(path).await;
        } else if action.get("condense").is_some() {
            Command::Condense
        } else {
            return;
        };
        let cancels = matches!(command, Command::Cancel | Command::Clear);
        let reply = handle.submit(command).expect("accepted");
        if !cancels {
            let _ = reply.await;
        }
    }
}

pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Records what the session reports.
pub struct Host(pub Arc<World>);

#[async_trait]
impl TaskHost for Host {
    fn emit(&self, event: TaskEvent) {
        let world = &self.0;
        match event {
            TaskEvent::TaskCreated { task, .. } => {
                world.tasks.lock().unwrap().push((task.clone(), None));
                world.push(json!(["taskCreated", world.instance(&task)]));
            }
            TaskEvent::Lifecycle { task, event, data } => {
                let index = world.instance(&task);
                if event == "taskFocused" {
                    world.tasks.lock().unwrap()[index].1 = world.handle.get().and_then(SessionHandle::current);
                }
                let hidden = ["taskActive", "taskInteractive", "taskResumable", "taskIdle", "taskAskResponded"];
                match event {
                    hidden_event if hidden.contains(&hidden_event) => {}
                    "taskModeSwitched" => world.push(json!([event, index, data])),
                    "taskToolFailed" => world.push(json!([event, index, data[0]])),
                    _ => world.push(json!([event, index])),
                }
            }
            TaskEvent::CommandStatus { status, .. } if status["status"] != "output" => {
                let code = status.get("exitCode").cloned().unwrap_or(Value::Null);
                world.push(json!(["command_status", status["status"], code]));
            }
            TaskEvent::AskOpened { message, .. } => {
                world.stalled.store(false, Ordering::SeqCst);
                let _ = world.asks.send(message.ts);
            }
            TaskEvent::AskClosed { task, ts, how } if how == "approved" || how == "denied" => {
                let index = world.instance(&task);
                let view = world.tasks.lock().unwrap()[index].1.clone();
                let kind = view.and_then(|v| v.snapshot().ui.iter().find(|m| m.ts == ts).map(|m| m.kind));
                let name = match kind {
                    Some(UiKind::Ask(ask)) => ask.as_str(),
                    _ => "?",
                };
                world.push(json!(["auto", if how == "approved" { "approve" } else { "deny" }, name]));
            }
            _ => {}
        }
    }

    async fn ready(&self) {}

    async fn request(&self, method: &'static str, _params: Value) -> Result<Value, HostRequestError> {
        Err(HostRequestError::Unsupported(method))
    }

    fn offers(&self, _method: &str) -> bool {
        false
    }
}

impl SettingsSource for World {
    fn current(&self) -> Arc<Settings> {
        self.settings.lock().unwrap().clone()
    }

    fn set_mode(&self, slug: &str) {
        let mut settings = self.settings.lock().unwrap();
        *settings = Arc::new(Settings { mode: slug.to_owned(), ..(**settings).clone() });
    }
}

impl TaskHistory for World {
    fn get(&self, task: &str) -> Option<HistoryItem> {
        self.history.lock().unwrap().iter().find(|item| item.id == task).cloned()
    }

    fn put(&self, item: HistoryItem) {
        let mut items = self.history.lock().unwrap();
        match items.iter_mut().find(|known| known.id == item.id) {
            Some(known) => *known = item,
            None => items.push(item),
        }
    }
}

pub struct Prompt;

#[async_trait]
impl SystemPrompt for Prompt {
    async fn build(&self, _request: PromptRequest<'_>) -> Result<String, String> {
        Ok("⟦SYSTEM⟧".into())
    }
}

/// Plays the turns of the case.
pub struct Scripted(pub Arc<World>);

/// Marks a stream as closed when it is dropped.
struct Open(Arc<World>, usize);

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap();
        if let Some(at) = open.iter().position(|task| *task == self.1) {
            open.remove(at);
        }
    }
}

#[async_trait]
impl Provider for Scripted {
    fn model(&self) -> Model {
        let model = &self.0.input["model"];
        let mut info = json!({"contextWindow": 200000, "maxTokens": 8192});
        for (key, value) in model["info"].as_object().into_iter().flatten() {
            info[key] = value.clone();
        }
        let info: ModelInfo = serde_json::from_value(info).expect("model facts");
        Model { id: model["id"].as_str().unwrap_or("test/model").to_owned(), info }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let world = self.0.clone();
        let current = world.handle.get().and_then(SessionHandle::current);
        let id = request.metadata.as_ref().map(|m| m.task_id.clone());
        let id = id.or_else(|| current.map(|view| view.id().to_owned())).unwrap_or_default();
        let task = world.instance(&id);
        world.requests.lock().unwrap().push((task, request));
        let Some(turn) = world.turns.lock().unwrap().pop_front() else {
            world.no_more_turns.store(true, Ordering::SeqCst);
            return futures::stream::pending().boxed();
        };
        world.calls.fetch_add(1, Ordering::SeqCst);
        world.open.lock().unwrap().push(task);
        let open = Open(world.clone(), task);
        let items: VecDeque<Value> = turn.as_array().cloned().unwrap_or_default().into();
        futures::stream::unfold((world, items, open, true), |(world, mut items, open, mut first)| async move {
            loop {
                if std::mem::take(&mut first) {
                    world.until_parent_is_done(open.1).await;
                }
                world.until_rest(open.1).await;
                let item = items.pop_front()?;
                if let Some(action) = item.get("$do") {
                    world.act(action).await;
                    continue;
                }
                if item.get("$hang").is_some() {
                    std::future::pending::<()>().await;
                }
                let chunk = chunk(&item);
                if chunk.is_err() {
                    items.clear();
                }
                return Some((chunk, (world, items, open, false)));
            }
        })
        .boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        10 * blocks.len() as u64
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ProviderError> {
        Err(ProviderError::new("not scripted"))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        let info = self.model().info;
        let price = |price: Option<f64>, tokens: u64| price.unwrap_or(0.0) / 1e6 * tokens as f64;
        price(info.cache_writes_price, usage.cache_write_tokens.unwrap_or(0))
            + price(info.cache_reads_price, usage.cache_read_tokens.unwrap_or(0))
            + price(info.input_price, usage.input_tokens)
            + price(info.output_price, usage.output_tokens)
    }

    fn last_response_id(&self) -> Option<String> {
        let calls = self.0.calls.load(Ordering::SeqCst);
        self.0.input["response_ids"].get(calls.checked_sub(1)?)?.as_str().map(str::to_owned)
    }
}

fn chunk(item: &Value) -> Result<StreamChunk, ProviderError> {
    if let Some(text) = item.as_str() {
        return Ok(StreamChunk::Text(text.to_owned()));
    }
    if let Some(error) = item.get("$throw") {
        let mut details = error.as_object().cloned().unwrap_or_default();
        let message = details.remove("message").and_then(|m| m.as_str().map(str::to_owned)).unwrap_or_default();
        let status = details.remove("status").and_then(|s| s.as_u64()).map(|s| s as u16);
        return Err(ProviderError { message, status, code: None, details });
    }
    Ok(match item["type"].as_str().unwrap_or_default() {
        "text" => StreamChunk::Text(text(item, "text")),
        "reasoning" => StreamChunk::Reasoning(text(item, "text")),
        "usage" => StreamChunk::Usage(serde_json::from_value(item.clone()).expect("usage")),
        "grounding" => {
            let sources: Vec<GroundingSource> = serde_json::from_value(item["sources"].clone()).expect("sources");
            StreamChunk::Grounding(sources)
        }
        _ => StreamChunk::Error { error: text(item, "error"), message: text(item, "message") },
    })
}

impl World {
    /// Waits until the presenter is at rest, or waits for an answer that does not come now.
    async fn until_rest(&self, task: usize) {
        for _ in 0..PATIENCE {
            let view = self.tasks.lock().unwrap()[task].1.clone();
            let rests = view.is_none_or(|view| view.presenter_at_rest());
            if rests || self.stalled.load(Ordering::SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A subtask's answer begins when its parent's stream is closed.
    async fn until_parent_is_done(&self, task: usize) {
        for _ in 0..PATIENCE {
            let others = self.open.lock().unwrap().iter().any(|open| *open < task);
            if !others {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
