//! The way of one changed text from a tool to the disk: shown or not, asked for, saved or taken back (spec 05 §2, §5).

use super::context::{ToolContext, ToolError};
use super::frame::{self, Target};
use crate::edit::view::{EditKind, EditorError};
use crate::protocol::message::{Ask, ProgressStatus};

/// A complete new text for a file.
pub(super) struct Change<'a> {
    /// The file.
    pub target: &'a Target,
    /// Its new text.
    pub content: &'a str,
    /// It does not exist yet.
    pub is_new: bool,
}

impl Change<'_> {
    /// Shows the new text, unless edits go directly to the disk.
    pub async fn show(&self, context: &dyn ToolContext) -> Result<(), ToolError> {
        if frame::edits_directly(context) {
            return Ok(());
        }
        let mut view = context.edits().lock().await;
        let failed = |error| frame::editor_failed(context.texts(), error);
        view.set_kind(if self.is_new { EditKind::Create } else { EditKind::Modify });
        if !view.is_open() {
            view.open(&self.target.given).await.map_err(failed)?;
        }
        view.update(self.content, true).await.map_err(failed)
    }

    /// Asks with `payload` whether it may be saved; a refusal takes it back.
    pub async fn approve(
        &self,
        context: &dyn ToolContext,
        payload: String,
        progress: Option<ProgressStatus>,
    ) -> Result<bool, ToolError> {
        let approved = context.ask_approval(Ask::Tool, payload, progress, self.target.protected).await?;
        if !approved {
            self.revert(context).await?;
        }
        Ok(approved)
    }

    /// Takes the shown text back.
    pub async fn revert(&self, context: &dyn ToolContext) -> Result<(), ToolError> {
        let reverted = context.edits().lock().await.revert().await;
        reverted.map_err(|error| frame::editor_failed(context.texts(), error))
    }

    /// Saves it and gives the result text.
    pub async fn save(&self, context: &dyn ToolContext) -> Result<String, ToolError> {
        let options = frame::save_options(context);
        let failed = |error| frame::editor_failed(context.texts(), error);
        let saved = {
            let mut view = context.edits().lock().await;
            if frame::edits_directly(context) {
                view.save_directly(&self.target.given, self.content, options).await.map_err(failed)?
            } else {
                view.save(options).await.map_err(failed)?.ok_or(EditorError::Closed).map_err(failed)?
            }
        };
        frame::saved(context, &saved, self.is_new).await
    }
}

/// Ends an edit: the view is free for the next one, and a waiting message of the user goes its way.
pub(super) async fn finish(context: &dyn ToolContext) {
    context.edits().lock().await.reset().await;
    context.process_queued();
}

/// Reports what a tool could not deal with and frees the edit view.
pub(super) async fn fail(context: &dyn ToolContext, action: &str, error: ToolError) -> Result<(), ToolError> {
    if error == ToolError::Aborted {
        return Err(error);
    }
    context.handle_error(action, &error).await;
    context.edits().lock().await.reset().await;
    Ok(())
}
