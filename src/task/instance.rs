//! One run of a task (spec 02 §1): its conversation, counters and waits. Resuming makes a new instance with the same id.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::api_history::ApiHistory;
use super::changes::Changes;
use super::checkpoints::Checkpoints;
use super::context_files::{ContextFiles, OwnEdits};
use super::conversation::Conversation;
use super::history::HistoryItem;
use super::hooks::{Decision, WorkspaceHooks};
use super::host::{Status, TaskEvent};
use super::manager::{Manager, Services};
use super::queue::MessageQueue;
use super::recovery::{NotedEditor, Replay};
use super::repetition::RepetitionDetector;
use super::store::Store;
use super::turn::Turn;
use crate::edit::view::EditView;
use crate::protocol::message::{ApiMessage, Ask, TodoItem, TokenUsage, UiMessage};
use crate::protocol::tool::ToolName;
use crate::settings::Settings;
use crate::tools::context::Answer;
use crate::workspace::access::Access;

/// The task was aborted: whatever ran for it stops without recording anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was aborted")]
pub(super) struct Aborted;

/// How a task came to its end before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// The user pressed stop.
    UserCancelled,
    /// The provider's stream failed.
    StreamingFailed,
}

impl AbortReason {
    /// Name in stored records.
    pub fn as_str(self) -> &'static str {
        match self {
            AbortReason::UserCancelled => "user_cancelled",
            AbortReason::StreamingFailed => "streaming_failed",
        }
    }
}

/// A question that waits for its answer.
pub(super) struct PendingAsk {
    /// Message that asks.
    pub ts: i64,
    /// Its kind.
    pub ask: Ask,
    /// Takes the answer; dropped when the question is superseded.
    pub answer: oneshot::Sender<Answer>,
}

/// Calls of one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCount {
    /// Complete calls.
    pub attempts: u32,
    /// Failed ones.
    pub failures: u32,
}

/// Who started a task.
#[derive(Clone, Default)]
pub(super) struct Lineage {
    /// Instance that waits for this one.
    pub parent: Option<Arc<Task>>,
    /// Id of the parent.
    pub parent_id: Option<String>,
    /// Id of the task at the bottom of the stack.
    pub root_id: Option<String>,
    /// Position in the stack, from 1.
    pub number: u32,
}

/// One run of a task.
pub(super) struct Task {
    /// Stable over runs.
    pub id: String,
    /// Who started it.
    pub lineage: Lineage,
    /// Working directory.
    pub cwd: PathBuf,
    /// Host, surroundings, settings.
    pub services: Arc<Services>,
    /// The session.
    pub manager: Weak<Manager>,
    /// Settings when the instance was made (spec 02 Q16).
    pub settings_at_start: Arc<Settings>,
    /// First workspace folder of the session.
    pub workspace: PathBuf,
    /// Files that the model has seen or changed.
    pub context_files: Arc<ContextFiles>,
    /// Ignore and protect rules.
    pub access: Access,
    /// Hooks that the workspace brings.
    pub workspace_hooks: WorkspaceHooks,
    /// The editor behind the edit view, and what it changed.
    pub changes: Arc<Changes>,
    /// The edit view.
    pub edits: tokio::sync::Mutex<EditView>,
    /// Cancelled by abort: ends every wait (D05).
    pub aborted: CancellationToken,
    /// Files of the task.
    pub store: Store,
    /// The request being streamed and presented.
    pub turn: Mutex<Turn>,
    /// Checkpoints of this instance.
    pub checkpoints: Checkpoints,
    /// Signalled when `paused` ends.
    pub resumed: Notify,
    /// Signalled when a presentation is asked for.
    pub presentation: Notify,
    /// Signalled when something in `turn` changes that another future waits for.
    pub progress: Notify,
    me: Weak<Task>,
    state: Mutex<State>,
}

