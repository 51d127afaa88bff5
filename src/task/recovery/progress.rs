//! The fold of a session's notes: what it takes to go on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::conversation::Later;
use super::note::{Entry, Facts, Note, Origin};
use crate::protocol::message::{ContentBlock, Role, TodoItem, UiMessage};
use crate::task::hooks::NotedVerdict;
use crate::task::queue::QueuedMessage;
use crate::tools::context::Answer;

/// Where a session stands. Bounded by what runs: messages that the task's files hold and turns that are over are not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    pub(in crate::task) tasks: Vec<TaskProgress>,
    pub(in crate::task) mode: Option<String>,
    /// Restored so often since the user answered or a turn was finished.
    pub(in crate::task) restores: u32,
    /// Task and message of the last note about a message: the host may not have been told, until an event says that it was.
    /// Other notes say nothing of it; files are written and users answer at the same time.
    pub(in crate::task) untold: Option<(String, i64)>,
}

/// Where a task stands; see [`Progress`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskProgress {
    pub(in crate::task) entry: Entry,
    pub(in crate::task) phase: Phase,
    /// Messages after this one belong to the present step.
    pub(in crate::task) after: i64,
    pub(in crate::task) facts: Facts,
    pub(in crate::task) later: Later,
    /// The question that waits.
    pub(in crate::task) open: Option<i64>,
    /// Answers given in the present step.
    pub(in crate::task) answers: Vec<Given>,
    /// The call that was announced and has not ended.
    pub(in crate::task) call: Option<(u64, String)>,
    /// The call that ended last: the host may not have been told, until an event says that it was.
    #[serde(default)]
    pub(in crate::task) ended: Option<(u64, String)>,
    /// What hooks said in the present step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::task) verdicts: Vec<NotedVerdict>,
    pub(in crate::task) queue: Vec<QueuedMessage>,
    pub(in crate::task) pending_todos: Option<Vec<TodoItem>>,
    /// What an edit made in order to show a new file.
    pub(in crate::task) created: Vec<PathBuf>,
    /// Waits for a subtask.
    pub(in crate::task) paused: bool,
    /// Mode to go back to after the subtask.
    pub(in crate::task) paused_mode: Option<String>,
    /// Result of the subtask that it has not taken yet.
    pub(in crate::task) result: Option<String>,
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::task) struct Given {
    pub ts: i64,
    pub how: String,
    pub answer: Answer,
}

/// What a task was doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::task) enum Phase {
    /// As its [`Entry`] tells.
    Beginning,
    /// Asks whether to go on.
    Resuming,
    /// Was stopped: resumes from the beginning.
    Stopped,
    /// Prepares the first request of a run.
    Content(Vec<ContentBlock>),
    /// A request, its answer, its tools, and the way to the next request.
    Turn(TurnProgress),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::task) struct TurnProgress {
    /// `ts` of the request's record.
    pub record: i64,
    /// The answer so far.
    pub text: String,
    /// What the loop appended to it, once it has been read.
    pub suffix: Option<String>,
    /// Stands in the API conversation.
    pub answered: bool,
    /// Block presented next.
    pub index: usize,
    pub results: Vec<ContentBlock>,
    pub rejected: bool,
    pub used: bool,
}

impl Progress {
    /// Takes a stored note. Bytes that are none change nothing.
    pub fn apply(&mut self, note: &[u8]) {
        if let Ok(note) = serde_json::from_slice(note) {
            self.take(note);
        }
    }

    /// The fewest notes that rebuild this.
    pub fn notes(&self) -> Vec<Vec<u8>> {
        let restores = (self.restores > 0).then_some(Note::Restores(self.restores));
        let mode = self.mode.clone().map(Note::Mode);
        let tasks = self.tasks.iter().map(|task| Note::Task(Box::new(task.clone())));
        let untold = self.untold_message();
        let untold = untold.map(|(task, message)| Note::Ui { task: task.to_owned(), message: message.clone() });
        restores.into_iter().chain(mode).chain(tasks).chain(untold).map(|note| note.to_bytes()).collect()
    }

    /// The message of which the host may not have been told, and its task.
    pub(in crate::task) fn untold_message(&self) -> Option<(&str, &UiMessage)> {
        let (id, ts) = self.untold.as_ref()?;
        let task = self.tasks.iter().rev().find(|task| task.entry.id == *id)?;
        Some((id, task.later.fresh_ui(*ts)?))
    }

