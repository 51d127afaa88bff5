//! One file a call (spec 05 §5.5).

use serde_json::{Map, Value};

use super::super::change::{self, Change};
use super::super::context::{ToolContext, ToolError};
use super::super::frame::{self, Target};
use super::super::text;
use super::{error_details, options, wording};
use crate::edit::search_replace::{self, Applied, Failure, progress};
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall};

pub(super) async fn apply(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let path = frame::given(call, ParamName::Path);
    let diff = frame::given(call, ParamName::Diff);
    let diff =
        diff.map(|diff| if frame::escapes_entities(context) { text::unescape_html(diff) } else { diff.to_owned() });
    if call.partial {
        return show(context, frame::begun(call, ParamName::Path), diff.as_deref()).await;
    }
    let Some(path) = path else { return frame::missing(context, call, "path").await };
    let Some(diff) = diff else { return frame::missing(context, call, "diff").await };
    if !frame::accessible(context, path).await? {
        return Ok(());
    }
    let target = Target::new(context, path);
    if !target.exists(context).await {
        let text = not_found(context.texts(), &target);
        context.say(Say::Error, text.clone(), Vec::new(), None).await?;
        frame::refuse(context, call, text);
        return Ok(());
    }
    let original = target.read(context).await?;
    match search_replace::apply(&original, &diff, &options(context)) {
        Err(failure) => failed(call, context, &target, &failure).await,
        Ok(applied) => save(context, &target, &diff, &applied).await,
    }
}

/// Shows a diff that is still streaming in, from time to time.
async fn show(context: &dyn ToolContext, path: &str, diff: Option<&str>) -> Result<(), ToolError> {
    let progress = progress(diff, true, None);
    if progress.text.is_none() {
        return Ok(());
    }
    let diff = text::without_closing_tag("diff", diff.unwrap_or_default());
    let payload = payload(&Target::new(context, path), diff);
    match context.ask_partial(Ask::Tool, Value::Object(payload).to_string(), Some(progress)).await {
        Ok(()) | Err(ToolError::AskIgnored) => Ok(()),
        Err(other) => Err(other),
    }
}

async fn failed(
    call: &ToolCall,
    context: &dyn ToolContext,
    target: &Target,
    failure: &Failure,
) -> Result<(), ToolError> {
    let text = failure_text(context.texts(), target, failure);
    if context.diff_failures(&target.given, false) >= 2 {
        context.say(Say::DiffError, text.clone(), Vec::new(), None).await?;
    }
    context.mistake();
    context.record_error(call.name, Some(text.clone()));
    context.push_result(text.into());
    Ok(())
}

/// Of several failed blocks only the last one is told.
fn failure_text(texts: &Texts, target: &Target, failure: &Failure) -> String {
    match failure {
        Failure::Blocks(errors) => match errors.last() {
            Some(error) => error_details(&wording::error_text(texts, error)),
            None => unable(texts, target, &texts.get("diff.no_blocks")),
        },
        Failure::Diff(error) => unable(texts, target, &wording::error_text(texts, error)),
    }
}

fn unable(texts: &Texts, target: &Target, error: &str) -> String {
    let path = target.absolute.to_string_lossy();
    format!("{}\n\n{}", texts.render("apply_diff.failed", context! { path }), error_details(error))
}

fn not_found(texts: &Texts, target: &Target) -> String {
    let path = target.absolute.to_string_lossy();
    let hint = error_details(&texts.get("apply_diff.not_found.hint"));
    format!("{}\n\n{hint}", texts.render("apply_diff.not_found", context! { path }))
}

async fn save(context: &dyn ToolContext, target: &Target, diff: &str, applied: &Applied) -> Result<(), ToolError> {
    let texts = context.texts();
    context.reset_mistakes();
    context.diff_failures(&target.given, true);
    let mut payload = payload(target, diff);
    payload.insert("isProtected".into(), target.protected.into());
    let progress = progress(Some(diff), false, Some(applied.failed.len()));

    let change = Change { target, content: &applied.content, is_new: false };
    change.show(context).await?;
    if !change.approve(context, Value::Object(payload).to_string(), Some(progress)).await? {
        context.process_queued();
        return Ok(());
    }
    let mut result = change.save(context).await?;
    if !applied.failed.is_empty() {
        let path = target.absolute.to_string_lossy();
        result = format!("{}\n{result}", texts.render("apply_diff.partial", context! { path }));
    }
    if diff.matches("<<<<<<< SEARCH").count() == 1 {
        result.push_str(&format!("\n<notice>{}</notice>", texts.get("apply_diff.single_block")));
    }
    context.push_result(result.into());
    change::finish(context).await;
    Ok(())
}

fn payload(target: &Target, diff: &str) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("tool".into(), "appliedDiff".into());
    payload.insert("path".into(), target.readable.clone().into());
    payload.insert("diff".into(), diff.into());
    payload
}
