//! Checkpoints of tasks: of one that a session runs, through it; of a stored one, from its folder.

use std::sync::Arc;

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, command_failed, later};
use super::tasks::{self, Found};
use crate::protocol::request::{CheckpointDiff, CheckpointList, RestoreMode};
use crate::task::checkpoints::{DiffPoints, diff_stored, list_stored};
use crate::task::session::Command;

/// `checkpoint.list`.
pub fn list(core: &Arc<Core>, client: &Attachment, list: CheckpointList) -> Execution {
    match tasks::find(core, client, list.session, list.task) {
        Err(failed) => Execution::Now(Err(failed)),
        Ok(Found::Running(view)) => later(core, move |_| Ok(view.checkpoints())),
        Ok(Found::Stored(task)) => later(core, move |core| Ok(list_stored(&tasks::folder(core, &task)?))),
    }
}

/// `checkpoint.diff`.
pub fn diff(core: &Arc<Core>, client: &Attachment, diff: CheckpointDiff) -> Execution {
    let points = DiffPoints { from: diff.from, to: diff.to };
    match tasks::find(core, client, diff.session, diff.task) {
        Err(failed) => Execution::Now(Err(failed)),
        Ok(Found::Running(view)) => {
            Execution::Later(Box::pin(async move { view.checkpoint_diff(points).await.map_err(command_failed) }))
        }
        Ok(Found::Stored(task)) => {
            later(core, move |core| tasks::of_stored(core, &task, |stored| diff_stored(stored, points)))
        }
    }
}

/// `checkpoint.restore`.
pub fn restore(checkpoint: String, mode: RestoreMode) -> Command {
    Command::RestoreCheckpoint { checkpoint, with_conversation: mode == RestoreMode::Task }
}
