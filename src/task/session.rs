//! A session: the manager of spec 02 §1 with its stack of tasks, as one future and a handle to command it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::changes::Selection;
use super::host::{SettingsSource, Surroundings, TaskHost};
use super::instance::TaskView;
use super::manager::Manager;
use super::pool;
use super::recovery::Progress;
use crate::protocol::message::AskResponse;

/// Commands that may wait for a session before [`SessionHandle::submit`] refuses more.
const COMMAND_LIMIT: usize = 256;

/// What the host asks of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `newTask`: clears the stack's top and starts a task. Result: `{"task": id}`.
    Start {
        /// Task text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
        /// Initial todo list as Markdown, if given.
        todos: Option<String>,
        /// Collect edits instead of making them.
        dry_run: bool,
    },
    /// `showTaskWithId`: opens a stored task. Result: `{"task": id}`.
    Resume {
        /// Task id.
        task: String,
    },
    /// A message of the user: answers a waiting ask or is queued (spec 02 §3). Result: `{"queued": bool}`.
    Message {
        /// Text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
    },
    /// `askResponse`.
    Respond {
        /// `ts` of the ask it answers; `None`: whichever waits. An ask that no longer waits is an error.
        ask: Option<i64>,
        /// Button or message.
        response: AskResponse,
        /// Text.
        text: Option<String>,
        /// Images as data URLs.
        images: Vec<String>,
    },
    /// Nothing: its reply says that the commands before it are carried out.
    Barrier,
    /// `cancelTask`.
    Cancel,
    /// `clearTask`.
    Clear,
    /// `mode`.
    SetMode(String),
    /// Puts this provider profile in force, from the next request on.
    SetProfile(String),
    /// `deleteTaskWithId`: ends the task, if it is the current one, so that nothing writes its files any more. A subtask tells its
    /// parent.
    Delete {
        /// Task id.
        task: String,
    },
    /// `editMessage`, `editMessageConfirm`: goes on from before a message of the user, with another in its place.
    EditMessage {
        /// `ts` of the message.
        message: i64,
        /// New text.
        text: String,
        /// New images as data URLs.
        images: Vec<String>,
        /// Restores the files as well.
        restore: bool,
    },
    /// `deleteMessageConfirm`: goes back to before a message, to the resume question.
    DeleteMessage {
        /// `ts` of the message.
        message: i64,
        /// Restores the files as well.
        restore: bool,
    },
    /// `queueMessage`. Result: `{"id": id}`.
    Queue {
        /// Text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
    },
    /// `removeQueuedMessage`. Result: `{"done": bool}`.
    Unqueue {
        /// Id of the queued message.
        id: String,
    },
    /// `editQueuedMessage`. Result: `{"done": bool}`.
    EditQueued {
        /// Id of the queued message.
        id: String,
        /// New text.
        text: String,
        /// New images as data URLs.
        images: Vec<String>,
    },
    /// `terminalOperation`: `true` continues (detaches), `false` aborts the running command.
    Terminal {
        /// Detach instead of kill.
        proceed: bool,
    },
    /// `updateTodoList`: replaces the pending list (an array of todo items).
    SetTodos(Value),
    /// `condenseTaskContextRequest`.
    Condense,
    /// Makes edits that a dry run has collected. Result: `{applied, conflicts, left, checkpoint?}`.
    ApplyCollected(Selection),
    /// Drops edits that a dry run has collected. Result: `{dropped, left}`.
    DropCollected(Selection),
    /// Goes back to a checkpoint of the current task. Result: `{"task", "checkpoint", "before"}`, the last of which leads back.
    RestoreCheckpoint {
        /// Its id.
        checkpoint: String,
        /// The conversation with the files.
        with_conversation: bool,
    },
    /// Takes the last restore back. Result: as `RestoreCheckpoint`.
    UndoRestore,
    /// Goes on where a killed session was, with its settings and folders: the first command of a session. Notes made from
    /// then on continue those that gave the progress.
    Restore(Box<Progress>),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no current task.
    #[error("the session has no task")]
    NoTask,
    /// The ask named does not wait (any more), or none does.
    #[error("no such question waits for an answer")]
    NoSuchAsk,
    /// No stored task has this id, or its files are gone.
    #[error("task `{0}` is not stored")]
    UnknownTask(String),
    /// The stored task cannot be read; the text names the file.
    #[error("{0}")]
    Damaged(String),
    /// The task has no message of this id.
    #[error("the task has no message `{0}`")]
    NoSuchMessage(i64),
    /// Not possible while the task is as it is; the text says why.
    #[error("{0}")]
    InTheWay(&'static str),
    /// An argument is not usable; the text names it.
    #[error("{0}")]
    Invalid(String),
    /// Too many commands wait already.
    #[error("too many commands wait for the session")]
    Busy,
    /// The session has ended.
    #[error("the session has ended")]
    Closed,
    /// The task has no such checkpoint, or not one that stands in its conversation.
    #[error("the task has no checkpoint `{0}`")]
    NoSuchCheckpoint(String),
    /// The task has no checkpoints; the text says why.
    #[error("{0}")]
    NoCheckpoints(String),
    /// No restore of this task is known.
    #[error("there is no restore to undo")]
    NothingToUndo,
    /// A restore was begun and not carried out; the text says why.
    #[error("the checkpoint was not restored: {0}")]
    RestoreFailed(String),
    /// The provider cannot be made from the settings.
    #[error("{0}")]
    Provider(String),
}

