//! What tasks changed: of one that a session runs, through it; of a stored one, from its folder.

use std::sync::Arc;

use super::attachment::Attachment;
use super::core::Core;
use super::router::{Execution, command_failed, off_runtime};
use super::tasks::{self, Found};
use crate::protocol::request::TaskDiff;
use crate::task::changes::diff_stored;
use crate::task::checkpoints::DiffPoints;

/// `task.diff`.
pub fn diff(core: &Arc<Core>, client: &Attachment, diff: TaskDiff) -> Execution {
    let (points, files) = (DiffPoints { from: diff.from, to: diff.to }, diff.files);
    tasks::with_task(core, client, diff.session, diff.task, async move |core, found| match found {
        Found::Running(view) => view.diff(points, files).await.map_err(command_failed),
        Found::Stored(task) => {
            off_runtime(core, move |core| tasks::of_stored(core, &task, |stored| diff_stored(stored, points, &files)))
                .await
        }
    })
}
