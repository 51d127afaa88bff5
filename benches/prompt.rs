//! The system prompt: `cargo bench --bench prompt`. `prompt.assemble` is the time in which the prompt of code mode is made of given
//! facts, with all tools of the catalogue; `prompt.first_request` the size of what a task in a small workspace sends first:
//! system prompt and first message.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

mod measure;

use std::hint::black_box;
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::prompt::modes as words;
use lapce_ai::prompt::selection::{self, Conditions};
use lapce_ai::prompt::system::{self, SystemInputs};
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::event::Event;
use lapce_ai::protocol::request::Request;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::settings::modes;
use serde_json::{Map, Value, json};

/// Prompts made in a round.
const PROMPTS: u32 = 100;

fn main() {
    measure::load();
    println!("# bound prompt.assemble_us 2000 us");
    assemble();
    println!("# bound prompt.first_request_kb 20 kB");
    println!("figure prompt.first_request_kb {:.3} kB", first_request() as f64 / 1e3);
    measure::load();
}

fn assemble() {
    let texts = Texts::builtin();
    let mode = modes::find("code", &[]).unwrap();
    let conditions = Conditions {
        diff: true,
        index: false,
        fast_apply: false,
        browser: false,
        mcp: false,
        todo_list: true,
        image_generation: false,
        slash_commands: false,
    };
    let tools = selection::tools(&mode, &conditions);
    measure::figure("prompt.assemble_us", "us", || {
        let start = Instant::now();
        for _ in 0..PROMPTS {
            let words = words::for_prompt(&texts, &mode, &Map::new());
            let inputs = SystemInputs {
                cwd: "/home/user/project",
                home: "/home/user",
                os: "Linux 6.8",
                role: &words.role,
                mode_instructions: &words.instructions,
                modes: &words::lines(&texts, &[], &Map::new()),
                tools: &tools,
                built: ToolName::ALL,
                ..SystemInputs::default()
            };
            black_box(system::build(&texts, &inputs).unwrap());
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(PROMPTS)
    });
}

/// Bytes of system prompt and first message of a task.
fn first_request() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("workspace");
    for at in 0..20 {
        let file = workspace.join(format!("src/part_{at}.py"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "text\n").unwrap();
    }
    let transcript = folder.path().join("transcript.jsonl");
    let answer = "<attempt_completion>\n<result>\nok\n</result>\n</attempt_completion>";
    std::fs::write(&transcript, format!("{{\"expect\":{{}}}}\n{}\n", json!({"text": answer}))).unwrap();
    let engine = Engine::open(EngineOptions {
        storage: Some(folder.path().join("storage")),
        home: Some(folder.path().to_owned()),
        settings: json!({"apiProvider": "replay", "replayFile": transcript}).as_object().unwrap().clone(),
        ..EngineOptions::default()
    })
    .unwrap();
    let client = engine.client(ClientOptions::default()).unwrap();
    let shown = call(&client, &json!({"type": "prompt.preview", "workspace": workspace}));
    let prompt = shown["bytes"].as_u64().unwrap() as usize;
    let task = call(&client, &json!({"type": "task.start", "workspace": workspace, "text": "Find the fault."}))["task"]
        .clone();
    until(&client, |event| matches!(event, Event::Ask(ask) if ask.kind == "completion_result").then_some(()));
    engine.close(Duration::from_secs(1));
    let stored = folder.path().join("storage/tasks").join(task.as_str().unwrap()).join("ui_messages.json");
    let messages: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(stored).unwrap()).unwrap();
    let record = messages.iter().find(|message| message["say"] == "api_req_started").unwrap();
    let record: Value = serde_json::from_str(record["text"].as_str().unwrap()).unwrap();
    prompt + record["request"].as_str().unwrap().len()
}

fn call(client: &Client, request: &Value) -> Value {
    client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap();
    until(client, |event| match event {
        Event::RequestDone(done) => Some(done.result.value()),
        _ => None,
    })
}

fn until<T>(client: &Client, wanted: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        match client.receive().unwrap() {
            None => drop(client.wait(None, Duration::ZERO)),
            Some(received) => {
                if let Some(found) = wanted(&received.event) {
                    return found;
                }
            }
        }
    }
}
