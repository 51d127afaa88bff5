//! `text_utils`: text helpers of the edit, terminal, workspace and tool rooms (spec 01 §7, §8; 05 §1.11, §1.12, §3; 06 A.9, D.5).

use std::fs;
use std::path::{Path, PathBuf};

use lapce_ai::ecma;
use lapce_ai::edit::insert::{InsertGroup, insert_groups};
use lapce_ai::edit::line_numbers::{self, Stripping};
use lapce_ai::edit::normalize::{self, normalize};
use lapce_ai::edit::omission::omission_suspected;
use lapce_ai::providers::tag_matcher::{Piece, TagMatcher};
use lapce_ai::terminal::compress::{self, Limits};
use lapce_ai::tools::text::unescape_html;
use lapce_ai::tools::xml;
use lapce_ai::workspace::paths;
use lapce_ai::workspace::reading::{self, ReadError};
use serde_json::{Value, json};

use crate::support::{Area, Outcome, decode, equal};

pub fn area() -> Area {
    // A cut surrogate pair is U+FFFD in ours.
    Area::new("text_utils", run, &[]).compared_by(|_, ours, recorded| equal(ours, &decode(recorded)))
}

fn run(input: &Value) -> Outcome {
    let text = |key: &str| input[key].as_str();
    let content = text("content").unwrap_or_default();
    let number = |key: &str| input[key].as_f64();
    let output = match text("fn").unwrap_or_default() {
        "add_line_numbers" => json!(line_numbers::add(content, input["start"].as_i64().unwrap_or(1))),
        "every_line_numbered" => json!(line_numbers::every_line_numbered(content)),
        "strip_line_numbers" => {
            let stripping = if input["aggressive"] == true { Stripping::Aggressive } else { Stripping::Exact };
            json!(line_numbers::strip(content, stripping))
        }
        "truncate_output" => {
            json!(coded(compress::truncate(content, limit(input, "line_limit", 0), limit(input, "char_limit", 0))))
        }
        "run_length" => json!(coded(compress::run_length(content))),
        "carriage_returns" => json!(compress::carriage_returns(content)),
        "backspaces" => json!(compress::backspaces(content)),
        "compress_terminal_output" => {
            let limits = Limits {
                lines: limit(input, "line_limit", 0),
                characters: limit(input, "char_limit", 50_000),
                progress_bars: input["compress_progress_bar"] != false,
            };
            json!(coded(compress::compress(content, limits)))
        }
        "normalize" => json!(normalize(text("text").unwrap_or_default(), normalize_options(&input["options"]))),
        "unescape_html" => json!(unescape_html(text("text").unwrap_or_default())),
        "xml_matcher" => matched(input),
        "parse_xml" => xml_result(xml::parse(text("xml").unwrap_or_default(), &strings(&input["stop_nodes"]))),
        "parse_xml_for_diff" => {
            xml_result(xml::parse_for_diff(text("xml").unwrap_or_default(), &strings(&input["stop_nodes"])))
        }
        "paths_equal" => json!(paths::equal(text("a"), text("b"))),
        "readable_path" => {
            json!(paths::readable(
                Path::new(text("cwd").unwrap_or("/ws")),
                Path::new("/home/nobody"),
                text("path").unwrap_or("")
            ))
        }
        "relative_path" => {
            json!(paths::relative(Path::new(text("cwd").unwrap_or("/ws")), text("path").unwrap_or_default()))
        }
        "outside_workspace" => {
            let folders: Vec<PathBuf> = strings(&input["workspace"]).into_iter().map(PathBuf::from).collect();
            json!(paths::outside_workspace(&folders, Path::new(text("path").unwrap_or_default())))
        }
        "detect_omission" => {
            let predicted = number("predicted").unwrap_or(0.0);
            json!(omission_suspected(text("original").unwrap_or_default(), content, predicted))
        }
        "safe_json" => ecma::json_or(text("text"), input["default"].clone()),
        "insert_groups" => inserted(input),
        "count_lines" => in_file(content, reading::count_lines),
        "read_lines" => in_file(content, |path| reading::read_lines(path, number("end"), number("start"))),
        "extract_text_limited" => in_file(content, |path| {
            let extracted = reading::extract(path, number("max_lines"))?;
            let mut shown = line_numbers::add(&extracted.text, 1);
            if let Some(cut) = extracted.cut {
                shown.push_str(&format!("\n\n⟦TRUNCATED|{}|{}⟧", cut.shown, cut.total));
            }
            Ok(shown)
        }),
        other => return Outcome::Missing(other.to_owned()),
    };
    output.into()
}

fn limit(input: &Value, key: &str, default: usize) -> usize {
    input[key].as_u64().map_or(default, |limit| limit as usize)
}

/// The vectors' codes in place of the markers' words.
fn coded(text: String) -> String {
    let markers = [
        (r"\[\.\.\.(\d+) characters omitted\.\.\.\]", "⟦CHARS_OMITTED|$1⟧"),
        (r"\[\.\.\.(\d+) lines omitted\.\.\.\]", "⟦LINES_OMITTED|$1⟧"),
        (r"<previous line repeated (\d+) additional times>", "⟦REPEAT|$1⟧"),
    ];
    markers.into_iter().fold(text, |text, (marker, code)| {
        regex::Regex::new(marker).expect("a valid pattern").replace_all(&text, code).into_owned()
    })
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn normalize_options(options: &Value) -> normalize::Options {
    let on = |key: &str| options[key].as_bool().unwrap_or(true);
    normalize::Options {
        smart_quotes: on("smartQuotes"),
        typographic: on("typographicChars"),
        extra_whitespace: on("extraWhitespace"),
        trim: on("trim"),
    }
}

fn matched(input: &Value) -> Value {
    let tag = input["tag"].as_str().unwrap_or_default();
    let mut matcher = TagMatcher::new(tag, input["position"].as_u64().unwrap_or(0) as usize);
    let pieces = |pieces: Vec<Piece>| -> Value {
        pieces.into_iter().map(|piece| json!({"data": piece.data, "matched": piece.matched})).collect()
    };
    let steps: Vec<Value> =
        strings(&input["chunks"]).into_iter().map(|chunk| pieces(matcher.update(chunk).collect())).collect();
    json!({"steps": steps, "final": pieces(matcher.finish().collect())})
}

fn xml_result(result: Result<serde_json::Map<String, Value>, xml::XmlError>) -> Value {
    result.map_or_else(|_| json!({"threw": "XML_ERROR"}), Value::Object)
}

fn inserted(input: &Value) -> Value {
    let lines: Vec<Value> = input["original"].as_array().cloned().unwrap_or_default();
    let groups: Vec<InsertGroup<Value>> = input["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|group| InsertGroup {
            index: group["index"].as_u64().map(|index| index as usize),
            elements: group["elements"].as_array().cloned().unwrap_or_default(),
        })
        .collect();
    Value::Array(insert_groups(&lines, &groups))
}

/// Runs `read` on a file with this content.
fn in_file<T: Into<Value>>(content: &str, read: impl FnOnce(&Path) -> Result<T, ReadError>) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file.txt");
    fs::write(&path, content).expect("writable");
    match read(&path) {
        Ok(value) => value.into(),
        Err(ReadError::OutOfRange { .. }) => json!({"threw": "OUT_OF_RANGE"}),
        Err(ReadError::ReversedRange { .. }) => json!({"threw": "RANGE_ERROR"}),
        Err(ReadError::BadLimit) => json!({"threw": "BAD_LIMIT"}),
        Err(other) => json!({"threw": other.to_string()}),
    }
}