/// What changes during a run.
pub(super) struct State {
    /// UI conversation.
    pub ui: Conversation,
    /// API conversation.
    pub api: ApiHistory,
    /// Mode recorded for this task.
    pub mode: String,
    /// Mistakes in a row.
    pub mistakes: i64,
    /// Calls by tool.
    pub tool_usage: BTreeMap<ToolName, ToolCount>,
    /// Todo list.
    pub todos: Option<Vec<TodoItem>>,
    /// Waiting messages of the user.
    pub queue: MessageQueue,
    /// The question that waits.
    pub pending: Option<PendingAsk>,
    /// Last interactive message (supersedes an older question).
    pub last_message_ts: i64,
    /// Detects repeated calls.
    pub repetition: RepetitionDetector,
    /// Why it was aborted.
    pub abort_reason: Option<AbortReason>,
    /// Taken from the stack: it must not touch what the next instance owns.
    pub abandoned: bool,
    /// A subtask that gave its result to its parent.
    pub finished: bool,
    /// Waits for a subtask.
    pub paused: bool,
    /// Mode to go back to after the subtask.
    pub paused_mode: String,
    /// The next request must not go on from a stored response.
    pub skip_previous_response: bool,
    /// Requests counted against `allowedMaxRequests`.
    pub requests: u64,
    /// Failed diffs by path.
    pub diff_failures: HashMap<String, u32>,
    /// A file was edited since the last environment details.
    pub edited: bool,
    /// Pending todo list of an approval, as the host may replace it.
    pub pending_todos: Vec<TodoItem>,
    /// Paths changed by the user since the last environment details.
    pub recently_modified: Vec<String>,
    /// Usage last reported.
    pub reported_usage: Option<TokenUsage>,
    /// Tool calls seen, and the one that has begun and not ended.
    pub calls: u64,
    /// See `calls`.
    pub open_call: Option<u64>,
    /// The loop has begun.
    pub ran: bool,
    /// What hooks decided about the call that runs.
    pub hook_decision: Option<Decision>,
    /// Completions that hooks denied in a row.
    pub completion_denials: u32,
    /// Checkpoints made beside a message that grows: told once it does not, so that they do not cut it in two.
    pub untold_checkpoints: Vec<UiMessage>,
    /// What a restored task does again.
    pub replay: Replay,
}

impl Task {
    /// A new instance; nothing is loaded or started.
    pub fn new(
        id: String,
        lineage: Lineage,
        cwd: PathBuf,
        mode: String,
        services: Arc<Services>,
        manager: Weak<Manager>,
    ) -> Arc<Task> {
        let settings = services.settings.current();
        let surroundings = &services.surroundings;
        let store = Store::new(services.task_folder(&id));
        let editor = NotedEditor::over(surroundings.editor.clone(), &services.host, &id);
        let context_files = Arc::new(ContextFiles::new(surroundings.watch.open()));
        let editor = Arc::new(OwnEdits { editor, files: context_files.clone() });
        let originals = services.shared.originals(store.folder());
        let changes = Arc::new(Changes::new(editor, originals, services.host.clone(), &id, cwd.clone()));
        let edits = EditView::new(changes.clone(), cwd.clone());
        let workspace = manager.upgrade().map_or_else(|| cwd.clone(), |manager| manager.workspace().to_owned());
        Arc::new_cyclic(|me| Task {
            me: me.clone(),
            id,
            lineage,
            changes,
            edits: tokio::sync::Mutex::new(edits),
            manager,
            workspace,
            context_files,
            access: Access::load(&cwd),
            workspace_hooks: WorkspaceHooks::load(&cwd, &settings.trusted_folders),
            cwd,
            aborted: CancellationToken::new(),
            store,
            turn: Mutex::new(Turn::default()),
            checkpoints: Checkpoints::new(settings.enable_checkpoints),
            resumed: Notify::new(),
            presentation: Notify::new(),
            progress: Notify::new(),
            state: Mutex::new(State {
                ui: Conversation::default(),
                api: ApiHistory::default(),
                mode,
                mistakes: 0,
                tool_usage: BTreeMap::new(),
                todos: None,
                queue: MessageQueue::default(),
                pending: None,
                last_message_ts: 0,
                repetition: RepetitionDetector::new(settings.consecutive_mistake_limit),
                abort_reason: None,
                abandoned: false,
                finished: false,
                paused: false,
                paused_mode: "code".into(),
                skip_previous_response: false,
                requests: 0,
                diff_failures: HashMap::new(),
                edited: false,
                pending_todos: Vec::new(),
                recently_modified: Vec::new(),
                reported_usage: None,
                calls: 0,
                open_call: None,
                ran: false,
                hook_decision: None,
                completion_denials: 0,
                untold_checkpoints: Vec::new(),
                replay: Replay::default(),
            }),
            settings_at_start: settings,
            services,
        })
    }

    /// The changing part. Never hold it over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held cannot have left half a change that later code relies on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request in progress. Never hold it over an await.
    pub fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settings in force now.
    pub fn settings(&self) -> Arc<Settings> {
        self.services.settings.current()
    }

    /// Reports an event.
    pub fn emit(&self, event: TaskEvent) {
        self.services.host.emit(event);
    }

    /// Reports a life-cycle event by its name.
    pub fn lifecycle(&self, event: &'static str, data: Value) {
        self.emit(TaskEvent::Lifecycle { task: self.id.clone(), event, data });
    }

