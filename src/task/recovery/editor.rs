//! Notes which file an edit creates in order to show it, so that the file can be taken back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::note::Note;
use crate::edit::diagnostics::FileDiagnostics;
use crate::edit::view::{Editor, EditorError, Proposal};
use crate::task::host::TaskHost;

/// The editor of one task whose notes are kept.
pub(in crate::task) struct NotedEditor {
    editor: Arc<dyn Editor>,
    host: Arc<dyn TaskHost>,
    task: String,
    shown: Mutex<Option<PathBuf>>,
}

impl NotedEditor {
    /// `editor`, noting for the task if somebody keeps notes.
    pub fn over(editor: Arc<dyn Editor>, host: &Arc<dyn TaskHost>, task: &str) -> Arc<dyn Editor> {
        if !host.keeps_notes() {
            return editor;
        }
        Arc::new(NotedEditor { editor, host: host.clone(), task: task.to_owned(), shown: Mutex::default() })
    }

    fn begin(&self, path: &Path) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_deref() == Some(path) {
            return;
        }
        *shown = Some(path.to_owned());
        let missing: Vec<PathBuf> = path.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
        if !missing.is_empty() {
            self.host.note(Note::Creating { task: self.task.clone(), paths: missing });
        }
    }

    fn end(&self) {
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.host.note(Note::Created { task: self.task.clone() });
        }
    }
}

#[async_trait]
impl Editor for NotedEditor {
    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError> {
        self.editor.save_if_dirty(path).await
    }

    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        self.editor.diagnostics().await
    }

    async fn settle(&self, delay_ms: u64) {
        self.editor.settle(delay_ms).await;
    }

    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        if proposal.is_new {
            self.begin(proposal.path);
        }
        self.editor.propose(proposal).await
    }

    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        self.end();
        self.editor.apply(path).await
    }

    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        let reverted = self.editor.revert(path).await;
        self.end();
        reverted
    }

    async fn close(&self, path: &Path) {
        self.end();
        self.editor.close(path).await;
    }

    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError> {
        self.editor.write(path, content).await
    }
}

/// Removes the file that an edit had made and not filled, and the folders made for it. What anybody has used stays.
pub(in crate::task) fn take_back(created: &[PathBuf]) {
    for path in created {
        let Ok(found) = fs::symlink_metadata(path) else { continue };
        // Failures leave an empty file, which the user sees.
        let _ = match found.is_dir() {
            true => fs::remove_dir(path),
            false if found.is_file() && found.len() == 0 => fs::remove_file(path),
            false => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_empty_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).expect("made");
        fs::write(at("a/b/new"), "").expect("written");
        take_back(&[at("a/b/new"), at("a/b"), at("a")]);
        assert!(!at("a").exists());
        fs::create_dir_all(at("a/b")).expect("made");
        fs::write(at("a/b/new"), "used").expect("written");
        take_back(&[at("a/b/new"), at("a/b"), at("a")]);
        assert_eq!(fs::read(at("a/b/new")).expect("there"), b"used");
    }
}
