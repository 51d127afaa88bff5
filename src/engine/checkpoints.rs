//! Checkpoints of tasks: of one that a session runs, through it; of a stored one, from its folder.

use std::path::PathBuf;
use std::sync::Arc;

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, Outcome, command_failed, later, stale};
use super::tasks;
use crate::protocol::event::RequestFailed;
use crate::protocol::ids::SessionId;
use crate::protocol::request::{CheckpointDiff, CheckpointList, RestoreMode};
use crate::task::TaskView;
use crate::task::checkpoints::{DiffPoints, StoredTask, diff_stored, list_stored};
use crate::task::host::TaskHistory;
use crate::task::session::{Command, CommandError};

/// Where a task is.
enum Found {
    /// On the stack of a session.
    Running(TaskView),
    /// Only in its folder.
    Stored(String),
}

/// `checkpoint.list`.
pub fn list(core: &Arc<Core>, client: &Attachment, list: CheckpointList) -> Execution {
    match find(core, client, list.session, list.task) {
        Err(failed) => Execution::Now(Err(failed)),
        Ok(Found::Running(view)) => later(core, move |_| Ok(view.checkpoints())),
        Ok(Found::Stored(task)) => later(core, move |core| Ok(list_stored(&tasks::folder(core, &task)?))),
    }
}

/// `checkpoint.diff`.
pub fn diff(core: &Arc<Core>, client: &Attachment, diff: CheckpointDiff) -> Execution {
    let points = DiffPoints { from: diff.from, to: diff.to };
    match find(core, client, diff.session, diff.task) {
        Err(failed) => Execution::Now(Err(failed)),
        Ok(Found::Running(view)) => {
            Execution::Later(Box::pin(async move { view.checkpoint_diff(points).await.map_err(command_failed) }))
        }
        Ok(Found::Stored(task)) => later(core, move |core| diff_of_stored(core, &task, points)),
    }
}

/// `checkpoint.restore`.
pub fn restore(checkpoint: String, mode: RestoreMode) -> Command {
    Command::RestoreCheckpoint { checkpoint, with_conversation: mode == RestoreMode::Task }
}

fn diff_of_stored(core: &Core, task: &str, points: DiffPoints) -> Outcome {
    let folder = tasks::folder(core, task)?;
    let workspace = core.history.get(task).and_then(|item| item.workspace).map(PathBuf::from);
    let workspace = workspace.ok_or_else(|| tasks::unknown(task))?;
    let (storage, home) = (&core.storage, core.home());
    let stored = StoredTask { id: task, folder: &folder, storage, workspace: &workspace, home };
    diff_stored(&stored, points).map_err(command_failed)
}

fn find(
    core: &Core,
    client: &Attachment,
    session: Option<SessionId>,
    task: Option<String>,
) -> Result<Found, RequestFailed> {
    if let Some(id) = session {
        let session = core.session(id, client).ok_or_else(|| stale("session"))?;
        let view = session.handle.current().ok_or_else(|| command_failed(CommandError::NoTask))?;
        return Ok(Found::Running(view));
    }
    let task = task.unwrap_or_default();
    if core.history.get(&task).is_none() {
        return Err(tasks::unknown(&task));
    }
    Ok(core.running(&task).map_or(Found::Stored(task), Found::Running))
}
