//! The edit view of a task (spec 05 §2): a proposed text is shown, maybe changed by the user, then saved or reverted.
//!
//! [`EditView`] is the state machine; an [`Editor`] does what the host (or [the disk](super::disk), without a host) must
//! do. Nothing here words a result: [`Saved`] has the facts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::diagnostics::{self, FileDiagnostics};
use super::patch::pretty_patch;
use crate::workspace::{paths, reading};

/// Why an editor step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditorError {
    /// The host did not show the file in time.
    #[error("{path} was not shown within {seconds} s")]
    TimedOut {
        /// The file.
        path: String,
        /// The limit.
        seconds: u64,
    },
    /// The user closed the view.
    #[error("the edit view was closed")]
    Closed,
    /// Anything else; the text names the file and the cause.
    #[error("{0}")]
    Failed(String),
}

impl EditorError {
    /// A failed operation on a file.
    pub fn io(path: &Path, cause: &std::io::Error) -> EditorError {
        EditorError::Failed(format!("{}: {cause}", path.display()))
    }
}

/// A text to be shown as the new content of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal<'a> {
    /// Absolute path.
    pub path: &'a Path,
    /// Text before the edit; empty for a new file.
    pub original: &'a str,
    /// The new text as the tool made it; a beginning of it while it streams in.
    pub content: &'a str,
    /// The file does not exist yet.
    pub is_new: bool,
    /// `content` is complete.
    pub is_final: bool,
}

impl Proposal<'_> {
    /// The text the document must have now (spec 05 §2.2), without leading byte-order marks.
    ///
    /// While the content streams in, its complete lines stand in place of as many lines of the original. A final text
    /// ends with a line feed if the original did.
    pub fn document(&self) -> String {
        let content = self.content.trim_start_matches('\u{feff}');
        if self.is_final {
            let needs_line_end = self.original.ends_with('\n') && !content.ends_with('\n');
            return format!("{content}{}", if needs_line_end { "\n" } else { "" });
        }
        let complete = &content[..content.rfind('\n').map_or(0, |end| end + 1)];
        let original = self.original.trim_start_matches('\u{feff}');
        let replaced: usize = original.split_inclusive('\n').take(count_lines(complete)).map(str::len).sum();
        format!("{complete}{}", &original[replaced..])
    }
}

fn count_lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

/// The document side of an edit: the host's editor, or [the disk](super::disk::DiskEditor) when the host cannot show edits.
#[async_trait]
pub trait Editor: Send + Sync {
    /// Where the content of this file stands: elsewhere when edits are collected instead of saved.
    fn locate(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
    /// Saves the document of this file if it is open with unsaved changes.
    async fn save_if_dirty(&self, path: &Path) -> Result<(), EditorError>;
    /// All diagnostics now.
    async fn diagnostics(&self) -> Vec<FileDiagnostics>;
    /// Waits until diagnostics reflect a save, `delay_ms` at most. An editor without diagnostics need not wait.
    async fn settle(&self, delay_ms: u64);
    /// Shows a proposal. The first one for a path opens the view (and creates a new file, empty, with its folders); later
    /// ones replace its text.
    async fn propose(&self, proposal: Proposal<'_>) -> Result<(), EditorError>;
    /// Saves the shown document and returns its text as saved, without byte-order mark (the user may have changed it).
    async fn apply(&self, path: &Path) -> Result<String, EditorError>;
    /// Drops the proposal: the original text is back; for a new file, file and folders made for it are gone.
    async fn revert(&self, path: &Path) -> Result<(), EditorError>;
    /// Closes the view without saving or restoring anything.
    async fn close(&self, path: &Path);
    /// Writes a file exactly as given, with missing folders, without showing it (spec 05 §2.4).
    async fn write(&self, path: &Path, content: &str) -> Result<(), EditorError>;
}

/// Whether an edit makes a file or changes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// A new file.
    Create,
    /// A file that exists.
    Modify,
}

/// How to look at diagnostics after a save (settings `diagnosticsEnabled`, `writeDelayMs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// Look at them at all.
    pub diagnostics: bool,
    /// Milliseconds before.
    pub delay_ms: u64,
}

/// What a save gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Path as the tool gave it.
    pub path: String,
    /// What the user changed, as a patch from the proposed to the saved text.
    pub user_edits: Option<String>,
    /// Diagnostics that were not there before the edit.
    pub new_diagnostics: Vec<FileDiagnostics>,
}

