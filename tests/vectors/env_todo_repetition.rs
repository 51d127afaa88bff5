//! `env_todo_repetition`: environment details, todo lists, repetition of tool calls.

use std::process::Command;

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{TodoItem, UiMessage};
use lapce_ai::protocol::tool::{ParamName, ToolCall, ToolName};
use lapce_ai::settings::modes;
use lapce_ai::task::environment::layout::{self, Busy, Editors, Facts, Finished, Rest};
use lapce_ai::task::repetition::RepetitionDetector;
use lapce_ai::task::todo::{self, ItemError, TodoError};
use lapce_ai::task::token_usage;
use lapce_ai::terminal::compress::{self, Limits};
use lapce_ai::tools::context::ToolContext;
use lapce_ai::tools::{self, checklist};
use lapce_ai::workspace::paths;
use regex::Regex;
use serde_json::{Value, json};

use crate::stub::Run;
use crate::support::{Area, Outcome, equal};

/// Repeated calls that are let through when a case names no limit.
const DEFAULT_LIMIT: i64 = 3;
/// Days on which a time zone has its two offsets, as `date` reads them.
const SEASONS: [&str; 2] = ["2025-01-15", "2025-07-15"];

/// The area.
pub fn area() -> Area {
    Area::new("env_todo_repetition", run, &[]).compared_by(in_some_season)
}

/// The recorded offset of a time zone is that of the day of recording, which no case names.
fn in_some_season(input: &Value, ours: &Value, recorded: &Value) -> bool {
    equal(ours, recorded) || input["timezone"].is_string() && equal(&environment(input, SEASONS[1]), recorded)
}

fn run(input: &Value) -> Outcome {
    match input["fn"].as_str().unwrap_or_default() {
        "environment" => environment(input, SEASONS[0]).into(),
        "reminder" => json!(layout::reminder(&items(&input["todos"]), &texts())).into(),
        "todo_parse" => json!(checklist::parse(input["md"].as_str().unwrap_or_default())).into(),
        "todo_markdown" => json!(checklist::markdown(&items(&input["todos"]))).into(),
        "todo_validate" => validate(&input["todos"]).into(),
        "todo_status" => json!(todo::normalise_status(input["status"].as_str())).into(),
        "todo_transition" => transition(input).into(),
        "todo_latest" => {
            let messages: Vec<UiMessage> = serde_json::from_value(input["messages"].clone()).expect("messages");
            json!(todo::latest(&messages).unwrap_or_default()).into()
        }
        "todo_tool" => todo_tool(input).into(),
        "repetition" => repetition(input).into(),
        other => Outcome::Missing(other.to_owned()),
    }
}

fn texts() -> Texts {
    Texts::builtin().with_pack(include_str!("codes/task.txt")).unwrap_or_else(|error| panic!("{error}"))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn items(todos: &Value) -> Vec<TodoItem> {
    serde_json::from_value(todos.clone()).unwrap_or_default()
}

fn environment(input: &Value, day: &str) -> Value {
    let limit = |key: &str, default: usize| input[key].as_u64().map_or(default, |limit| limit as usize);
    let editors = |key: &str, limit: usize| {
        let shown = array(input, key).iter().filter_map(Value::as_str);
        let shown = shown.map(|path| paths::relative("/ws".as_ref(), path)).take(limit);
        match input["ignore"].as_array() {
            Some(ignored) => {
                Editors::Filtered(shown.filter(|path| !ignored.iter().any(|ignored| ignored == path)).collect())
            }
            None => Editors::All(shown.collect()),
        }
    };
    let output = |text: &str| {
        let limits = Limits {
            lines: limit("line_limit", 500),
            characters: limit("char_limit", 50_000),
            progress_bars: input["compress_progress_bar"] != false,
        };
        compress::compress(text, limits)
    };
    let number = |terminal: &Value| terminal["id"].as_u64().unwrap_or(0) as u32;
    let busy = array(input, "busy").iter().map(|terminal| Busy {
        terminal: number(terminal),
        cwd: text(terminal, "cwd"),
        command: text(terminal, "command"),
        output: output(terminal["output"].as_str().unwrap_or_default()),
    });
    let process = |process: &Value| {
        let part = |at: usize| process[at].as_str().unwrap_or_default();
        (part(0).to_owned(), output(part(1)))
    };
    let finished = array(input, "idle").iter().map(|terminal| Finished {
        terminal: number(terminal),
        cwd: text(terminal, "cwd"),
        processes: array(terminal, "completed").iter().map(process).collect(),
    });
    let messages: Vec<UiMessage> = serde_json::from_value(input["messages"].clone()).unwrap_or_default();
    let mode = modes::find(input["mode"].as_str().unwrap_or("code"), &[]);
    let mode = mode.or_else(|| modes::builtin().into_iter().next()).expect("modes");
    let facts = Facts {
        visible: editors("visible", limit("max_files", 200)),
        open: editors("tabs", limit("max_tabs", 20)),
        modified: array(input, "modified").iter().filter_map(|path| Some(path.as_str()?.to_owned())).collect(),
        busy: busy.collect(),
        finished: finished.collect(),
        now_ms: 0,
        zone: "⟦TZ⟧".into(),
        zone_offset: input["timezone"].as_str().map_or(0, |zone| offset(zone, day)),
        rest: Some(Rest {
            cost: token_usage(&messages).total_cost,
            slug: mode.slug.to_string(),
            name: mode.name.to_string(),
            model: input["model"].as_str().unwrap_or("some/model").to_owned(),
            steering: None,
            files: None,
            todos: (input["todo_enabled"] != false).then(|| items(&input["todos"])),
        }),
    };
    let text = layout::render(&facts, &texts()).replace("1970-01-01T00:00:00.000Z", "⟦ISO_TIME⟧");
    let omitted = Regex::new(r"\[\.\.\.(\d+) (line|character)s omitted\.\.\.\]").expect("a pattern");
    let coded = omitted.replace_all(&text, |found: &regex::Captures<'_>| {
        let what = if &found[2] == "line" { "LINES" } else { "CHARS" };
        format!("⟦{what}_OMITTED|{}⟧", &found[1])
    });
    json!({"text": coded})
}

