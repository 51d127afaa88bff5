//! What a tool may do: the frame of spec 01 §6 and spec 05 §1.3 as a trait, implemented by the agent loop (and by tests).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::edit::view::EditView;
use crate::prompt::fetch::Places;
use crate::prompt::text::Texts;
use crate::protocol::message::{Ask, AskResponse, ContentBlock, ProgressStatus, Say, TodoItem, ToolResponse};
use crate::protocol::model::Model;
use crate::protocol::tool::{ToolCall, ToolName};
use crate::settings::Settings;
use crate::terminal::Terminals;
use crate::workspace::access::Access;

/// Why a tool stops early.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ToolError {
    /// The task was aborted: record nothing, return at once.
    #[error("the task was aborted")]
    Aborted,
    /// A partial ask, or an ask that a newer message superseded (spec 02 §2.4).
    #[error("the question was superseded")]
    AskIgnored,
    /// Anything else, worded for [`ToolContext::handle_error`].
    #[error("{0}")]
    Failed(String),
}

/// What the user answered to an ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Which button, or a message.
    pub response: AskResponse,
    /// Text given with it.
    pub text: Option<String>,
    /// Images given with it, as data URLs.
    pub images: Vec<String>,
}

/// Where a file entered the model's context from (spec 02 §14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// A reading tool.
    ReadTool,
    /// Changed by the user.
    UserEdited,
    /// Changed by a tool.
    RooEdited,
    /// Mentioned by the user.
    FileMentioned,
}

