//! What a session notes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::QueuedMessage;
use super::progress::TaskProgress;
use crate::protocol::message::{ApiMessage, ContentBlock, TodoItem, UiMessage};
use crate::task::ToolCount;
use crate::task::hooks::NotedVerdict;
use crate::tools::context::Answer;

/// A fact without which a killed session could not go on. Most name the task by its id: the topmost one with it is meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The session was restored; see [`Progress`](super::Progress) for the limit.
    Restored,
    /// How often the session was restored since it last got on: part of a rebuilt [`Progress`](super::Progress).
    Restores(u32),
    /// This mode is in force.
    Mode(String),
    /// A whole task goes on the stack: part of a rebuilt [`Progress`](super::Progress).
    Task(Box<TaskProgress>),
    /// A task goes on the stack, or a new instance of the topmost one takes its place.
    Pushed(Entry),
    /// The topmost task left the stack, with the result of a subtask.
    Popped {
        /// Task id.
        task: String,
        /// What its parent gets.
        result: Option<String>,
    },
    /// The task was stopped or its stream failed: it waits, or will wait, at its resume question.
    Stopped {
        /// Task id.
        task: String,
    },
    /// A stored task is about to ask whether to go on.
    Resuming {
        /// Task id.
        task: String,
        /// `ts` of the last message it keeps; messages after that are gone.
        after: i64,
        /// Messages before that which are gone.
        removed: Vec<i64>,
        /// API messages that are left, when it goes back to an earlier point.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<usize>,
        /// What answers the question, when the user has said it already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<QueuedMessage>,
    },
    /// The loop begins with this content.
    Content {
        /// Task id.
        task: String,
        /// What the next user message begins with.
        content: Vec<ContentBlock>,
        /// API messages before it; later ones are gone.
        kept: usize,
        /// `ts` of the last message so far.
        after: i64,
    },
    /// A user message was appended to the API conversation and is being sent: a turn begins.
    Sent {
        /// Task id.
        task: String,
        /// `ts` of the request's record in the UI conversation.
        record: i64,
        /// Its place in the API conversation.
        index: usize,
        /// The message.
        message: ApiMessage,
        /// The task's state before the answer.
        facts: Box<Facts>,
    },
    /// The model's answer so far; noted before a tool runs.
    Text {
        /// Task id.
        task: String,
        /// Bytes noted before.
        at: usize,
        /// What came since.
        text: String,
    },
    /// The answer has been read to its end, or as far as it will be.
    Read {
        /// Task id.
        task: String,
        /// Bytes noted before.
        at: usize,
        /// What came since.
        text: String,
        /// What the loop appended to it.
        suffix: String,
    },
    /// A block of the answer was presented.
    Block {
        /// Task id.
        task: String,
        /// The block presented next.
        index: usize,
        /// `ts` of the last message so far.
        after: i64,
        /// Results that it gave.
        results: Vec<ContentBlock>,
        /// A tool was rejected.
        rejected: bool,
        /// A tool has its result.
        used: bool,
        /// The task's state now.
        facts: Box<Facts>,
    },
    /// A tool call was announced to the host.
    Call {
        /// Task id.
        task: String,
        /// Its number.
        number: u64,
        /// Tool name.
        tool: String,
    },
    /// A restored task sends its request again: the answer begins anew.
    Again {
        /// Task id.
        task: String,
        /// `ts` of the last message that is not taken up.
        after: i64,
    },
    /// A message was appended to the UI conversation, is complete, or changed when it was. The growth of partial ones is
    /// not noted.
    Ui {
        /// Task id.
        task: String,
        /// The message.
        message: UiMessage,
    },
    /// An API message was appended.
    Api {
        /// Task id.
        task: String,
        /// Its place.
        index: usize,
        /// The message.
        message: ApiMessage,
    },
    /// The API conversation was replaced.
    ApiReplaced {
        /// Task id.
        task: String,
        /// The whole of it.
        messages: Vec<ApiMessage>,
    },
    /// A part of the conversation is gone: a checkpoint was restored.
    Cut {
        /// Task id.
        task: String,
        /// Messages that are gone.
        removed: Vec<i64>,
        /// API messages that stay; later ones are gone.
        kept: usize,
    },
    /// The task's files are about to be written with what was noted so far.
    Saving {
        /// Task id.
        task: String,
        /// The UI conversation.
        ui: bool,
        /// The API conversation.
        api: bool,
    },
    /// They were written.
    Saved {
        /// Task id.
        task: String,
        /// The UI conversation.
        ui: bool,
        /// The API conversation.
        api: bool,
    },
    /// The question of this message waits for the user.
    Opened {
        /// Task id.
        task: String,
        /// The message that asks.
        ts: i64,
    },
    /// It no longer waits, and was not answered.
    Closed {
        /// Task id.
        task: String,
        /// The message that asked.
        ts: i64,
    },
    /// The question of this message got its answer.
    Answered {
        /// Task id.
        task: String,
        /// The message that asked.
        ts: i64,
        /// `answered`, `approved` or `denied`.
        how: String,
        /// The answer.
        answer: Answer,
        /// Id of the queued message that it was.
        queued: Option<String>,
    },
    /// The queue of messages.
    Queue {
        /// Task id.
        task: String,
        /// All that wait.
        messages: Vec<QueuedMessage>,
    },
    /// The host edited the todo list of an approval that waits.
    PendingTodos {
        /// Task id.
        task: String,
        /// The whole list.
        todos: Vec<TodoItem>,
    },
    /// An edit is about to create an empty file in order to show it.
    Creating {
        /// Task id.
        task: String,
        /// The file, then its missing folders, innermost first.
        paths: Vec<PathBuf>,
    },
    /// The created file is no longer the edit's to take back.
    Created {
        /// Task id.
        task: String,
    },
    /// Hooks of the present step had their say.
    Hooks {
        /// Task id.
        task: String,
        /// At which event, and what they said.
        noted: NotedVerdict,
    },
    /// The task has the result of its subtask.
    Returned {
        /// Task id.
        task: String,
    },
}

