//! The edit view of a task (spec 05 §2): a proposed text is shown, maybe changed by the user, then saved or reverted.
//!
//! [`EditView`] is the state machine; an [`Editor`] does what the host (or the disk, without a host) must do.

use std::path::Path;

use async_trait::async_trait;

/// Why an editor step failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct EditorError(pub String);

/// One diagnostic of a file (spec 05 §2.7). `severity`: 0 error, 1 warning, 2 information, 3 hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// 0 error, 1 warning, 2 information, 3 hint.
    pub severity: u8,
    /// 0-based start line.
    pub line: u32,
    /// 0-based start column, end line and end column, kept for comparing.
    pub range: (u32, u32, u32),
    /// Message.
    pub message: String,
    /// Who reports it, such as `eslint`.
    pub source: Option<String>,
}

/// A text to be shown as the new content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal<'a> {
    /// Absolute path.
    pub path: &'a Path,
    /// Text before the edit; empty for a new file.
    pub original: &'a str,
    /// Text of the document now.
    pub text: &'a str,
    /// The file does not exist yet.
    pub is_new: bool,
    /// The text is complete; false while it streams in.
    pub is_final: bool,
}

/// The document side of an edit: the host's editor, or [the disk](DiskEditor) when the host cannot show edits.
#[async_trait]
pub trait Editor: Send + Sync {
    /// Saves the document of this file if it is open with unsaved changes.
    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError>;
    /// All diagnostics now, by absolute path.
    async fn diagnostics(&self) -> Vec<(std::path::PathBuf, Vec<Diagnostic>)>;
    /// Shows the proposed text; called again for the same path as it grows.
    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError>;
    /// Saves the shown document and returns its text as saved (the user may have changed it).
    async fn apply(&self, path: &Path) -> Result<String, EditorError>;
    /// Drops the proposal: the original text is back (for a new file: nothing is left).
    async fn revert(&self, path: &Path) -> Result<(), EditorError>;
}

/// The edit view of one task. (Filled in with the edit tools.)
pub struct EditView {}
