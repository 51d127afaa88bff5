//! The files and diffs of a multi-file call (spec 05 §5.6): `args` as XML, or `path` and `diff`.

use serde_json::Value;

use super::super::{frame, permissions, xml};
use crate::ecma;
use crate::protocol::tool::{ParamName, ToolCall};

/// All diffs of one file.
pub(super) struct Operation {
    /// As the model gave it.
    pub path: String,
    /// In the order of the call.
    pub items: Vec<Diff>,
}

impl Operation {
    /// All diff texts, a blank line between them.
    pub fn joined(&self) -> String {
        self.items.iter().map(|item| item.content.as_str()).collect::<Vec<_>>().join("\n\n")
    }
}

/// One diff text.
pub(super) struct Diff {
    /// Search/replace blocks, as the model wrote them.
    pub content: String,
    /// Line hint beside it.
    pub start_line: Option<i64>,
}

/// Why a call has no operations.
pub(super) enum Invalid {
    /// `args` cannot be read.
    Xml(String),
    /// A parameter is missing; the text id of its label.
    Missing(&'static str),
}

/// The operations of a call, each file once.
pub(super) fn read(call: &ToolCall) -> Result<Vec<Operation>, Invalid> {
    if let Some(args) = frame::given(call, ParamName::Args) {
        let tree =
            xml::parse_for_diff(args, &["file.diff.content"]).map_err(|error| Invalid::Xml(error.to_string()))?;
        let operations = from_tree(tree.get("file"));
        return if operations.is_empty() {
            Err(Invalid::Missing("apply_diff.missing.args_empty"))
        } else {
            Ok(operations)
        };
    }
    let (path, diff) = (call.params.get(ParamName::Path), call.params.get(ParamName::Diff));
    match (path, diff) {
        (Some(path), Some(diff)) if !path.is_empty() && !diff.is_empty() => {
            let start_line = call.params.get(ParamName::StartLine).and_then(line_number);
            let items = vec![Diff { content: diff.to_owned(), start_line }];
            Ok(vec![Operation { path: path.to_owned(), items }])
        }
        (Some(_), Some(_)) => Err(Invalid::Missing("apply_diff.missing.legacy_empty")),
        _ => Err(Invalid::Missing("apply_diff.missing.args_or_legacy")),
    }
}

/// The first `<path>` after a `<file>` of `args` that may be incomplete.
pub(super) fn first_path(args: &str) -> Option<&str> {
    let (_, file) = args.split_once("<file>")?;
    permissions::path_elements(file).first().copied()
}

fn from_tree(files: Option<&Value>) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for file in each(files) {
        let path = file.get("path").and_then(Value::as_str).filter(|path| !path.is_empty());
        let diffs = file.get("diff").filter(|diff| !matches!(diff, Value::String(text) if text.is_empty()));
        let (Some(path), Some(diffs)) = (path, diffs) else { continue };
        let items = each(Some(diffs)).filter_map(diff);
        match operations.iter_mut().find(|operation| operation.path == path) {
            Some(known) => known.items.extend(items),
            None => operations.push(Operation { path: path.to_owned(), items: items.collect() }),
        }
    }
    operations
}

fn diff(value: &Value) -> Option<Diff> {
    let content = value.get("content")?.as_str().filter(|content| !content.is_empty())?;
    let start_line = value.get("start_line").and_then(Value::as_str).and_then(line_number);
    Some(Diff { content: content.to_owned(), start_line })
}

fn line_number(text: &str) -> Option<i64> {
    ecma::parse_int(text).map(|line| line as i64)
}

/// The elements of an array, or the single value.
fn each(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
    .iter()
}
