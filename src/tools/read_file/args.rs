//! Which files a call names (spec 05 §5.1): the `args` parameter, or the older `path` with `start_line` and `end_line`.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::ecma;
use crate::protocol::tool::{ParamName, ToolCall};
use crate::tools::text;
use crate::tools::xml::{self, XmlError};

/// A file that is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub path: String,
    /// First and last line, from 1; none: the whole file.
    pub ranges: Vec<(f64, f64)>,
}

/// The path shown while the call streams in; empty as long as there is none.
pub(super) fn partial_path(call: &ToolCall) -> String {
    static FIRST_PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?s)<file>.*?<path>([^<]+)</path>").ok());
    let args = call.params.get(ParamName::Args).unwrap_or_default();
    if args.is_empty() {
        let path = call.params.get(ParamName::Path).unwrap_or_default();
        return text::without_closing_tag(ParamName::Path.as_str(), path).to_owned();
    }
    let found = FIRST_PATH.as_ref().and_then(|pattern| pattern.captures(args));
    found.and_then(|found| found.get(1)).map(|path| path.as_str().to_owned()).unwrap_or_default()
}

/// The files of a complete call, in order; `args` wins over `path`.
pub(super) fn named(call: &ToolCall) -> Result<Vec<Named>, XmlError> {
    let args = call.params.get(ParamName::Args).unwrap_or_default();
    if !args.is_empty() {
        return in_args(args);
    }
    let path = call.params.get(ParamName::Path).filter(|path| !path.is_empty());
    let number = |name| call.params.get(name).and_then(ecma::parse_int).filter(|number| *number > 0.0);
    let range = number(ParamName::StartLine).zip(number(ParamName::EndLine));
    Ok(path.map(|path| Named { path: path.to_owned(), ranges: range.into_iter().collect() }).into_iter().collect())
}

fn in_args(args: &str) -> Result<Vec<Named>, XmlError> {
    static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("([0-9]+)-([0-9]+)").ok());
    let range = |text: &str| {
        let found = RANGE.as_ref()?.captures(text)?;
        Some((found.get(1)?.as_str().parse().ok()?, found.get(2)?.as_str().parse().ok()?))
    };
    let fragment = xml::parse(args, &[])?;
    let file = |file: &Value| {
        let path = each(&file["path"]).filter_map(Value::as_str).find(|path| !path.is_empty())?;
        let ranges = each(&file["line_range"]).filter_map(Value::as_str).filter_map(range).collect();
        Some(Named { path: path.to_owned(), ranges })
    };
    Ok(fragment.get("file").into_iter().flat_map(each).filter_map(file).collect())
}

/// An element, or every one of several with the same name.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_ranges() {
        let file = |path: &str, ranges: &[(f64, f64)]| Named { path: path.to_owned(), ranges: ranges.to_vec() };
        let twice = "<file><path> a &amp; b </path><line_range>1-2</line_range><line_range>x 7-9</line_range></file>\
            <file/><file><path>c</path><line_range>none</line_range></file>";
        for (args, expected) in [
            (twice, vec![file("a & b", &[(1.0, 2.0), (7.0, 9.0)]), file("c", &[])]),
            ("<file><path>c</path></file>", vec![file("c", &[])]),
            ("<file>c</file><path>d</path>", vec![]),
            ("<args><file><path>c</path></file></args>", vec![]),
            ("junk", vec![]),
        ] {
            assert_eq!(in_args(args), Ok(expected), "{args}");
        }
        assert!(in_args("<file><path>a</path").is_err());
    }
}
