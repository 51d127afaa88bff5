//! `search_and_replace`: all matches of a text or an ECMAScript regular expression in a file (spec 05 §5.8).

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::change::{self, Change};
use super::context::{ToolContext, ToolError};
use super::frame::{self, Target};
use super::insert_content::number_json;
use super::{Tool, response};
use crate::ecma;
use crate::ecma::replace::{self, Pattern};
use crate::edit::patch::pretty_patch;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct SearchAndReplace;

#[async_trait]
impl Tool for SearchAndReplace {
    fn name(&self) -> ToolName {
        ToolName::SearchAndReplace
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match search_and_replace(call, context).await {
            Err(error) => change::fail(context, "search and replace", error).await,
            done => done,
        }
    }
}

async fn search_and_replace(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let options = Options::of(call);
    if call.partial {
        let payload = options.payload(&Target::new(context, frame::begun(call, ParamName::Path)), call);
        return frame::show_partial(context, Ask::Tool, Value::Object(payload).to_string()).await;
    }
    let Some(path) = frame::given(call, ParamName::Path) else { return frame::missing(context, call, "path").await };
    let Some(search) = frame::given(call, ParamName::Search) else {
        return frame::missing(context, call, "search").await;
    };
    let Some(replacement) = call.params.get(ParamName::Replace) else {
        return frame::missing(context, call, "replace").await;
    };
    if !frame::accessible(context, path).await? {
        return Ok(());
    }
    let target = Target::new(context, path);
    if !target.exists(context).await {
        let path = target.absolute.to_string_lossy();
        return refuse(call, context, texts.render("sar.not_found", context! { path })).await;
    }
    context.reset_mistakes();
    let Ok(original) = target.read(context).await else {
        return refuse(call, context, texts.render("sar.unreadable", context! { path })).await;
    };

    let pattern = Pattern { source: search, is_regex: options.use_regex, ignore_case: options.ignore_case };
    let (text, search, replacement) = (original.clone(), options.lines(), replacement.to_owned());
    let regex = pattern.compile().map_err(|error| ToolError::Failed(error.to_string()))?;
    // A pattern of the model may take long to match: it must not hold up the other tasks of the runtime.
    let replaced = tokio::task::spawn_blocking(move || match search {
        Some((start, end)) => replace_lines(&text, start, end, |lines| replace::all(&regex, lines, &replacement)),
        None => replace::all(&regex, &text, &replacement),
    });
    let new = replaced.await.map_err(|error| ToolError::Failed(error.to_string()))?;

    let diff = pretty_patch(&original, &new);
    if diff.is_empty() {
        context.push_result(texts.render("edit.no_change", context! { path }).into());
        context.edits().lock().await.reset().await;
        return Ok(());
    }
    let mut payload = options.payload(&target, call);
    payload.insert("diff".into(), diff.into());
    payload.insert("isProtected".into(), target.protected.into());

    let change = Change { target: &target, content: &new, is_new: false };
    change.show(context).await?;
    if !change.approve(context, Value::Object(payload).to_string(), None).await? {
        context.push_result(texts.get("edit.rejected").into());
        context.edits().lock().await.reset().await;
        return Ok(());
    }
    let result = change.save(context).await?;
    context.push_result(result.into());
    // The reference counts a successful replacement as two attempts.
    context.record_attempt(call.name);
    change::finish(context).await;
    Ok(())
}

async fn refuse(call: &ToolCall, context: &dyn ToolContext, cause: String) -> Result<(), ToolError> {
    let text = response::tool_error(context.texts(), &cause);
    context.say(Say::Error, text.clone(), Vec::new(), None).await?;
    frame::refuse(context, call, text);
    Ok(())
}

/// The optional parameters.
struct Options {
    use_regex: bool,
    ignore_case: bool,
    start: Option<f64>,
    end: Option<f64>,
}

impl Options {
    fn of(call: &ToolCall) -> Options {
        let number = |name| frame::given(call, name).and_then(ecma::parse_int);
        Options {
            use_regex: call.params.get(ParamName::UseRegex) == Some("true"),
            ignore_case: call.params.get(ParamName::IgnoreCase) == Some("true"),
            start: number(ParamName::StartLine),
            end: number(ParamName::EndLine),
        }
    }

    /// First and last line, 1-based, if the search is limited at all. 0 counts as not given.
    fn lines(&self) -> Option<(Option<f64>, Option<f64>)> {
        let nonzero = |line: Option<f64>| line.filter(|line| *line != 0.0);
        let (start, end) = (nonzero(self.start), nonzero(self.end));
        (start.is_some() || end.is_some()).then_some((start, end))
    }

    fn payload(&self, target: &Target, call: &ToolCall) -> Map<String, Value> {
        let mut payload = Map::new();
        payload.insert("tool".into(), "searchAndReplace".into());
        payload.insert("path".into(), target.readable.clone().into());
        for (key, name) in [("search", ParamName::Search), ("replace", ParamName::Replace)] {
            if let Some(value) = call.params.get(name) {
                let value = if call.partial { frame::begun(call, name) } else { value };
                payload.insert(key.into(), value.into());
            }
        }
        payload.insert("useRegex".into(), self.use_regex.into());
        payload.insert("ignoreCase".into(), self.ignore_case.into());
        for (key, line) in [("startLine", self.start), ("endLine", self.end)] {
            if let Some(line) = line {
                payload.insert(key.into(), number_json(line));
            }
        }
        payload
    }
}

/// Replaces in the lines from `start` to `end` only. A reversed range has an empty slice, so the lines between are doubled
/// around an empty line (kept from the reference).
fn replace_lines(text: &str, start: Option<f64>, end: Option<f64>, replace: impl Fn(&str) -> String) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let last = lines.len() as f64 - 1.0;
    let start = (start.unwrap_or(1.0) - 1.0).max(0.0);
    let end = (end.unwrap_or(lines.len() as f64) - 1.0).min(last);
    let before = &lines[..(start as usize).min(lines.len())];
    // A negative end counts from the back, as slices of the reference do.
    let after_start = end + 1.0;
    let from = if after_start < 0.0 { (lines.len() as f64 + after_start).max(0.0) } else { after_start };
    let after = &lines[(from as usize).min(lines.len())..];
    let slice = lines.get(before.len()..from as usize).unwrap_or_default().join("\n");
    let replaced = replace(&slice);
    [before, &[replaced.as_str()], after].concat().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_of_the_range_change() {
        let replace = |start, end| replace_lines("a\na\na\n", start, end, |lines| lines.replace('a', "b"));
        for (start, end, expected) in [
            (Some(2.0), Some(2.0), "a\nb\na\n"),
            (Some(2.0), None, "a\nb\nb\n"),
            (None, Some(1.0), "b\na\na\n"),
            (Some(3.0), Some(99.0), "a\na\nb\n"),
            (Some(3.0), Some(1.0), "a\na\n\na\na\n"),
            (Some(99.0), None, "a\na\na\n\n"),
        ] {
            assert_eq!(replace(start, end), expected, "{start:?} {end:?}");
        }
    }
}
