//! The structured bodies of events, in the order of `docs/protocol.md`.
//!
//! What an event is about (request, message, call, ask) is the correlation of its slot and no field here.

use crate::protocol::json::Json;
use crate::protocol::record::{records, words};

words! {
    /// Where a session stands.
    SessionState / ArchivedSessionState {
        /// Working, not streaming.
        #[default]
        Running = "running",
        /// Reading the model's answer.
        Streaming = "streaming",
        /// An ask waits.
        WaitingForAnswer = "waiting_for_answer",
        /// Nothing runs; a completed or interrupted task may go on.
        Idle = "idle",
        /// The task can be resumed.
        Resumable = "resumable",
        /// The task completed.
        Completed = "completed",
        /// The session failed and takes no more requests.
        Failed = "failed",
        /// The task was cancelled.
        Cancelled = "cancelled",
    }

    /// Whether a message asks or says.
    Form / ArchivedForm {
        /// A statement.
        #[default]
        Say = "say",
        /// A question.
        Ask = "ask",
    }

    /// How a tool call ended.
    ToolStatus / ArchivedToolStatus {
        /// Done.
        #[default]
        Ok = "ok",
        /// Failed; the model was told.
        Error = "error",
        /// The user said no.
        Rejected = "rejected",
        /// Not run, because an earlier call of the same answer was rejected or ended the turn.
        Skipped = "skipped",
    }

    /// What became of an ask.
    AskOutcome / ArchivedAskOutcome {
        /// Answered, by the host or by a rule of approval.
        #[default]
        Answered = "answered",
        /// A newer message took its place.
        Superseded = "superseded",
        /// The task no longer wants an answer.
        Withdrawn = "withdrawn",
    }

    /// Severity of a log line.
    LogLevel / ArchivedLogLevel {
        /// For the user to know.
        #[default]
        Info = "info",
        /// Something did not go as it should.
        Warning = "warning",
        /// Something failed.
        Error = "error",
        /// For developers.
        Debug = "debug",
        /// For developers, in detail.
        Trace = "trace",
    }
}

