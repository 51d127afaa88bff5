//! Brings what a run left into the form of the recorded outputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use lapce_ai::protocol::message::{ApiMessage, ContentBlock, MessageContent, UiKind, UiMessage};
use lapce_ai::task::TaskSnapshot;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::world::World;

/// The output of a run; `waiting` is the question that waits at its end.
pub fn output(world: &World, storage: &Path, first_mode: &str, waiting: Option<String>) -> Value {
    let shown = |key: &str| world.input[key] == true;
    let tasks: Vec<(String, Option<TaskSnapshot>)> = world
        .tasks
        .lock()
        .unwrap()
        .iter()
        .map(|(id, view)| (id.clone(), view.as_ref().map(|v| v.snapshot())))
        .collect();
    let mut previous: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let mut requests = Vec::new();
    for (task, request) in world.requests.lock().unwrap().iter() {
        let messages: Vec<Value> = request.messages.iter().map(|m| api_message(m, shown("env"))).collect();
        let mut out = Map::new();
        out.insert("task".into(), json!(task));
        match &request.metadata {
            None => {
                out.insert("kind".into(), json!("condense"));
                if request.system != "⟦SUMMARY_PROMPT⟧" {
                    out.insert("system".into(), json!(request.system));
                }
            }
            Some(metadata) => {
                out.insert("mode".into(), json!(metadata.mode));
                if let Some(id) = &metadata.previous_response_id {
                    out.insert("previousResponseId".into(), json!(id));
                }
                if metadata.suppress_previous_response_id {
                    out.insert("suppressPreviousResponseId".into(), json!(true));
                }
            }
        }
        out.extend(relative(&messages, previous.get(task)));
        previous.insert(*task, messages);
        requests.push(Value::Object(out));
    }
    let mut out = Map::new();
    out.insert("requests".into(), Value::Array(requests));
    let reports = tasks.iter().enumerate().filter_map(|(index, (_, task))| {
        Some(instance(task.as_ref()?, previous.get(&index), shown("env"), shown("show_request")))
    });
    out.insert("tasks".into(), reports.collect());
    if shown("show_context") {
        let mut disk = Map::new();
        for (id, _) in &tasks {
            disk.insert(id.clone(), json!({"context": context(&storage.join("tasks").join(id))}));
        }
        out.insert("disk".into(), Value::Object(disk));
    }
    let mode = world.settings.lock().unwrap().mode.clone();
    if mode != first_mode {
        out.insert("mode".into(), json!(mode));
    }
    if shown("show_items") {
        out.insert("history_items".into(), items(world));
    }
    out.insert("files_changed".into(), files_changed(world));
    out.insert("events".into(), json!(*world.events.lock().unwrap()));
    let current = world.handle.get().and_then(|handle| handle.current());
    let end = match (waiting, current) {
        (_, None) => json!({"no_task": true}),
        _ if world.no_more_turns.load(Ordering::SeqCst) => json!({"no_more_turns": true}),
        (Some(ask), Some(view)) => json!({"waiting": ask, "task": world.instance(view.id())}),
        (None, Some(_)) => json!({"stopped": true}),
    };
    out.insert("end".into(), end);
    let mut text = Value::Object(out).to_string();
    let mut numbers: Vec<&String> = Vec::new();
    for (id, _) in &tasks {
        if !numbers.contains(&id) {
            numbers.push(id);
        }
    }
    for (index, id) in numbers.iter().enumerate() {
        text = text.replace(id.as_str(), &format!("⟦TASK{}⟧", index + 1));
    }
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
    let exception = Regex::new(r#"Error [^:"⟦⟧]{1,60}: \{\\"name\\":.*?\}"#).unwrap();
    text = time.replace_all(&text, "⟦ISO_TIME⟧").into_owned();
    text = exception.replace_all(&text, "⟦TOOL_EXCEPTION_JSON⟧").into_owned();
    text = text.replace(" ⟦PREFER_MULTI⟧", "⟦PREFER_MULTI⟧").replace("[IMG_REFERENCED]", "⟦IMG_REFERENCED⟧");
    text = text.replace("⟦CONDENSE_ACCEPTED⟧\\n", "⟦CONDENSE_ACCEPTED⟧");
    text = text.replace('«', "⟦").replace('»', "⟧").replace("⟧\\nOutput:\\n", "⟧\\n⟦OUTPUT⟧:\\n");
    text = commits_numbered(&text);
    serde_json::from_str(&text).expect("still JSON")
}

/// Ids of commits as codes, in their order of appearance.
fn commits_numbered(text: &str) -> String {
    let commit = Regex::new(r"\b[0-9a-f]{40}\b").unwrap();
    let mut known: Vec<String> = Vec::new();
    let number = |found: &regex::Captures<'_>| {
        let id = found[0].to_owned();
        let at = known.iter().position(|known| *known == id).unwrap_or_else(|| {
            known.push(id);
            known.len() - 1
        });
        format!("⟦HASH{}⟧", at + 1)
    };
    commit.replace_all(text, number).into_owned()
}

/// Messages relative to an earlier list that they go on from.
fn relative(messages: &[Value], previous: Option<&Vec<Value>>) -> Map<String, Value> {
    let mut out = Map::new();
    // Requests do not show the mark of a summary; it makes no difference.
    let plain = |message: &Value| {
        let mut message = message.clone();
        message.as_object_mut().map(|message| message.remove("isSummary"));
        message
    };
    let goes_on = |previous: &&Vec<Value>| {
        messages.len() >= previous.len() && previous.iter().zip(messages).all(|(old, new)| *old == plain(new))
    };
    match previous.filter(goes_on) {
        Some(previous) => {
            out.insert("same".into(), json!(previous.len()));
            out.insert("then".into(), json!(messages[previous.len()..]));
        }
        None => {
            out.insert("messages".into(), json!(messages));
        }
    }
    out
}

