//! The frame of the vector runner: loading, special values, comparing, counting.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What running one case gave.
pub enum Outcome {
    /// An output to compare with the recorded one.
    Output(Value),
    /// The code for this case (selector, tool, feature) is not built yet; the text names what is missing.
    Missing(String),
}

impl From<Value> for Outcome {
    fn from(value: Value) -> Outcome {
        Outcome::Output(value)
    }
}

/// Runs one case of an area from its decoded input.
pub type Runner = fn(&Value) -> Outcome;

/// One deliberate difference from the reference.
pub struct Deviation {
    /// Id in `docs/deviations.md`.
    pub id: &'static str,
    /// The cases of the committed vectors it changes, by name.
    pub cases: &'static [&'static str],
    /// Whether a case can fall under this deviation at all, judged from its input: holds for all `cases`, and lets a case of
    /// another set of vectors count as the same deviation.
    pub applies: fn(&Value) -> bool,
    /// Checks our own output where it differs: `Err` says what is wrong with it. Gets input, our output, the recorded output.
    pub check: fn(&Value, &Value, &Value) -> Result<(), String>,
}

/// One vector file and how to run it.
pub struct Area {
    name: &'static str,
    runner: Option<Runner>,
    deviations: &'static [Deviation],
    compare: fn(&Value, &Value, &Value) -> bool,
}

impl Area {
    /// An area whose code does not exist yet.
    pub fn missing(name: &'static str) -> Area {
        Area { name, runner: None, deviations: &[], compare: |_, a, b| equal(a, b) }
    }

    /// An area with its runner and deliberate differences.
    pub fn new(name: &'static str, runner: Runner, deviations: &'static [Deviation]) -> Area {
        Area { name, runner: Some(runner), deviations, compare: |_, a, b| equal(a, b) }
    }

    /// Replaces the comparison (input, ours, recorded).
    pub fn compared_by(mut self, compare: fn(&Value, &Value, &Value) -> bool) -> Area {
        self.compare = compare;
        self
    }
}

