//! `search_files`: lines that match a regular expression, with the lines around them (spec 05 §5.9, spec 06 §C.1).

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, text};
use crate::ecma;
use crate::prompt::text::{Texts, context};
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::workspace::access::{Access, leads_outside};
use crate::workspace::paths;
use crate::workspace::search::{self, FileMatches, SearchError};

/// The tool.
pub struct SearchFiles;

/// Files that are shown, and groups of lines from which on the answer says that there may be more.
const MAX_RESULTS: usize = 300;

#[async_trait]
impl Tool for SearchFiles {
    fn name(&self) -> ToolName {
        ToolName::SearchFiles
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
        match answer(call, ctx).await {
            Err(error @ ToolError::Failed(_)) => {
                ctx.handle_error("searching files", &error).await;
                Ok(())
            }
            Err(ToolError::AskIgnored) => Ok(()),
            other => other,
        }
    }
}

async fn answer(call: &ToolCall, ctx: &dyn ToolContext) -> Result<(), ToolError> {
    let shown = |name: ParamName| {
        let value = call.params.get(name).unwrap_or_default();
        if call.partial { text::without_closing_tag(name.as_str(), value) } else { value }
    };
    let (path, regex, glob) = (shown(ParamName::Path), shown(ParamName::Regex), shown(ParamName::FilePattern));
    let directory = paths::resolve(ctx.cwd(), path);
    let payload = |content: &str| {
        json!({
            "tool": "searchFiles",
            "path": paths::readable(ctx.cwd(), ctx.home(), path),
            "regex": regex,
            "filePattern": glob,
            "isOutsideWorkspace": leads_outside(&ctx.workspace_folders(), &directory),
            "content": content,
        })
        .to_string()
    };
    if call.partial {
        return ctx.ask_partial(Ask::Tool, payload(""), None).await;
    }
    if let Some((name, _)) = [(ParamName::Path, path), (ParamName::Regex, regex)].iter().find(|(_, v)| v.is_empty()) {
        ctx.mistake();
        ctx.record_error(ToolName::SearchFiles, None);
        let missing = ctx.missing_param(ToolName::SearchFiles, name.as_str()).await;
        ctx.push_result(missing.into());
        return Ok(());
    }
    ctx.reset_mistakes();
    let stop = StopOnDrop::default();
    let (stopped, place, pattern, selected) = (stop.0.clone(), directory.clone(), regex.to_owned(), glob.to_owned());
    let contents = ctx.collected(&directory);
    let found =
        tokio::task::spawn_blocking(move || search::search_with(&place, &contents, &pattern, &selected, &stopped))
            .await
            .map_err(|stopped| ToolError::Failed(stopped.to_string()))?;
    let result = format(ctx.texts(), ctx.cwd(), Some(ctx.access()), found);
    if ctx.ask_approval(Ask::Tool, payload(&result), None, false).await? {
        ctx.push_result(result.into());
    }
    Ok(())
}

/// Ends the search on its own thread when the call is no longer waited for.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What was found as the model reads it, without the files that `access` forbids. An expression that is not valid reads as
/// nothing found.
pub fn format(
    texts: &Texts,
    cwd: &Path,
    access: Option<&Access>,
    found: Result<Vec<FileMatches>, SearchError>,
) -> String {
    let Ok(mut files) = found else {
        return texts.get("search.no_results_error");
    };
    files.retain(|file| access.is_none_or(|access| access.accessible(&file.path)));
    let total: usize = files.iter().map(|file| file.groups.len()).sum();
    let mut shown = match total {
        MAX_RESULTS.. => texts.render("search.header_limited", context! { count => MAX_RESULTS }),
        _ => texts.render("search.header", context! { count => total, one => total == 1 }),
    };
    shown.push_str("\n\n");
    let mut seen = HashSet::new();
    for file in files.iter().take(MAX_RESULTS) {
        let path = paths::relative(cwd, &file.path);
        if !seen.insert(path.clone()) {
            continue;
        }
        shown.push_str(&format!("# {path}\n"));
        for group in &file.groups {
            for line in group {
                shown.push_str(&format!("{:>3} | {}\n", line.number, ecma::trim_end(&line.text)));
            }
            shown.push_str("----\n");
        }
        shown.push('\n');
    }
    ecma::trim(&shown).to_owned()
}
