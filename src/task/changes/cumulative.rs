//! `task.diff`: what a task changed from its beginning, or between two of its checkpoints.
//!
//! A task with checkpoints began with the first of them, which sees what commands changed as well; files that checkpoints leave
//! out, and those outside of the workspace, are compared with their originals. Without checkpoints, all edited files are.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::blobs::Content;
use super::dry_run::DryRun;
use super::originals::Originals;
use super::report::{self, Change};
use crate::git::FileChange;
use crate::task::TaskView;
use crate::task::checkpoints::{Comparison, DiffPoints, StoredTask, compare_stored};
use crate::task::session::{CommandError, Reply};
use crate::workspace::paths;

impl TaskView {
    /// What the task changed in all files or those named, or what its dry run has collected: `{dry_run, from?, to?, files, added,
    /// removed}`. With points named it is what differs between these, also in a dry run.
    ///
    /// # Errors
    /// The task has no such checkpoints, or what a dry run collected cannot be read.
    pub async fn diff(&self, points: DiffPoints, files: Vec<String>) -> Reply {
        let task = self.task().clone();
        let is_named = points.is_named();
        let compared = match task.is_dry_run() && !is_named {
            true => None,
            false => or_originals(task.compare(points).await, is_named)?,
        };
        let changes = task.changes.clone();
        let work = move || match changes.collected(&files).filter(|_| !is_named) {
            Some(collected) => collected.map_err(CommandError::Damaged),
            None => Ok(cumulative(compared, changes.originals(), changes.cwd(), is_named, &files)),
        };
        tokio::task::spawn_blocking(work).await.map_err(|stopped| CommandError::Damaged(stopped.to_string()))?
    }
}

/// As [`TaskView::diff`], of a stored task that nobody runs. Blocks on the disk.
///
/// # Errors
/// As [`TaskView::diff`].
pub fn diff_stored(task: &StoredTask, points: DiffPoints, files: &[String]) -> Reply {
    let is_named = points.is_named();
    if let Some(root) = DryRun::begun_by(task.folder).filter(|_| !is_named) {
        return DryRun::of(&root).report(task.workspace, files).map_err(CommandError::Damaged);
    }
    let compared = or_originals(compare_stored(task, points), is_named)?;
    Ok(cumulative(compared, &Originals::of(task.folder), task.workspace, is_named, files))
}

/// Checkpoints that nobody named may be missing.
fn or_originals(
    compared: Result<Comparison, CommandError>,
    is_named: bool,
) -> Result<Option<Comparison>, CommandError> {
    match compared {
        Err(error) if is_named => Err(error),
        compared => Ok(compared.ok()),
    }
}

fn cumulative(
    compared: Option<Comparison>,
    originals: &Originals,
    cwd: &Path,
    is_named: bool,
    files: &[String],
) -> Value {
    let Some(Comparison { from, to, files: found }) = compared else {
        return report::report(originals.changes(cwd), files, false);
    };
    let mut changes: Vec<Change> = found.into_iter().map(change).collect();
    if !is_named {
        let known: HashSet<String> = changes.iter().map(|change| change.path.clone()).collect();
        changes.extend(originals.changes(cwd).filter(|change| !known.contains(&change.path)));
    }
    let mut reply = report::report(changes.into_iter(), files, false);
    reply["from"] = from.to_string().into();
    if let Some(to) = to {
        reply["to"] = to.to_string().into();
    }
    reply
}

fn change(file: FileChange) -> Change {
    let content = |size: Option<u64>, content: Option<Vec<u8>>| match (size, content) {
        (None, _) => Content::Absent,
        (Some(_), Some(bytes)) => Content::Bytes(bytes),
        (Some(_), None) if file.binary => Content::Binary,
        (Some(_), None) => Content::Unknown,
    };
    Change {
        path: paths::posix(&file.relative.to_string_lossy()),
        before: content(file.before_size, file.before),
        after: content(file.after_size, file.after),
    }
}
