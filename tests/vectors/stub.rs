//! The frame of a tool run in the golden cases: a workspace in a temporary folder, an editor and a user that only record.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lapce_ai::edit::diagnostics::FileDiagnostics;
use lapce_ai::edit::view::{EditView, Editor, EditorError, Proposal};
use lapce_ai::prompt::fetch::Places;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{Ask, ContentBlock, ProgressStatus, Say, TodoItem, ToolResponse};
use lapce_ai::protocol::tool::{ParamName, ToolCall, ToolName};
use lapce_ai::providers::Model;
use lapce_ai::settings::Settings;
use lapce_ai::terminal::{Direct, Terminals};
use lapce_ai::tools::context::{Answer, FileSource, ToolContext, ToolError};
use lapce_ai::workspace::access::Access;
use lapce_ai::workspace::paths;
use serde_json::{Value, json};

/// What happens during a run, in order.
pub type Events = Arc<Mutex<Vec<Value>>>;

/// One run.
pub struct Run {
    folder: tempfile::TempDir,
    workspace: PathBuf,
    /// The user's home folder.
    pub home: PathBuf,
    texts: Texts,
    settings: Arc<Settings>,
    model: Model,
    access: Access,
    edits: tokio::sync::Mutex<EditView>,
    terminals: Terminals,
    call: ToolCall,
    approve: bool,
    answer: Answer,
    /// What fetched instructions name.
    pub places: Places,
    /// Everything asked, said and edited.
    pub events: Events,
    /// Everything pushed for the model.
    pub results: Mutex<Vec<Value>>,
    /// Mistakes since the last reset.
    pub mistakes: Mutex<u64>,
    diff_failures: Mutex<std::collections::HashMap<String, u32>>,
    /// How the user edits a todo list that waits for approval: items, or anything else for none.
    edit: Value,
    pending_todos: Mutex<Vec<TodoItem>>,
    /// The todo list that was set.
    pub list: Mutex<Option<Vec<TodoItem>>>,
}

impl Run {
    /// Prepares a run of `tool` from a case's input.
    pub fn new(tool: ToolName, input: &Value, texts: Texts) -> Run {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("it exists");
        let workspace = root.join("ws");
        std::fs::create_dir(&workspace).expect("created");
        for (path, content) in input["files"].as_object().into_iter().flatten() {
            let path = workspace.join(path);
            std::fs::create_dir_all(path.parent().expect("inside")).expect("created");
            let bytes = match content {
                Value::String(text) => text.clone().into_bytes(),
                bytes => serde_json::from_value(bytes.clone()).expect("text or bytes"),
            };
            std::fs::write(path, bytes).expect("written");
        }
        let mut settings: Settings = match &input["state"] {
            Value::Null => Settings::default(),
            state => serde_json::from_value(state.clone()).expect("settings"),
        };
        if input["multi"] == true {
            settings.experiments.insert("multiFileApplyDiff".into(), true);
        }
        let mut model = Model { id: input["model"].as_str().unwrap_or("model").into(), ..Model::default() };
        model.info.context_window = input["ctx"].as_u64().unwrap_or(200_000);
        model.info.supports_images = Some(input["images"] == true);
        let approve = input["approve"] != false;
        let reply = &input["askResp"];
        let default = if approve { "yesButtonClicked" } else { "noButtonClicked" };
        let answer = Answer {
            response: serde_json::from_value(json!(reply["response"].as_str().unwrap_or(default))).expect("a response"),
            text: reply["text"].as_str().map(str::to_owned),
            images: serde_json::from_value(reply["images"].clone()).unwrap_or_default(),
        };
        let params = input["params"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((ParamName::parse(name)?, value.as_str()?.to_owned())));
        let events = Events::default();
        let editor = RecordingEditor { workspace: workspace.clone(), events: events.clone(), open: Mutex::default() };
        Run {
            access: Access::from_text(&workspace, input["ignore"].as_str()),
            edits: tokio::sync::Mutex::new(EditView::new(Arc::new(editor), workspace.clone())),
            terminals: Terminals::new(Arc::new(Direct::new([]))),
            call: ToolCall { name: tool, params: params.collect(), partial: input["partial"] == true },
            settings: Arc::new(settings),
            results: Mutex::default(),
            mistakes: Mutex::default(),
            diff_failures: Mutex::default(),
            edit: input["edit"].clone(),
            pending_todos: Mutex::default(),
            list: Mutex::default(),
            folder,
            workspace,
            home: "/home/user".into(),
            places: Places::default(),
            texts,
            model,
            approve,
            answer,
            events,
        }
    }

