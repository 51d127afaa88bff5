//! `list_files`: the entries of a directory, or of the tree below it (spec 05 §5.10).

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, text};
use crate::prompt::text::Texts;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::workspace::access::leads_outside;
use crate::workspace::{listing, paths};

/// The tool.
pub struct ListFiles;

/// Entries that one call shows.
const LIMIT: usize = 200;

#[async_trait]
impl Tool for ListFiles {
    fn name(&self) -> ToolName {
        ToolName::ListFiles
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
        match list(call, ctx).await {
            Err(error @ ToolError::Failed(_)) => {
                ctx.handle_error("listing files", &error).await;
                Ok(())
            }
            Err(ToolError::AskIgnored) => Ok(()),
            other => other,
        }
    }
}

async fn list(call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
    let path = call.params.get(ParamName::Path).unwrap_or_default();
    let recursive =
        call.params.get(ParamName::Recursive).is_some_and(|recursive| recursive.eq_ignore_ascii_case("true"));
    let shown = if call.partial { text::without_closing_tag(ParamName::Path.as_str(), path) } else { path };
    let directory = paths::resolve(ctx.cwd(), shown);
    let payload = |content: String| {
        json!({
            "tool": if recursive { "listFilesRecursive" } else { "listFilesTopLevel" },
            "path": paths::readable(ctx.cwd(), ctx.home(), shown),
            "isOutsideWorkspace": leads_outside(&ctx.workspace_folders(), &directory),
            "content": content,
        })
        .to_string()
    };
    if call.partial {
        return ctx.ask_partial(Ask::Tool, payload(String::new()), None).await;
    }
    if path.is_empty() {
        ctx.mistake();
        ctx.record_error(ToolName::ListFiles, None);
        let missing = ctx.missing_param(ToolName::ListFiles, ParamName::Path.as_str()).await;
        ctx.push_result(missing.into());
        return Ok(());
    }
    ctx.reset_mistakes();
    let (listed, home) = (directory.clone(), ctx.home().to_owned());
    let found = tokio::task::spawn_blocking(move || listing::list(&listed, &home, recursive, LIMIT))
        .await
        .map_err(|stopped| ToolError::Failed(stopped.to_string()))?;
    let mut paths = found.paths;
    listing::add(&directory, recursive, ctx.collected(&directory).into_iter().map(|(path, _)| path), &mut paths);
    let lines = listing::lines(&directory, &paths, Some(ctx.access()), ctx.settings().show_roo_ignored_files, true);
    let result = format(ctx.texts(), &lines, found.limit_reached);
    if ctx.ask_approval(Ask::Tool, payload(result.clone()), None, false).await? {
        ctx.push_result(result.into());
    }
    Ok(())
}

/// A file list as the model reads it (spec 01 §9), from its marked lines.
pub fn format(texts: &Texts, lines: &[String], limit_reached: bool) -> String {
    if limit_reached {
        format!("{}\n\n({})", lines.join("\n"), texts.get("resp.file_list_truncated"))
    } else if lines.is_empty() || lines == [""] {
        texts.get("resp.no_files")
    } else {
        lines.join("\n")
    }
}
