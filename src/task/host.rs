//! What the loop needs from the engine that runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;

use super::history::HistoryItem;
use super::recovery::Note;
use crate::edit::view::Editor;
use crate::prompt::text::Texts;
use crate::protocol::message::{TodoItem, TokenUsage, UiMessage};
use crate::providers::{Model, Provider, ProviderError};
use crate::settings::Settings;
use crate::terminal::Terminals;
use crate::workspace::watching::Watch;

/// Where a session stands; drives `session.state` of the host (spec 02 §2.4: running, interactive, resumable, idle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Working, not streaming.
    Running,
    /// Reading a provider's answer.
    Streaming,
    /// An interactive ask waits.
    Interactive,
    /// A resume ask waits.
    Resumable,
    /// An idle ask waits (completion, failed request, limits).
    Idle,
    /// No task.
    None,
}

/// What a session reports. Order is kept; nothing is dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskEvent {
    /// A task instance came to be, by task id.
    TaskCreated {
        /// Task id.
        task: String,
        /// Id of the task that started it.
        parent: Option<String>,
    },
    /// Life-cycle events of spec 02 §2 by their names there (`taskStarted`, `taskAborted`, `taskFocused`, …).
    Lifecycle {
        /// Task id.
        task: String,
        /// Event name of spec 01 §2.10.
        event: &'static str,
        /// Its further payload, `null` when there is none.
        data: Value,
    },
    /// A message was appended to the UI messages.
    MessageCreated {
        /// Task id.
        task: String,
        /// The message.
        message: UiMessage,
    },
    /// Text was appended to a partial message; only this much is new. The message was created or updated before with
    /// exactly the text this follows.
    MessageDelta {
        /// Task id.
        task: String,
        /// Identity of the message.
        ts: i64,
        /// Appended text.
        text: String,
    },
    /// A message changed otherwise, or is complete now.
    MessageUpdated {
        /// Task id.
        task: String,
        /// The whole message.
        message: UiMessage,
    },
    /// The question of the message `ts` now waits for an answer. Not reported when it is answered at once, by a rule or by
    /// a queued message.
    AskOpened {
        /// Task id.
        task: String,
        /// The message that asks.
        message: UiMessage,
        /// Milliseconds until it is answered by a rule.
        expires_ms: Option<u64>,
    },
    /// The question of the message `ts` no longer waits, or never had to.
    AskClosed {
        /// Task id.
        task: String,
        /// Identity of the asking message.
        ts: i64,
        /// `answered`, `superseded` or `withdrawn`.
        how: &'static str,
    },
    /// A tool block appeared (`tool.begin`), changed or ended; see [`ToolProgress`].
    Tool {
        /// Task id.
        task: String,
        /// What happened.
        progress: ToolProgress,
    },
    /// A hook runs or has run.
    Hook {
        /// Task id.
        task: String,
        /// Which, and how.
        run: HookRun,
    },
    /// `commandExecutionStatus` of spec 06 §D.1.
    CommandStatus {
        /// Task id.
        task: String,
        /// Its JSON object.
        status: Value,
    },
    /// The session's status changed.
    Status(Status, Option<String>),
    /// Token usage of the current task.
    Usage {
        /// Task id.
        task: String,
        /// Totals.
        usage: TokenUsage,
        /// Size of the model's context window in tokens; 0 when unknown.
        context_window: u64,
    },
    /// The current task's todo list.
    Todos {
        /// Task id.
        task: String,
        /// The whole list.
        items: Vec<TodoItem>,
    },
    /// What the current task changed, or, in a dry run, collected.
    Diff {
        /// Task id.
        task: String,
        /// Files with the lines added and removed.
        files: Vec<(String, u64, u64)>,
        /// Lines added in all.
        added: u64,
        /// Lines removed in all.
        removed: u64,
    },
    /// A checkpoint was saved, or the files are in the state of one again.
    Checkpoint {
        /// Task id.
        task: String,
        /// Id of its commit.
        commit: String,
    },
    /// The mode in force.
    Mode(String),
    /// The provider profile in force, by name.
    Profile(String),
    /// A request will be sent again.
    Retry {
        /// Task id.
        task: String,
        /// 1-based attempt.
        attempt: u32,
        /// Milliseconds until then.
        in_ms: u64,
        /// Why.
        reason: String,
    },
    /// The conversation was condensed, or was not.
    Condensed {
        /// Task id.
        task: String,
        /// Tokens before.
        tokens_before: u64,
        /// Tokens now.
        tokens_after: u64,
        /// US dollars.
        cost: f64,
        /// The summary; empty without one.
        summary: String,
        /// Why it was not condensed.
        error: Option<String>,
    },
    /// The queue of messages changed.
    Queue {
        /// Task id.
        task: String,
        /// Texts still queued.
        texts: Vec<String>,
        /// Their ids, in the same order.
        ids: Vec<String>,
    },
    /// The task completed (`attempt_completion` presented its result).
    Completed {
        /// Task id.
        task: String,
        /// The result text.
        result: String,
        /// Totals.
        usage: TokenUsage,
    },
    /// The host should know (spec 02 §16 notifications).
    Notify {
        /// `info`, `warning` or `error`.
        level: &'static str,
        /// Text.
        message: String,
    },
}