fn api_message(message: &ApiMessage, env: bool) -> Value {
    let content = match &message.content {
        MessageContent::Text(text) => json!(text),
        MessageContent::Blocks(blocks) => blocks.iter().map(|block| self::block(block, env)).collect(),
    };
    let mut out = json!({"role": message.role, "content": content});
    if message.is_summary == Some(true) {
        out["isSummary"] = json!(true);
    }
    out
}

fn block(block: &ContentBlock, env: bool) -> Value {
    match block {
        ContentBlock::Text { text } if !env && text.starts_with("<environment_details>") => json!("⟦ENV⟧"),
        ContentBlock::Text { text } => json!(text),
        other => json!(other),
    }
}

fn instance(task: &TaskSnapshot, last: Option<&Vec<Value>>, env: bool, request: bool) -> Value {
    let mut out = Map::new();
    out.insert("task".into(), json!(task.id));
    if let Some(parent) = &task.parent {
        out.insert("parent".into(), json!(parent));
    }
    if let Some(root) = &task.root {
        out.insert("root".into(), json!(root));
    }
    out.insert("ui".into(), task.ui.iter().map(|message| ui_message(message, env, request)).collect());
    let history: Vec<Value> = task.api.iter().map(|message| api_message(message, env)).collect();
    out.insert("history".into(), Value::Object(relative(&history, last)));
    out.insert("mistakes".into(), json!(task.mistakes));
    let usage = task
        .tool_usage
        .iter()
        .map(|(tool, count)| (tool.to_string(), json!({"attempts": count.attempts, "failures": count.failures})));
    out.insert("tool_usage".into(), Value::Object(usage.collect()));
    if let Some(todos) = task.todos.as_ref().filter(|todos| !todos.is_empty()) {
        out.insert("todos".into(), json!(todos));
    }
    out.insert("mode".into(), json!(task.mode));
    if !task.queue.is_empty() {
        out.insert("queue".into(), json!(task.queue));
    }
    if let Some(reason) = task.aborted {
        out.insert("aborted".into(), json!(true));
        if let Some(reason) = reason {
            out.insert("abort_reason".into(), json!(reason));
        }
    }
    Value::Object(out)
}

fn ui_message(message: &UiMessage, env: bool, request: bool) -> Value {
    let mut out = Map::new();
    let (kind, name) = match message.kind {
        UiKind::Ask(ask) => ("ask", ask.as_str()),
        UiKind::Say(say) => ("say", say.as_str()),
    };
    out.insert(kind.into(), json!(name));
    if let Some(text) = &message.text {
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) if value.is_object() || value.is_array() => {
                if name == "api_req_started" && !request {
                    value.as_object_mut().map(|info| info.remove("request"));
                } else if let Some(Value::String(shown)) = value.get_mut("request").filter(|_| !env) {
                    let details = Regex::new("(?s)<environment_details>.*?</environment_details>").unwrap();
                    *shown = details.replace_all(shown, "⟦ENV⟧").into_owned();
                }
                out.insert("json".into(), value);
            }
            _ => {
                out.insert("text".into(), json!(read_error(text).unwrap_or_else(|| text.clone())));
            }
        }
    }
    let stored = json!(message);
    for key in ["images", "progressStatus", "contextCondense", "checkpoint", "metadata"] {
        if let Some(value) = stored.get(key) {
            out.insert(key.into(), value.clone());
        }
    }
    for key in ["partial", "isProtected", "isAnswered"] {
        if stored[key] == true {
            out.insert(key.into(), json!(true));
        }
    }
    Value::Object(out)
}

/// Code of the notice that a file could not be read.
fn read_error(text: &str) -> Option<String> {
    let (path, _) = text.strip_prefix("Error reading file ")?.split_once(":\n")?;
    Some(format!("⟦READ_ERROR_UI|{path}⟧"))
}

/// Rows of `task_metadata.json`.
fn context(folder: &Path) -> Value {
    let bytes = std::fs::read(folder.join("task_metadata.json")).unwrap_or_default();
    let metadata: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let rows = metadata["files_in_context"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|row| {
            let has = |key: &str| row[key].is_number();
            json!([
                row["path"],
                row["record_state"],
                row["record_source"],
                has("roo_read_date"),
                has("roo_edit_date"),
                has("user_edit_date")
            ])
        })
        .collect()
}

fn items(world: &World) -> Value {
    let items = world.history.lock().unwrap();
    items
        .iter()
        .map(|item| {
            let mut item = json!(item);
            for key in ["ts", "size"] {
                item.as_object_mut().map(|item| item.remove(key));
            }
            item
        })
        .collect()
}

fn files_changed(world: &World) -> Value {
    let mut now = BTreeMap::new();
    walk(&world.workspace, &world.workspace, &mut now);
    let before = world.input["files"].as_object().cloned().unwrap_or_default();
    let changed = now.into_iter().filter(|(path, content)| before.get(path) != Some(content));
    Value::Object(changed.collect())
}

fn walk(root: &Path, folder: &Path, out: &mut BTreeMap<String, Value>) {
    let entries: Vec<_> = std::fs::read_dir(folder).expect("listable").map(|entry| entry.unwrap().path()).collect();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    if entries.is_empty() && folder != root {
        out.insert(relative(folder), Value::Null);
    }
    for path in entries {
        if path.is_dir() {
            walk(root, &path, out);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            out.insert(relative(&path), json!(text));
        }
    }
}
