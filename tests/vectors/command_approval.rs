//! Command approval (spec 02 §11.3).

use lapce_ai::task::approval::command::{
    Decision, auto_approved, auto_denied, dangerous, decide, longest_prefix, single_decision, sub_commands,
};
use serde_json::{Value, json};

use crate::support::{Area, Deviation, Outcome};

pub fn area() -> Area {
    Area::new("command_approval", run, &[D02])
}

fn run(input: &Value) -> Outcome {
    let command = input["command"].as_str().unwrap_or("");
    let list = |key: &str| -> Option<Vec<String>> {
        Some(input.get(key)?.as_array()?.iter().filter_map(|e| Some(e.as_str()?.to_owned())).collect())
    };
    let (allowed, denied) = (list("allowed").unwrap_or_default(), list("denied"));
    let denied_or_none = denied.clone().unwrap_or_default();
    match input["fn"].as_str() {
        Some("parse") => json!(sub_commands(command).parts),
        Some("dangerous") => json!(dangerous(command)),
        Some("longest_prefix") => json!(longest_prefix(command, &list("prefixes").unwrap_or_default())),
        Some("single_decision") => json!(name(single_decision(command, &allowed, &denied_or_none))),
        Some("auto_approved") => json!(auto_approved(command, &allowed, denied.as_deref())),
        Some("auto_denied") => json!(auto_denied(command, &allowed, denied.as_deref())),
        Some("decision") => {
            let parts = sub_commands(command).parts;
            let matches = |list: &[String]| -> Vec<Option<String>> {
                parts.iter().map(|part| longest_prefix(part, list)).collect()
            };
            json!({
                "decision": name(decide(command, &allowed, &denied_or_none)),
                "sub_commands": parts,
                "allowed_matches": matches(&allowed),
                "denied_matches": matches(&denied_or_none),
                "dangerous": dangerous(command),
            })
        }
        other => return Outcome::Missing(format!("selector {other:?}")),
    }
    .into()
}

fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "auto_approve",
        Decision::Deny => "auto_deny",
        Decision::Ask => "ask_user",
    }
}

/// Glob words keep their text (a), substitutions add parts (b), what cannot be read asks (c), no placeholders (d).
const D02: Deviation = Deviation {
    id: "D02",
    cases: &[
        "parse#31",
        "parse#54",
        "parse#55",
        "parse#103",
        "parse#105",
        "parse#112",
        "parse#120",
        "parse#121",
        "parse#123",
        "parse#124",
        "decision#61",
        "decision#108",
        "decision#109",
        "decision#147",
        "decision#204",
        "decision#205",
        "decision#207",
        "decision#208",
        "decision#220",
        "decision#237",
        "decision#238",
        "decision#240",
        "decision#241",
        "decision#243",
        "decision#244",
    ],
    applies,
    check,
};

/// Whether the text has a glob character, a substitution, a look-alike of a placeholder, or is not what the compatible
/// split takes it for.
fn applies(input: &Value) -> bool {
    let command = input["command"].as_str().unwrap_or("");
    let commands = sub_commands(command);
    matches!(input["fn"].as_str(), Some("parse" | "decision"))
        && (["*", "?", "$(", "`", "<(", ">("].iter().any(|mark| command.contains(mark))
            || placeholder(command).is_some()
            || !commands.certain
            || !commands.hidden.is_empty())
}

/// Where the text has something like `__NAME_0__`.
fn placeholder(text: &str) -> Option<usize> {
    regex::Regex::new("_?_?[A-Z]+_[0-9]+__").expect("a pattern").find(text).map(|found| found.start())
}

/// Every recorded part must be among ours, in order, and our decision must not be less strict.
fn check(input: &Value, ours: &Value, recorded: &Value) -> Result<(), String> {
    let command = input["command"].as_str().unwrap_or("");
    if recorded.get("threw").is_some() {
        return placeholder(command).map(|_| ()).ok_or_else(|| "the reference fails for another reason".into());
    }
    let parts = |value: &Value| -> Vec<String> {
        let list = if value.is_array() { value } else { &value["sub_commands"] };
        list.as_array().into_iter().flatten().filter_map(|part| Some(part.as_str()?.to_owned())).collect()
    };
    let (our_parts, recorded_parts) = (parts(ours), parts(recorded));
    let mut rest = our_parts.iter();
    for part in &recorded_parts {
        if !rest.any(|our| same_part(command, part, our)) {
            return Err(format!("the part {part:?} is lost"));
        }
    }
    let glob = recorded_parts.iter().any(|part| part.split(' ').any(|word| word == "glob"));
    let strictness =
        |value: &Value| ["auto_approve", "ask_user", "auto_deny"].iter().position(|d| value["decision"] == **d);
    if !glob && strictness(ours) < strictness(recorded) {
        return Err("less strict".into());
    }
    if ours.is_object() && ours["dangerous"] != recorded["dangerous"] {
        return Err("the dangerous expansions differ".into());
    }
    Ok(())
}

/// Whether our part is the recorded one but for glob words and placeholders that the reference left in it.
fn same_part(command: &str, recorded: &str, ours: &str) -> bool {
    if let Some(at) = placeholder(recorded) {
        return ours.starts_with(&recorded[..at]);
    }
    if placeholder(command).is_some() && recorded.contains("undefined") {
        return ours.starts_with(recorded.split("undefined").next().unwrap_or(""));
    }
    let mut our_words = ours.split(' ');
    for word in recorded.split(' ') {
        match our_words.next() {
            Some(our) if our == word || word == "glob" && our.contains(['*', '?']) => {}
            None if word == "glob" => return true, // The word held a substitution, which is a part of its own now.
            _ => return false,
        }
    }
    our_words.next().is_none()
}
