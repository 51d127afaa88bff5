//! Steps that many tools share: the parameters they need, the file they mean, the result of an edit (spec 05 §1, §2.6).

use std::path::PathBuf;

use serde_json::json;

use super::context::{FileSource, ToolContext, ToolError};
use super::{response, text};
use crate::edit::diagnostics::{self, Severity};
use crate::edit::view::{EditorError, SaveOptions, Saved};
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall};
use crate::workspace::access::leads_outside;
use crate::workspace::{paths, reading};

/// The value of a parameter, unless it is absent or empty.
pub(super) fn given(call: &ToolCall, name: ParamName) -> Option<&str> {
    call.params.get(name).filter(|value| !value.is_empty())
}

/// The value of a parameter of a call that is still streaming in, without the beginning of its closing tag; empty if absent.
pub(super) fn begun(call: &ToolCall, name: ParamName) -> &str {
    text::without_closing_tag(name.as_str(), call.params.get(name).unwrap_or_default())
}

/// MISSING(p) of spec 05: a mistake, a failure of the tool, and a result that names the parameter.
pub(super) async fn missing(context: &dyn ToolContext, call: &ToolCall, param: &str) -> Result<(), ToolError> {
    context.mistake();
    context.record_error(call.name, None);
    let text = context.missing_param(call.name, param).await;
    context.push_result(text.into());
    Ok(())
}

/// Shows a call that is still streaming in. Such an ask never waits; a newer message may supersede it.
pub(super) async fn show_partial(context: &dyn ToolContext, ask: Ask, text: String) -> Result<(), ToolError> {
    match context.ask_partial(ask, text, None).await {
        Err(ToolError::AskIgnored) | Ok(()) => Ok(()),
        Err(other) => Err(other),
    }
}

/// A file a call names.
pub(super) struct Target {
    /// As the model gave it.
    pub given: String,
    /// Absolute and normalised.
    pub absolute: PathBuf,
    /// As people read it.
    pub readable: String,
    /// Lies outside the workspace folders.
    pub outside: bool,
    /// Is write-protected.
    pub protected: bool,
}

impl Target {
    /// The file `given` means.
    pub fn new(context: &dyn ToolContext, given: &str) -> Target {
        let absolute = paths::resolve(context.cwd(), given);
        Target {
            readable: paths::readable(context.cwd(), context.home(), given),
            outside: leads_outside(&context.workspace_folders(), &absolute),
            protected: context.access().is_protected(given),
            given: given.to_owned(),
            absolute,
        }
    }

    /// Whether it is a file or folder now.
    pub async fn exists(&self, context: &dyn ToolContext) -> bool {
        tokio::fs::metadata(context.locate(&self.absolute)).await.is_ok()
    }

