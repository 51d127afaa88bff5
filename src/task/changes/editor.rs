//! The editor of one task: records originals on the way to the host's editor or the disk, or collects what a dry run edits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::blobs::Content;
use super::dry_run::{DryRun, real};
use super::originals::Originals;
use super::report::Counts;
use crate::edit::diagnostics::FileDiagnostics;
use crate::edit::document::Form;
use crate::edit::view::{Editor, EditorError, Proposal};
use crate::task::host::{TaskEvent, TaskHost};

/// Most files that one `diff` event lists; the totals count all.
const MAX_LISTED: usize = 1000;

/// The editor of a task, and what the task changed.
pub(in crate::task) struct Changes {
    editor: Arc<dyn Editor>,
    originals: Arc<Originals>,
    dry_run: OnceLock<Arc<DryRun>>,
    host: Arc<dyn TaskHost>,
    task: String,
    cwd: PathBuf,
    /// Files that are shown and not yet saved.
    shown: Mutex<HashMap<PathBuf, Shown>>,
}

/// A file that is being edited.
struct Shown {
    /// As it was when it was shown; not read when its original is known anyway.
    before: Option<Content>,
    form: Form,
    /// The final text, once proposed.
    text: Option<String>,
}

impl Changes {
    /// The editor of `task`, in front of the host's or the disk's.
    pub fn new(
        editor: Arc<dyn Editor>,
        originals: Arc<Originals>,
        host: Arc<dyn TaskHost>,
        task: &str,
        cwd: PathBuf,
    ) -> Changes {
        let (dry_run, shown) = Default::default();
        Changes { editor, originals, dry_run, host, task: task.to_owned(), cwd, shown }
    }

    /// From now on edits are collected here.
    pub fn collect(&self, dry_run: Arc<DryRun>) {
        // Whoever asks twice asks for the same.
        let _ = self.dry_run.set(dry_run);
    }

    /// Where edits are collected, in a dry run.
    pub fn dry_run(&self) -> Option<&Arc<DryRun>> {
        self.dry_run.get()
    }

    /// The collected edits of a dry run as `task.diff` shows them. Blocking.
    pub(super) fn collected(&self, files: &[String]) -> Option<Result<Value, String>> {
        self.dry_run().map(|dry_run| dry_run.report(&self.cwd, files))
    }

    pub(super) fn originals(&self) -> &Originals {
        &self.originals
    }

    pub(super) fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Reports what the dry run has collected.
    pub(super) fn report_collected(&self) {
        if let Some(dry_run) = self.dry_run() {
            self.emit(dry_run.counts(&self.cwd));
        }
    }

    fn emit(&self, mut files: Vec<(String, Counts)>) {
        let added = files.iter().map(|(_, counts)| counts.added).sum();
        let removed = files.iter().map(|(_, counts)| counts.removed).sum();
        files.truncate(MAX_LISTED);
        let files = files.into_iter().map(|(path, counts)| (path, counts.added, counts.removed)).collect();
        self.host.emit(TaskEvent::Diff { task: self.task.clone(), files, added, removed });
    }

    /// The unsaved text of this file's document, if its editor has one, goes to the disk.
    pub(super) async fn settle_document(&self, path: &Path) -> Result<(), EditorError> {
        self.editor.save_if_dirty(path).await
    }

    /// Writes to the file itself, also in a dry run. `before` is the file as it is.
    pub(super) async fn write_through(&self, path: &Path, before: Content, text: &str) -> Result<(), EditorError> {
        self.record(path, before).await;
        self.editor.write(path, text).await
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<PathBuf, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn record(&self, path: &Path, content: Content) {
        let (originals, path) = (self.originals.clone(), real(path));
        // A panic there would lose an original, and must not lose the edit.
        let _ = tokio::task::spawn_blocking(move || originals.record(&path, &content)).await;
    }

    /// The file as it is now, unless nobody needs it.
    async fn before(&self, path: &Path) -> Option<Content> {
        let known = match self.dry_run() {
            Some(dry_run) => dry_run.copy(path).is_some(),
            None => self.originals.knows(&real(path)),
        };
        if known {
            return None;
        }
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || Content::of(&path)).await;
        Some(read.unwrap_or(Content::Unknown))
    }

    async fn put(&self, path: &Path, before: Option<Content>, text: String) -> Result<(), EditorError> {
        let Some(dry_run) = self.dry_run().cloned() else { return Err(EditorError::Closed) };
        let path = path.to_owned();
        let put = tokio::task::spawn_blocking(move || {
            let before = before.unwrap_or_else(|| Content::of(&path));
            dry_run.put(&path, &before, &text)
        });
        let put = put.await.unwrap_or_else(|stopped| Err(stopped.to_string()));
        put.map_err(EditorError::Failed)?;
        self.report_collected();
        Ok(())
    }

    async fn report_edited(&self, path: &Path) {
        let (originals, cwd, path) = (self.originals.clone(), self.cwd.clone(), real(path));
        let counted = tokio::task::spawn_blocking(move || originals.counts(&cwd, &path)).await;
        if let Ok(files) = counted {
            self.emit(files);
        }
    }
}

#[async_trait]
impl Editor for Changes {
    fn locate(&self, path: &Path) -> PathBuf {
        self.dry_run().and_then(|dry_run| dry_run.copy(path)).unwrap_or_else(|| self.editor.locate(path))
    }

    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError> {
        if self.dry_run().is_some() { Ok(()) } else { self.editor.save_if_dirty(path).await }
    }

    async fn diagnostics(&self) -> Vec<FileDiagnostics> {
        // Those of the files say nothing about edits that are not in them.
        if self.dry_run().is_some() { Vec::new() } else { self.editor.diagnostics().await }
    }

    async fn settle(&self, delay_ms: u64) {
        if self.dry_run().is_none() {
            self.editor.settle(delay_ms).await;
        }
    }

    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError> {
        if !self.shown().contains_key(proposal.path) {
            let before = self.before(proposal.path).await;
            let shown = Shown { before, form: Form::of(proposal.original), text: None };
            self.shown().insert(proposal.path.to_owned(), shown);
        }
        if self.dry_run().is_none() {
            return self.editor.propose(proposal).await;
        }
        if let Some(shown) = self.shown().get_mut(proposal.path).filter(|_| proposal.is_final) {
            shown.text = Some(shown.form.line_ends(&proposal.document()));
        }
        Ok(())
    }

    async fn apply(&self, path: &Path) -> Result<String, EditorError> {
        let shown = self.shown().remove(path);
        if self.dry_run().is_some() {
            let shown = shown.ok_or(EditorError::Closed)?;
            let text = shown.text.ok_or(EditorError::Closed)?;
            self.put(path, shown.before, shown.form.file(&text)).await?;
            return Ok(text);
        }
        if let Some(before) = shown.and_then(|shown| shown.before) {
            self.record(path, before).await;
        }
        let saved = self.editor.apply(path).await?;
        self.report_edited(path).await;
        Ok(saved)
    }

    async fn revert(&self, path: &Path) -> Result<(), EditorError> {
        self.shown().remove(path);
        if self.dry_run().is_some() { Ok(()) } else { self.editor.revert(path).await }
    }

    async fn close(&self, path: &Path) {
        self.shown().remove(path);
        if self.dry_run().is_none() {
            self.editor.close(path).await;
        }
    }

    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError> {
        let before = self.before(path).await;
        if self.dry_run().is_some() {
            return self.put(path, before, content.to_owned()).await;
        }
        if let Some(before) = before {
            self.record(path, before).await;
        }
        self.editor.write(path, content).await?;
        self.report_edited(path).await;
        Ok(())
    }
}