    /// Reports a status.
    pub fn status(&self, status: Status, reason: Option<String>) {
        self.emit(TaskEvent::Status(status, reason));
    }

    /// A fresh, strictly increasing message identity: later than every message of both conversations, so that a cut at one
    /// message (spec 02 §15.5) takes exactly what was said after it.
    pub fn next_ts(&self, state: &State) -> i64 {
        let now = (self.services.surroundings.now_ms)();
        let said = state.ui.last().map(|last| last.ts);
        let sent = state.api.last().and_then(|last| last.ts);
        said.max(sent).map_or(now, |last| now.max(last + 1))
    }

    /// This instance, shared.
    pub fn shared(&self) -> Option<Arc<Task>> {
        self.me.upgrade()
    }

    /// Fails once the task is aborted.
    pub fn check(&self) -> Result<(), Aborted> {
        if self.aborted.is_cancelled() { Err(Aborted) } else { Ok(()) }
    }

    /// Waits for `future`, unless the task is aborted first.
    pub async fn unless_aborted<T>(&self, future: impl Future<Output = T>) -> Result<T, Aborted> {
        tokio::select! {
            biased;
            () = self.aborted.cancelled() => Err(Aborted),
            value = future => Ok(value),
        }
    }

    /// Token usage so far.
    pub fn usage(&self) -> TokenUsage {
        self.state().ui.usage()
    }

    /// Tokens in the context after the last request; 0 before the first.
    pub fn context_tokens(&self) -> u64 {
        self.usage().context_tokens.max(0).unsigned_abs()
    }

    /// Whether `other` is this very instance.
    pub fn is(&self, other: &Task) -> bool {
        std::ptr::eq(self, other)
    }

    /// The mistake limit of this instance.
    pub fn mistake_limit(&self) -> i64 {
        self.settings_at_start.consecutive_mistake_limit
    }
}

/// A read-only view of a task instance, valid as long as it is held.
#[derive(Clone)]
pub struct TaskView(Arc<Task>);

/// A copy of a task instance's state.
#[derive(Clone, Debug)]
pub struct TaskSnapshot {
    /// Task id.
    pub id: String,
    /// Parent's id.
    pub parent: Option<String>,
    /// Id of the task at the bottom of the stack.
    pub root: Option<String>,
    /// UI conversation.
    pub ui: Vec<UiMessage>,
    /// API conversation.
    pub api: Vec<ApiMessage>,
    /// Mode.
    pub mode: String,
    /// Mistakes in a row.
    pub mistakes: i64,
    /// Calls by tool.
    pub tool_usage: BTreeMap<ToolName, ToolCount>,
    /// Todo list.
    pub todos: Option<Vec<TodoItem>>,
    /// Texts of waiting messages.
    pub queue: Vec<String>,
    /// Whether it was aborted, and why if that is known.
    pub aborted: Option<Option<&'static str>>,
    /// `ts` of the question that waits.
    pub waiting: Option<i64>,
}

impl TaskView {
    pub(super) fn new(task: Arc<Task>) -> TaskView {
        TaskView(task)
    }

    pub(super) fn task(&self) -> &Arc<Task> {
        &self.0
    }

    /// Task id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its entry for the list of known tasks, as it would be stored now.
    pub fn history_item(&self) -> HistoryItem {
        self.0.history_item()
    }

    /// The last messages that are `wanted`, at most `most`, in their order.
    pub fn last_messages(&self, wanted: impl Fn(&UiMessage) -> bool, most: usize) -> Vec<UiMessage> {
        let state = self.0.state();
        let mut messages: Vec<UiMessage> = state.ui.wholes(wanted).rev().take(most).map(Cow::into_owned).collect();
        messages.reverse();
        messages
    }

    /// The state now.
    pub fn snapshot(&self) -> TaskSnapshot {
        let task = &self.0;
        let state = task.state();
        TaskSnapshot {
            id: task.id.clone(),
            parent: task.lineage.parent_id.clone(),
            root: task.lineage.root_id.clone(),
            ui: state.ui.wholes(|_| true).map(Cow::into_owned).chain(state.replay.messages.iter().cloned()).collect(),
            api: state.api.to_vec(),
            mode: state.mode.clone(),
            mistakes: state.mistakes,
            tool_usage: state.tool_usage.clone(),
            todos: state.todos.clone(),
            queue: state.queue.texts(),
            aborted: task.aborted.is_cancelled().then(|| state.abort_reason.map(AbortReason::as_str)),
            waiting: state.pending.as_ref().map(|pending| pending.ts),
        }
    }

    /// Whether nothing of the assistant's message waits to be presented or is being presented.
    pub fn presenter_at_rest(&self) -> bool {
        self.0.turn().at_rest()
    }
}