/// The edit view of one task.
pub struct EditView {
    editor: Arc<dyn Editor>,
    cwd: PathBuf,
    kind: Option<EditKind>,
    edit: Option<Edit>,
}

/// One edit that is being shown.
struct Edit {
    relative: String,
    path: PathBuf,
    kind: EditKind,
    original: String,
    content: Option<String>,
    before: Vec<FileDiagnostics>,
}

impl EditView {
    /// A view for files below `cwd`.
    pub fn new(editor: Arc<dyn Editor>, cwd: PathBuf) -> EditView {
        EditView { editor, cwd, kind: None, edit: None }
    }

    /// Kind of the edit under way, kept while a call streams in.
    pub fn kind(&self) -> Option<EditKind> {
        self.kind
    }

    /// Says what the next [`EditView::open`] does.
    pub fn set_kind(&mut self, kind: EditKind) {
        self.kind = Some(kind);
    }

    /// Whether a file is shown.
    pub fn is_open(&self) -> bool {
        self.edit.is_some()
    }

    /// Text of the shown file before the edit; empty when none is shown.
    pub fn original(&self) -> &str {
        self.edit.as_ref().map_or("", |edit| edit.original.as_str())
    }

    /// Shows the file `relative` (spec 05 §2.1). Unsaved changes of the user are saved first.
    ///
    /// # Errors
    /// The file cannot be saved, read or shown; nothing is open then.
    pub async fn open(&mut self, relative: &str) -> Result<(), EditorError> {
        let kind = self.kind.unwrap_or(EditKind::Modify);
        let path = paths::resolve(&self.cwd, relative);
        if kind == EditKind::Modify {
            self.editor.save_if_dirty(&path).await?;
        }
        let before = self.editor.diagnostics().await;
        let original = match kind {
            EditKind::Create => String::new(),
            EditKind::Modify => {
                let file = self.editor.locate(&path);
                let read = tokio::task::spawn_blocking(move || reading::read_all(&file)).await;
                let bytes = read.map_err(|cause| EditorError::Failed(cause.to_string()))?;
                let bytes = bytes.map_err(|cause| EditorError::Failed(cause.to_string()))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        let edit = Edit { relative: relative.to_owned(), path, kind, original, content: None, before };
        self.editor.propose(edit.proposal("", false)).await?;
        self.edit = Some(edit);
        Ok(())
    }

    /// Shows `content` as the new text (spec 05 §2.2).
    ///
    /// # Errors
    /// No file is open, or the user closed the view.
    pub async fn update(&mut self, content: &str, is_final: bool) -> Result<(), EditorError> {
        let edit = self.edit.as_mut().ok_or(EditorError::Closed)?;
        self.editor.propose(edit.proposal(content, is_final)).await?;
        edit.content = Some(content.to_owned());
        Ok(())
    }

    /// Saves the shown document (spec 05 §2.3, D06); `None` when nothing was proposed.
    ///
    /// # Errors
    /// The document cannot be saved; the file is as before.
    pub async fn save(&mut self, options: SaveOptions) -> Result<Option<Saved>, EditorError> {
        let Some((edit, content)) = self.edit.as_ref().and_then(|edit| Some((edit, edit.content.as_ref()?))) else {
            return Ok(None);
        };
        let saved = self.editor.apply(&edit.path).await?;
        let line_end = if content.contains("\r\n") { "\r\n" } else { "\n" };
        let (proposed, saved) = (with_line_end(content, line_end), with_line_end(&saved, line_end));
        let user_edits = (proposed != saved).then(|| pretty_patch(&proposed, &saved));
        let new_diagnostics = self.new_diagnostics(&edit.before, options).await;
        Ok(Some(Saved { path: edit.relative.clone(), user_edits, new_diagnostics }))
    }

    /// Writes a file without showing it (spec 05 §2.4).
    ///
    /// # Errors
    /// The file cannot be written; it is as before.
    pub async fn save_directly(
        &mut self,
        relative: &str,
        content: &str,
        options: SaveOptions,
    ) -> Result<Saved, EditorError> {
        let before = self.editor.diagnostics().await;
        self.editor.write(&paths::resolve(&self.cwd, relative), content).await?;
        let new_diagnostics = self.new_diagnostics(&before, options).await;
        Ok(Saved { path: relative.to_owned(), user_edits: None, new_diagnostics })
    }

    /// Takes the proposal back (spec 05 §2.5). Nothing happens when none is shown.
    ///
    /// # Errors
    /// The original cannot be restored.
    pub async fn revert(&mut self) -> Result<(), EditorError> {
        self.kind = None;
        match self.edit.take() {
            Some(edit) => self.editor.revert(&edit.path).await,
            None => Ok(()),
        }
    }

    /// Forgets the edit under way and closes its view; what is saved stays saved.
    pub async fn reset(&mut self) {
        self.kind = None;
        if let Some(edit) = self.edit.take() {
            self.editor.close(&edit.path).await;
        }
    }

    async fn new_diagnostics(&self, before: &[FileDiagnostics], options: SaveOptions) -> Vec<FileDiagnostics> {
        if !options.diagnostics {
            return Vec::new();
        }
        self.editor.settle(options.delay_ms).await;
        diagnostics::new_since(before, self.editor.diagnostics().await)
    }
}

impl Edit {
    fn proposal<'a>(&'a self, content: &'a str, is_final: bool) -> Proposal<'a> {
        let is_new = self.kind == EditKind::Create;
        Proposal { path: &self.path, original: &self.original, content, is_new, is_final }
    }
}

/// The text with every LF and CRLF as `line_end`.
fn with_line_end(text: &str, line_end: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', line_end)
}

#[cfg(test)]
mod tests {
    use super::super::disk::DiskEditor;
    use super::*;

    const QUIET: SaveOptions = SaveOptions { diagnostics: true, delay_ms: 0 };

    fn view() -> (tempfile::TempDir, EditView) {
        let folder = tempfile::tempdir().expect("a folder");
        let view = EditView::new(Arc::new(DiskEditor::default()), folder.path().to_owned());
        (folder, view)
    }

    #[test]
    fn documents_of_proposals() {
        let shown = |original, content, is_final| {
            Proposal { path: Path::new("/f"), original, content, is_new: false, is_final }.document()
        };
        for (original, content, is_final, expected) in [
            ("a\nb\n", "x", true, "x\n"),
            ("a\nb", "x", true, "x"),
            ("a\n", "", true, "\n"),
            ("a\nb\nc\n", "x\ny", false, "x\nb\nc\n"),
            ("a\nb\n", "", false, "a\nb\n"),
            ("a", "x\ny\nz", false, "x\ny\n"),
            ("\u{feff}a\n", "\u{feff}\u{feff}x\n", true, "x\n"),
        ] {
            assert_eq!(shown(original, content, is_final), expected, "{original:?} {content:?} {is_final}");
        }
    }

    #[tokio::test]
    async fn a_saved_edit_keeps_line_ends_and_reports_the_added_last_one() {
        let (folder, mut view) = view();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "\u{feff}a\r\nb\r\n").expect("written");
        view.set_kind(EditKind::Modify);
        view.open("a.txt").await.expect("open");
        assert_eq!(view.original(), "\u{feff}a\r\nb\r\n");
        view.update("x\ny", true).await.expect("shown");
        let saved = view.save(QUIET).await.expect("saved").expect("something was proposed");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "\u{feff}x\r\ny\r\n");
        assert!(saved.user_edits.is_some_and(|patch| patch.starts_with("@@ ")));
    }