/// The frame a tool runs in. All methods are cheap but for those that wait for the user or do I/O (async).
#[async_trait]
pub trait ToolContext: Send + Sync {
    /// The task's working directory (absolute).
    fn cwd(&self) -> &Path;
    /// The user's home directory.
    fn home(&self) -> &Path;
    /// Workspace folders open in the host; usually just the working directory.
    fn workspace_folders(&self) -> Vec<std::path::PathBuf>;
    /// The text catalogue.
    fn texts(&self) -> &Texts;
    /// Settings in force now.
    fn settings(&self) -> Arc<Settings>;
    /// The model in use now.
    fn model(&self) -> Model;
    /// Ignore and protect rules of the workspace.
    fn access(&self) -> &Access;
    /// The task's edit view (spec 05 §2). Held by one tool at a time.
    fn edits(&self) -> &tokio::sync::Mutex<EditView>;
    /// Where the content of this file stands: in a dry run, the text that was collected for it.
    fn locate(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
    /// Files below `folder`, or this file, whose texts a dry run has collected, and where these stand.
    fn collected(&self, _folder: &Path) -> Vec<(PathBuf, PathBuf)> {
        Vec::new()
    }
    /// Whether edits are collected instead of made.
    fn is_dry_run(&self) -> bool {
        false
    }
    /// Terminals and processes.
    fn terminals(&self) -> &Terminals;
    /// Id of this task, owner of its terminals.
    fn task_id(&self) -> &str;
    /// Folder of this task's stored data (spec 02 §13), for output that is too large for memory; `None` when nothing is stored.
    fn task_folder(&self) -> Option<&Path>;
    /// What the instructions of `fetch_instructions` name.
    fn places(&self) -> Places {
        Places::default()
    }

    /// `ask(type, text, partial=true)`: updates the UI only; never waits.
    async fn ask_partial(&self, ask: Ask, text: String, progress: Option<ProgressStatus>) -> Result<(), ToolError>;
    /// `ask(type, text, partial=false)`: waits for the answer.
    ///
    /// # Errors
    /// [`ToolError::Aborted`], or [`ToolError::AskIgnored`] when a newer message superseded the question.
    async fn ask(
        &self,
        ask: Ask,
        text: String,
        progress: Option<ProgressStatus>,
        protected: bool,
    ) -> Result<Answer, ToolError>;
    /// `ask(type, text)` with `partial` absent: always a new message; waits for the answer.
    async fn ask_new(&self, ask: Ask, text: String) -> Result<Answer, ToolError>;
    /// askApproval of spec 05 §1.3: true when approved; feedback and denials are pushed by it.
    async fn ask_approval(
        &self,
        ask: Ask,
        text: String,
        progress: Option<ProgressStatus>,
        protected: bool,
    ) -> Result<bool, ToolError>;
    /// askApproval `{"tool":"finishTask"}` when this task is a subtask; `None` when it is not.
    async fn finish_subtask(&self, result: &str) -> Result<Option<bool>, ToolError>;
    /// `say(type, text, images)` with the given `partial`.
    async fn say(&self, say: Say, text: String, images: Vec<String>, partial: Option<bool>) -> Result<(), ToolError>;

    /// pushToolResult: header `<description> Result:`, content, and the used flag.
    fn push_result(&self, content: ToolResponse);
    /// Appends blocks to the next user content as they are; no header, no flag.
    fn push_blocks(&self, blocks: Vec<ContentBlock>);
    /// handleError of spec 05 §1.3: says and pushes `Error <action>: …`. A no-op for [`ToolError::Aborted`].
    async fn handle_error(&self, action: &str, error: &ToolError);
    /// MISSING(p) without mistake counting: says `loop.missing_param_ui`, returns the toolError text of the model.
    async fn missing_param(&self, tool: ToolName, param: &str) -> String;
    /// `didRejectTool = true`.
    fn set_rejected(&self);

    /// Adds one to the consecutive mistakes.
    fn mistake(&self);
    /// Sets the consecutive mistakes to 0.
    fn reset_mistakes(&self);
    /// Adds one failure of the tool; with a text also emits `taskToolFailed`.
    fn record_error(&self, tool: ToolName, text: Option<String>);
    /// Adds one attempt of the tool.
    fn record_attempt(&self, tool: ToolName);
    /// Adds one to the file's apply_diff failures and returns the new count; `clear` forgets them instead.
    fn diff_failures(&self, path: &str, clear: bool) -> u32;

    /// Tokens of a text by the provider's counter.
    async fn count_tokens(&self, text: &str) -> u64;
    /// Whether the model takes images now.
    fn supports_images(&self) -> bool {
        self.model().info.supports_images == Some(true)
    }
    /// File context tracking (spec 02 §14).
    async fn track(&self, path: &str, source: FileSource);
    /// `didEditFile = true`.
    fn set_edited(&self);
    /// processQueued() of spec 02 §3.
    fn process_queued(&self);
    /// Whether the task may be complete with this result; if not, the model has been told why.
    async fn may_complete(&self, _result: &str) -> Result<bool, ToolError> {
        Ok(true)
    }
    /// Emits `taskCompleted`.
    fn completed(&self);
    /// Kind of the last UI message, if it is an ask.
    fn last_ask(&self) -> Option<Ask>;
    /// The `ts` of the last UI message, as the id of a command execution.
    fn last_message_ts(&self) -> i64;
    /// Status of a running command for the host (`commandExecutionStatus`, spec 06 §D.1), as its JSON object.
    fn command_status(&self, status: serde_json::Value);
    /// The task's todo list.
    fn todos(&self) -> Vec<TodoItem>;
    /// Replaces the task's todo list.
    fn set_todos(&self, todos: Vec<TodoItem>);
    /// Opens `todos` for editing while their approval is asked for (`updateTodoList` of the host changes them).
    fn set_pending_todos(&self, todos: Vec<TodoItem>);
    /// The list opened by [`ToolContext::set_pending_todos`] as it is now.
    fn pending_todos(&self) -> Vec<TodoItem>;
    /// Slug of the current mode.
    fn mode(&self) -> String;
    /// Switches the mode of the session (spec 02 §7).
    async fn switch_mode(&self, slug: &str) -> Result<(), ToolError>;
    /// Starts a subtask in `mode` and pauses this task (spec 05 §5.20): checkpoint, paused mode and mode switch are its
    /// business. False when a policy of the provider refuses; the mode is then as before.
    async fn start_subtask(&self, message: String, todos: Vec<TodoItem>, mode: &str) -> Result<bool, ToolError>;
    /// Condenses the conversation now (spec 02 §8.3).
    async fn condense(&self) -> Result<(), ToolError>;
    /// The call that is being run, for helpers that need its tool or partial flag.
    fn call(&self) -> &ToolCall;
}
