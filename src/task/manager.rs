//! The stack of tasks of a session and what the host does with it (spec 02 §2.3, §16).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::changes;
use super::host::{SettingsSource, Status, Surroundings, TaskEvent, TaskHost};
use super::instance::{AbortReason, Lineage, State, Task};
use super::pool::Spawner;
use super::queue::Full;
use super::recovery::{Note, Origin, keep};
use super::rewind::Rewind;
use super::session::{Command, CommandError, Reply};
use super::stored::{self, StoreError, Stored};
use crate::prompt::text::context;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role, Say, TodoItem};
use crate::settings::modes;
use crate::tools::context::Answer;

/// How long a stop waits for the stream to end before it reopens the task (spec 02 §2.3).
const CANCEL_LIMIT: Duration = Duration::from_millis(3000);

const QUEUE_FULL: CommandError = CommandError::InTheWay("the queue of messages is full");

/// What all tasks of a session share.
pub(super) struct Services {
    pub host: Arc<dyn TaskHost>,
    pub surroundings: Surroundings,
    pub settings: Arc<dyn SettingsSource>,
    pub spawner: Spawner,
    /// The user was told of hooks of the workspace that do not run.
    pub told_of_hooks: AtomicBool,
    pub shared: changes::Shared,
}

impl Services {
    /// The folder of this task.
    pub fn task_folder(&self, task: &str) -> PathBuf {
        stored::folder(&self.settings.current(), &self.surroundings.storage, task)
    }

    /// Makes `mode` the mode in force, and tells of the profile if that brought another.
    pub fn set_mode(&self, mode: &str) {
        let before = self.settings.current().current_api_config_name.clone();
        self.settings.set_mode(mode);
        let now = self.settings.current().current_api_config_name.clone();
        if now != before {
            self.host.emit(TaskEvent::Profile(now));
        }
    }
}

/// The manager of spec 02 §1.
pub(super) struct Manager {
    pub(super) services: Arc<Services>,
    cwd: PathBuf,
    stack: Mutex<Vec<Arc<Task>>>,
    me: Weak<Manager>,
}

impl Manager {
    pub fn new(
        host: Arc<dyn TaskHost>,
        surroundings: Surroundings,
        settings: Arc<dyn SettingsSource>,
        cwd: PathBuf,
        spawner: Spawner,
    ) -> Arc<Manager> {
        let told_of_hooks = AtomicBool::new(false);
        let shared = changes::Shared::default();
        let services = Arc::new(Services { host, surroundings, settings, spawner, told_of_hooks, shared });
        Arc::new_cyclic(|me| Manager { services, cwd, stack: Mutex::new(Vec::new()), me: me.clone() })
    }

