//! `read_file`: shows files, or ranges of their lines, to the model (spec 05 §5.1).
//!
//! [`args`] says which, [`approval`] asks for them, [`content`] reads each; what it all comes to is put together here.

mod approval;
mod args;
mod content;
pub(crate) mod wording;

use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::context::{ToolContext, ToolError};
use super::{Tool, response};
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, ContentBlock, Say, ToolResponse};
use crate::protocol::tool::{ToolCall, ToolName};
use crate::workspace::access::leads_outside;
use crate::workspace::paths;

/// The tool.
pub struct ReadFile;

/// One file of the call.
struct Entry {
    path: String,
    absolute: PathBuf,
    /// First and last line, from 1.
    ranges: Vec<(f64, f64)>,
    status: Status,
    /// What the model sees of it.
    xml: Option<String>,
    /// What the user said with the approval or denial.
    feedback: Option<(String, Vec<String>)>,
    /// The file as a data URL.
    image: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Pending,
    Blocked,
    Approved,
    Denied,
}

#[async_trait]
impl Tool for ReadFile {
    fn name(&self) -> ToolName {
        ToolName::ReadFile
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
        if call.partial {
            return match ctx.ask_partial(Ask::Tool, partial_payload(call, ctx).to_string(), None).await {
                Err(ToolError::AskIgnored) => Ok(()),
                other => other,
            };
        }
        let Some(mut entries) = entries(call, ctx).await? else {
            return Ok(());
        };
        let first = entries.first().map(|entry| entry.path.clone()).unwrap_or_default();
        match read(&mut entries, ctx).await {
            Ok(()) => {}
            Err(ToolError::Aborted) => return Err(ToolError::Aborted),
            Err(error) => {
                if let Some(entry) = entries.first_mut() {
                    entry.xml = Some(error_xml(&first, &read_error(ctx.texts(), &error.to_string())));
                }
                ctx.handle_error(&format!("reading file {first}"), &error).await;
                ctx.push_result(files_xml(&entries).into());
            }
        }
        Ok(())
    }
}

/// What the user sees while the call streams in.
fn partial_payload(call: &ToolCall, ctx: &dyn ToolContext) -> Value {
    let path = args::partial_path(call);
    let absolute = paths::resolve(ctx.cwd(), &path);
    json!({
        "tool": "readFile",
        "path": paths::readable(ctx.cwd(), ctx.home(), &path),
        "isOutsideWorkspace": !path.is_empty() && leads_outside(&ctx.workspace_folders(), &absolute),
    })
}

/// The files that the call names; `None` when it names none, which the model has been told then.
async fn entries(call: &ToolCall, ctx: &dyn ToolContext) -> Result<Option<Vec<Entry>>, ToolError> {
    let named = match args::named(call) {
        Ok(named) => named,
        Err(error) => {
            let bad = ctx.texts().render("read_file.bad_args", context! { error => error.to_string() });
            ctx.handle_error("parsing read_file args", &ToolError::Failed(bad.clone())).await;
            ctx.push_result(format!("<files><error>{bad}</error></files>").into());
            return Ok(None);
        }
    };
    if named.is_empty() {
        ctx.mistake();
        ctx.record_error(ToolName::ReadFile, None);
        let missing = ctx.missing_param(ToolName::ReadFile, &ctx.texts().get("read_file.args_label")).await;
        ctx.push_result(format!("<files><error>{missing}</error></files>").into());
        return Ok(None);
    }
    let entry = |named: args::Named| Entry {
        absolute: paths::resolve(ctx.cwd(), &named.path),
        path: named.path,
        ranges: named.ranges,
        status: Status::Pending,
        xml: None,
        feedback: None,
        image: None,
    };
    Ok(Some(named.into_iter().map(entry).collect()))
}

async fn read(entries: &mut [Entry], ctx: &dyn ToolContext) -> Result<(), ToolError> {
    let waiting = validate(entries, ctx).await?;
    let rejected = approval::approve(entries, &waiting, ctx).await?;
    let mut image_megabytes = 0.0;
    for entry in entries.iter_mut().filter(|entry| entry.status == Status::Approved) {
        content::read(entry, &mut image_megabytes, ctx).await?;
    }
    ctx.push_result(result(entries, rejected, ctx));
    Ok(())
}

/// The first entry with the path of the one at `index`: a path that is named twice is answered once.
fn first_of(entries: &mut [Entry], index: usize) -> &mut Entry {
    let same = entries.iter().position(|entry| entry.path == entries[index].path).unwrap_or(index);
    &mut entries[same]
}

/// Blocks what may not be read; returns the indexes of those to ask for.
async fn validate(entries: &mut [Entry], ctx: &dyn ToolContext) -> Result<Vec<usize>, ToolError> {
    let texts = ctx.texts();
    let mut waiting = Vec::new();
    for index in 0..entries.len() {
        let path = entries[index].path.clone();
        if entries[index].ranges.iter().any(|(start, end)| start > end) {
            let cause = texts.get("read_file.range_reversed");
            let entry = first_of(entries, index);
            entry.status = Status::Blocked;
            entry.xml = Some(error_xml(&path, &read_error(texts, &cause)));
            ctx.handle_error(&format!("reading file {path}"), &ToolError::Failed(cause)).await;
        } else if !ctx.access().accessible(&path) {
            ctx.say(Say::RooignoreError, path.clone(), Vec::new(), None).await?;
            let entry = first_of(entries, index);
            entry.status = Status::Blocked;
            entry.xml = Some(error_xml(&path, &response::ignored_path(texts, &path)));
        } else {
            waiting.push(index);
        }
    }
    Ok(waiting)
}

/// Everything the model gets: status, the user's words and images, the files.
fn result(entries: &[Entry], rejected: bool, ctx: &dyn ToolContext) -> ToolResponse {
    let texts = ctx.texts();
    let feedback =
        |status| entries.iter().filter(move |entry| entry.status == status).find_map(|entry| entry.feedback.as_ref());
    let (status, mut images) = match (feedback(Status::Denied), feedback(Status::Approved)) {
        (Some((text, images)), _) => (Some(response::denied_with_feedback(texts, text)), images.clone()),
        (None, _) if rejected => (Some(response::denied(texts)), Vec::new()),
        (None, Some((text, images))) => (Some(response::approved_with_feedback(texts, text)), images.clone()),
        (None, None) => (None, Vec::new()),
    };
    images.extend(entries.iter().filter_map(|entry| entry.image.clone()));
    if !ctx.supports_images() {
        images.clear();
    }
    let xml = files_xml(entries);
    match status {
        Some(status) if images.is_empty() => format!("{status}\n{xml}").into(),
        Some(status) => {
            let mut blocks = vec![ContentBlock::text(status)];
            blocks.extend(images.iter().map(|image| ContentBlock::image_from_data_url(image)));
            blocks.push(ContentBlock::text(xml));
            ToolResponse::Blocks(blocks)
        }
        None => response::tool_result(xml, &images),
    }
}

fn files_xml(entries: &[Entry]) -> String {
    let files: Vec<&str> = entries.iter().filter_map(|entry| entry.xml.as_deref()).collect();
    format!("<files>\n{}\n</files>", files.join("\n"))
}

fn error_xml(path: &str, error: &str) -> String {
    format!("<file><path>{path}</path><error>{error}</error></file>")
}

fn read_error(texts: &Texts, cause: &str) -> String {
    texts.render("read_file.error", context! { cause })
}

/// A whole number in digits.
fn integer(number: f64) -> String {
    format!("{number:.0}")
}
