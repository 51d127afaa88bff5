//! A host of one engine over a folder: starts, stops and resumes tasks and reads what they report.

use std::path::Path;
use std::time::Duration;

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::protocol::event::{Event, SessionState};
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::Waited;
use serde_json::{Value, json};

use crate::server::{ENDLESS, FILES};
use crate::usage::now;

/// No event for so long: something hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of a file.
const FILE: usize = 100_000;
const LINE: &str = "let value = compute(value, 17); // a line of some program\n";

pub struct Host {
    client: Client,
    engine: Engine,
}

impl Host {
    pub fn open(server: &str, folder: &Path) -> Host {
        let settings = json!({
            "apiProvider": "openai",
            "openAiBaseUrl": server,
            "openAiApiKey": "bench",
            "openAiModelId": ENDLESS,
            "openAiCustomModelInfo": { "contextWindow": 200_000, "maxTokens": 8192, "supportsPromptCache": false },
            "autoCondenseContext": false,
            "alwaysAllowExecute": true,
            "allowedCommands": ["*"],
        });
        let engine = Engine::open(EngineOptions {
            storage: Some(folder.join("storage")),
            home: Some(folder.join("home")),
            settings: settings.as_object().cloned().unwrap_or_default(),
            ..EngineOptions::default()
        });
        let engine = engine.unwrap();
        let client = engine.client(ClientOptions::default()).unwrap();
        Host { client, engine }
    }

    /// Starts a task that `model` answers, in a session of its own, and reads nothing.
    pub fn begin(&self, folder: &Path, model: &str) {
        self.submit(json!({
            "type": "task.start",
            "workspace": workspace(folder),
            "text": "Work.",
            "settings": { "openAiModelId": model },
        }));
    }

    pub fn submit(&self, request: Value) {
        self.client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap();
    }

    /// Hands over events, each with the moment it was there and its session, until `found` has what it looks for.
    pub fn until<T>(&self, mut found: impl FnMut(u64, u64, Event) -> Option<T>) -> T {
        loop {
            let Some(received) = self.client.receive().unwrap() else {
                assert_eq!(self.client.wait(Some(LIMIT), Duration::ZERO), Waited::Ready, "no event for {LIMIT:?}");
                continue;
            };
            let at = now();
            match &received.event {
                Event::RequestFailed(failed) => panic!("{}", failed.message),
                Event::SessionState(session) if session.state == SessionState::Failed => panic!("{:?}", session.reason),
                Event::Ask(ask) if ask.kind == "api_req_failed" => panic!("{}", ask.text),
                _ => {}
            }
            let session = received.session.map_or(0, |session| session.raw());
            if let Some(found) = found(at, session, received.event) {
                return found;
            }
        }
    }

    /// Ends the engine when everything is written.
    pub fn close(self) {
        assert_eq!(self.engine.close(LIMIT).sessions_left, 0);
    }
}

/// The workspace, with its files.
fn workspace(folder: &Path) -> std::path::PathBuf {
    let workspace = folder.join("workspace");
    if !workspace.exists() {
        std::fs::create_dir_all(&workspace).unwrap();
        for file in 0..FILES {
            std::fs::write(workspace.join(format!("file{file}.txt")), LINE.repeat(FILE / LINE.len())).unwrap();
        }
    }
    workspace
}
