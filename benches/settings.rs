//! Settings that change while sessions read them: `cargo bench --bench settings`. A settings file is replaced while sessions are asked
//! for their settings without a pause; `settings.reload_ms` is the time until each of them has given the new value.
//! `settings.peer_ms` is what a program pays, for the same number of readers, that looks at the file and parses it at every use.
//!
//! `LAPCE_AI_SESSIONS` is the number of sessions, 100 without it.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::panic)]

mod measure;

use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::protocol::event::Event;
use lapce_ai::protocol::request::Request;
use serde_json::{Value, json};

/// Commands in the settings file, which make it as large as that of somebody who has used it for long.
const COMMANDS: usize = 200;

fn main() {
    let sessions = std::env::var("LAPCE_AI_SESSIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
    measure::load();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("storage/settings/settings.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    replace(&file, 0);
    reload(folder.path(), &file, sessions);
    measure::figure("settings.peer_ms", "ms", || {
        let start = Instant::now();
        for _ in 0..sessions {
            black_box(std::fs::metadata(&file).unwrap().modified().unwrap());
            black_box(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap());
        }
        start.elapsed().as_secs_f64() * 1e3
    });
    measure::load();
}

/// The file as an editor saves it: whole, under its name in one step.
fn replace(file: &Path, value: u64) {
    let commands: Vec<String> = (0..COMMANDS).map(|at| format!("command-{at} --with arguments")).collect();
    let settings = json!({"maxWorkspaceFiles": value, "allowedCommands": commands, "language": "de"});
    std::fs::write(file.with_extension("new"), settings.to_string()).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
}

fn reload(folder: &Path, file: &Path, sessions: usize) {
    let engine = Engine::open(EngineOptions {
        storage: Some(folder.join("storage")),
        home: Some(folder.to_owned()),
        settings: json!({"apiProvider": "replay"}).as_object().unwrap().clone(),
        ..EngineOptions::default()
    })
    .unwrap();
    let host = Host { client: engine.client(ClientOptions::default()).unwrap(), asks: Cell::new(0) };
    let sessions = open_sessions(&host, folder, sessions);
    let mut value = 0;
    measure::figure("settings.reload_ms", "ms", || {
        value += 1;
        let start = Instant::now();
        replace(file, value);
        // Sessions are asked again and again; the last one that still has the old value ends it.
        for session in &sessions {
            while host.seen(*session) != value {}
        }
        start.elapsed().as_secs_f64() * 1e3
    });
    engine.close(Duration::from_secs(10));
}

/// Sessions whose tasks wait for their user.
fn open_sessions(host: &Host, folder: &Path, count: usize) -> Vec<u64> {
    let answer = "<attempt_completion>\n<result>\nok\n</result>\n</attempt_completion>";
    let open = |at| {
        let workspace = folder.join(format!("workspace-{at}"));
        std::fs::create_dir(&workspace).unwrap();
        let transcript = folder.join(format!("transcript-{at}.jsonl"));
        std::fs::write(&transcript, format!("{{\"expect\":{{}}}}\n{}\n", json!({"text": answer}))).unwrap();
        let settings = json!({"replayFile": transcript, "enableCheckpoints": false});
        let start = json!({"type": "task.start", "workspace": workspace, "text": "x", "settings": settings});
        host.call(&start)["session"].as_u64().unwrap()
    };
    let sessions = (0..count).map(open).collect();
    while host.asks.get() < count {
        host.next();
    }
    sessions
}

struct Host {
    client: Client,
    /// Questions that came.
    asks: Cell<usize>,
}

impl Host {
    fn seen(&self, session: u64) -> u64 {
        let get = json!({"type": "settings.get", "session": session, "keys": ["maxWorkspaceFiles"]});
        self.call(&get)["values"]["maxWorkspaceFiles"].as_u64().unwrap()
    }

    fn call(&self, request: &Value) -> Value {
        self.client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap();
        loop {
            match self.next() {
                Event::RequestDone(done) => return done.result.value(),
                Event::RequestFailed(failed) => panic!("{}", failed.message),
                _ => {}
            }
        }
    }

    fn next(&self) -> Event {
        loop {
            match self.client.receive().unwrap() {
                None => drop(self.client.wait(None, Duration::ZERO)),
                Some(received) => {
                    self.asks.set(self.asks.get() + usize::from(matches!(received.event, Event::Ask(_))));
                    return received.event;
                }
            }
        }
    }
}
