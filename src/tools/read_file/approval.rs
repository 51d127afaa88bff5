//! Asks the user: once, for one file or for several that can be chosen singly (spec 05 §5.1).

use serde_json::{Value, json};

use super::{Entry, Status, first_of, integer};
use crate::prompt::text::context;
use crate::protocol::message::{Ask, AskResponse, Say};
use crate::tools::context::{ToolContext, ToolError};
use crate::workspace::access::leads_outside;
use crate::workspace::paths;

/// Asks the user for the files at these indexes; true when any is denied.
pub(super) async fn approve(
    entries: &mut [Entry],
    waiting: &[usize],
    ctx: &dyn ToolContext,
) -> Result<bool, ToolError> {
    let payload = |entry: &Entry| {
        (
            paths::readable(ctx.cwd(), ctx.home(), &entry.path),
            line_snippet(entry, ctx),
            leads_outside(&ctx.workspace_folders(), &entry.absolute),
        )
    };
    let (ask, keys) = match waiting {
        [] => return Ok(false),
        [index] => {
            let entry = &entries[*index];
            let (path, reason, outside) = payload(entry);
            let content = entry.absolute.to_string_lossy();
            let ask = json!({"tool": "readFile", "path": path, "isOutsideWorkspace": outside, "content": content, "reason": reason});
            (ask, Vec::new())
        }
        _ => {
            let mut keys = Vec::new();
            let files: Vec<Value> = waiting
                .iter()
                .map(|index| {
                    let entry = &entries[*index];
                    let (path, snippet, outside) = payload(entry);
                    let key = if snippet.is_empty() { path.clone() } else { format!("{path} ({snippet})") };
                    keys.push(key.clone());
                    let content = entry.absolute.to_string_lossy();
                    json!({"path": path, "lineSnippet": snippet, "isOutsideWorkspace": outside, "key": key, "content": content})
                })
                .collect();
            (json!({"tool": "readFile", "batchFiles": files}), keys)
        }
    };
    let answer = ctx.ask(Ask::Tool, ask.to_string(), None, false).await?;
    let said = answer.text.clone().filter(|text| !text.is_empty());
    let yes = answer.response == AskResponse::Yes;
    let individual = !keys.is_empty() && !yes && answer.response != AskResponse::No;
    let feedback = said.clone().filter(|_| !individual).map(|text| (text, answer.images.clone()));
    if let Some((text, images)) = feedback.clone() {
        ctx.say(Say::UserFeedback, text, images, None).await?;
    }
    let choices: Value = serde_json::from_str(said.as_deref().unwrap_or("{}")).unwrap_or(Value::Null);
    let mut denied = false;
    for (position, index) in waiting.iter().enumerate() {
        let approved = match individual {
            true => keys.get(position).is_some_and(|key| choices.get(key) == Some(&Value::Bool(true))),
            false => yes,
        };
        let denied_text = ctx.texts().get("read_file.denied");
        let entry = first_of(entries, *index);
        entry.feedback = feedback.clone();
        if approved {
            entry.status = Status::Approved;
        } else {
            denied = true;
            entry.status = Status::Denied;
            entry.xml = Some(format!("<file><path>{}</path><status>{denied_text}</status></file>", entry.path));
        }
    }
    if denied {
        ctx.set_rejected();
    }
    Ok(denied)
}

/// Which lines are meant, for the user.
fn line_snippet(entry: &Entry, ctx: &dyn ToolContext) -> String {
    let texts = ctx.texts();
    let max = ctx.settings().max_read_file_line;
    match max {
        _ if !entry.ranges.is_empty() => {
            let range = |(start, end): &(f64, f64)| {
                texts.render("read_file.snippet.range", context! { start => integer(*start), end => integer(*end) })
            };
            entry.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
        }
        0 => texts.get("read_file.snippet.definitions_only"),
        1.. => texts.render("read_file.snippet.max_lines", context! { max }),
        _ => String::new(),
    }
}