/// Minutes that the system's table of time zones gives.
fn offset(zone: &str, day: &str) -> i32 {
    let date = Command::new("date").args(["-d", day, "+%z"]).env("TZ", zone).output().expect("the program `date`");
    let shown = String::from_utf8_lossy(&date.stdout);
    let digits: i32 = shown.trim().parse().expect("±hhmm");
    digits / 100 * 60 + digits % 100
}

fn validate(todos: &Value) -> Value {
    let error = match todo::validate(todos) {
        Ok(()) => return json!({"valid": true}),
        Err(TodoError::NotArray) => json!("NOT_ARRAY"),
        Err(TodoError::Item(index, error)) => {
            let code = match error {
                ItemError::NotObject => "NOT_OBJECT",
                ItemError::NoId => "NO_ID",
                ItemError::NoContent => "NO_CONTENT",
                ItemError::BadStatus => "BAD_STATUS",
            };
            json!({"index": index, "code": code})
        }
    };
    json!({"valid": false, "error": error})
}

/// One item in the state `from`; no item at all when that is absent.
fn transition(input: &Value) -> Value {
    let item = |status: &str| TodoItem { id: "1".into(), content: "a".into(), status: status.into() };
    let mut todos: Vec<TodoItem> = input["from"].as_str().map(item).into_iter().collect();
    let before = todos.len();
    let ok = todo::set_status(&mut todos, "1", input["to"].as_str().unwrap_or_default());
    match todos.first() {
        Some(item) => json!({"ok": ok, "status": item.status}),
        None => json!({"ok": ok, "removed": todos.len() < before}),
    }
}

/// A run of the tool, in which the user may edit the list that waits for approval.
fn todo_tool(input: &Value) -> Value {
    let run = Run::new(ToolName::UpdateTodoList, input, texts());
    let tool = tools::find(ToolName::UpdateTodoList).expect("built");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tool.run(run.call(), &run)).expect("nothing was aborted");
    let results = run.results.lock().expect("not poisoned").clone();
    // What a result says about a refusal comes from the frame; the events of these cases do not tell of protection.
    let events: Vec<Value> = run.events.lock().expect("not poisoned").iter().map(event).collect();
    json!({"results": results, "events": events, "list": *run.list.lock().expect("not poisoned")})
}

fn event(event: &Value) -> Value {
    let kind = event[0].as_str().unwrap_or_default();
    let data = |value: &Value| match value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
        Some(parsed @ Value::Object(_)) => parsed,
        _ => value.clone(),
    };
    match kind {
        "approve" => json!(["approve", event[1]]),
        "say" => json!(["say", event[1], data(&event[2])]),
        _ => event.clone(),
    }
}

/// Results of successive checks. Names that the engine does not know are played by ones that the case does not use.
fn repetition(input: &Value) -> Value {
    let calls = array(input, "sequence");
    let tools: Vec<&str> = calls.iter().filter_map(|call| call["name"].as_str()).collect();
    let params = calls.iter().filter_map(|call| call["params"].as_object()).flatten();
    let params: Vec<&str> = params.map(|(name, _)| name.as_str()).collect();
    let tool = |name: &str| stand_in(name, &tools, ToolName::ALL, ToolName::as_str);
    let param = |name: &str| stand_in(name, &params, ParamName::ALL, ParamName::as_str);
    let mut detector = RepetitionDetector::new(input["limit"].as_i64().unwrap_or(DEFAULT_LIMIT));
    let results = calls.iter().map(|call| {
        let name = call["name"].as_str().unwrap_or_default();
        let given = call["params"].as_object().into_iter().flatten();
        let given = given.map(|(name, value)| (param(name), value.as_str().map_or(value.to_string(), str::to_owned)));
        let call = ToolCall { name: tool(name), params: given.collect(), partial: call["partial"] == true };
        match detector.allows(&call) {
            true => json!(true),
            false => json!({"ask": "mistake_limit_reached", "tool": name}),
        }
    });
    results.collect()
}

/// The item of this name; for an unknown one always the same item that none of the names in use has.
fn stand_in<T: Copy>(name: &str, used: &[&str], all: &[T], name_of: impl Fn(T) -> &'static str) -> T {
    if let Some(known) = all.iter().copied().find(|item| name_of(*item) == name) {
        return known;
    }
    let is_known = |name: &str| all.iter().any(|item| name_of(*item) == name);
    let mut unknown: Vec<&str> = used.iter().copied().filter(|name| !is_known(name)).collect();
    unknown.sort();
    unknown.dedup();
    let at = unknown.iter().position(|other| *other == name).expect("one of those in use");
    all.iter().copied().filter(|item| !used.contains(&name_of(*item))).nth(at).expect("enough names")
}
