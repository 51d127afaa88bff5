//! A host for tests: an engine with folders of its own, a scripted model or a loopback server, events read until one is there.
//!
//! A case is a function of a [`Mode`], listed in [`both!`]: it runs with the engine in the host's process and with an engine
//! that serves in a process of its own. What only one of them can do says so by its name and is an ordinary test.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions, Received};
use lapce_ai::protocol::event::{Event, RequestFailed, event_from_json, event_to_json};
use lapce_ai::protocol::request::Request;
use serde_json::{Value, json};

#[cfg(unix)]
use crate::served::Served;

/// Time in which whatever a test waits for must have come. Far more than it takes; only a failing test waits that long.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Runs each of these cases in every [`Mode`], as `in_process::<case>` and `attached::<case>`.
macro_rules! both {
    ($($(#[$attribute:meta])* $case:ident,)*) => {
        mod in_process {
            $($(#[$attribute])* #[test] fn $case() { super::$case(crate::harness::Mode::InProcess); })*
        }
        #[cfg(unix)]
        mod attached {
            $($(#[$attribute])* #[test] fn $case() { super::$case(crate::harness::Mode::Attached); })*
        }
    };
}
pub(crate) use both;

/// Where the engine of a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the host's process.
    InProcess,
    /// In a process of its own.
    #[cfg(unix)]
    Attached,
}

/// An engine with its folders.
pub struct Place {
    engine: Running,
    pub workspace: PathBuf,
    pub storage: PathBuf,
    folder: tempfile::TempDir,
}

enum Running {
    Here(Engine),
    #[cfg(unix)]
    Apart(Served),
}

impl Mode {
    /// An engine whose model plays these turns.
    pub fn replay(self, turns: &[&str]) -> Place {
        self.play(&script(turns))
    }

    /// An engine whose model plays this transcript.
    pub fn play(self, transcript: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("transcript.jsonl");
        std::fs::write(&file, transcript).unwrap();
        self.open(folder, json!({"apiProvider": "replay", "replayFile": file}))
    }

    /// An engine whose model is behind this address.
    pub fn remote(self, base: &str, key: &str) -> Place {
        let settings = json!({
            "apiProvider": "openai", "openAiBaseUrl": base, "openAiApiKey": key, "openAiModelId": "m",
        });
        self.open(tempfile::tempdir().unwrap(), settings)
    }

    /// An engine with these settings; `folder` will hold its folders.
    pub fn open(self, folder: tempfile::TempDir, model: Value) -> Place {
        let root = folder.path().canonicalize().unwrap();
        let (workspace, storage) = (root.join("workspace"), root.join("storage"));
        std::fs::create_dir(&workspace).unwrap();
        let mut settings = json!({
            "alwaysAllowWrite": true, "alwaysAllowExecute": true, "allowedCommands": ["*"], "writeDelayMs": 0,
        });
        settings.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
        Place { engine: self.run(&root, &settings), workspace, storage, folder }
    }

    fn run(self, root: &Path, settings: &Value) -> Running {
        match self {
            Mode::InProcess => {
                let engine = Engine::open(EngineOptions {
                    storage: Some(root.join("storage")),
                    home: Some(root.to_owned()),
                    settings: settings.as_object().unwrap().clone(),
                    ..EngineOptions::default()
                });
                Running::Here(engine.unwrap())
            }
            #[cfg(unix)]
            Mode::Attached => Running::Apart(Served::start(root, settings, &[])),
        }
    }
}

impl Place {
    /// The same folders with a new engine, whose model plays these turns.
    pub fn reopened(self, turns: &[&str]) -> Place {
        let transcript = self.folder.path().join("next.jsonl");
        std::fs::write(&transcript, script(turns)).unwrap();
        self.reopened_with(&json!({"apiProvider": "replay", "replayFile": transcript}))
    }

    /// The same folders with a new engine that has these settings.
    pub fn reopened_with(self, settings: &Value) -> Place {
        let mode = match &self.engine {
            Running::Here(_) => Mode::InProcess,
            #[cfg(unix)]
            Running::Apart(_) => Mode::Attached,
        };
        self.close();
        let Place { engine, workspace, storage, folder } = self;
        drop(engine);
        let root = folder.path().canonicalize().unwrap();
        let engine = mode.run(&root, settings);
        Place { engine, workspace, storage, folder }
    }

    /// Attaches a host with these capabilities.
    pub fn host(&self, capabilities: &[&str]) -> Host<'_> {
        let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
        let client = self.client(ClientOptions { capabilities, ..ClientOptions::default() }).unwrap();
        Host::new(client, &self.workspace)
    }

    /// Attaches a client; an error as it is shown.
    pub fn client(&self, options: ClientOptions) -> Result<Client, String> {
        match &self.engine {
            Running::Here(engine) => engine.client(options).map_err(|error| error.to_string()),
            #[cfg(unix)]
            Running::Apart(served) => served.client(options).map_err(|error| error.to_string()),
        }
    }

    /// The process in which the engine serves.
    #[cfg(target_os = "linux")]
    pub fn served(&self) -> &Served {
        match &self.engine {
            Running::Here(_) => panic!("the engine is in this process"),
            Running::Apart(served) => served,
        }
    }

    /// Counters of the engine.
    pub fn stats(&self) -> Value {
        match &self.engine {
            Running::Here(engine) => engine.stats(),
            #[cfg(unix)]
            Running::Apart(_) => self.host(&[]).call(&json!({"type": "engine.stats"})).unwrap(),
        }
    }

    /// Ends the engine in order; nothing of it is left.
    pub fn close(&self) {
        match &self.engine {
            Running::Here(engine) => assert_eq!(engine.close(DEADLINE).sessions_left, 0),
            #[cfg(unix)]
            Running::Apart(served) => served.terminate(),
        }
    }
}

/// One attached host and all events it got.
pub struct Host<'a> {
    pub client: Client,
    workspace: &'a Path,
    log: RefCell<Vec<Received>>,
    /// Events before this one were looked at by [`Host::until`].
    seen: Cell<usize>,
}

impl Host<'_> {
    /// A host in front of this client, whose tasks work in `workspace`.
    pub fn new(client: Client, workspace: &Path) -> Host<'_> {
        Host { client, workspace, log: RefCell::default(), seen: Cell::new(0) }
    }

    /// Submits a request and gives its id.
    pub fn submit(&self, request: &Value) -> u64 {
        let request = Request::from_json(&request.to_string()).unwrap_or_else(|error| panic!("{request}: {error}"));
        self.client.submit(&request).unwrap().raw()
    }

    /// Submits a request and waits for its answer.
    pub fn call(&self, request: &Value) -> Result<Value, RequestFailed> {
        let before = self.log.borrow().len();
        let id = self.submit(request);
        let answer = |event: &Received| match &event.event {
            Event::RequestDone(done) if event.about == id => Some(Ok(done.result.value())),
            Event::RequestFailed(failed) if event.about == id => Some(Err(failed.clone())),
            _ => None,
        };
        self.find(before, answer).1
    }

    /// Starts a task and gives its session.
    pub fn start(&self, text: &str) -> u64 {
        self.start_with(text, json!({}))
    }

    /// Starts a task with settings of its own and gives its session.
    pub fn start_with(&self, text: &str, settings: Value) -> u64 {
        let request = json!({"type": "task.start", "workspace": self.workspace, "text": text, "settings": settings});
        self.call(&request).unwrap()["session"].as_u64().unwrap()
    }

    /// Answers an ask.
    pub fn respond(&self, ask: u64, response: &str) -> Result<Value, RequestFailed> {
        self.call(&json!({"type": "task.respond", "ask": ask, "response": response}))
    }

    /// The next event, after those found before, for which `wanted` gives something.
    pub fn until<T>(&self, wanted: impl Fn(&Received) -> Option<T>) -> T {
        let (at, found) = self.find(self.seen.get(), wanted);
        self.seen.set(at + 1);
        found
    }

    /// The id of the next ask of this kind.
    pub fn ask(&self, kind: &str) -> u64 {
        self.until(|event| matches!(&event.event, Event::Ask(ask) if ask.kind == kind).then_some(event.about))
    }

    /// The result of the next task that completes.
    pub fn completed(&self) -> String {
        self.until(|event| match &event.event {
            Event::TaskCompleted(done) => Some(done.result.clone()),
            _ => None,
        })
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Received> {
        self.log.borrow().clone()
    }

    fn find<T>(&self, from: usize, wanted: impl Fn(&Received) -> Option<T>) -> (usize, T) {
        let until = Instant::now() + DEADLINE;
        let mut at = from;
        loop {
            while let Some(received) = self.client.receive().unwrap() {
                reads_back_as_json(&received);
                self.log.borrow_mut().push(received);
            }
            let log = self.log.borrow();
            while at < log.len() {
                if let Some(found) = wanted(&log[at]) {
                    return (at, found);
                }
                at += 1;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it did not come; last events: {:#?}", &log[log.len().saturating_sub(12)..]);
            drop(log);
            self.client.wait(Some(left), Duration::ZERO);
        }
    }
}

/// The JSON view of an event is the event.
fn reads_back_as_json(received: &Received) {
    let mut body = vec![0; received.event.encoded_upper_bound()];
    let len = received.event.encode_into(&mut body).unwrap();
    // Archives are read where they are aligned, as in the ring.
    let mut aligned = rkyv::util::AlignedVec::<16>::new();
    aligned.extend_from_slice(&body[..len]);
    let session = received.session.map_or(0, |session| session.raw());
    let text = event_to_json(received.event.kind().number(), session, received.about, &aligned).unwrap();
    let (session_back, about, event) = event_from_json(&text).unwrap();
    assert_eq!((session_back, &event), (session, &received.event), "{text}");
    assert!(about == received.about || received.event.kind().subject().is_none(), "{text}");
}

/// What deltas and ends say about each message: the text streamed since its last beginning, and its final text.
pub fn messages(events: &[Received]) -> HashMap<u64, (String, String)> {
    let mut messages: HashMap<u64, (String, String)> = HashMap::new();
    for received in events {
        let message = received.about;
        match &received.event {
            Event::MessageBegin(_) => messages.entry(message).or_default().0.clear(),
            Event::MessageDelta(text) | Event::ReasoningDelta(text) => {
                messages.entry(message).or_default().0.push_str(text);
            }
            Event::MessageEnd(end) => messages.entry(message).or_default().1 = end.text.clone().unwrap_or_default(),
            _ => {}
        }
    }
    messages
}

/// A transcript of turns, each the text of an answer.
pub fn script(turns: &[&str]) -> String {
    let turn = |text: &&str| format!("{{\"expect\":{{}}}}\n{}\n", json!({ "text": text }));
    turns.iter().map(turn).collect()
}

/// The answer that ends a task.
pub fn done(result: &str) -> String {
    format!("<attempt_completion>\n<result>\n{result}\n</result>\n</attempt_completion>")
}

/// All bytes of all files below `folder`.
pub fn contents(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(contents(&entry.path()));
        } else {
            all.extend(std::fs::read(entry.path()).unwrap_or_default());
        }
    }
    all
}
