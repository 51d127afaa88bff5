//! `task_runs`: whole runs of a real session with a scripted provider, scripted answers and real tools on a temporary
//! workspace. Outputs are brought into the recorded form by [`report`]; parts that a deviation changes are compared apart.

#[path = "task_runs/drive.rs"]
mod drive;
#[path = "task_runs/report.rs"]
mod report;
#[path = "task_runs/watch.rs"]
mod watch;
#[path = "task_runs/world.rs"]
mod world;

use lapce_ai::protocol::tool::ToolName;
use serde_json::Value;

use crate::support::{Area, Deviation, Outcome, equal};

pub fn area() -> Area {
    Area::new("task_runs", run, DEVIATIONS)
}

static DEVIATIONS: &[Deviation] = &[
    Deviation {
        id: "D03",
        cases: &["stream-error-resume", "stream-error-after-tool", "stream-error-tool-lost"],
        applies: fails_after_a_chunk,
        check: kept_until_the_error,
    },
    Deviation {
        id: "D19",
        cases: &["cancel-mid-stream"],
        applies: |input| stops(&input["turns"]),
        check: |_, ours, recorded| same_but(ours, recorded, &["ui", "tool_usage", "messages", "files_changed"]),
    },
    Deviation {
        id: "D05",
        cases: &[],
        applies: |input| stops(&input["after"]) || stops(&input["asks"]),
        // The tool that asked has ended: its edit is taken back, its question is withdrawn.
        check: |_, ours, recorded| same_but(ours, recorded, &["files_changed", "ui"]),
    },
];

/// The user stops or drops the task in this part of the script.
fn stops(script: &Value) -> bool {
    match script {
        Value::Array(items) => items.iter().any(stops),
        Value::Object(map) => map.get("cancel").or(map.get("clear")) == Some(&true.into()) || map.values().any(stops),
        _ => false,
    }
}

/// What came before the error is there: either a tool in it has its result, which ended the reading before the error, or
/// the run failed as recorded and shows the text.
fn kept_until_the_error(input: &Value, ours: &Value, recorded: &Value) -> Result<(), String> {
    let requests = ours["requests"].to_string();
    for turn in input["turns"].as_array().into_iter().flatten() {
        let chunks = turn.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(error) = chunks.iter().position(|chunk| chunk.get("$throw").is_some()).filter(|at| *at > 0) else {
            continue;
        };
        let mut received = String::new();
        let mut tool_ended_it = false;
        for chunk in chunks[..error].iter().filter_map(Value::as_str) {
            received.push_str(chunk);
            let message = Value::from(format!("{received}\n\n[⟦INTERRUPTED_BY_TOOL⟧]"));
            tool_ended_it |= received.contains("</") && requests.contains(&message.to_string());
        }
        if tool_ended_it {
            continue;
        }
        same_but(ours, recorded, &["ui", "tool_usage"])?;
        let text = Value::from(received.split('<').next().unwrap_or_default().trim());
        let shown = |task: &Value| task["ui"].as_array().is_some_and(|ui| ui.iter().any(|m| m["text"] == text));
        if !ours["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(shown)) {
            return Err(format!("{text} was received and is not shown"));
        }
    }
    Ok(())
}

/// A stream that gives something and then fails: the reference loses the chunk before the error.
fn fails_after_a_chunk(input: &Value) -> bool {
    input["turns"].as_array().into_iter().flatten().any(|turn| {
        let chunks = turn.as_array().map(Vec::as_slice).unwrap_or_default();
        chunks.iter().position(|chunk| chunk.get("$throw").is_some()).is_some_and(|at| at > 0)
    })
}

/// Equal but for values under these keys.
fn same_but(ours: &Value, recorded: &Value, keys: &[&str]) -> Result<(), String> {
    let (ours, recorded) = (without(ours, keys), without(recorded, keys));
    if equal(&ours, &recorded) { Ok(()) } else { Err(format!("differs elsewhere: {ours} / {recorded}")) }
}

fn without(value: &Value, keys: &[&str]) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), without(value, keys))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| without(item, keys)).collect()),
        other => other.clone(),
    }
}

fn run(input: &Value) -> Outcome {
    if let Some(what) = missing(input) {
        return Outcome::Missing(what);
    }
    // Commands take real time; everything else runs on a clock that jumps over waits.
    let commands = takes_real_time(input);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    if !commands {
        builder.start_paused(true);
    }
    let runtime = builder.build().expect("a runtime");
    let output = runtime.block_on(drive::drive(input));
    runtime.shutdown_background();
    Outcome::Output(output)
}

/// Commands take real time.
fn takes_real_time(input: &Value) -> bool {
    input["turns"].to_string().contains("<execute_command>")
}

/// What this case needs and nobody has built yet.
fn missing(input: &Value) -> Option<String> {
    let turns = input["turns"].to_string();
    let tool = ToolName::ALL
        .iter()
        .find(|tool| turns.contains(&format!("<{tool}>")) && lapce_ai::tools::find(**tool).is_none());
    if let Some(tool) = tool {
        return Some(format!("tool {tool}"));
    }
    let whole = input.to_string();
    if whole.contains("\"edit_document\"") {
        return Some("an editor that a user types in".into());
    }
    None
}
