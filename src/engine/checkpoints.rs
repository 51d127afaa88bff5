//! Checkpoints of tasks: of one that a session runs, through it; of a stored one, from its folder.

use std::sync::Arc;

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, command_failed, off_runtime};
use super::tasks::{self, Found};
use crate::protocol::request::{CheckpointDiff, CheckpointList, RestoreMode};
use crate::task::checkpoints::{DiffPoints, diff_stored, list_stored};
use crate::task::session::Command;

/// `checkpoint.list`.
pub fn list(core: &Arc<Core>, client: &Attachment, list: CheckpointList) -> Execution {
    tasks::with_task(core, client, list.session, list.task, async |core, found| match found {
        Found::Running(view) => off_runtime(core, move |_| Ok(view.checkpoints())).await,
        Found::Stored(task) => off_runtime(core, move |core| Ok(list_stored(&tasks::folder(core, &task)?))).await,
    })
}

/// `checkpoint.diff`.
pub fn diff(core: &Arc<Core>, client: &Attachment, diff: CheckpointDiff) -> Execution {
    let points = DiffPoints { from: diff.from, to: diff.to };
    tasks::with_task(core, client, diff.session, diff.task, async move |core, found| match found {
        Found::Running(view) => view.checkpoint_diff(points).await.map_err(command_failed),
        Found::Stored(task) => {
            off_runtime(core, move |core| tasks::of_stored(core, &task, |stored| diff_stored(stored, points))).await
        }
    })
}

/// `checkpoint.restore`.
pub fn restore(checkpoint: String, mode: RestoreMode) -> Command {
    Command::RestoreCheckpoint { checkpoint, with_conversation: mode == RestoreMode::Task }
}
