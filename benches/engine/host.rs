//! A host of one engine: starts tasks at the local server's models and reads what they report.

use std::time::Duration;

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::protocol::event::{Event, SessionState};
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::Waited;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::REPORT;
use crate::usage::now;

/// No event for so long: something hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Host {
    client: Client,
    _engine: Engine,
    folder: TempDir,
}

impl Host {
    pub fn open(server: &str) -> Host {
        let folder = TempDir::new().unwrap();
        let engine = Engine::open(options(server, &folder)).unwrap();
        let client = engine.client(ClientOptions::default()).unwrap();
        Host { client, _engine: engine, folder }
    }

    /// Starts a task that `model` answers, in a session of its own, and reads nothing.
    pub fn begin(&self, model: &str) {
        self.submit(start(&self.folder, model));
    }

    /// As [`begin`](Self::begin); gives the session. Its first events may come before that, and are passed over.
    pub fn start(&self, model: &str) -> u64 {
        self.begin(model);
        self.until(|_, event| match event {
            Event::RequestDone(done) => done.result.value()["session"].as_u64(),
            _ => None,
        })
    }

    pub fn submit(&self, request: Value) {
        self.client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap();
    }

    /// Result of the running task, once it asks what comes next.
    pub fn result(&self) -> String {
        let mut result = None;
        self.until(|_, event| {
            match event {
                Event::TaskCompleted(task) => result = Some(task.result),
                Event::Ask(ask) if ask.kind == "completion_result" => return result.take(),
                Event::Ask(ask) if ask.kind == "api_req_failed" => panic!("{}", ask.text),
                _ => {}
            }
            None
        })
    }

    /// Hands over events, each with the moment it was there, until `found` has what it looks for.
    pub fn until<T>(&self, mut found: impl FnMut(u64, Event) -> Option<T>) -> T {
        loop {
            let Some(received) = self.client.receive().unwrap() else {
                assert_eq!(self.client.wait(Some(LIMIT), Duration::ZERO), Waited::Ready, "no event for {LIMIT:?}");
                continue;
            };
            let at = now();
            match &received.event {
                Event::RequestFailed(failed) => panic!("{}", failed.message),
                Event::SessionState(session) if session.state == SessionState::Failed => panic!("{:?}", session.reason),
                _ => {}
            }
            if let Some(found) = found(at, received.event) {
                return found;
            }
        }
    }
}

/// Settings of a model at `server`.
pub fn settings(server: &str) -> Value {
    json!({
        "apiProvider": "openai",
        "openAiBaseUrl": server,
        "openAiApiKey": "bench",
        "openAiModelId": REPORT,
        "alwaysAllowExecute": true,
        "allowedCommands": ["echo"],
    })
}

/// The request that starts a task.
pub fn start(folder: &TempDir, model: &str) -> Value {
    json!({
        "type": "task.start",
        "workspace": folder.path(),
        "text": "Work.",
        "settings": { "openAiModelId": model },
    })
}

fn options(server: &str, folder: &TempDir) -> EngineOptions {
    EngineOptions {
        storage: Some(folder.path().join("storage")),
        home: Some(folder.path().join("home")),
        settings: settings(server).as_object().cloned().unwrap_or_default(),
        ..EngineOptions::default()
    }
}
