//! An [`Editor`] for hosts that cannot show edits: documents in memory, files on disk (spec 05 §2.2).
//!
//! It does what an editor would: a document keeps its [form](Form).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::diagnostics::FileDiagnostics;
use super::document::Form;
use super::view::{Editor, EditorError, Proposal};
use crate::workspace::write::write_atomic;

/// Edits files on disk. One file is held in memory for each edit under way.
#[derive(Default)]
pub struct DiskEditor {
    documents: Mutex<HashMap<PathBuf, Document>>,
}

/// A file being edited.
struct Document {
    form: Form,
    /// What opening it created: the folders from the top, then the file.
    created: Vec<PathBuf>,
    /// The final text, once proposed.
    text: Option<String>,
}

#[async_trait]
impl Editor for DiskEditor {
    async fn save_if_dirty(&self, _path: &Path) -> Result<(), EditorError> {
        Ok(())
    }

    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        Vec::new()
    }

    async fn settle(&self, _delay_ms: u64) {}

    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        if !self.documents().contains_key(proposal.path) {
            let document = Document::open(&proposal).map_err(|cause| EditorError::io(proposal.path, &cause))?;
            self.documents().insert(proposal.path.to_owned(), document);
        }
        if let Some(document) = self.documents().get_mut(proposal.path).filter(|_| proposal.is_final) {
            document.text = Some(document.form.line_ends(&proposal.document()));
        }
        Ok(())
    }

    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        let document = self.documents().remove(path).ok_or(EditorError::Closed)?;
        let text = document.text.ok_or(EditorError::Closed)?;
        write(path, document.form.file(&text)).await?;
        Ok(text)
    }

    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        let Some(document) = self.documents().remove(path) else { return Ok(()) };
        // Innermost first; a folder that is no longer empty stays.
        for created in document.created.iter().rev() {
            let removed = if created == path { fs::remove_file(created) } else { fs::remove_dir(created) };
            match removed {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(EditorError::io(created, &cause)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn close(&self, path: &Path) {
        self.documents().remove(path);
    }

    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError> {
        let folder = path.parent().unwrap_or(path);
        tokio::fs::create_dir_all(folder).await.map_err(|cause| EditorError::io(folder, &cause))?;
        write(path, content.to_owned()).await
    }
}

impl DiskEditor {
    /// A poisoned lock only means that another edit panicked half-way; the map itself is sound.
    fn documents(&self) -> MutexGuard<'_, HashMap<PathBuf, Document>> {
        self.documents.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Document {
    fn open(proposal: &Proposal<'_>) -> io::Result<Document> {
        Ok(Document {
            form: Form::of(proposal.original),
            created: if proposal.is_new { create(proposal.path)? } else { Vec::new() },
            text: None,
        })
    }
}

/// Creates the empty file with its missing folders, and returns what was created, outermost first.
fn create(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut created: Vec<PathBuf> =
        path.ancestors().skip(1).take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    created.reverse();
    created.iter().try_for_each(fs::create_dir)?;
    match fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => created.push(path.to_owned()),
        // Somebody else made it meanwhile: it is not ours to remove.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(cause),
    }
    Ok(created)
}

async fn write(path: &Path, text: String) -> Result<(), EditorError> {
    let target = path.to_owned();
    let written = tokio::task::spawn_blocking(move || write_atomic(&target, text.as_bytes())).await;
    written.unwrap_or_else(|cause| Err(io::Error::other(cause))).map_err(|cause| EditorError::io(path, &cause))
}
