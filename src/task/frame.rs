//! The frame a tool runs in: callbacks of spec 01 §6.2 over the task.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::checkpoints::Saving;
use super::context_files;
use super::host::TaskEvent;
use super::instance::Task;
use super::messages::Extra;
use super::run::RequestError;
use crate::edit::view::{EditView, Editor};
use crate::prompt::fetch::Places;
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, AskResponse, ContentBlock, ProgressStatus, Say, TodoItem, ToolResponse, UiKind};
use crate::protocol::tool::{ToolCall, ToolName};
use crate::providers::Model;
use crate::settings::Settings;
use crate::settings::modes::file::global_file;
use crate::terminal::Terminals;
use crate::tools::context::{Answer, FileSource, ToolContext, ToolError};
use crate::tools::response;
use crate::workspace::access::Access;

/// Longest summary of a result in a tool event, in characters.
const SUMMARY_LIMIT: usize = 200;

/// One call with its task.
pub(super) struct Frame {
    task: Arc<Task>,
    call: ToolCall,
    label: String,
    outcome: Arc<Outcome>,
}

/// What the tool event at the end says; shared by all frames of one call.
#[derive(Default)]
struct Outcome {
    summary: Mutex<Option<String>>,
    failed: AtomicBool,
}

impl Frame {
    pub fn new(task: Arc<Task>, call: ToolCall, label: String) -> Frame {
        Frame { task, call, label, outcome: Arc::default() }
    }

    /// The same call with other parameters.
    pub fn with_call(&self, call: ToolCall, label: String) -> Frame {
        Frame { task: self.task.clone(), call, label, outcome: self.outcome.clone() }
    }

    /// Status and first line of the result, for the tool event.
    pub fn summary(&self) -> (&'static str, String) {
        let summary = self.outcome.summary.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failed = self.outcome.failed.load(Ordering::Relaxed);
        let status = match (&summary, failed) {
            _ if self.task.turn().rejected => "rejected",
            (_, true) => "error",
            _ => "ok",
        };
        (status, summary.unwrap_or_default())
    }

    fn note(&self, text: &str) {
        let line: String = text.lines().next().unwrap_or_default().chars().take(SUMMARY_LIMIT).collect();
        *self.outcome.summary.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        if text.starts_with(self.task.services.surroundings.texts.get("resp.tool_error").trim_end()) {
            self.mark_failed();
        }
    }

    /// The call did not do what it was asked for.
    pub fn mark_failed(&self) {
        self.outcome.failed.store(true, Ordering::Relaxed);
    }

    fn feedback(&self, text: &str, images: &[String]) -> Result<(), ToolError> {
        Ok(self.task.say(Say::UserFeedback, Some(text.to_owned()), images, None, Extra::default())?)
    }
}

#[async_trait]
impl ToolContext for Frame {
    fn cwd(&self) -> &Path {
        &self.task.cwd
    }

    fn home(&self) -> &Path {
        &self.task.services.surroundings.home
    }

    fn workspace_folders(&self) -> Vec<PathBuf> {
        vec![self.task.cwd.clone()]
    }

    fn texts(&self) -> &Texts {
        &self.task.services.surroundings.texts
    }

    fn settings(&self) -> Arc<Settings> {
        self.task.settings()
    }

    fn model(&self) -> Model {
        (self.task.services.surroundings.providers)(&self.task.settings())
            .map(|provider| provider.model())
            .unwrap_or_default()
    }

    fn access(&self) -> &Access {
        &self.task.access
    }

    fn edits(&self) -> &tokio::sync::Mutex<EditView> {
        &self.task.edits
    }

    fn terminals(&self) -> &Terminals {
        &self.task.services.surroundings.terminals
    }

    fn locate(&self, path: &Path) -> PathBuf {
        self.task.changes.locate(path)
    }

    fn collected(&self, folder: &Path) -> Vec<(PathBuf, PathBuf)> {
        self.task.changes.dry_run().map(|dry_run| dry_run.below(folder)).unwrap_or_default()
    }

    fn is_dry_run(&self) -> bool {
        self.task.is_dry_run()
    }

    fn task_id(&self) -> &str {
        &self.task.id
    }

    fn task_folder(&self) -> Option<&Path> {
        Some(self.task.store.folder())
    }

    fn places(&self) -> Places {
        let modes_file = Some(global_file(&self.task.services.surroundings.storage));
        Places { modes_file, mcp: None }
    }