    fn stack(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder that the session was opened for.
    pub fn workspace(&self) -> &Path {
        &self.cwd
    }

    /// The task on top of the stack.
    pub fn current(&self) -> Option<Arc<Task>> {
        self.stack().last().cloned()
    }

    /// The topmost task of this id.
    pub fn find(&self, id: &str) -> Option<Arc<Task>> {
        self.stack().iter().rev().find(|task| task.id == id).cloned()
    }

    /// Carries out one command.
    pub async fn execute(&self, command: Command) -> Reply {
        match command {
            Command::Start { text, images, todos, dry_run } => {
                while self.pop(None).await.is_some() {}
                let todos = todos.map(|text| crate::tools::checklist::parse(&text));
                let task = self.create(Lineage::default(), None, todos);
                if dry_run {
                    task.begin_dry_run()?;
                }
                let reply = json!({"task": task.id});
                let todos = task.state().todos.clone();
                let origin = Origin::New { text: text.clone(), images: images.clone(), todos };
                self.push(task.clone(), origin, None);
                self.services.spawner.spawn(async move { task.start(text, images) });
                Ok(reply)
            }
            Command::Resume { task } => {
                while self.pop(None).await.is_some() {}
                self.open_stored(&task, None, None).await?;
                Ok(json!({"task": task}))
            }
            Command::Message { text, images } => match self.task()?.message(text, images) {
                Ok(queued) => Ok(json!({ "queued": queued })),
                Err(Full) => Err(QUEUE_FULL),
            },
            Command::Queue { text, images } => match self.task()?.enqueue(text, images) {
                Ok(id) => Ok(json!({"id": id})),
                Err(Full) => Err(QUEUE_FULL),
            },
            Command::Unqueue { id } => Ok(json!({"done": self.task()?.unqueue(&id)})),
            Command::EditQueued { id, text, images } => {
                Ok(json!({"done": self.task()?.edit_queued(&id, text, images)}))
            }
            Command::Respond { ask, response, text, images } => {
                let answer = Answer { response, text, images };
                if self.task()?.respond(ask, answer, "answered") {
                    Ok(Value::Null)
                } else {
                    Err(CommandError::NoSuchAsk)
                }
            }
            Command::Barrier => Ok(Value::Null),
            Command::Cancel => self.cancel().await,
            Command::Clear => self.clear().await,
            Command::SetMode(mode) => {
                self.switch_mode(&mode);
                Ok(Value::Null)
            }
            Command::SetProfile(name) => self.set_profile(&name),
            Command::Delete { task } => self.delete(&task).await,
            Command::EditMessage { message, text, images, restore } => {
                self.edit_message(message, text, images, restore).await
            }
            Command::DeleteMessage { message, restore } => self.delete_message(message, restore).await,
            Command::Terminal { proceed } => {
                let done = self.services.surroundings.terminals.operate(&self.task()?.id, proceed);
                Ok(json!({"done": done}))
            }
            Command::SetTodos(todos) => {
                let todos: Vec<TodoItem> =
                    serde_json::from_value(todos).map_err(|cause| CommandError::Invalid(format!("todos: {cause}")))?;
                self.task()?.replace_pending_todos(todos);
                Ok(Value::Null)
            }
            Command::ApplyCollected(selection) => self.apply_collected(selection).await,
            Command::DropCollected(selection) => self.drop_collected(selection).await,
            Command::RestoreCheckpoint { checkpoint, with_conversation } => {
                self.restore_checkpoint(&checkpoint, with_conversation).await
            }
            Command::UndoRestore => self.undo_restore().await,
            Command::Restore(progress) => self.restore(*progress).await,
            Command::Condense => self.task()?.condense_now().await.map(|()| Value::Null),
        }
    }

    /// Ids of the tasks on the stack, from the bottom.
    pub fn ids(&self) -> Vec<String> {
        self.stack().iter().map(|task| task.id.clone()).collect()
    }

    pub(super) fn task(&self) -> Result<Arc<Task>, CommandError> {
        self.current().ok_or(CommandError::NoTask)
    }

    /// Aborts everything: the session ends.
    pub async fn close(&self) {
        while let Some(task) = self.pop(None).await {
            task.store.flush().await;
        }
    }

    /// Makes a new task in the mode in force.
    fn create(&self, lineage: Lineage, cwd: Option<PathBuf>, todos: Option<Vec<TodoItem>>) -> Arc<Task> {
        let mode = self.services.settings.current().mode.clone();
        let number = self.stack().len() as u32 + 1;
        let id = (self.services.surroundings.new_id)();
        let lineage = Lineage { number, ..lineage };
        let task = self.instance(id, lineage, cwd.unwrap_or_else(|| self.cwd.clone()), mode);
        task.state().todos = todos.filter(|todos| !todos.is_empty());
        task
    }

    /// An instance of a task, with nothing loaded or started.
    pub(super) fn instance(&self, id: String, lineage: Lineage, cwd: PathBuf, mode: String) -> Arc<Task> {
        let parent = lineage.parent_id.clone();
        let settings = self.services.settings.current();
        if let Err(unusable) = stored::base(&settings, &self.services.surroundings.storage) {
            let path = unusable.display().to_string();
            let message = self.services.surroundings.texts.render("storage.custom_unusable", context! { path });
            self.services.host.emit(TaskEvent::Notify { level: "error", message });
        }
        let task = Task::new(id.clone(), lineage, cwd, mode, self.services.clone(), self.me.clone());
        task.join_dry_run();
        self.services.host.emit(TaskEvent::TaskCreated { task: id, parent });
        task.tell_of_workspace_hooks();
        task
    }

    /// Puts a task on the stack; `pauses` is the mode that its parent, which waits for it, goes back to.
    fn push(&self, task: Arc<Task>, origin: Origin, pauses: Option<String>) {
        task.note_pushed(origin, pauses);
        self.put(task);
    }

    /// Puts a task on the stack.
    pub(super) fn put(&self, task: Arc<Task>) {
        self.stack().push(task.clone());
        task.lifecycle("taskFocused", Value::Null);
    }

    /// Takes the top task off and ends it; its parent will get `result`.
    async fn pop(&self, result: Option<&str>) -> Option<Arc<Task>> {
        self.current()?.note(|task| Note::Popped { task, result: result.map(str::to_owned) });
        self.take_top()
    }

    /// Takes the top task off and ends it.
    fn take_top(&self) -> Option<Arc<Task>> {
        let task = self.stack().pop()?;
        task.lifecycle("taskUnfocused", Value::Null);
        task.abort(true);
        if self.stack().is_empty() {
            self.services.host.emit(TaskEvent::Status(Status::None, None));
        }
        Some(task)
    }

    /// Opens a stored task on top of the stack and resumes it, from an earlier point if one is given. An instance that was there
    /// gives what it holds.
    async fn open_stored(
        &self,
        id: &str,
        replaced: Option<(Arc<Task>, Stored)>,
        rewind: Option<Rewind>,
    ) -> Result<(), CommandError> {
        let history = &self.services.surroundings.history;
        let item = history.get(id).ok_or_else(|| CommandError::UnknownTask(id.to_owned()))?;
        if !is_plain_name(id) {
            return Err(CommandError::UnknownTask(id.to_owned()));
        }
        let (replaced, handed_over) = replaced.unzip();
        let read = match handed_over {
            Some(stored) => Ok(stored),
            None => stored::read(self.services.task_folder(id)).await,
        };
        let stored = match read {
            Ok(stored) => stored,
            Err(StoreError::Missing) => {
                let mut item = item;
                item.other.insert("fileNotfound".into(), Value::Bool(true));
                history.put(item);
                return Err(CommandError::UnknownTask(id.to_owned()));
            }
            Err(damaged) => return Err(CommandError::Damaged(damaged.to_string())),
        };
        let mode = item.mode.as_deref().map(|mode| self.known_mode(mode));
        if let Some(mode) = &mode {
            let changes = self.services.settings.current().mode != *mode;
            self.services.set_mode(mode);
            if changes {
                self.services.host.emit(TaskEvent::Mode(mode.clone()));
            }
        }
        let cwd = match (&replaced, &item.workspace) {
            (Some(old), _) => old.cwd.clone(),
            (None, Some(workspace)) => PathBuf::from(workspace),
            (None, None) => self.cwd.clone(),
        };
        let lineage = Lineage {
            parent: replaced.as_ref().and_then(|old| old.lineage.parent.clone()),
            parent_id: item.parent_task_id.clone(),
            root_id: item.root_task_id.clone(),
            number: item.number,
        };
        let task = self.instance(id.to_owned(), lineage, cwd, mode.unwrap_or_else(|| "code".into()));
        if let Some(old) = &replaced {
            task.checkpoints.succeed(&old.checkpoints);
            task.store.follow(&old.store);
        }
        if stored.unread {
            task.keep_unread();
        }
        let (stored, restored) = task.complete_restore(stored).await;
        // Files that could not be brought back stay with the conversation that made them.
        let rewind = rewind.filter(|_| restored);
        self.push(task.clone(), Origin::Stored, None);
        self.services.spawner.spawn(async move { task.resume(stored, rewind).await });
        Ok(())
    }

    /// Takes in what was changed in files. A mode in force that is gone becomes `code`.
    pub fn refresh_settings(&self) {
        self.services.settings.refresh();
        let mode = self.services.settings.current().mode.clone();
        let known = self.known_mode(&mode);
        if known != mode {
            self.switch_mode(&known);
        }
    }

    /// The slug itself if such a mode exists, else `code`.
    fn known_mode(&self, slug: &str) -> String {
        let settings = self.services.settings.current();
        if modes::find(slug, &settings.custom_modes).is_some() {
            slug.to_owned()
        } else {
            modes::DEFAULT_MODE.to_owned()
        }
    }

    /// The user presses stop (spec 02 §2.3): the task is ended and opened again at its resume question.
    async fn cancel(&self) -> Reply {
        let task = self.task()?;
        self.stop(&task).await;
        self.reopen(&task, None).await
    }

    /// Ends what the task does, and waits until its stream has ended. Its instance is of no use any more.
    pub(super) async fn stop(&self, task: &Arc<Task>) {
        task.note(|task| Note::Stopped { task });
        {
            let mut state = task.state();
            state.abort_reason = Some(AbortReason::UserCancelled);
            // What grows will not be complete.
            task.tell_checkpoints(&mut state);
        }
        task.abort(false);
        task.state().abandoned = true;
        let streaming_ends = async {
            while !task.turn().released() {
                task.progress.notified().await;
            }
        };
        let _ = tokio::time::timeout(CANCEL_LIMIT, streaming_ends).await;
    }

    /// Replaces an aborted instance by a fresh one that waits at its resume question, unless another took its place.
    pub async fn reopen(&self, task: &Arc<Task>, rewind: Option<Rewind>) -> Reply {
        // What ends with the instance still belongs to it: questions that are withdrawn, the cost of a cut-off answer.
        let settles = async {
            tokio::task::yield_now().await;
            while task.turn().drains > 0 {
                task.progress.notified().await;
            }
        };
        let _ = tokio::time::timeout(CANCEL_LIMIT, settles).await;
        if !self.current().is_some_and(|current| current.is(task)) {
            return Ok(Value::Null);
        }
        // In the notes, the new instance takes the place of this one. It gets the conversation as it is: nothing waits for the disk.
        self.take_top();
        let opened = self.open_stored(&task.id, Some((task.clone(), task.hand_over())), rewind).await;
        if opened.is_err() {
            keep(self.services.host.as_ref(), || Note::Popped { task: task.id.clone(), result: None });
        }
        opened.map(|()| Value::Null)
    }

    /// The host drops the current task; a subtask ends with a note to its parent.
    async fn clear(&self) -> Reply {
        let task = self.task()?;
        self.drop_current(&task, "task.canceled").await;
        // Whoever opens it next finds all of it.
        task.store.flush().await;
        // It may be deleted next: nothing of it may come to be behind that.
        task.checkpoints.close().await;
        Ok(Value::Null)
    }

    /// The task is about to be deleted: it ends if it is the current one, and writes nothing any more.
    async fn delete(&self, id: &str) -> Reply {
        let Some(task) = self.current().filter(|current| current.id == id) else {
            return match self.ids().iter().any(|known| known == id) {
                true => Err(CommandError::InTheWay("a task whose subtask runs is not deleted")),
                false => Ok(Value::Null),
            };
        };
        self.drop_current(&task, "task.deleted").await;
        task.store.release();
        task.store.flush().await;
        task.checkpoints.close().await;
        Ok(Value::Null)
    }

    /// Takes the current task off the stack; the parent of a subtask gets the text `result`.
    async fn drop_current(&self, task: &Arc<Task>, result: &str) {
        if task.lineage.parent.is_some() {
            let result = self.services.surroundings.texts.get(result);
            self.finish_subtask(task, &result).await;
        } else {
            self.pop(None).await;
        }
    }

    fn set_profile(&self, name: &str) -> Reply {
        if !self.services.settings.set_profile(name) {
            return Err(CommandError::Invalid(format!("there is no profile `{name}`")));
        }
        self.services.host.emit(TaskEvent::Profile(name.to_owned()));
        Ok(Value::Null)
    }

    /// Makes `mode` the mode in force (spec 02 §16).
    pub fn switch_mode(&self, mode: &str) {
        keep(self.services.host.as_ref(), || Note::Mode(mode.to_owned()));
        self.change_mode(mode);
    }

    fn change_mode(&self, mode: &str) {
        if let Some(task) = self.current() {
            task.lifecycle("taskModeSwitched", Value::String(mode.to_owned()));
            let history = &self.services.surroundings.history;
            if let Some(mut item) = history.get(&task.id) {
                item.mode = Some(mode.to_owned());
                history.put(item);
            }
            task.state().mode = mode.to_owned();
        }
        self.services.set_mode(mode);
        self.services.host.emit(TaskEvent::Mode(mode.to_owned()));
    }

    /// Starts a subtask of `parent` in `mode` and pauses the parent (spec 02 §16 new_task).
    pub fn start_subtask(&self, parent: &Arc<Task>, mode: &str, message: String, todos: Vec<TodoItem>) {
        let before = self.services.settings.current().mode.clone();
        // Noted with the subtask: without it the parent is still in its own mode.
        self.change_mode(mode);
        let root = self.stack().first().map(|bottom| bottom.id.clone());
        let lineage =
            Lineage { parent: Some(parent.clone()), parent_id: Some(parent.id.clone()), root_id: root, number: 0 };
        let child = self.create(lineage, Some(parent.cwd.clone()), Some(todos));
        {
            let mut state = parent.state();
            state.paused = true;
            state.paused_mode = before.clone();
        }
        let todos = child.state().todos.clone();
        let origin = Origin::New { text: message.clone(), images: Vec::new(), todos };
        self.push(child.clone(), origin, Some(before));
        self.switch_mode(mode);
        let spawned = Value::String(child.id.clone());
        child.start(message, Vec::new());
        parent.lifecycle("taskPaused", Value::Null);
        parent.lifecycle("taskSpawned", spawned);
    }

    /// Ends a subtask with `result` and lets its parent go on (spec 02 §16 Finish).
    pub async fn finish_subtask(&self, child: &Arc<Task>, result: &str) {
        if !self.current().is_some_and(|current| current.is(child)) {
            return;
        }
        let parent = child.lineage.parent.clone();
        self.pop(parent.is_some().then_some(result)).await;
        if let Some(parent) = parent {
            parent.take_result(&child.id, result);
        }
    }
}

impl Task {
    /// Ends this instance (spec 02 §2.3). Everything that waits for it ends with it (D05).
    pub fn abort(&self, abandoned: bool) {
        let queued = {
            let mut state = self.state();
            state.abandoned |= abandoned;
            let queued = !state.queue.is_empty();
            state.queue.clear();
            queued
        };
        if queued {
            self.report_queue();
        }
        if !self.aborted.is_cancelled() {
            self.run_stop_hooks();
        }
        self.aborted.cancel();
        self.lifecycle("taskAborted", Value::Null);
        // A command somebody waited for ends with the task; those let go into the background stay there (spec 06 §D.6).
        self.services.surroundings.terminals.operate(&self.id, false);
        self.services.surroundings.terminals.release(&self.id);
        self.context_files.dispose();
        self.turn().closed = true;
        self.progress.notify_waiters();
        self.persist_at_rest();
        // Stopped before its first request, a task has no API file yet, without which it could not be opened again.
        if self.state().api.is_empty() {
            self.persist_api();
        }
    }