    /// The folder that holds the workspace.
    pub fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists")
    }

    /// A value of the run with the workspace at `/ws`.
    pub fn mapped(&self, value: &Value) -> Value {
        let text = value.to_string().replace(&*self.root().to_string_lossy(), "");
        serde_json::from_str(&text).expect("still JSON")
    }

    fn event(&self, event: Value) {
        self.events.lock().expect("not poisoned").push(event);
    }
}

/// JSON text as a value, other text as it is.
fn payload(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        _ => json!(text),
    }
}

#[async_trait]
impl ToolContext for Run {
    fn cwd(&self) -> &Path {
        &self.workspace
    }
    fn home(&self) -> &Path {
        &self.home
    }
    fn workspace_folders(&self) -> Vec<PathBuf> {
        vec![self.workspace.clone()]
    }
    fn texts(&self) -> &Texts {
        &self.texts
    }
    fn settings(&self) -> Arc<Settings> {
        self.settings.clone()
    }
    fn model(&self) -> Model {
        self.model.clone()
    }
    fn access(&self) -> &Access {
        &self.access
    }
    fn edits(&self) -> &tokio::sync::Mutex<EditView> {
        &self.edits
    }
    fn terminals(&self) -> &Terminals {
        &self.terminals
    }
    fn task_id(&self) -> &str {
        "task"
    }
    fn task_folder(&self) -> Option<&Path> {
        None
    }
    fn places(&self) -> Places {
        self.places.clone()
    }

