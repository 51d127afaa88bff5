//! A host whose task waits for an approval.

use std::time::Duration;

use lapce_ai::engine::{Client, Received};
use lapce_ai::protocol::event::Event;
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::Waited;
use serde_json::{Value, json};

use crate::place::Place;

/// Nothing for so long: something hangs.
pub const LIMIT: Duration = Duration::from_secs(30);

pub struct Host {
    pub client: Client,
    session: u64,
}

impl Host {
    /// Attaches and starts a task; the engine is started for it.
    pub fn start(place: &Place) -> Host {
        place.script(0);
        let client = Client::attach(place.options()).unwrap();
        let mut host = Host { client, session: 0 };
        let request = json!({ "type": "task.start", "workspace": place.workspace(), "text": "Work." });
        host.session = host.call(request)["session"].as_u64().unwrap();
        host
    }

    /// Asks for something about its session and waits for the answer.
    pub fn ask_engine(&self) {
        self.call(json!({ "type": "settings.get", "session": self.session, "keys": ["apiProvider"] }));
    }

    /// The approval the task waits for; nothing is unread then.
    pub fn approval(&self) -> u64 {
        self.until(|received| match &received.event {
            Event::Ask(ask) if ask.kind == "tool" => Some(received.about),
            Event::Ask(ask) => panic!("{}: {}", ask.kind, ask.text),
            _ => None,
        })
    }

    /// Its answer may come before or after what it leads to, so it is not waited for.
    pub fn approve(&self, ask: u64) {
        self.submit(json!({ "type": "task.respond", "ask": ask, "response": "yes" }));
    }

    /// Reads all there is, until the engine's death is seen.
    pub fn lose(&self) {
        loop {
            while self.client.receive().unwrap().is_some() {}
            match self.client.wait(Some(LIMIT), Duration::ZERO) {
                Waited::Ready => {}
                Waited::Lost => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn call(&self, request: Value) -> Value {
        let id = self.submit(request);
        self.until(|received| match &received.event {
            Event::RequestDone(done) if received.about == id => Some(done.result.value()),
            _ => None,
        })
    }

    fn submit(&self, request: Value) -> u64 {
        self.client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap().raw()
    }

    fn until<T>(&self, found: impl Fn(&Received) -> Option<T>) -> T {
        loop {
            let Some(received) = self.client.receive().unwrap() else {
                assert_eq!(self.client.wait(Some(LIMIT), Duration::ZERO), Waited::Ready, "no event for {LIMIT:?}");
                continue;
            };
            if let Event::RequestFailed(failed) = &received.event {
                panic!("{}", failed.message);
            }
            if let Some(found) = found(&received) {
                return found;
            }
        }
    }
}