    #[tokio::test]
    async fn a_denied_new_file_leaves_nothing() {
        let (folder, mut view) = view();
        view.set_kind(EditKind::Create);
        view.open("n/m/x.ts").await.expect("open");
        assert!(folder.path().join("n/m/x.ts").exists());
        view.update("hello\n", true).await.expect("shown");
        view.revert().await.expect("reverted");
        assert!(!folder.path().join("n").exists());
        assert!(!view.is_open());
    }

    #[tokio::test]
    async fn an_emptied_file_is_saved() {
        let (folder, mut view) = view();
        std::fs::write(folder.path().join("a"), "text").expect("written");
        view.set_kind(EditKind::Modify);
        view.open("a").await.expect("open");
        view.update("", true).await.expect("shown");
        let saved = view.save(QUIET).await.expect("saved").expect("something was proposed");
        assert_eq!(saved, Saved { path: "a".into(), ..Saved::default() });
        assert_eq!(std::fs::read(folder.path().join("a")).expect("there"), b"");
    }

    #[tokio::test]
    async fn nothing_open_is_an_error_or_nothing() {
        let (_folder, mut view) = view();
        assert_eq!(view.update("x", true).await, Err(EditorError::Closed));
        assert_eq!(view.save(QUIET).await, Ok(None));
        assert_eq!(view.revert().await, Ok(()));
    }
}
