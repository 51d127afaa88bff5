//! What tasks changed: of one that a session runs, through it; of a stored one, from its folder.

use std::sync::Arc;

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, command_failed, later};
use super::tasks::{self, Found};
use crate::protocol::request::TaskDiff;
use crate::task::changes::diff_stored;
use crate::task::checkpoints::DiffPoints;

/// `task.diff`.
pub fn diff(core: &Arc<Core>, client: &Attachment, diff: TaskDiff) -> Execution {
    let (points, files) = (DiffPoints { from: diff.from, to: diff.to }, diff.files);
    match tasks::find(core, client, diff.session, diff.task) {
        Err(failed) => Execution::Now(Err(failed)),
        Ok(Found::Running(view)) => {
            Execution::Later(Box::pin(async move { view.diff(points, files).await.map_err(command_failed) }))
        }
        Ok(Found::Stored(task)) => {
            later(core, move |core| tasks::of_stored(core, &task, |stored| diff_stored(stored, points, &files)))
        }
    }
}