/// The life of one tool call as a host sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolProgress {
    /// The opening tag arrived.
    Begin {
        /// Number of the call in this session.
        call: u64,
        /// Tool name.
        tool: &'static str,
    },
    /// More of the call has arrived.
    Delta {
        /// Number of the call in this session.
        call: u64,
        /// What the model added: parameters in their tags, as it writes them.
        text: String,
    },
    /// The call ended.
    End {
        /// Number of the call in this session.
        call: u64,
        /// Tool name.
        tool: &'static str,
        /// `ok`, `error`, `rejected` or `skipped`.
        status: &'static str,
        /// First line of the result, at most 200 characters.
        summary: String,
        /// Milliseconds from the complete call to its result.
        duration_ms: u64,
    },
}

/// A run of a hook as a host sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct HookRun {
    /// Number of the tool call in this session; 0 when it is about none.
    pub call: u64,
    /// Name of the event that it runs at.
    pub event: &'static str,
    /// Its command line, at most 200 characters, or `host`.
    pub name: String,
    /// Tool name.
    pub tool: Option<&'static str>,
    /// `started`, then `passed`, `allowed`, `asked`, `denied` or `failed`.
    pub state: &'static str,
    /// Its reason, or why it failed.
    pub message: Option<String>,
    /// Milliseconds it took.
    pub duration_ms: u64,
}

/// Why a host request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HostRequestError {
    /// The host did not declare this capability: use the disk or own processes.
    #[error("the host does not offer `{0}`")]
    Unsupported(&'static str),
    /// The host answered with an error.
    #[error("{0}")]
    Failed(String),
    /// No answer in time.
    #[error("the host did not answer `{method}` in {after_ms} ms")]
    TimedOut {
        /// Method.
        method: &'static str,
        /// Limit.
        after_ms: u64,
    },
    /// The engine is closing or the session ended.
    #[error("the request was withdrawn")]
    Withdrawn,
}

