//! Several files a call (spec 05 §5.6).

use serde_json::{Map, Value, json};

use super::super::change::Change;
use super::super::context::{ToolContext, ToolError};
use super::super::frame::{self, Target};
use super::super::{response, text};
use super::operations::{self, Invalid, Operation};
use super::{error_details, options, wording};
use crate::edit::search_replace::{FailedItem, Item, apply_items, progress};
use crate::prompt::text::context;
use crate::protocol::message::{Ask, AskResponse, Say};
use crate::protocol::tool::{ParamName, ToolCall};

/// What becomes of one file.
enum Standing {
    /// Not touched; the text says why.
    Blocked(String),
    /// May be changed; several files were asked for together, a single one is asked for later.
    Open,
}

pub(super) async fn apply(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    if call.partial {
        return show(call, context).await;
    }
    let operations = match operations::read(call) {
        Ok(operations) => operations,
        Err(Invalid::Xml(error)) => return malformed(call, context, &error).await,
        Err(Invalid::Missing(label)) => return frame::missing(context, call, &context.texts().get(label)).await,
    };
    let mut files = Vec::with_capacity(operations.len());
    for operation in &operations {
        let target = Target::new(context, &operation.path);
        let standing = standing(context, &target).await?;
        files.push((operation, target, standing));
    }
    let candidates = files.iter().filter(|(_, _, standing)| matches!(standing, Standing::Open)).count();
    if candidates > 1 {
        ask_together(context, &mut files).await?;
    }
    let alone = candidates == 1;
    let mut report = Report::default();
    for (operation, target, standing) in &files {
        match standing {
            Standing::Blocked(text) => report.texts.push(text.clone()),
            Standing::Open => match change_file(call, context, operation, target, alone, &mut report).await {
                Err(ToolError::Failed(error)) => {
                    let path = &operation.path;
                    let text = context.texts().render("apply_diff.file_exception", context! { path, error });
                    report.texts.push(text);
                }
                done => done?,
            },
        }
    }
    report.finish(context, &operations).await
}

/// Texts for the model, and lines about failed diffs for the user.
#[derive(Default)]
struct Report {
    texts: Vec<String>,
    failed_lines: Vec<String>,
}

impl Report {
    async fn finish(self, context: &dyn ToolContext, operations: &[Operation]) -> Result<(), ToolError> {
        if !self.failed_lines.is_empty() {
            context.say(Say::DiffError, self.failed_lines.join("\n"), Vec::new(), None).await?;
        }
        let mut result = self.texts.join("\n\n");
        let items = operations.iter().flat_map(|operation| &operation.items);
        if items.map(|item| item.content.matches("<<<<<<< SEARCH").count()).sum::<usize>() == 1 {
            result.push_str(&format!("\n<notice>{}</notice>", context.texts().get("apply_diff.single_block")));
        }
        context.push_result(result.into());
        context.process_queued();
        Ok(())
    }
}

/// Shows which file a call that is still streaming in begins with.
async fn show(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let args = call.params.get(ParamName::Args).and_then(operations::first_path);
    let path = args.unwrap_or_else(|| frame::begun(call, ParamName::Path));
    let path = Target::new(context, path).readable;
    frame::show_partial(context, Ask::Tool, json!({"tool": "appliedDiff", "path": path}).to_string()).await
}

async fn malformed(call: &ToolCall, context: &dyn ToolContext, error: &str) -> Result<(), ToolError> {
    let text = context.texts().render("apply_diff.bad_xml", context! { error });
    context.say(Say::DiffError, text.clone(), Vec::new(), None).await?;
    frame::refuse(context, call, text);
    context.process_queued();
    Ok(())
}

async fn standing(context: &dyn ToolContext, target: &Target) -> Result<Standing, ToolError> {
    let texts = context.texts();
    if !context.access().accessible(&target.given) {
        context.say(Say::RooignoreError, target.given.clone(), Vec::new(), None).await?;
        return Ok(Standing::Blocked(response::ignored_path(texts, &target.given)));
    }
    if !target.exists(context).await {
        let path = target.absolute.to_string_lossy();
        return Ok(Standing::Blocked(texts.render("apply_diff.not_found_short", context! { path })));
    }
    Ok(Standing::Open)
}

type File<'a> = (&'a Operation, Target, Standing);

