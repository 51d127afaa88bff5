//! Stored tasks: listed from the history, read from their folders, given out, deleted.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, Outcome, command_failed, stale};
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::ids::SessionId;
use crate::protocol::request::{ExportFormat, TaskDelete, TaskExport, TaskList};
use crate::task::TaskView;
use crate::task::checkpoints::StoredTask;
use crate::task::history::HistoryItem;
use crate::task::host::TaskHistory;
use crate::task::session::{Command, CommandError, Reply};
use crate::task::{export, stored};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
/// Tasks of one request that are deleted at once (spec 02 §2.3).
const BATCH: usize = 20;

/// Where a task is.
pub enum Found {
    /// On the stack of a session.
    Running(TaskView),
    /// Only in its folder.
    Stored(String),
}

/// One page of the history; the cursor is the number of entries before it.
pub fn list(core: &Core, list: &TaskList) -> Outcome {
    let skip = list.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0usize);
    let limit = list.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE) as usize;
    let mut items = core.history.list(list);
    items.drain(..skip.min(items.len()));
    let more = items.len() > limit;
    items.truncate(limit);
    let mut result = json!({ "tasks": items });
    if more {
        result["cursor"] = (skip + limit).to_string().into();
    }
    Ok(result)
}

/// A stored task with its messages.
pub fn get(core: &Core, task: &str) -> Outcome {
    let (item, messages, conversation) = read(core, task)?;
    Ok(json!({ "item": item, "messages": messages, "conversation": conversation }))
}

/// A stored task as a text for people, or as it is stored.
pub fn export(core: &Core, request: &TaskExport) -> Outcome {
    let (item, messages, conversation) = read(core, &request.task)?;
    let name = |extension| export::file_name(item.ts, core.minutes_east(), extension);
    Ok(match request.format {
        ExportFormat::Markdown => {
            json!({ "name": name("md"), "text": export::markdown(&conversation, core.texts()) })
        }
        ExportFormat::Json => {
            json!({ "name": name("json"), "item": item, "messages": messages, "conversation": conversation })
        }
    })
}

/// Deletes stored tasks and their folders; favourites stay (spec 02 §2.3, spec 04 §7).
pub async fn delete(core: Arc<Core>, client: Arc<Attachment>, request: TaskDelete) -> Outcome {
    if let Some(task) = request.task {
        let item = core.history.get(&task).ok_or_else(|| unknown(&task))?;
        if is_favourite(&item) {
            return Err(RequestFailed::new(ErrorKind::Busy, "a favourite task is not deleted"));
        }
        delete_one(&core, &client, &task).await?;
        return Ok(json!({ "deleted": [task], "kept": [] }));
    }
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for batch in request.tasks.chunks(BATCH) {
        let one = async |task: &String| {
            let wanted = core.history.get(task).is_none_or(|item| !is_favourite(&item));
            wanted && delete_one(&core, &client, task).await.is_ok()
        };
        let done = join_all(batch.iter().map(one)).await;
        for (task, done) in batch.iter().zip(done) {
            if done { deleted.push(task) } else { kept.push(task) }
        }
    }
    Ok(json!({ "deleted": deleted, "kept": kept }))
}

/// Ends the task where it is open, takes it off the list and removes its folder.
async fn delete_one(core: &Arc<Core>, client: &Attachment, task: &str) -> Result<(), RequestFailed> {
    let (folder, checkpoints) = (folder(core, task)?, global_folder(core, task)?);
    for number in core.sessions_with(task) {
        let Some(session) = core.session_by_number(number, client) else {
            return Err(RequestFailed::new(ErrorKind::Busy, format!("task `{task}` is open in another host")));
        };
        session.handle.call(Command::Delete { task: task.to_owned() }).await.map_err(command_failed)?;
        if session.handle.current().is_none() {
            core.end_session(number);
        }
    }
    let (core, task) = (core.clone(), task.to_owned());
    let runtime = core.runtime.clone();
    let work = move || {
        core.history.remove(&task);
        core.history.save()?;
        for folder in [folder, checkpoints] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    let removed = runtime.spawn_blocking(work).await.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
    removed.map_err(|error| RequestFailed::new(ErrorKind::Io, error.to_string()))
}

/// The item of a stored task, its UI messages and its API conversation.
fn read(core: &Core, task: &str) -> Result<(HistoryItem, Vec<Value>, Vec<Value>), RequestFailed> {
    let item = core.history.get(task).ok_or_else(|| unknown(task))?;
    let (messages, conversation) = match stored::read_as_stored(&folder(core, task)?) {
        Ok(stored) => stored,
        // Listed, and stopped before anything was written.
        Err(stored::StoreError::Missing) => (Vec::new(), Vec::new()),
        Err(damaged) => return Err(RequestFailed::new(ErrorKind::Io, damaged.to_string())),
    };
    Ok((item, messages, conversation))
}

fn is_favourite(item: &HistoryItem) -> bool {
    item.other.get("isFavorited") == Some(&Value::Bool(true))
}

/// Does `work` with the task that a request is about: the current one of a session, or the one it names. A session that is
/// restored after a restart may not have its task yet; that is waited for.
pub fn with_task<F: Future<Output = Outcome> + Send + 'static>(
    core: &Arc<Core>,
    client: &Attachment,
    session: Option<SessionId>,
    task: Option<String>,
    work: impl FnOnce(Arc<Core>, Found) -> F + Send + 'static,
) -> Execution {
    let own = core.clone();
    let Some(id) = session else {
        let task = task.unwrap_or_default();
        if core.history.get(&task).is_none() {
            return Err(unknown(&task)).into();
        }
        let found = core.running(&task).map_or(Found::Stored(task), Found::Running);
        return Execution::Later(Box::pin(work(own, found)));
    };
    let Some(session) = core.session(id, client) else { return Err(stale("session")).into() };
    match session.handle.current() {
        Some(view) => Execution::Later(Box::pin(work(own, Found::Running(view)))),
        None => Execution::Later(Box::pin(async move {
            session.handle.call(Command::Barrier).await.map_err(command_failed)?;
            let view = session.handle.current().ok_or_else(|| command_failed(CommandError::NoTask))?;
            work(own, Found::Running(view)).await
        })),
    }
}

/// Looks at a stored task with its folders.
pub fn of_stored(core: &Core, task: &str, look: impl FnOnce(&StoredTask) -> Reply) -> Outcome {
    let folder = folder(core, task)?;
    let workspace = core.history.get(task).and_then(|item| item.workspace).map(PathBuf::from);
    let workspace = workspace.ok_or_else(|| unknown(task))?;
    let (storage, home) = (&core.storage, core.home());
    let stored = StoredTask { id: task, folder: &folder, storage, workspace: &workspace, home };
    look(&stored).map_err(command_failed)
}

/// The task's folder. An id is one path component; a history file that says otherwise is not followed.
pub fn folder(core: &Core, task: &str) -> Result<PathBuf, RequestFailed> {
    check_id(task)?;
    Ok(stored::folder(&core.settings.current(), &core.storage, task))
}

/// The task's folder in the engine's own storage, where its checkpoints are.
fn global_folder(core: &Core, task: &str) -> Result<PathBuf, RequestFailed> {
    check_id(task)?;
    Ok(core.storage.join("tasks").join(task))
}

fn check_id(task: &str) -> Result<(), RequestFailed> {
    let plain = !task.is_empty() && task.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(()) } else { Err(unknown(task)) }
}

/// No such task.
pub fn unknown(task: &str) -> RequestFailed {
    RequestFailed::new(ErrorKind::NotFound, format!("task `{task}` is not stored"))
}