    async fn ask_partial(&self, ask: Ask, text: String, progress: Option<ProgressStatus>) -> Result<(), ToolError> {
        Ok(self.task.ask_partial(ask, text, progress, None)?)
    }

    async fn ask(
        &self,
        ask: Ask,
        text: String,
        progress: Option<ProgressStatus>,
        protected: bool,
    ) -> Result<Answer, ToolError> {
        self.task.ask(ask, Some(text), true, progress, Some(protected)).await
    }

    async fn ask_new(&self, ask: Ask, text: String) -> Result<Answer, ToolError> {
        self.task.ask(ask, Some(text), false, None, None).await
    }

    async fn ask_approval(
        &self,
        ask: Ask,
        text: String,
        progress: Option<ProgressStatus>,
        protected: bool,
    ) -> Result<bool, ToolError> {
        let answer = ToolContext::ask(self, ask, text, progress, protected).await?;
        let feedback = answer.text.as_deref().filter(|text| !text.is_empty());
        let approved = answer.response == AskResponse::Yes;
        let texts = self.texts();
        if let Some(text) = feedback {
            self.feedback(text, &answer.images)?;
            let result = if approved {
                response::approved_with_feedback(texts, text)
            } else {
                response::denied_with_feedback(texts, text)
            };
            self.push_result(ToolResponse::with_images(result, &answer.images));
        } else if !approved {
            self.push_result(ToolResponse::Text(response::denied(texts)));
        }
        if !approved {
            self.set_rejected();
        }
        Ok(approved)
    }