    /// Its text as UTF-8, invalid bytes replaced.
    pub async fn read(&self, context: &dyn ToolContext) -> Result<String, ToolError> {
        let path = context.locate(&self.absolute);
        let read = tokio::task::spawn_blocking(move || reading::read_all(&path)).await;
        let bytes = read.map_err(|cause| ToolError::Failed(cause.to_string()))?;
        let bytes = bytes.map_err(|cause| ToolError::Failed(cause.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether the ignore rules let the model have this file; if not, both sides are told.
pub(super) async fn accessible(context: &dyn ToolContext, path: &str) -> Result<bool, ToolError> {
    if context.access().accessible(path) {
        return Ok(true);
    }
    context.say(Say::RooignoreError, path.to_owned(), Vec::new(), None).await?;
    let texts = context.texts();
    context.push_result(response::tool_error(texts, &response::ignored_path(texts, path)).into());
    Ok(false)
}

/// A mistake of the model that the tool answers itself, with `result` as the model reads it.
pub(super) fn refuse(context: &dyn ToolContext, call: &ToolCall, result: String) {
    context.mistake();
    context.record_error(call.name, None);
    context.push_result(result.into());
}

/// Whether edits go to the disk without being shown (experiment `preventFocusDisruption`).
pub(super) fn edits_directly(context: &dyn ToolContext) -> bool {
    context.settings().experiment("preventFocusDisruption")
}

/// Entities in the call are meant as characters: all models but Claude tend to escape (spec 05 §1.12 nonClaude).
pub(super) fn escapes_entities(context: &dyn ToolContext) -> bool {
    !context.model().id.contains("claude")
}

/// How to look at diagnostics after a save, by the settings.
pub(super) fn save_options(context: &dyn ToolContext) -> SaveOptions {
    let settings = context.settings();
    SaveOptions { diagnostics: settings.diagnostics_enabled, delay_ms: settings.write_delay_ms }
}

/// An editor's failure in words.
pub(super) fn editor_failed(texts: &Texts, error: EditorError) -> ToolError {
    ToolError::Failed(match error {
        EditorError::TimedOut { path, seconds } => texts.render("diff_view.timeout", context! { path, seconds }),
        EditorError::Closed => texts.get("diff_view.closed"),
        EditorError::Failed(cause) => cause,
    })
}

/// Remembers a saved edit and gives its result text (spec 05 §2.6).
pub(super) async fn saved(context: &dyn ToolContext, saved: &Saved, is_new: bool) -> Result<String, ToolError> {
    context.track(&saved.path, FileSource::RooEdited).await;
    context.set_edited();
    if let Some(patch) = &saved.user_edits {
        let path = paths::readable(context.cwd(), context.home(), &saved.path);
        let say = user_edits_payload(&path, is_new, patch).to_string();
        context.say(Say::UserFeedbackDiff, say, Vec::new(), None).await?;
    }
    let problems = problems(context, saved);
    Ok(write_result(context.texts(), &saved.path, is_new, saved.user_edits.as_deref(), &problems))
}

/// What hosts are told about the user's own changes to an edit.
pub fn user_edits_payload(readable: &str, is_new: bool, patch: &str) -> serde_json::Value {
    let tool = if is_new { "newFileCreated" } else { "editedExistingFile" };
    json!({"tool": tool, "path": readable, "diff": patch})
}

/// New errors after a save with their heading; empty when there are none.
fn problems(context: &dyn ToolContext, saved: &Saved) -> String {
    let (settings, texts) = (context.settings(), context.texts());
    if !settings.include_diagnostic_messages {
        return String::new();
    }
    let max = usize::try_from(settings.max_diagnostic_messages).ok().filter(|max| *max > 0);
    let listing = diagnostics::list(&saved.new_diagnostics, Severity::Error, context.cwd(), max);
    if listing.text.is_empty() {
        return String::new();
    }
    let more = match listing.omitted {
        0 => String::new(),
        count => format!("\n\n{}", texts.render("diag.more_omitted", context! { count })),
    };
    format!("\n\n{}\n{}{more}", texts.get("edit.new_problems"), listing.text)
}

/// The result of an edit as the model reads it (spec 05 §2.6). `problems` stands as it is.
pub fn write_result(texts: &Texts, path: &str, is_new: bool, user_edits: Option<&str>, problems: &str) -> String {
    let operation = if is_new { "created" } else { "modified" };
    let mut xml = format!("<file_write_result>\n<path>{}</path>\n<operation>{operation}</operation>\n", escape(path));
    let user_edits = user_edits.filter(|patch| !patch.is_empty());
    if let Some(patch) = user_edits {
        xml.push_str(&format!("<user_edits>{}</user_edits>\n", escape(patch)));
    }
    if !problems.is_empty() {
        xml.push_str(&format!("<problems>{}</problems>\n", escape(problems)));
    }
    xml.push_str("<notice>\n");
    let adjust = user_edits.map(|_| "edit.notice.adjust");
    for id in ["edit.notice.no_reread", "edit.notice.baseline"].into_iter().chain(adjust) {
        xml.push_str(&format!("<i>{}</i>\n", escape(&texts.get(id))));
    }
    xml.push_str("</notice>\n</file_write_result>\n");
    xml
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