    /// The subtask `child` gave its result: this task goes on.
    pub fn take_result(self: &Arc<Self>, child: &str, result: &str) {
        {
            let mut state = self.state();
            state.paused = false;
            state.skip_previous_response = true;
        }
        self.lifecycle("taskUnpaused", Value::String(child.to_owned()));
        let _ = self.say_text(Say::SubtaskResult, result);
        self.append_api(Role::User, result_content(result));
        self.note(|task| Note::Returned { task });
        self.resumed.notify_waiters();
    }

    /// Appends to the API conversation.
    pub fn append_api(&self, role: Role, content: MessageContent) {
        self.append_noted(role, content, |state, message| self.note_api(state, message));
    }

    /// Appends what is sent with the request of this record.
    pub fn append_sent(&self, record: i64, content: Vec<ContentBlock>) {
        self.settle_rest();
        let content = MessageContent::Blocks(content);
        self.append_noted(Role::User, content, |state, message| self.note_sent(state, record, message));
    }

    fn append_noted(&self, role: Role, content: MessageContent, note: impl FnOnce(&State, &ApiMessage)) {
        let mut state = self.state();
        let ts = Some(self.next_ts(&state));
        let message = ApiMessage { role, content, ts, is_summary: None };
        note(&state, &message);
        state.api.push(message);
        drop(state);
        self.persist_api();
    }

    /// Replaces the todo list of an approval that waits.
    pub fn replace_pending_todos(&self, todos: Vec<TodoItem>) {
        self.note(|task| Note::PendingTodos { task, todos: todos.clone() });
        self.state().pending_todos = todos;
    }
}

/// What the model of a parent is told of its subtask.
pub(super) fn result_content(result: &str) -> MessageContent {
    MessageContent::Blocks(vec![ContentBlock::text(format!("[new_task completed] Result: {result}"))])
}

/// Whether an id can name a folder: no separators, no parent directory.
pub(super) fn is_plain_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && !id.contains(['/', '\\', '\0']) && id != "." && id != ".."
}
