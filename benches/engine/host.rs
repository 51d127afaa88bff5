//! A host of one engine: starts tasks at the local server's models and reads what they report.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::slice;
use std::time::Duration;

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::protocol::event::{Event, SessionState};
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::{RawEvent, Waited};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::measure::now;
use crate::server::REPORT;

/// No event for so long: something hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Host {
    client: Client,
    _engine: Engine,
    folder: TempDir,
    read: RefCell<VecDeque<(u64, Event)>>,
}

impl Host {
    pub fn open(server: &str) -> Host {
        let folder = TempDir::new().unwrap();
        let engine = Engine::open(options(server, &folder)).unwrap();
        let client = engine.client(ClientOptions::default()).unwrap();
        Host { client, _engine: engine, folder, read: RefCell::default() }
    }

    /// Starts a task that `model` answers, in a session of its own; gives the session.
    pub fn start(&self, model: &str) -> u64 {
        self.submit(start(&self.folder, model));
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
            let next = self.read.borrow_mut().pop_front();
            match next {
                Some((at, event)) => {
                    if let Some(found) = found(at, event) {
                        return found;
                    }
                }
                None => self.read(),
            }
        }
    }

    /// Takes the events that are there, waiting for the first.
    fn read(&self) {
        let mut events = [RawEvent::EMPTY; 64];
        let count = self.client.next(&mut events).unwrap();
        let at = now();
        if count == 0 {
            assert_eq!(self.client.wait(Some(LIMIT), Duration::ZERO), Waited::Ready, "no event for {LIMIT:?}");
        }
        for event in &events[..count] {
            // SAFETY: the ring's bytes stay in place until the release below.
            let bytes = unsafe { slice::from_raw_parts(event.ptr, event.len) };
            let event = Event::decode(event.kind, bytes).unwrap();
            match &event {
                Event::RequestFailed(failed) => panic!("{}", failed.message),
                Event::SessionState(session) if session.state == SessionState::Failed => panic!("{:?}", session.reason),
                _ => {}
            }
            self.read.borrow_mut().push_back((at, event));
        }
        self.client.release(count);
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