impl Note {
    /// The note as it is stored: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with text or number keys and no floats: nothing in a note can fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A task on the stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Task id.
    pub id: String,
    /// Working directory.
    pub cwd: PathBuf,
    /// Mode recorded for the task.
    pub mode: String,
    /// Mode in force.
    pub session_mode: String,
    /// The task below it on the stack waits for it.
    pub child: bool,
    /// Mode that the task below it goes back to.
    pub pauses: Option<String>,
    /// Id of the parent.
    pub parent_id: Option<String>,
    /// Id of the task at the bottom of the stack.
    pub root_id: Option<String>,
    /// Position in the stack, from 1.
    pub number: u32,
    /// How it begins.
    pub origin: Origin,
}

/// How an instance begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// As a new task.
    New {
        /// Text.
        text: String,
        /// Images as data URLs.
        images: Vec<String>,
        /// Todo list it begins with.
        todos: Option<Vec<TodoItem>>,
    },
    /// With the resume question.
    Stored,
}

/// State of a task on which its further behaviour depends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Mode in force.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: String,
    /// Mistakes in a row.
    #[serde(skip_serializing_if = "is_default")]
    pub mistakes: i64,
    /// Calls by tool name.
    #[serde(skip_serializing_if = "is_default")]
    pub tool_usage: BTreeMap<String, ToolCount>,
    /// Todo list.
    #[serde(skip_serializing_if = "is_default")]
    pub todos: Option<Vec<TodoItem>>,
    /// Failed diffs by path.
    #[serde(skip_serializing_if = "is_default")]
    pub diff_failures: BTreeMap<String, u32>,
    /// The last call, for the repetition detector.
    #[serde(skip_serializing_if = "is_default")]
    pub repeated: Option<Repeated>,
    /// Requests counted against `allowedMaxRequests`.
    #[serde(skip_serializing_if = "is_default")]
    pub requests: u64,
    /// A file was edited since the last environment details.
    #[serde(skip_serializing_if = "is_default")]
    pub edited: bool,
    /// Paths changed by the user since the last environment details.
    #[serde(skip_serializing_if = "is_default")]
    pub recently_modified: Vec<String>,
    /// Tool calls announced.
    #[serde(skip_serializing_if = "is_default")]
    pub calls: u64,
    /// Completions that hooks denied in a row.
    #[serde(skip_serializing_if = "is_default")]
    pub completion_denials: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A call as the repetition detector remembers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repeated {
    /// Tool name.
    pub tool: String,
    /// Its parameters.
    pub params: Vec<(String, String)>,
    /// How often it was repeated.
    pub times: i64,
}