/// The engine as the loop sees it.
#[async_trait]
pub trait TaskHost: Send + Sync {
    /// Reports an event; never blocks, never drops.
    fn emit(&self, event: TaskEvent);
    /// Whether somebody keeps notes of this session: only then are any made.
    fn keeps_notes(&self) -> bool {
        false
    }
    /// Keeps a note ([`recovery`](super::recovery)) before anything reported after it can reach the host. Must not block for
    /// long, nor call back: the loop holds locks.
    fn note(&self, _note: Note) {}
    /// Waits while the host is too far behind (backpressure): called before each read of a provider's stream.
    async fn ready(&self);
    /// Asks the host (methods of `docs/protocol.md`).
    async fn request(&self, method: &'static str, params: Value) -> Result<Value, HostRequestError>;
    /// Whether the host declared this method.
    fn offers(&self, method: &str) -> bool;
}

/// Makes a provider from settings in force (profile and mode may change during a task).
pub type ProviderFactory = dyn Fn(&Settings) -> Result<Arc<dyn Provider>, ProviderError> + Send + Sync;

/// Where the loop reads the settings in force, each time it needs them, and changes the mode.
pub trait SettingsSource: Send + Sync {
    /// Settings now.
    fn current(&self) -> Arc<Settings>;
    /// Looks at what stands in files, such as custom modes; called before each request to the model. Reads a few small files, so it
    /// may block for a moment.
    fn refresh(&self) {}
    /// Makes `slug` the mode in force and activates the profile saved for it, if there is one (spec 02 §16).
    fn set_mode(&self, slug: &str);
    /// Makes the provider profile of this name the one in force, and that of the mode in force (spec 04 §5.4). False when there is
    /// none such.
    fn set_profile(&self, _name: &str) -> bool {
        false
    }
}

/// Facts a system prompt depends on, beside what its builder knows of the surroundings.
#[derive(Clone, Debug)]
pub struct PromptRequest<'a> {
    /// The task's working directory.
    pub cwd: &'a Path,
    /// Settings in force.
    pub settings: &'a Settings,
    /// Slug of the mode in force.
    pub mode: &'a str,
    /// Model that will read the prompt.
    pub model: &'a Model,
}

/// What a mode asks of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModeDetails {
    /// Its role definition.
    pub role: String,
    /// The user's instructions for it, as the system prompt has them; may be empty.
    pub instructions: String,
}

/// Builds the system prompt (spec 03); reads rule files, so it may wait for the disk.
#[async_trait]
pub trait SystemPrompt: Send + Sync {
    /// The prompt for this request.
    ///
    /// # Errors
    /// A text for the user; the request then counts as failed in its stream (spec 02 Q5).
    async fn build(&self, request: PromptRequest<'_>) -> Result<String, String>;

    /// Details of the mode in force (spec 03 §8.3), for the environment details of the experiment `powerSteering`. None by default.
    async fn mode_details(&self, _cwd: &Path, _settings: &Settings) -> Option<ModeDetails> {
        None
    }
}

/// The list of known tasks (settings key `taskHistory`, spec 02 §13).
pub trait TaskHistory: Send + Sync {
    /// The entry of this task.
    fn get(&self, task: &str) -> Option<HistoryItem>;
    /// Replaces the entry with the same id, or appends it.
    fn put(&self, item: HistoryItem);
}

/// Facts and services of the surroundings; nothing in the loop reads clock, environment or randomness by itself.
#[derive(Clone)]
pub struct Surroundings {
    /// Milliseconds since the Unix epoch.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// A fresh UUID v4 in its text form.
    pub new_id: Arc<dyn Fn() -> String + Send + Sync>,
    /// The user's home directory.
    pub home: PathBuf,
    /// Base folder of `tasks/<id>/` (spec 02 §13).
    pub storage: PathBuf,
    /// Watches files.
    pub watch: Arc<dyn Watch>,
    /// IANA time zone and offset in minutes east of UTC.
    pub time_zone: (String, i32),
    /// The text catalogue.
    pub texts: Arc<Texts>,
    /// Environment of programs that the loop runs itself: git, hooks.
    pub environment: Arc<[(OsString, OsString)]>,
    /// Terminals of the engine.
    pub terminals: Arc<Terminals>,
    /// Makes providers.
    pub providers: Arc<ProviderFactory>,
    /// Builds system prompts.
    pub prompt: Arc<dyn SystemPrompt>,
    /// When the last request of any task was sent, for `rateLimitSeconds`.
    pub last_request: Arc<Mutex<Option<tokio::time::Instant>>>,
    /// Known tasks.
    pub history: Arc<dyn TaskHistory>,
    /// The document side of edits: the host's editor, or the disk.
    pub editor: Arc<dyn Editor>,
}
