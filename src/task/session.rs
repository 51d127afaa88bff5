//! A session: the manager of spec 02 §1 with its stack of tasks, as one future and a handle to command it.

use serde_json::Value;

use crate::protocol::message::AskResponse;

/// What the host asks of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `newTask`: clears the stack's top and starts a task.
    Start {
        /// Task text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
        /// Initial todo list as Markdown, if given.
        todos: Option<String>,
    },
    /// `showTaskWithId`: opens a stored task.
    Resume {
        /// Task id.
        task: String,
    },
    /// A message of the user: answers a waiting ask or is queued (spec 02 §3).
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
    /// `cancelTask`.
    Cancel,
    /// `clearTask`.
    Clear,
    /// `mode`.
    SetMode(String),
    /// `queueMessage`.
    Queue {
        /// Text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
    },
    /// `terminalOperation`: `true` continues (detaches), `false` aborts the running command.
    Terminal {
        /// Detach instead of kill.
        proceed: bool,
    },
    /// `updateTodoList`: replaces the pending list.
    SetTodos(Value),
    /// `condenseTaskContextRequest`.
    Condense,
}
