//! `write_to_file`: the whole new content of a file (spec 05 §5.3).

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::change::{self, Change};
use super::context::{ToolContext, ToolError};
use super::frame::{self, Target};
use super::{Tool, response, text};
use crate::ecma;
use crate::edit::line_numbers::{self, Stripping};
use crate::edit::omission::omission_suspected;
use crate::edit::patch::pretty_patch;
use crate::edit::view::EditKind;
use crate::prompt::text::context;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct WriteToFile;

#[async_trait]
impl Tool for WriteToFile {
    fn name(&self) -> ToolName {
        ToolName::WriteToFile
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match write(call, context).await {
            Err(error) => change::fail(context, "writing file", error).await,
            done => done,
        }
    }
}

async fn write(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let path = frame::given(call, ParamName::Path);
    let content = call.params.get(ParamName::Content);
    let (Some(path), Some(content)) = (path, content) else {
        if call.partial {
            return Ok(());
        }
        frame::missing(context, call, if path.is_none() { "path" } else { "content" }).await?;
        context.edits().lock().await.reset().await;
        return Ok(());
    };
    // Also for a partial call: the stream of a file that must not be written ends here.
    if !frame::accessible(context, path).await? {
        return Ok(());
    }
    let target = Target::new(context, path);
    let is_new = kind(context, &target).await == EditKind::Create;
    let content = cleaned(content, frame::escapes_entities(context));
    if call.partial {
        return stream(context, &target, is_new, text::without_closing_tag("content", &content)).await;
    }
    context.reset_mistakes();
    let predicted = ecma::parse_int(frame::given(call, ParamName::LineCount).unwrap_or("0")).unwrap_or(f64::NAN);
    if frame::edits_directly(context) {
        write_directly(context, &target, is_new, &content, predicted).await
    } else {
        write_shown(context, &target, is_new, &content, predicted).await
    }
}

/// Whether the file is made or changed, decided once a call.
async fn kind(context: &dyn ToolContext, target: &Target) -> EditKind {
    let mut view = context.edits().lock().await;
    if let Some(kind) = view.kind() {
        return kind;
    }
    let kind = if target.exists(context).await { EditKind::Modify } else { EditKind::Create };
    view.set_kind(kind);
    kind
}

/// Shows what has arrived so far.
async fn stream(context: &dyn ToolContext, target: &Target, is_new: bool, content: &str) -> Result<(), ToolError> {
    if frame::edits_directly(context) {
        return Ok(());
    }
    frame::show_partial(context, Ask::Tool, payload(target, is_new, Body::Content(content))).await?;
    let failed = |error| frame::editor_failed(context.texts(), error);
    let mut view = context.edits().lock().await;
    if !view.is_open() {
        view.open(&target.given).await.map_err(failed)?;
    }
    view.update(&without_line_numbers(content), false).await.map_err(failed)
}

async fn write_shown(
    context: &dyn ToolContext,
    target: &Target,
    is_new: bool,
    content: &str,
    predicted: f64,
) -> Result<(), ToolError> {
    let shown = without_line_numbers(content);
    let change = Change { target, content: &shown, is_new };
    if !context.edits().lock().await.is_open() {
        frame::show_partial(context, Ask::Tool, payload(target, is_new, Body::Content(content))).await?;
    }
    change.show(context).await?;
    let original = context.edits().lock().await.original().to_owned();
    if refused_as_truncated(context, &original, content, predicted) {
        return change.revert(context).await;
    }
    let patch;
    let body = if is_new {
        Body::Content(content)
    } else {
        patch = pretty_patch(&original, content);
        Body::Diff(&patch)
    };
    if change.approve(context, payload(target, is_new, body), None).await? {
        let result = change.save(context).await?;
        context.push_result(result.into());
        change::finish(context).await;
    }
    Ok(())
}

/// The original is not read before the check, so that every comment counts as new (kept from the reference).
async fn write_directly(
    context: &dyn ToolContext,
    target: &Target,
    is_new: bool,
    content: &str,
    predicted: f64,
) -> Result<(), ToolError> {
    if refused_as_truncated(context, "", content, predicted) {
        return Ok(());
    }
    let payload = payload(target, is_new, Body::Content(content));
    if !context.ask_approval(Ask::Tool, payload, None, target.protected).await? {
        return Ok(());
    }
    let result = Change { target, content, is_new }.save(context).await?;
    context.push_result(result.into());
    change::finish(context).await;
    Ok(())
}

/// Refuses content with comments in place of code, if the model could send a diff instead.
fn refused_as_truncated(context: &dyn ToolContext, original: &str, content: &str, predicted: f64) -> bool {
    if !context.settings().diff_enabled || !omission_suspected(original, content, predicted) {
        return false;
    }
    let actual = content.split('\n').count();
    let texts = context.texts();
    let text = texts.render("write.truncated", context! { actual, predicted => predicted as i64 });
    context.push_result(response::tool_error(texts, &text).into());
    true
}

/// What the user sees of the new text.
enum Body<'a> {
    Content(&'a str),
    Diff(&'a str),
}

fn payload(target: &Target, is_new: bool, body: Body<'_>) -> String {
    let mut payload = Map::new();
    payload.insert("tool".into(), if is_new { "newFileCreated" } else { "editedExistingFile" }.into());
    payload.insert("path".into(), target.readable.clone().into());
    if let Body::Content(content) = body {
        payload.insert("content".into(), content.into());
    }
    payload.insert("isOutsideWorkspace".into(), target.outside.into());
    payload.insert("isProtected".into(), target.protected.into());
    if let Body::Diff(diff) = body {
        payload.insert("diff".into(), diff.into());
    }
    Value::Object(payload).to_string()
}

/// The content without a code fence around it, and with characters for entities if the model escapes them.
fn cleaned(content: &str, unescape: bool) -> String {
    let mut content = content;
    if content.starts_with("```") {
        content = content.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if content.ends_with("```") {
        content = content.rsplit_once('\n').map_or("", |(rest, _)| rest);
    }
    if unescape { text::unescape_html(content) } else { content.to_owned() }
}

fn without_line_numbers(content: &str) -> String {
    if line_numbers::every_line_numbered(content) {
        line_numbers::strip(content, Stripping::Exact).into_owned()
    } else {
        content.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_go_and_entities_become_characters() {
        for (content, unescape, expected) in [
            ("```python\nprint(1)\n```", true, "print(1)"),
            ("```\nprint(1)\n```\n", true, "print(1)\n```\n"),
            ("```", true, ""),
            ("a ``` b\n", true, "a ``` b\n"),
            ("&amp;lt;", true, "&lt;"),
            ("&lt;", false, "&lt;"),
        ] {
            assert_eq!(cleaned(content, unescape), expected, "{content:?}");
        }
    }
}