    /// The host was told that a message began, if not that it is complete.
    pub fn told_message(&mut self, ts: i64, complete: bool) {
        let is_told = |message: &UiMessage| message.ts == ts && (complete || message.partial == Some(true));
        if self.untold_message().is_some_and(|(_, message)| is_told(message)) {
            self.untold = None;
        }
    }

    /// The host was told that a call ended.
    pub fn told_end(&mut self, call: u64) {
        self.tasks.iter_mut().for_each(|task| drop(task.ended.take_if(|(number, _)| *number == call)));
    }

    /// Whether there is no task.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Id of the topmost task.
    pub fn task(&self) -> Option<&str> {
        self.tasks.last().map(|task| task.entry.id.as_str())
    }

    /// `ts` of the questions that wait, with their tasks' ids. All others that were open are closed.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, i64)> {
        self.tasks.iter().filter_map(|task| Some((task.entry.id.as_str(), task.open?)))
    }

    /// Takes a note.
    pub fn take(&mut self, note: Note) {
        match note {
            Note::Restored => self.restores = self.restores.saturating_add(1),
            Note::Restores(count) => self.restores = count,
            Note::Mode(mode) => {
                if let Some(top) = self.tasks.last_mut() {
                    top.entry.mode.clone_from(&mode);
                }
                self.mode = Some(mode);
            }
            Note::Task(task) => self.tasks.push(*task),
            Note::Pushed(entry) => self.push(entry),
            Note::Popped { task, result } => self.pop(&task, result),
            other => {
                // It waits, somebody answered, or a turn is over: it does not go round in a circle.
                let on = matches!(&other, Note::Sent { .. } | Note::Opened { .. })
                    || matches!(&other, Note::Answered { how, .. } if how == "answered");
                if on {
                    self.restores = 0;
                }
                // A task that is not there any more has nothing to be told.
                let _ = self.take_for_task(other);
            }
        }
        // What is gone has not to be told.
        if self.untold_message().is_none() {
            self.untold = None;
        }
    }

    fn push(&mut self, entry: Entry) {
        self.mode = Some(entry.session_mode.clone());
        let replaced = self.tasks.pop_if(|top| top.entry.id == entry.id);
        if let Some(parent) = self.tasks.last_mut().filter(|_| replaced.is_none() && entry.child) {
            parent.paused = true;
            parent.paused_mode = entry.pauses.clone();
        }
        let facts = match &entry.origin {
            Origin::New { todos, .. } => Facts { todos: todos.clone(), ..Facts::default() },
            Origin::Stored => Facts::default(),
        };
        self.tasks.push(TaskProgress {
            entry,
            phase: Phase::Beginning,
            after: i64::MIN,
            facts,
            later: replaced.map(|old| old.later).unwrap_or_default(),
            open: None,
            answers: Vec::new(),
            verdicts: Vec::new(),
            call: None,
            ended: None,
            queue: Vec::new(),
            pending_todos: None,
            created: Vec::new(),
            paused: false,
            paused_mode: None,
            result: None,
        });
    }

    fn pop(&mut self, task: &str, result: Option<String>) {
        if self.tasks.pop_if(|top| top.entry.id == task).is_none() {
            return;
        }
        if let (Some(parent), Some(result)) = (self.tasks.last_mut(), result) {
            parent.paused = false;
            parent.result = Some(result);
        }
    }

    fn task_mut(&mut self, id: &str) -> Option<&mut TaskProgress> {
        self.tasks.iter_mut().rev().find(|task| task.entry.id == id)
    }

    fn take_for_task(&mut self, note: Note) -> Option<()> {
        match note {
            Note::Stopped { task } => self.task_mut(&task)?.phase = Phase::Stopped,
            Note::Resuming { task, after, removed, kept, said } => {
                let task = self.task_mut(&task)?;
                task.resume(after, removed);
                kept.into_iter().for_each(|count| task.later.keep_api(count));
                task.queue.extend(said);
            }
            Note::Content { task, content, kept, after } => {
                let task = self.task_mut(&task)?;
                task.later.keep_api(kept);
                task.step(after);
                task.phase = Phase::Content(content);
            }
            Note::Sent { task, record, index, message, facts } => {
                let task = self.task_mut(&task)?;
                task.later.put_api(index, message);
                task.facts = *facts;
                task.step(record);
                task.paused_mode = None;
                task.phase = Phase::Turn(TurnProgress { record, ..TurnProgress::default() });
            }
            Note::Text { task, at, text } => self.task_mut(&task)?.read(at, &text, None),
            Note::Read { task, at, text, suffix } => self.task_mut(&task)?.read(at, &text, Some(suffix)),
            Note::Block { task, index, after, results, rejected, used, facts } => {
                let task = self.task_mut(&task)?;
                task.facts = *facts;
                task.ended = task.call.take();
                task.step(after);
                let turn = task.turn_mut()?;
                turn.index = index;
                turn.results.extend(results);
                turn.rejected = rejected;
                turn.used = used;
            }
            Note::Call { task, number, tool } => self.task_mut(&task)?.call = Some((number, tool)),
            Note::Again { task, after } => {
                let task = self.task_mut(&task)?;
                task.after = after;
                task.call = None;
                let turn = task.turn_mut()?;
                *turn = TurnProgress { record: turn.record, ..TurnProgress::default() };
            }
            Note::Ui { task, message } => {
                let ts = message.ts;
                self.task_mut(&task)?.later.put_ui(message);
                self.untold = Some((task, ts));
            }
            Note::Api { task, index, message } => {
                let task = self.task_mut(&task)?;
                let answer = message.role == Role::Assistant;
                task.later.put_api(index, message);
                if answer {
                    task.turn_mut()?.answered = true;
                }
            }
            Note::ApiReplaced { task, messages } => self.task_mut(&task)?.later.replace_api(messages),
            Note::Cut { task, removed, kept } => {
                let task = self.task_mut(&task)?;
                removed.into_iter().for_each(|ts| task.later.remove_ui(ts));
                task.later.keep_api(kept);
            }
            Note::Saving { task, ui, api } => {
                let untold = self.untold.as_ref().filter(|(id, _)| *id == task).map(|(_, ts)| *ts);
                self.task_mut(&task)?.later.saving(ui, api, untold);
            }
            Note::Saved { task, ui, api } => self.task_mut(&task)?.later.saved(ui, api),
            Note::Opened { task, ts } => self.task_mut(&task)?.open = Some(ts),
            Note::Closed { task, ts } => {
                self.task_mut(&task)?.open.take_if(|open| *open == ts);
            }
            Note::Answered { task, ts, how, answer, queued } => {
                let task = self.task_mut(&task)?;
                task.open.take_if(|open| *open == ts);
                task.queue.retain(|message| queued.as_ref() != Some(&message.id));
                task.answers.retain(|given| given.ts != ts);
                task.answers.push(Given { ts, how, answer });
            }
            Note::Queue { task, messages } => self.task_mut(&task)?.queue = messages,
            Note::PendingTodos { task, todos } => self.task_mut(&task)?.pending_todos = Some(todos),
            Note::Creating { task, paths } => self.task_mut(&task)?.created = paths,
            Note::Created { task } => self.task_mut(&task)?.created.clear(),
            Note::Hooks { task, noted } => self.task_mut(&task)?.verdicts.push(noted),
            Note::Returned { task } => self.task_mut(&task)?.result = None,
            Note::Restored
            | Note::Restores(_)
            | Note::Mode(_)
            | Note::Task(_)
            | Note::Pushed(_)
            | Note::Popped { .. } => {}
        }
        Some(())
    }
}

impl TaskProgress {
    /// A step is over; the next one begins after this message.
    fn step(&mut self, after: i64) {
        self.after = after;
        self.answers.clear();
        self.verdicts.clear();
        self.call = None;
        self.pending_todos = None;
    }

    fn resume(&mut self, after: i64, removed: Vec<i64>) {
        removed.into_iter().for_each(|ts| self.later.remove_ui(ts));
        self.step(after);
        self.phase = Phase::Resuming;
    }

    fn turn_mut(&mut self) -> Option<&mut TurnProgress> {
        match &mut self.phase {
            Phase::Turn(turn) => Some(turn),
            _ => None,
        }
    }

    fn read(&mut self, at: usize, text: &str, suffix: Option<String>) {
        let Some(turn) = self.turn_mut() else { return };
        if turn.text.is_char_boundary(at) {
            turn.text.truncate(at);
            turn.text.push_str(text);
            turn.suffix = suffix;
        }
    }
}
