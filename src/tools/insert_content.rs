//! `insert_content`: new lines at a place of a file (spec 05 §5.7).

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::change::{self, Change};
use super::context::{ToolContext, ToolError};
use super::frame::{self, Target};
use super::{Tool, response};
use crate::ecma;
use crate::edit::patch::pretty_patch;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct InsertContent;

#[async_trait]
impl Tool for InsertContent {
    fn name(&self) -> ToolName {
        ToolName::InsertContent
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match insert(call, context).await {
            Err(error) => change::fail(context, "insert content", error).await,
            done => done,
        }
    }
}

async fn insert(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let content = call.params.get(ParamName::Content);
    let line = frame::given(call, ParamName::Line);
    let number = line.and_then(ecma::parse_int);
    if call.partial {
        let content = content.map(|_| frame::begun(call, ParamName::Content));
        let payload = payload(&Target::new(context, frame::begun(call, ParamName::Path)), content, number);
        return frame::show_partial(context, Ask::Tool, Value::Object(payload).to_string()).await;
    }
    let Some(path) = frame::given(call, ParamName::Path) else { return frame::missing(context, call, "path").await };
    if line.is_none() {
        return frame::missing(context, call, "line").await;
    }
    let Some(content) = content else { return frame::missing(context, call, "content").await };
    if !frame::accessible(context, path).await? {
        return Ok(());
    }
    let Some(number) = number.filter(|number| *number >= 0.0) else {
        frame::refuse(context, call, response::tool_error(texts, &texts.get("insert.bad_line")));
        return Ok(());
    };
    let target = Target::new(context, path);
    let is_new = !target.exists(context).await;
    if is_new && number > 1.0 {
        let text = texts.render("insert.new_file_line", context! { line => number });
        context.say(Say::Error, text.clone(), Vec::new(), None).await?;
        frame::refuse(context, call, text);
        return Ok(());
    }
    context.reset_mistakes();

    let original = if is_new { String::new() } else { target.read(context).await? };
    let new = inserted(&original, is_new, number, content);
    let mut payload = payload(&target, Some(content), Some(number));
    if is_new {
        payload.remove("diff");
        payload.insert("content".into(), new.clone().into());
    } else {
        let diff = pretty_patch(&original, &new);
        if diff.is_empty() {
            context.push_result(texts.render("edit.no_change", context! { path }).into());
            return Ok(());
        }
        payload.insert("diff".into(), diff.into());
    }
    payload.insert("isProtected".into(), target.protected.into());

    let change = Change { target: &target, content: &new, is_new };
    change.show(context).await?;
    if !change.approve(context, Value::Object(payload).to_string(), None).await? {
        context.push_result(texts.get("edit.rejected").into());
        context.edits().lock().await.reset().await;
        return Ok(());
    }
    let result = change.save(context).await?;
    context.push_result(result.into());
    change::finish(context).await;
    Ok(())
}

fn payload(target: &Target, content: Option<&str>, line: Option<f64>) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("tool".into(), "insertContent".into());
    payload.insert("path".into(), target.readable.clone().into());
    if let Some(content) = content {
        payload.insert("diff".into(), content.into());
    }
    payload.insert("lineNumber".into(), line.map_or(Value::Null, number_json));
    payload
}

/// A number as JavaScript writes it: whole ones without a fraction.
pub(super) fn number_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

/// The text with `content` before the 1-based `line`; 0 and lines past the end append. The end of a text that ends with a
/// line feed is after its last, empty line.
fn inserted(text: &str, is_new: bool, line: f64, content: &str) -> String {
    if is_new {
        return content.to_owned();
    }
    let index = if line < 1.0 { usize::MAX } else { line as usize - 1 };
    let place = match index {
        0 => Some(0),
        _ => memchr::memchr_iter(b'\n', text.as_bytes()).nth(index - 1).map(|end| end + 1),
    };
    match place {
        Some(place) => format!("{}{content}\n{}", &text[..place], &text[place..]),
        None => format!("{text}\n{content}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_before_the_given_one() {
        for (text, line, content, expected) in [
            ("a\nb\n", 0.0, "c", "a\nb\n\nc"),
            ("a\nb\n", 1.0, "c", "c\na\nb\n"),
            ("a\nb\n", 2.0, "c\nd", "a\nc\nd\nb\n"),
            ("a\nb\n", 3.0, "c", "a\nb\nc\n"),
            ("a\nb\n", 4.0, "c", "a\nb\n\nc"),
            ("a\nb", 9e9, "c", "a\nb\nc"),
            ("", 0.0, "x", "\nx"),
            ("", 1.0, "x", "x\n"),
            ("a\r\nb\r\n", 2.0, "c", "a\r\nc\nb\r\n"),
        ] {
            assert_eq!(inserted(text, false, line, content), expected, "{text:?} {line}");
        }
        assert_eq!(inserted("", true, 0.0, "x\ny"), "x\ny");
    }
}