/// Answer to a command.
pub type Reply = Result<Value, CommandError>;

/// A command with the place for its reply.
pub(super) type Envelope = (Command, oneshot::Sender<Reply>);

/// Commands a session. Cheap to clone; when the last one is dropped the session aborts its tasks and ends.
#[derive(Clone)]
pub struct SessionHandle {
    commands: mpsc::Sender<Envelope>,
    manager: Arc<Manager>,
}

impl SessionHandle {
    /// Hands a command over without waiting; the receiver gets the reply once it is carried out. Commands are carried
    /// out one after another in the order of submission.
    ///
    /// # Errors
    /// [`CommandError::Busy`] or [`CommandError::Closed`].
    pub fn submit(&self, command: Command) -> Result<oneshot::Receiver<Reply>, CommandError> {
        let (sender, receiver) = oneshot::channel();
        self.commands.try_send((command, sender)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Closed,
        })?;
        Ok(receiver)
    }

    /// Hands a command over and waits for its reply.
    ///
    /// # Errors
    /// What the command failed with, or [`CommandError::Closed`].
    pub async fn call(&self, command: Command) -> Reply {
        let (sender, receiver) = oneshot::channel();
        self.commands.send((command, sender)).await.map_err(|_| CommandError::Closed)?;
        receiver.await.unwrap_or(Err(CommandError::Closed))
    }

    /// Ids of the tasks on the stack, the current one last.
    pub fn tasks(&self) -> Vec<String> {
        self.manager.ids()
    }

    /// A view of the task of this id, if it is on the stack.
    pub fn task(&self, id: &str) -> Option<TaskView> {
        self.manager.find(id).map(TaskView::new)
    }

    /// A view of the current task, if there is one.
    pub fn current(&self) -> Option<TaskView> {
        self.manager.current().map(TaskView::new)
    }
}

/// Opens a session working in `cwd`: a handle, and the future that is the session. The future must be polled on a tokio
/// runtime with time and file system enabled; it ends after the last handle is dropped.
pub fn open(
    host: Arc<dyn TaskHost>,
    surroundings: Surroundings,
    settings: Arc<dyn SettingsSource>,
    cwd: PathBuf,
) -> (SessionHandle, impl Future<Output = ()> + Send) {
    let (commands, mut inbox) = mpsc::channel::<Envelope>(COMMAND_LIMIT);
    let (spawner, pool) = pool::new();
    let manager = Manager::new(host, surroundings, settings, cwd, spawner);
    let handle = SessionHandle { commands, manager: manager.clone() };
    let session = async move {
        let serve = async {
            while let Some((command, reply)) = inbox.recv().await {
                // A caller that went away does not want the reply; the command still counts.
                match (command, manager.current()) {
                    // A model writes the summary, of the task that is the current one now: the user can stop that.
                    (Command::Condense, Some(task)) => manager.services.spawner.spawn(async move {
                        let _ = reply.send(task.condense_now().await.map(|()| Value::Null));
                    }),
                    (command, _) => drop(reply.send(manager.execute(command).await)),
                }
            }
            manager.close().await;
        };
        pool.run_until(serve).await;
    };
    (handle, session)
}