/// Runs all areas and prints the counts.
pub fn run(areas: Vec<Area>, filters: Vec<String>) -> ExitCode {
    let folder = std::env::var_os("LAPCE_AI_VECTORS")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors"));
    let (mut passed, mut total, mut failed) = (0, 0, 0);
    for area in areas {
        let file = folder.join(format!("{}.json", area.name));
        let Ok(text) = fs::read_to_string(&file) else {
            println!("{}: no vectors at {}", area.name, file.display());
            continue;
        };
        let document: Value = serde_json::from_str(&text).expect("vector files are JSON");
        let cases = document["cases"].as_array().expect("vector files have cases");
        let area_selected = filters.is_empty() || filters.iter().any(|f| area.name.contains(f.as_str()));
        let Some(runner) = area.runner else {
            println!("{}: missing ({} cases)", area.name, cases.len());
            total += cases.len();
            continue;
        };
        let (mut ok, mut deviating, mut run) = (0, 0, 0);
        let mut missing: Vec<(String, usize)> = Vec::new();
        for case in cases {
            let name = case["name"].as_str().unwrap_or("?");
            let case_filters: Vec<&String> = filters.iter().filter(|f| !area.name.contains(f.as_str())).collect();
            if !(filters.is_empty() || area_selected && case_filters.is_empty())
                && !(case_filters.iter().any(|f| name.contains(f.as_str()))
                    && (area_selected || !filters.iter().any(|f| areas_named(f))))
            {
                continue;
            }
            run += 1;
            let input = decode(&case["input"]);
            let expected = &case["output"];
            let ours = match catch_unwind(AssertUnwindSafe(|| runner(&input))) {
                Ok(Outcome::Output(ours)) => encode(ours),
                Ok(Outcome::Missing(what)) => {
                    match missing.iter_mut().find(|(w, _)| *w == what) {
                        Some((_, n)) => *n += 1,
                        None => missing.push((what, 1)),
                    }
                    continue;
                }
                Err(_) => json!({"panicked": true}),
            };
            if (area.compare)(&input, &ours, expected) {
                ok += 1;
                continue;
            }
            let deviation = area.deviations.iter().find(|d| (d.applies)(&input));
            match deviation.map(|d| (d.id, (d.check)(&input, &ours, expected))) {
                Some((_, Ok(()))) => {
                    ok += 1;
                    deviating += 1;
                }
                other => {
                    failed += 1;
                    if failed <= 20 {
                        let why = other
                            .map(|(id, r)| format!(" ({id}: {})", r.err().unwrap_or_default()))
                            .unwrap_or_default();
                        println!(
                            "FAILED {} / {name}{why}\n  input    {}\n  expected {}\n  ours     {}",
                            area.name,
                            short(&case["input"]),
                            short(expected),
                            short(&ours)
                        );
                        difference("", expected, &ours, &mut 0);
                    }
                }
            }
        }
        for deviation in area.deviations {
            for name in deviation.cases {
                let listed = cases.iter().find(|c| c["name"] == **name);
                if let Some(case) = listed {
                    assert!(
                        (deviation.applies)(&decode(&case["input"])),
                        "{name} is listed under {} but its rule says no",
                        deviation.id
                    );
                }
            }
        }
        let mut notes = Vec::new();
        if deviating > 0 {
            notes.push(format!("{deviating} by deviation"));
        }
        for (what, n) in &missing {
            notes.push(format!("missing {what}: {n}"));
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        let shown = if filters.is_empty() { cases.len() } else { run };
        println!("{}: {ok} of {shown}{notes}", area.name);
        passed += ok;
        total += shown;
    }
    println!("total: {passed} of {total}");
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn areas_named(filter: &str) -> bool {
    const NAMES: [&str; 18] = [
        "assistant_parser",
        "apply_diff",
        "transforms",
        "provider_requests",
        "provider_requests_cloud",
        "cost_tokens",
        "sliding_condense",
        "text_utils",
        "command_approval",
        "access_listing",
        "definitions",
        "code_chunks",
        "tool_results",
        "env_todo_repetition",
        "ghost_parser",
        "misc",
        "prompt_structure",
        "task_runs",
    ];
    NAMES.iter().any(|n| n.contains(filter))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(1500).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// Prints the first few places where two values differ.
fn difference(path: &str, expected: &Value, ours: &Value, printed: &mut usize) {
    if *printed >= 6 || equal(expected, ours) {
        return;
    }
    match (expected, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                difference(
                    &format!("{path}/{key}"),
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    printed,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                difference(
                    &format!("{path}/{i}"),
                    a.get(i).unwrap_or(&Value::Null),
                    b.get(i).unwrap_or(&Value::Null),
                    printed,
                );
            }
        }
        _ => {
            *printed += 1;
            println!("  at {path}\n    expected {}\n    ours     {}", short(expected), short(ours));
        }
    }
}

/// Replaces the special values of the vectors' README in an input: `$repeat`, `$concat`, `$num`; `$bytes` becomes an array of
/// numbers and `$utf16` a string with U+FFFD in place of unpaired surrogates.
pub fn decode(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            if map.len() == 1 {
                if let Some(Value::Array(parts)) = map.get("$repeat") {
                    let unit = decode(&parts[0]);
                    let times = parts[1].as_u64().unwrap_or(0) as usize;
                    return Value::String(unit.as_str().unwrap_or("").repeat(times));
                }
                if let Some(Value::Array(parts)) = map.get("$concat") {
                    return Value::String(parts.iter().map(|p| decode(p).as_str().unwrap_or("").to_owned()).collect());
                }
                if let Some(Value::Array(units)) = map.get("$utf16") {
                    let units: Vec<u16> = units.iter().map(|u| u.as_u64().unwrap_or(0) as u16).collect();
                    return Value::String(String::from_utf16_lossy(&units));
                }
                if let Some(Value::String(data)) = map.get("$bytes") {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("$bytes is base64");
                    return json!(bytes);
                }
            }
            Value::Object(map.iter().map(|(k, v)| (k.clone(), decode(v))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(decode).collect()),
        other => other.clone(),
    }
}

/// Replaces output strings longer than 24,000 UTF-16 units by their hash, as the recorded outputs do.
pub fn encode(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let utf16: usize = text.encode_utf16().count();
            if utf16 <= 24_000 {
                return Value::String(text);
            }
            let hash: String = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
            json!({"$sha256": hash, "$utf16_len": utf16, "$utf8_len": text.len()})
        }
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, encode(v))).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(encode).collect()),
        other => other,
    }
}

/// Equality of JSON values: key order does not matter, numbers may differ by 1e-12.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (x.as_f64().unwrap_or(f64::NAN), y.as_f64().unwrap_or(f64::NAN));
            x == y || (x - y).abs() <= 1e-12
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| equal(a, b)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}
