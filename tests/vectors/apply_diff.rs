//! `apply_diff`: search/replace blocks (spec 06 §A).

use lapce_ai::edit::search_replace::{self, Applied, DiffError, FailedItem, Failure, Item, Marker, Options};
use serde_json::{Map, Value, json};

use crate::support::{Area, Deviation, Outcome};

pub fn area() -> Area {
    const DEVIATIONS: &[Deviation] = &[Deviation {
        id: "D01",
        cases: &["crlf-diff", "multi-arr-crlf"],
        applies: has_crlf_diff,
        check: no_marker_written,
    }];
    Area::new("apply_diff", run, DEVIATIONS)
}

/// D01 is about diff texts with CRLF.
fn has_crlf_diff(input: &Value) -> bool {
    let crlf = |text: &Value| text.as_str().is_some_and(|text| text.contains("\r\n"));
    crlf(&input["diff"]) || input["diffs"].as_array().into_iter().flatten().any(|item| crlf(&item["content"]))
}

/// Our result is the one that the same diff with LF gives, and no marker line of the diff is in the file.
fn no_marker_written(input: &Value, ours: &Value, _: &Value) -> Result<(), String> {
    let mut plain = input.clone();
    let line_feeds = |text: &mut Value| {
        if let Some(changed) = text.as_str().map(|text| text.replace("\r\n", "\n")) {
            *text = json!(changed);
        }
    };
    if let Some(diff) = plain.get_mut("diff") {
        line_feeds(diff);
    }
    for item in plain.get_mut("diffs").and_then(Value::as_array_mut).into_iter().flatten() {
        line_feeds(&mut item["content"]);
    }
    let Outcome::Output(expected) = run(&plain) else { return Err("not run".into()) };
    if expected != *ours {
        return Err("differs from the same diff with LF".into());
    }
    let original = input["original"].as_str().unwrap_or_default();
    let content = ours["content"].as_str().unwrap_or_default();
    let markers = ["<<<<<<< SEARCH", ">>>>>>> REPLACE"];
    match markers.iter().find(|marker| content.contains(**marker) && !original.contains(**marker)) {
        Some(marker) => Err(format!("`{marker}` was written")),
        None => Ok(()),
    }
}

fn run(input: &Value) -> Outcome {
    let original = input["original"].as_str().unwrap_or_default();
    let diff = input["diff"].as_str();
    let defaults = Options::default();
    let options = Options {
        threshold: input["threshold"].as_f64().unwrap_or(defaults.threshold),
        buffer_lines: input["buffer_lines"].as_u64().map_or(defaults.buffer_lines, |lines| lines as usize),
    };
    match input["fn"].as_str() {
        Some("single") => result(search_replace::apply(original, diff.unwrap_or_default(), &options)).into(),
        Some("multi_string") => {
            let item = Item { content: diff.unwrap_or_default(), start_line: input["param_start_line"].as_i64() };
            result(search_replace::apply_text(original, &item, &options)).into()
        }
        Some("multi_array") => {
            let items: Vec<Item<'_>> = input["diffs"].as_array().into_iter().flatten().map(item).collect();
            match search_replace::apply_items(original, &items, &options) {
                Ok((content, failed)) if failed.is_empty() => json!({"success": true, "content": content}),
                Ok((content, failed)) => {
                    json!({"success": true, "content": content, "fail_parts": failed.iter().map(failed_item).collect::<Value>()})
                }
                Err(failed) => json!({
                    "success": false,
                    "error": {"code": "NONE_APPLIED"},
                    "fail_parts": failed.iter().map(failed_item).collect::<Value>(),
                }),
            }
            .into()
        }
        Some("progress") => {
            let failed = input["fail_parts"].as_u64().map(|failed| failed as usize);
            let status = search_replace::progress(diff, input["partial"] == true, failed);
            serde_json::to_value(status).expect("plain fields").into()
        }
        other => Outcome::Missing(format!("{other:?}")),
    }
}

fn item(item: &Value) -> Item<'_> {
    Item { content: item["content"].as_str().unwrap_or_default(), start_line: item["startLine"].as_i64() }
}

fn result(result: Result<Applied, Failure>) -> Value {
    match result {
        Ok(applied) => json!({"success": true, "content": applied.content, "fail_parts": parts(&applied.failed)}),
        Err(Failure::Blocks(failed)) => json!({"success": false, "fail_parts": parts(&failed)}),
        Err(Failure::Diff(error)) => part(&error),
    }
}

fn parts(errors: &[DiffError]) -> Value {
    errors.iter().map(part).collect()
}

fn failed_item(item: &FailedItem) -> Value {
    match item {
        FailedItem::Error(error) => part(error),
        FailedItem::EmptyResult => json!({"success": true, "content": "", "fail_parts": []}),
    }
}

fn part(error: &DiffError) -> Value {
    let marker = |marker: &Marker| match marker {
        Marker::Search => "SEARCH",
        Marker::Separator => "SEP",
        Marker::Replace => "REPLACE",
    };
    let error = match error {
        DiffError::UnescapedMarker { found, line } => json!({"code": "CONFLICT_MARKER", "found": found, "line": line}),
        DiffError::Malformed { found, expected, line } => {
            json!({"code": "MALFORMED", "found": marker(found), "expected": marker(expected), "line": line})
        }
        DiffError::LineMarkerInReplace { found, line } => {
            json!({"code": "LINE_MARKER_IN_REPLACE", "found": found, "line": line})
        }
        DiffError::UnexpectedEnd { expected } => json!({"code": "UNEXPECTED_END", "expected": marker(expected)}),
        DiffError::NoBlocks => json!({"code": "INVALID_FORMAT"}),
        DiffError::Identical => json!({"code": "IDENTICAL"}),
        DiffError::EmptySearch => json!({"code": "EMPTY_SEARCH"}),
        DiffError::NoMatch(facts) => {
            let mut object = Map::new();
            object.insert("code".into(), json!("NO_MATCH"));
            object.insert("similarity".into(), json!(facts.similarity));
            object.insert("threshold".into(), json!(facts.threshold));
            object.insert("start_line".into(), json!(facts.start_line));
            object.insert("search".into(), json!(facts.search));
            object.insert("best".into(), json!(facts.best));
            object.insert("original".into(), json!(facts.original));
            Value::Object(object)
        }
    };
    json!({"success": false, "error": error})
}
