//! The document side of edits in a host that can show them (`edit.propose`, `edit.apply`, `edit.revert`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::edit::diagnostics::{self, FileDiagnostics};
use crate::edit::view::{Editor, EditorError, Proposal};
use crate::task::host::{HostRequestError, TaskHost};
use crate::workspace::write::write_atomic;

/// The host's editor. Used when the host declares `edit.propose`, `edit.apply` and `edit.revert`.
pub struct HostEditor {
    host: Arc<dyn TaskHost>,
}

impl HostEditor {
    /// The host's editor, if it can show, apply and revert edits.
    pub fn of(host: &Arc<dyn TaskHost>) -> Option<HostEditor> {
        let complete = ["edit.propose", "edit.apply", "edit.revert"].iter().all(|method| host.offers(method));
        complete.then(|| HostEditor { host: host.clone() })
    }

    async fn ask(&self, method: &'static str, path: &Path, parameters: Value) -> Result<Value, EditorError> {
        self.host.request(method, parameters).await.map_err(|error| match error {
            HostRequestError::TimedOut { after_ms, .. } => {
                EditorError::TimedOut { path: path.display().to_string(), seconds: after_ms / 1000 }
            }
            other => EditorError::Failed(other.to_string()),
        })
    }
}

#[async_trait]
impl Editor for HostEditor {
    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError> {
        if !self.host.offers("buffer.save") {
            return Ok(());
        }
        self.ask("buffer.save", path, json!({"path": path.to_string_lossy()})).await.map(drop)
    }

    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        // Without an answer there are none (spec 05 §6).
        diagnostics::from_json(&self.host.request("diagnostics.get", json!({})).await.unwrap_or(Value::Null))
    }

    async fn settle(&self, delay_ms: u64) {
        if self.host.offers("diagnostics.get") {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        let parameters = json!({
            "path": proposal.path.to_string_lossy(),
            "original": proposal.original,
            "text": proposal.document(),
            "new": proposal.is_new,
            "final": proposal.is_final,
        });
        self.ask("edit.propose", proposal.path, parameters).await.map(drop)
    }

    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        let answer = self.ask("edit.apply", path, json!({"path": path.to_string_lossy()})).await?;
        match answer["text"].as_str() {
            Some(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
            None => Err(EditorError::Failed("edit.apply: the answer has no `text`".into())),
        }
    }

    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        self.ask("edit.revert", path, json!({"path": path.to_string_lossy()})).await.map(drop)
    }

    /// An apply or revert closes the view as well, so there is nothing left to do.
    async fn close(&self, _path: &Path) {}

    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|cause| EditorError::io(path, &cause))?;
        }
        write_atomic(path, content.as_bytes()).map_err(|cause| EditorError::io(path, &cause))?;
        // An open document is told to take the new content; a host without buffers has none.
        if self.host.offers("buffer.read") {
            self.ask("buffer.read", path, json!({"path": path.to_string_lossy()})).await?;
        }
        Ok(())
    }
}
