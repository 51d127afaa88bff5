//! Changes of files that a host asks for, such as applying what a dry run collected, are taken back by `checkpoint.undo`.

use super::record::{Change, Outcome, Record};
use super::save::{Saving, Telling};
use crate::git::Commit;
use crate::task::instance::Task;

impl Task {
    /// Saves the present state and writes it down as one to go back to, before files are changed beside the loop. `None`: there
    /// are no checkpoints, or no longer, of which the user is told.
    pub async fn checkpoint_undoable(&self) -> Option<Commit> {
        let present = match self.try_checkpoint(Saving { force: true, suppress: true }, Telling::Now).await {
            Ok(present) => present?,
            Err(error) => {
                self.without_checkpoints(&error);
                return None;
            }
        };
        // As after a restore of the present state, so that undoing it leads back here.
        let record = Record {
            outcome: Outcome::Done,
            commit: present.to_string(),
            change: Change::Keep,
            before: present.to_string(),
            conversation: None,
            said: None,
        };
        // Not written down, the checkpoint can still be restored by its id.
        let _ = self.write_record(record).await;
        Some(present)
    }
}
