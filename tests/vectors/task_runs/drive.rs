//! Runs one case: sets the world up, answers the questions by the script, waits until the run is at rest.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use lapce_ai::edit::disk::DiskEditor;
use lapce_ai::protocol::message::{AskResponse, UiKind, UiMessage};
use lapce_ai::settings::Settings;
use lapce_ai::task::history::HistoryItem;
use lapce_ai::task::host::Surroundings;
use lapce_ai::task::session::{self, Command};
use lapce_ai::terminal::{Direct, Terminals};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::report;
use super::world::{Host, PATIENCE, Prompt, Scripted, World, strings, text};

/// The saved task's id.
const SAVED: &str = "saved-task";

pub async fn drive(input: &Value) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a real path");
    let workspace = root.join("ws");
    let input = &mapped(input, "/ws", &workspace.to_string_lossy());
    write_files(&workspace, &input["files"]);
    let (asks, mut opened) = mpsc::unbounded_channel();
    let settings = settings(input);
    let first_mode = settings.mode.clone();
    let world = Arc::new(World {
        input: input.clone(),
        workspace: workspace.clone(),
        handle: OnceLock::new(),
        turns: Mutex::new(input["turns"].as_array().cloned().unwrap_or_default().into()),
        requests: Mutex::default(),
        events: Mutex::default(),
        tasks: Mutex::default(),
        settings: Mutex::new(Arc::new(settings)),
        history: Mutex::default(),
        asks,
        open: Mutex::default(),
        stalled: AtomicBool::new(false),
        no_more_turns: AtomicBool::new(false),
        calls: AtomicUsize::new(0),
        watch: super::watch::Scripted::default(),
        clock: AtomicI64::new(1_700_000_000_000),
    });
    let storage = root.join("storage");
    let surroundings = surroundings(&world, &root, &storage);
    let host = Arc::new(Host(world.clone()));
    let (handle, future) = session::open(host, surroundings, world.clone(), workspace.clone());
    world.handle.set(handle.clone()).ok();
    let running = tokio::spawn(future);
    let start = if input["saved"].is_object() {
        save(&world, &storage, &input["saved"]);
        Command::Resume { task: SAVED.into() }
    } else {
        Command::Start { text: text(input, "task"), images: strings(&input["images"]), todos: None, dry_run: false }
    };
    handle.call(start).await.expect("started");
    let mut script: VecDeque<Value> = input["asks"].as_array().cloned().unwrap_or_default().into();
    let mut waiting = until_rest(&world, &mut opened, &mut script).await;
    for action in input["after"].as_array().into_iter().flatten() {
        world.act(action).await;
        let newer = until_rest(&world, &mut opened, &mut script).await;
        let still_waits = world.handle.get().and_then(|h| h.current()).is_some_and(|v| v.snapshot().waiting.is_some());
        waiting = newer.or(waiting.filter(|_| still_waits));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let output = report::output(&world, &storage, &first_mode, waiting);
    running.abort();
    let _ = running.await;
    let output = mapped(&output, &workspace.to_string_lossy(), "/ws");
    mapped(&output, &root.to_string_lossy(), "")
}