/// One question about all files; those the user does not allow are blocked.
async fn ask_together(context: &dyn ToolContext, files: &mut [File<'_>]) -> Result<(), ToolError> {
    let open: Vec<&File<'_>> = files.iter().filter(|(_, _, standing)| matches!(standing, Standing::Open)).collect();
    let protected = open.iter().any(|(_, target, _)| target.protected);
    let batch: Vec<Value> = open.iter().map(|(operation, target, _)| batch_entry(operation, target)).collect();
    let payload = json!({"tool": "appliedDiff", "batchDiffs": batch, "isProtected": protected}).to_string();
    if protected {
        // The reference passes the flag in the place of `partial`, so that such a batch always fails (kept).
        context.ask_partial(Ask::Tool, payload, None).await?;
        return Err(ToolError::AskIgnored);
    }
    let answer = context.ask(Ask::Tool, payload, None, false).await?;
    let choice: Value = answer.text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let by_path = choice["action"] == "applyDiff" && choice["approvedFiles"].is_object();
    let mut denied = false;
    for (operation, target, standing) in files.iter_mut().filter(|(_, _, s)| matches!(s, Standing::Open)) {
        let allowed = match answer.response {
            AskResponse::Yes => true,
            AskResponse::No => false,
            _ if by_path => choice["approvedFiles"][&operation.path] == true,
            _ => choice[&key(operation, target)] == true,
        };
        if !allowed {
            denied = true;
            *standing = Standing::Blocked(not_approved(context, operation));
        }
    }
    if denied {
        context.set_rejected();
    }
    Ok(())
}

fn batch_entry(operation: &Operation, target: &Target) -> Value {
    let diffs: Vec<Value> = operation
        .items
        .iter()
        .map(|item| {
            let mut diff = Map::new();
            diff.insert("content".into(), item.content.clone().into());
            if let Some(line) = item.start_line {
                diff.insert("startLine".into(), line.into());
            }
            Value::Object(diff)
        })
        .collect();
    json!({
        "path": target.readable,
        "changeCount": operation.items.len(),
        "key": key(operation, target),
        "content": operation.path,
        "diffs": diffs,
    })
}

fn key(operation: &Operation, target: &Target) -> String {
    match operation.items.len() {
        1 => format!("{} (1 change)", target.readable),
        count => format!("{} ({count} changes)", target.readable),
    }
}

fn not_approved(context: &dyn ToolContext, operation: &Operation) -> String {
    context.texts().render("apply_diff.not_approved", context! { path => operation.path })
}

/// Applies the diffs of one file and saves it.
async fn change_file(
    call: &ToolCall,
    context: &dyn ToolContext,
    operation: &Operation,
    target: &Target,
    alone: bool,
    report: &mut Report,
) -> Result<(), ToolError> {
    let original = target.read(context).await?;
    let unescape = frame::escapes_entities(context);
    let contents: Vec<String> = operation
        .items
        .iter()
        .map(|item| if unescape { text::unescape_html(&item.content) } else { item.content.clone() })
        .collect();
    let items: Vec<Item<'_>> = operation
        .items
        .iter()
        .zip(&contents)
        .map(|(item, content)| Item { content, start_line: item.start_line })
        .collect();
    let (content, failed) = match apply_items(&original, &items, &options(context)) {
        // As many failed blocks as there are items count as a failure, whatever was applied (kept from the reference).
        Ok((content, failed)) if failed.len() != items.len() => (content, failed),
        Ok((_, _)) => return not_applied(call, context, operation, target, alone, (0, String::new()), report).await,
        Err(failed) => {
            context.mistake();
            let count = context.diff_failures(&operation.path, false);
            let text = failures(context, operation, &failed, report);
            return not_applied(call, context, operation, target, alone, (count, text), report).await;
        }
    };
    context.reset_mistakes();
    context.diff_failures(&operation.path, true);

    let change = Change { target, content: &content, is_new: false };
    change.show(context).await?;
    if alone {
        let diff = operation.joined();
        let progress = progress(Some(&diff), false, Some(failed.len()));
        let payload = json!({
            "tool": "appliedDiff",
            "path": target.readable,
            "isProtected": target.protected,
            "diff": diff,
        });
        if !change.approve(context, payload.to_string(), Some(progress)).await? {
            report.texts.push(not_approved(context, operation));
            return Ok(());
        }
    }
    let result = change.save(context).await?;
    let partial = match failed.is_empty() {
        true => String::new(),
        false => {
            let path = target.absolute.to_string_lossy();
            format!("{}\n", context.texts().render("apply_diff.partial_short", context! { path }))
        }
    };
    report.texts.push(format!("{partial}{result}"));
    context.edits().lock().await.reset().await;
    Ok(())
}

/// Words what failed: a block for the model and a line for the user each.
fn failures(context: &dyn ToolContext, operation: &Operation, failed: &[FailedItem], report: &mut Report) -> String {
    let (texts, path) = (context.texts(), &operation.path);
    let mut blocks = String::new();
    let mut add = |text: String| blocks.push_str(&format!("{}\n\n", error_details(&text)));
    if failed.is_empty() {
        let error = texts.get("diff.none_applied");
        add(texts.render("apply_diff.file_failed", context! { path, error }));
    }
    for (index, item) in (1..).zip(failed) {
        // An item that would leave nothing counts as failed, but has no error to tell.
        let FailedItem::Error(error) = item else { continue };
        let error = wording::error_text(texts, error);
        report.failed_lines.push(format!("{path} - Diff {index}: {error}"));
        add(texts.render("apply_diff.part_failed", context! { index, path, error }));
    }
    blocks
}

/// Reports a file to which nothing was applied; one alone is shown to the user, whose answer does not matter.
async fn not_applied(
    call: &ToolCall,
    context: &dyn ToolContext,
    operation: &Operation,
    target: &Target,
    alone: bool,
    (failures, text): (u32, String),
    report: &mut Report,
) -> Result<(), ToolError> {
    if text.is_empty() {
        return Ok(());
    }
    if failures >= 2 {
        context.say(Say::DiffError, text.clone(), Vec::new(), None).await?;
    }
    context.record_error(call.name, Some(text.clone()));
    report.texts.push(text);
    if alone {
        let payload = json!({"tool": "appliedDiff", "path": target.readable, "diff": operation.joined()});
        context.ask(Ask::Tool, payload.to_string(), None, false).await?;
    }
    Ok(())
}