    async fn finish_subtask(&self, result: &str) -> Result<Option<bool>, ToolError> {
        if self.task.lineage.parent.is_none() {
            return Ok(None);
        }
        let approved = self.ask_approval(Ask::Tool, r#"{"tool":"finishTask"}"#.into(), None, false).await?;
        if approved && let Some(manager) = self.task.manager.upgrade() {
            self.task.state().finished = true;
            manager.finish_subtask(&self.task, result).await;
        }
        Ok(Some(approved))
    }

    async fn say(&self, say: Say, text: String, images: Vec<String>, partial: Option<bool>) -> Result<(), ToolError> {
        let range = match say == Say::CompletionResult && partial == Some(false) {
            true => self.task.completion_range().await,
            false => None,
        };
        let extra = Extra { metadata: range.map(|range| range.metadata()), ..Extra::default() };
        Ok(self.task.say(say, Some(text), &images, partial, extra)?)
    }

    fn push_result(&self, content: ToolResponse) {
        let mut blocks = vec![ContentBlock::text(format!("{} Result:", self.label))];
        match content {
            ToolResponse::Text(text) => {
                self.note(&text);
                let text = if text.is_empty() { self.texts().get("present.empty_result") } else { text };
                blocks.push(ContentBlock::Text { text });
            }
            ToolResponse::Blocks(content) => {
                if let Some(ContentBlock::Text { text }) = content.first() {
                    self.note(text);
                }
                blocks.extend(content);
            }
        }
        let mut turn = self.task.turn();
        turn.results.extend(blocks);
        turn.used = true;
    }

    fn push_blocks(&self, blocks: Vec<ContentBlock>) {
        self.task.turn().results.extend(blocks);
    }

    async fn handle_error(&self, action: &str, error: &ToolError) {
        if *error == ToolError::Aborted || self.task.aborted.is_cancelled() {
            return;
        }
        let (shown, told) = Task::error_texts(action, &error.to_string());
        if self.task.say_text(Say::Error, shown).is_ok() {
            self.push_result(ToolResponse::Text(response::tool_error(self.texts(), &told)));
        }
    }

    async fn missing_param(&self, tool: ToolName, param: &str) -> String {
        let texts = self.texts();
        let shown = texts.render("loop.missing_param_ui", context! { tool => tool.as_str(), param });
        // An aborted task shows nothing more; the caller's next step finds out.
        let _ = self.task.say_text(Say::Error, shown);
        response::tool_error(texts, &response::missing_param(texts, param))
    }

    fn set_rejected(&self) {
        self.task.turn().rejected = true;
    }

    fn mistake(&self) {
        self.task.state().mistakes += 1;
    }

    fn reset_mistakes(&self) {
        self.task.state().mistakes = 0;
    }

    fn record_error(&self, tool: ToolName, text: Option<String>) {
        self.task.state().tool_usage.entry(tool).or_default().failures += 1;
        self.mark_failed();
        if let Some(text) = text {
            self.task.lifecycle("taskToolFailed", json!([tool.as_str(), text]));
        }
    }

    fn record_attempt(&self, tool: ToolName) {
        self.task.state().tool_usage.entry(tool).or_default().attempts += 1;
    }

    fn diff_failures(&self, path: &str, clear: bool) -> u32 {
        let mut state = self.task.state();
        if clear {
            state.diff_failures.remove(path);
            return 0;
        }
        let count = state.diff_failures.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }

    async fn count_tokens(&self, text: &str) -> u64 {
        match (self.task.services.surroundings.providers)(&self.task.settings()) {
            Ok(provider) => provider.count_tokens(&[ContentBlock::text(text)]).await,
            Err(_) => 0,
        }
    }

    async fn track(&self, path: &str, source: FileSource) {
        context_files::track(&self.task, path, source).await;
    }

    fn set_edited(&self) {
        self.task.state().edited = true;
    }

    fn process_queued(&self) {
        self.task.process_queued();
    }

    async fn may_complete(&self, result: &str) -> Result<bool, ToolError> {
        Ok(self.task.may_complete(self, result).await?)
    }

    fn completed(&self) {
        // Further messages of this call are there already: it was reported before the session was restored.
        if !self.task.state().replay.messages.is_empty() {
            return;
        }
        let usage = self.task.usage();
        let (result, calls) = {
            let state = self.task.state();
            let last = state.ui.iter().rposition(|m| m.kind == UiKind::Say(Say::CompletionResult));
            let last = last.and_then(|at| state.ui.whole(at));
            let result = last.and_then(|message| message.text.clone()).unwrap_or_default();
            let calls: serde_json::Map<String, Value> = state
                .tool_usage
                .iter()
                .map(|(tool, c)| (tool.to_string(), json!({"attempts": c.attempts, "failures": c.failures})))
                .collect();
            (result, calls)
        };
        self.task.lifecycle("taskCompleted", json!([usage, calls]));
        self.task.emit(TaskEvent::Completed { task: self.task.id.clone(), result, usage });
    }

    fn last_ask(&self) -> Option<Ask> {
        match self.task.state().ui.last()?.kind {
            UiKind::Ask(ask) => Some(ask),
            UiKind::Say(_) => None,
        }
    }

    fn last_message_ts(&self) -> i64 {
        self.task.state().ui.last().map_or(0, |message| message.ts)
    }

    fn command_status(&self, status: Value) {
        self.task.emit(TaskEvent::CommandStatus { task: self.task.id.clone(), status });
    }

    fn todos(&self) -> Vec<TodoItem> {
        self.task.state().todos.clone().unwrap_or_default()
    }

    fn set_todos(&self, todos: Vec<TodoItem>) {
        self.task.state().todos = Some(todos.clone());
        self.task.emit(TaskEvent::Todos { task: self.task.id.clone(), items: todos });
    }

    fn set_pending_todos(&self, todos: Vec<TodoItem>) {
        let mut state = self.task.state();
        state.pending_todos = state.replay.pending_todos.take().unwrap_or(todos);
    }

    fn pending_todos(&self) -> Vec<TodoItem> {
        self.task.state().pending_todos.clone()
    }

    fn mode(&self) -> String {
        let before = self.task.state().replay.mode.take();
        before.unwrap_or_else(|| self.task.settings().mode.clone())
    }

    async fn switch_mode(&self, slug: &str) -> Result<(), ToolError> {
        self.task.check()?;
        if let Some(manager) = self.task.manager.upgrade() {
            manager.switch_mode(slug);
        }
        Ok(())
    }

    async fn start_subtask(&self, message: String, todos: Vec<TodoItem>, mode: &str) -> Result<bool, ToolError> {
        self.task.check()?;
        let Some(manager) = self.task.manager.upgrade() else { return Ok(false) };
        if std::mem::take(&mut self.task.state().replay.subtask) {
            return Ok(true);
        }
        self.task.checkpoint_beside(Saving { force: true, suppress: false });
        manager.start_subtask(&self.task, mode, message, todos);
        Ok(true)
    }

    async fn condense(&self) -> Result<(), ToolError> {
        self.task.condense_by_tool().await.map_err(|error| match error {
            RequestError::Aborted => ToolError::Aborted,
            RequestError::Failed(cause) => ToolError::Failed(cause),
        })
    }

    fn call(&self) -> &ToolCall {
        &self.call
    }
}
