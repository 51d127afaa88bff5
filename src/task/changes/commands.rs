//! The commands of a host about a dry run, `dry_run.apply` and `dry_run.drop`, and how one begins.

use std::sync::Arc;

use super::apply::Selection;
use super::dry_run::DryRun;
use crate::task::instance::Task;
use crate::task::manager::Manager;
use crate::task::session::{CommandError, Reply};

impl Manager {
    /// Collected edits go to the files, which `checkpoint.undo` takes back.
    pub async fn apply_collected(&self, selection: Selection) -> Reply {
        let task = self.changing()?;
        let chosen = task.changes.choose(selection).await.map_err(CommandError::Invalid)?;
        let before = if chosen.is_empty() { None } else { task.checkpoint_undoable().await };
        let mut reply = task.changes.apply_collected(chosen).await.map_err(CommandError::Damaged)?;
        if let Some(before) = before {
            reply["checkpoint"] = before.to_string().into();
        }
        Ok(reply)
    }

    /// Collected edits are dropped.
    pub async fn drop_collected(&self, selection: Selection) -> Reply {
        let task = self.changing()?;
        let chosen = task.changes.choose(selection).await.map_err(CommandError::Invalid)?;
        task.changes.drop_collected(chosen).await.map_err(CommandError::Damaged)
    }

    fn changing(&self) -> Result<Arc<Task>, CommandError> {
        self.current().ok_or(CommandError::NoTask)
    }
}

impl Task {
    /// Makes this new task a dry run: before anything is known of it, so that no killed engine goes on without.
    pub fn begin_dry_run(&self) -> Result<(), CommandError> {
        let folder = self.store.folder();
        DryRun::begin(folder, None).map_err(|error| CommandError::Invalid(format!("{}: {error}", folder.display())))?;
        self.changes.collect(self.services.shared.dry_run(folder));
        Ok(())
    }

    /// Goes on with the dry run that this task, or the one that started it, belongs to.
    pub fn join_dry_run(&self) {
        let folder = self.store.folder();
        let parent = self.lineage.parent.as_ref().filter(|parent| parent.is_dry_run());
        if let Some(root) = DryRun::begun_by(folder) {
            self.changes.collect(self.services.shared.dry_run(&root));
        } else if let Some(dry_run) = parent.and_then(|parent| parent.changes.dry_run()) {
            // Without the mark, this run collects all the same, and the next one finds its parent or its root.
            let _ = DryRun::begin(folder, dry_run.task());
            self.changes.collect(dry_run.clone());
        } else if let Some(root) =
            self.lineage.root_id.as_ref().and_then(|root| DryRun::begun_by(&folder.with_file_name(root)))
        {
            self.changes.collect(self.services.shared.dry_run(&root));
        }
    }

    /// Whether edits are collected instead of made.
    pub fn is_dry_run(&self) -> bool {
        self.changes.dry_run().is_some()
    }
}