    async fn ask_partial(&self, ask: Ask, text: String, _: Option<ProgressStatus>) -> Result<(), ToolError> {
        self.event(json!(["ask", ask.as_str(), payload(&text), true]));
        Err(ToolError::AskIgnored)
    }
    async fn ask(
        &self,
        ask: Ask,
        text: String,
        _: Option<ProgressStatus>,
        _protected: bool,
    ) -> Result<Answer, ToolError> {
        self.event(json!(["ask", ask.as_str(), payload(&text), false]));
        Ok(self.answer.clone())
    }
    async fn ask_new(&self, ask: Ask, text: String) -> Result<Answer, ToolError> {
        self.ask(ask, text, None, false).await
    }
    async fn ask_approval(
        &self,
        _: Ask,
        text: String,
        _: Option<ProgressStatus>,
        protected: bool,
    ) -> Result<bool, ToolError> {
        self.event(json!(["approve", payload(&text), protected]));
        Ok(self.approve)
    }
    async fn finish_subtask(&self, _: &str) -> Result<Option<bool>, ToolError> {
        Ok(None)
    }
    async fn say(&self, say: Say, text: String, _: Vec<String>, _: Option<bool>) -> Result<(), ToolError> {
        self.event(json!(["say", say.as_str(), text]));
        Ok(())
    }
    fn push_result(&self, content: ToolResponse) {
        let result = match content {
            ToolResponse::Text(text) => json!(text),
            ToolResponse::Blocks(blocks) => json!(blocks),
        };
        self.results.lock().expect("not poisoned").push(result);
    }
    fn push_blocks(&self, blocks: Vec<ContentBlock>) {
        self.results.lock().expect("not poisoned").push(json!(blocks));
    }
    async fn handle_error(&self, action: &str, error: &ToolError) {
        self.event(json!(["error", action, error.to_string()]));
    }
    async fn missing_param(&self, tool: ToolName, param: &str) -> String {
        self.event(json!(["missing", tool.as_str(), param]));
        format!("⟦MISSING|{tool}|{param}⟧")
    }
    fn set_rejected(&self) {}
    fn mistake(&self) {
        *self.mistakes.lock().expect("not poisoned") += 1;
    }
    fn reset_mistakes(&self) {
        *self.mistakes.lock().expect("not poisoned") = 0;
    }
    fn record_error(&self, _: ToolName, _: Option<String>) {}
    fn record_attempt(&self, _: ToolName) {}
    fn diff_failures(&self, path: &str, clear: bool) -> u32 {
        let mut failures = self.diff_failures.lock().expect("not poisoned");
        let count = failures.entry(path.to_owned()).or_default();
        *count = if clear { 0 } else { *count + 1 };
        *count
    }
    async fn count_tokens(&self, text: &str) -> u64 {
        (text.encode_utf16().count() as u64).div_ceil(4)
    }
    async fn track(&self, _: &str, _: FileSource) {}
    fn set_edited(&self) {}
    fn process_queued(&self) {}
    fn completed(&self) {}
    fn last_ask(&self) -> Option<Ask> {
        None
    }
    fn last_message_ts(&self) -> i64 {
        0
    }
    fn command_status(&self, _: Value) {}
    fn todos(&self) -> Vec<TodoItem> {
        self.list.lock().expect("not poisoned").clone().unwrap_or_default()
    }
    fn set_todos(&self, todos: Vec<TodoItem>) {
        *self.list.lock().expect("not poisoned") = Some(todos);
    }
    fn set_pending_todos(&self, todos: Vec<TodoItem>) {
        let edited = serde_json::from_value(self.edit.clone()).ok();
        *self.pending_todos.lock().expect("not poisoned") = edited.unwrap_or(todos);
    }
    fn pending_todos(&self) -> Vec<TodoItem> {
        self.pending_todos.lock().expect("not poisoned").clone()
    }
    fn mode(&self) -> String {
        "code".into()
    }
    async fn switch_mode(&self, _: &str) -> Result<(), ToolError> {
        Ok(())
    }
    async fn start_subtask(&self, _: String, _: Vec<TodoItem>, _: &str) -> Result<bool, ToolError> {
        Ok(true)
    }
    async fn condense(&self) -> Result<(), ToolError> {
        Ok(())
    }
    fn call(&self) -> &ToolCall {
        &self.call
    }
}

/// An editor that shows nothing, changes nothing and remembers what it was told.
struct RecordingEditor {
    workspace: PathBuf,
    events: Events,
    open: Mutex<(HashSet<PathBuf>, String)>,
}

impl RecordingEditor {
    fn event(&self, event: Value) {
        self.events.lock().expect("not poisoned").push(event);
    }
}

#[async_trait]
impl Editor for RecordingEditor {
    async fn save_if_dirty(&self, _: &Path) -> Result<(), EditorError> {
        Ok(())
    }
    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        Vec::new()
    }
    async fn settle(&self, _: u64) {}
    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        let mut open = self.open.lock().expect("not poisoned");
        if open.0.insert(proposal.path.to_owned()) {
            self.event(json!(["open", paths::relative_to(&self.workspace, proposal.path)]));
        } else {
            self.event(json!(["content", proposal.content, proposal.is_final]));
        }
        open.1 = proposal.content.to_owned();
        Ok(())
    }
    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        let mut open = self.open.lock().expect("not poisoned");
        open.0.remove(path);
        Ok(std::mem::take(&mut open.1))
    }
    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        self.open.lock().expect("not poisoned").0.remove(path);
        self.event(json!(["revert"]));
        Ok(())
    }
    async fn close(&self, path: &Path) {
        self.open.lock().expect("not poisoned").0.remove(path);
    }
    async fn write(&self, _: &Path, content: &str) -> Result<(), EditorError> {
        self.event(json!(["content", content, "direct"]));
        Ok(())
    }
}