/// Answers questions until nothing happens any more; the question that waits then.
async fn until_rest(
    world: &Arc<World>,
    opened: &mut mpsc::UnboundedReceiver<i64>,
    script: &mut VecDeque<Value>,
) -> Option<String> {
    let mut last = None;
    loop {
        // A short silence ends a run that cannot go on; a long one ends any.
        let ended = world.no_more_turns.load(Ordering::SeqCst) || last.is_some();
        let longest = if super::takes_real_time(&world.input) { 8 } else { 3600 };
        let silence = if ended { Duration::from_millis(700) } else { Duration::from_secs(longest) };
        let Ok(Some(ts)) = tokio::time::timeout(silence, opened.recv()).await else {
            return last;
        };
        last = None;
        let Some(ask) = pending(world, ts) else { continue };
        let named = script.front().is_some_and(|answer| answer["ask"] == ask.as_str());
        if ask == "command_output" && !named {
            continue;
        }
        let never = script.front().is_some_and(|answer| answer["when"] == "never");
        if !named || never {
            if named {
                script.pop_front();
            }
            world.stalled.store(true, Ordering::SeqCst);
            last = Some(ask);
            continue;
        }
        let Some(answer) = script.pop_front() else { continue };
        if answer["when"] == "stream_end" {
            world.stalled.store(true, Ordering::SeqCst);
            for _ in 0..PATIENCE {
                if world.open.lock().unwrap().is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for action in answer["before"].as_array().into_iter().flatten() {
            world.act(action).await;
        }
        let response: AskResponse = serde_json::from_value(answer["response"].clone()).expect("a response");
        let respond = Command::Respond {
            ask: Some(ts),
            response,
            text: answer["text"].as_str().map(str::to_owned),
            images: strings(&answer["images"]),
        };
        let _ = world.handle.get().expect("opened").call(respond).await;
        world.stalled.store(false, Ordering::SeqCst);
    }
}

/// Kind of the question `ts`, if it waits.
fn pending(world: &World, ts: i64) -> Option<String> {
    let snapshot = world.handle.get()?.current()?.snapshot();
    (snapshot.waiting == Some(ts)).then_some(())?;
    let message = snapshot.ui.iter().find(|message| message.ts == ts)?;
    match message.kind {
        UiKind::Ask(ask) => Some(ask.as_str().to_owned()),
        UiKind::Say(_) => None,
    }
}

/// Settings of the case over the base of all runs. Without the policy nothing is approved by itself.
fn settings(input: &Value) -> Settings {
    let mut all = json!({"apiProvider": "openai", "enableCheckpoints": false, "writeDelayMs": 0});
    let approvals = [
        "alwaysAllowReadOnly",
        "alwaysAllowModeSwitch",
        "alwaysAllowSubtasks",
        "alwaysAllowUpdateTodoList",
        "alwaysAllowWrite",
        "alwaysAllowExecute",
        "alwaysAllowFollowupQuestions",
    ];
    for part in ["settings", "config"] {
        for (key, value) in input[part].as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
    }
    if input["auto"] != true {
        approvals.iter().for_each(|key| all[*key] = json!(false));
        all["deniedCommands"] = json!([]);
    }
    if let Some(mode) = input["mode"].as_str() {
        all["mode"] = json!(mode);
    }
    if input["custom_modes"].is_array() {
        all["customModes"] = input["custom_modes"].clone();
    }
    serde_json::from_value(all).expect("settings")
}

fn surroundings(world: &Arc<World>, root: &Path, storage: &Path) -> Surroundings {
    let (clock, ids) = (world.clone(), Arc::new(AtomicUsize::new(0)));
    let provider = Arc::new(Scripted(world.clone()));
    let environment = std::env::vars_os();
    Surroundings {
        now_ms: Arc::new(move || clock.clock.fetch_add(1, Ordering::SeqCst)),
        new_id: Arc::new(move || format!("id-{:08}-0000", ids.fetch_add(1, Ordering::SeqCst))),
        home: root.join("home"),
        storage: storage.to_owned(),
        watch: Arc::new(world.watch.clone()),
        time_zone: ("⟦TZ⟧".into(), 0),
        texts: world.texts(),
        environment: std::env::vars_os().collect(),
        terminals: Arc::new(Terminals::new(Arc::new(Direct::new(environment)))),
        providers: Arc::new(move |_| Ok(provider.clone())),
        prompt: Arc::new(Prompt),
        last_request: Arc::default(),
        history: world.clone(),
        editor: Arc::new(DiskEditor::default()),
    }
}

fn write_files(workspace: &Path, files: &Value) {
    std::fs::create_dir_all(workspace).expect("a workspace");
    for (path, content) in files.as_object().into_iter().flatten() {
        let file = match path.strip_prefix('/') {
            Some(beside) => workspace.parent().expect("a root").join(beside),
            None => workspace.join(path),
        };
        match content {
            Value::Null => std::fs::create_dir_all(file).expect("a folder"),
            content => {
                std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                let bytes = match content {
                    Value::Array(bytes) => bytes.iter().filter_map(|b| b.as_u64()).map(|b| b as u8).collect(),
                    other => other.as_str().unwrap_or_default().as_bytes().to_vec(),
                };
                std::fs::write(file, bytes).expect("a file");
            }
        }
    }
}

/// Stores the task that is to be opened.
fn save(world: &World, storage: &Path, saved: &Value) {
    let folder = storage.join("tasks").join(SAVED);
    std::fs::create_dir_all(&folder).expect("a folder");
    let messages: Vec<UiMessage> = saved["ui"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, message)| {
            let mut message = message.as_object().cloned().unwrap_or_default();
            if let Some(json) = message.remove("json") {
                message.insert("text".into(), json!(json.to_string()));
            }
            message.insert("ts".into(), json!(1_600_000_000_000_i64 + index as i64));
            serde_json::from_value(Value::Object(message)).expect("a message")
        })
        .collect();
    let history: Vec<Value> = saved["history"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, message)| {
            let mut message = message.clone();
            message["ts"] = json!(1_600_000_000_000_i64 + index as i64);
            message
        })
        .collect();
    std::fs::write(folder.join("ui_messages.json"), serde_json::to_vec(&messages).unwrap()).unwrap();
    std::fs::write(folder.join("api_conversation_history.json"), serde_json::to_vec(&history).unwrap()).unwrap();
    let mut item = Map::from_iter([
        ("id".to_owned(), json!(SAVED)),
        ("number".to_owned(), json!(1)),
        ("workspace".to_owned(), json!(world.workspace)),
    ]);
    item.extend(saved["item"].as_object().cloned().unwrap_or_default());
    item.remove("ts");
    let item: HistoryItem = serde_json::from_value(Value::Object(item)).expect("a history item");
    world.history.lock().unwrap().push(item);
}

/// All texts with one path prefix in place of another.
fn mapped(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(from, to)),
        Value::Array(items) => Value::Array(items.iter().map(|item| mapped(item, from, to)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), mapped(value, from, to))).collect())
        }
        other => other.clone(),
    }
}