records! {
    /// A request was carried out.
    RequestDone / ArchivedRequestDone {
        /// Its result; `null` when there is nothing to tell.
        result: Json,
    }

    /// A request failed.
    RequestFailed / ArchivedRequestFailed {
        /// Status code of the C ABI.
        code: i32,
        /// Kind of failure ([`crate::protocol::failure::ErrorKind`]).
        kind: String,
        /// What happened.
        message: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// When to try again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// Place in the request, such as `task.start.images[2]`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    }

    /// The session's state changed.
    SessionChanged / ArchivedSessionChanged {
        /// New state.
        state: SessionState,
        /// Why, where that is not plain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The current task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    }

    /// A message begins, or begins again when its text does not extend the earlier one.
    MessageBegin / ArchivedMessageBegin {
        /// Task id.
        task: String,
        /// Ask or say.
        form: Form,
        /// Its type (spec 01 §2.5, §2.6).
        kind: String,
    }

    /// A message is complete. Here it stands whole, once.
    MessageEnd / ArchivedMessageEnd {
        /// Task id.
        task: String,
        /// Ask or say.
        form: Form,
        /// Its type (spec 01 §2.5, §2.6).
        kind: String,
        /// Text, often JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Images as data URLs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
        /// All other keys of the stored message (spec 01 §2.4), if it has some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Json>,
    }

    /// The model opened a tool call.
    ToolBegin / ArchivedToolBegin {
        /// Task id.
        task: String,
        /// Tool name.
        tool: String,
    }

    /// A tool call ended.
    ToolEnd / ArchivedToolEnd {
        /// Task id.
        task: String,
        /// Tool name.
        tool: String,
        /// How it ended.
        status: ToolStatus,
        /// First line of the result, at most 200 characters.
        summary: String,
        /// Milliseconds from the complete call to its result.
        duration_ms: u64,
    }

    /// A hook runs or has run.
    HookRun / ArchivedHookRun {
        /// Task id.
        task: String,
        /// Event that it runs at, such as `PreToolUse`.
        kind: String,
        /// Its command line, at most 200 characters, or `host`.
        target: String,
        /// Tool name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// `started`, then `passed`, `allowed`, `asked`, `denied` or `failed`.
        state: String,
        /// Its reason, or why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Milliseconds it took; 0 when it has started.
        duration_ms: u64,
    }

    /// A question waits for `task.respond`.
    Ask / ArchivedAsk {
        /// Task id.
        task: String,
        /// Id of the message that asks.
        message: u64,
        /// Kind of question (spec 01 §2.5).
        kind: String,
        /// Its text: the question, the command, or JSON (spec 01 §2.7).
        text: String,
        /// What is asked for in short: the tool of a tool ask (spec 01 §2.7).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// The file concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Whether the file is write-protected.
        protected: bool,
        /// Suggested answers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        suggestions: Vec<Suggestion>,
        /// Milliseconds until the engine answers by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    }

    /// A question no longer waits.
    AskResolved / ArchivedAskResolved {
        /// Task id.
        task: String,
        /// How.
        outcome: AskOutcome,
    }

    /// The engine asks the host, which answers by `host.respond`.
    HostRequest / ArchivedHostRequest {
        /// Method (`docs/protocol.md`).
        method: String,
        /// Object of its parameters.
        parameters: Json,
        /// Milliseconds until the engine does without an answer.
        deadline_ms: u64,
    }

    /// Tokens and cost of the task so far.
    Usage / ArchivedUsage {
        /// Task id.
        task: String,
        /// Input tokens.
        tokens_in: u64,
        /// Output tokens.
        tokens_out: u64,
        /// Tokens read from the provider's cache.
        cache_read_tokens: u64,
        /// Tokens written to the provider's cache.
        cache_write_tokens: u64,
        /// Output tokens spent on reasoning.
        reasoning_tokens: u64,
        /// US dollars.
        cost: f64,
        /// Tokens in the context of the last request.
        context_tokens: u64,
        /// Size of the model's context window in tokens; 0 when unknown.
        context_window: u64,
    }

    /// The todo list.
    TodoChanged / ArchivedTodoChanged {
        /// Task id.
        task: String,
        /// The whole list.
        items: Vec<TodoEntry>,
    }

    /// The mode in force.
    ModeChanged / ArchivedModeChanged {
        /// Slug.
        mode: String,
    }

    /// The provider profile in force.
    ProfileChanged / ArchivedProfileChanged {
        /// Name.
        profile: String,
    }

    /// A checkpoint was saved.
    Checkpoint / ArchivedCheckpoint {
        /// Task id.
        task: String,
        /// Id of the checkpoint's commit.
        commit: String,
    }

    /// The conversation was condensed.
    Condensed / ArchivedCondensed {
        /// Task id.
        task: String,
        /// Tokens before.
        tokens_before: u64,
        /// Tokens after.
        tokens_after: u64,
        /// US dollars.
        cost: f64,
        /// The summary.
        summary: String,
        /// Why it was not condensed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }

    /// A request to the provider will be sent again.
    Retry / ArchivedRetry {
        /// Task id.
        task: String,
        /// Number of the coming attempt, from 1.
        attempt: u32,
        /// Milliseconds until then.
        in_ms: u64,
        /// Why.
        reason: String,
    }

    /// A subtask was started by its parent, or is finished and the parent goes on.
    Subtask / ArchivedSubtask {
        /// Task id.
        task: String,
        /// Task that started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        /// `started` or `finished`.
        state: String,
    }

    /// The messages that wait for the task.
    Queue / ArchivedQueue {
        /// Task id.
        task: String,
        /// Their texts, in order.
        texts: Vec<String>,
        /// Their ids, in the same order: `task.queue` names them by these.
        ids: Vec<String>,
    }

    /// What the task changed so far.
    Diff / ArchivedDiff {
        /// Task id.
        task: String,
        /// Files touched.
        files: Vec<DiffFile>,
        /// Lines added in all.
        added: u64,
        /// Lines removed in all.
        removed: u64,
    }

    /// The task presented its result.
    TaskCompleted / ArchivedTaskCompleted {
        /// Task id.
        task: String,
        /// The result.
        result: String,
        /// Input tokens.
        tokens_in: u64,
        /// Output tokens.
        tokens_out: u64,
        /// US dollars.
        cost: f64,
    }

    /// Progress of something long: the index or an update.
    Progress / ArchivedProgress {
        /// State.
        state: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    }

    /// State of an MCP server.
    McpStatus / ArchivedMcpStatus {
        /// Name of the server.
        server: String,
        /// State.
        state: String,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    }

    /// A suggested edit at the cursor.
    InlineSuggestion / ArchivedInlineSuggestion {
        /// List of groups of edits.
        groups: Json,
        /// Object with the cursor's place afterwards.
        cursor: Json,
    }

    /// Settings changed.
    SettingsChanged / ArchivedSettingsChanged {
        /// Which.
        keys: Vec<String>,
    }

    /// Something to know.
    Log / ArchivedLog {
        /// Severity.
        level: LogLevel,
        /// Part of the engine.
        target: String,
        /// What.
        message: String,
    }

    /// Counters.
    Stats / ArchivedStats {
        /// Object of counters.
        counters: Json,
    }

    /// A suggested answer.
    Suggestion / ArchivedSuggestion {
        /// The answer.
        text: String,
        /// Mode to switch to with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    }

    /// One item of a todo list.
    TodoEntry / ArchivedTodoEntry {
        /// Identity of the item.
        id: String,
        /// What is to be done.
        content: String,
        /// `pending`, `in_progress` or `completed`.
        status: String,
    }

    /// A file in a diff.
    DiffFile / ArchivedDiffFile {
        /// Path relative to the workspace.
        path: String,
        /// Lines added.
        added: u64,
        /// Lines removed.
        removed: u64,
    }
}
