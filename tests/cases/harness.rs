//! A host for tests: an engine with folders of its own, a scripted model or a loopback server, events read until one is there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions, Received};
use lapce_ai::protocol::event::{Event, RequestFailed, event_from_json, event_to_json};
use lapce_ai::protocol::request::Request;
use serde_json::{Value, json};

/// Time in which whatever a test waits for must have come. Far more than it takes; only a failing test waits that long.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// An engine with its folders.
pub struct Place {
    pub engine: Engine,
    pub workspace: PathBuf,
    pub storage: PathBuf,
    folder: tempfile::TempDir,
}

impl Place {
    /// An engine whose model plays these turns.
    pub fn replay(turns: &[&str]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let transcript = folder.path().join("transcript.jsonl");
        std::fs::write(&transcript, script(turns)).unwrap();
        Place::open(folder, json!({"apiProvider": "replay", "replayFile": transcript}))
    }

    /// An engine whose model is behind this address.
    pub fn remote(base: &str, key: &str) -> Place {
        let settings = json!({
            "apiProvider": "openai", "openAiBaseUrl": base, "openAiApiKey": key, "openAiModelId": "m",
        });
        Place::open(tempfile::tempdir().unwrap(), settings)
    }

    fn open(folder: tempfile::TempDir, model: Value) -> Place {
        let root = folder.path().canonicalize().unwrap();
        let (workspace, storage) = (root.join("workspace"), root.join("storage"));
        std::fs::create_dir(&workspace).unwrap();
        let mut settings = json!({
            "alwaysAllowWrite": true, "alwaysAllowExecute": true, "allowedCommands": ["*"], "writeDelayMs": 0,
        });
        settings.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
        let engine = Engine::open(EngineOptions {
            storage: Some(storage.clone()),
            home: Some(root),
            settings: settings.as_object().unwrap().clone(),
            ..EngineOptions::default()
        });
        Place { engine: engine.unwrap(), workspace, storage, folder }
    }

    /// The same folders with a new engine, whose model plays these turns.
    pub fn reopened(self, turns: &[&str]) -> Place {
        let Place { engine, workspace, storage, folder } = self;
        drop(engine);
        let transcript = folder.path().join("next.jsonl");
        std::fs::write(&transcript, script(turns)).unwrap();
        let settings = json!({"apiProvider": "replay", "replayFile": transcript});
        let engine = Engine::open(EngineOptions {
            storage: Some(storage.clone()),
            home: Some(folder.path().to_owned()),
            settings: settings.as_object().unwrap().clone(),
            ..EngineOptions::default()
        });
        Place { engine: engine.unwrap(), workspace, storage, folder }
    }

    /// Attaches a host with these capabilities.
    pub fn host(&self, capabilities: &[&str]) -> Host<'_> {
        let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
        let client = self.engine.client(ClientOptions { capabilities, ..ClientOptions::default() }).unwrap();
        Host { client, workspace: &self.workspace, log: RefCell::default(), seen: Cell::new(0) }
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
    /// Submits a request and gives its id.
    pub fn submit(&self, request: &Value) -> u64 {
        let request = Request::from_json(&request.to_string()).unwrap_or_else(|error| panic!("{request}: {error}"));
        self.client.submit(&request).unwrap().raw()
    }

    /// Submits a request and waits for its answer.
    pub fn call(&self, request: &Value) -> Result<Value, RequestFailed> {
        let id = self.submit(request);
        let answer = |event: &Received| match &event.event {
            Event::RequestDone(done) if event.about == id => Some(Ok(done.result.value())),
            Event::RequestFailed(failed) if event.about == id => Some(Err(failed.clone())),
            _ => None,
        };
        self.find(0, answer).1
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

/// What the loopback server does with one request.
#[derive(Clone)]
pub enum Reply {
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this and says no more until the other side closes.
    Hang(Vec<u8>),
}

/// A server on the loopback that answers the n-th request with the n-th reply; the last one repeats.
pub fn server(replies: Vec<Reply>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0usize));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (replies, count) = (replies.clone(), count.clone());
            std::thread::spawn(move || converse(connection, &replies, &count));
        }
    });
    base
}

fn converse(connection: TcpStream, replies: &[Reply], count: &Mutex<usize>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    connection.read_exact(&mut vec![0; length]).ok()?;
    let number = {
        let mut count = count.lock().unwrap();
        *count += 1;
        *count - 1
    };
    let reply = &replies[number.min(replies.len() - 1)];
    let (Reply::Close(bytes) | Reply::Hang(bytes)) = reply;
    connection.get_mut().write_all(bytes).ok()?;
    if matches!(reply, Reply::Hang(_)) {
        while !matches!(connection.read(&mut [0; 64]), Ok(0) | Err(_)) {}
    }
    Some(())
}

/// A whole streamed answer of this text.
pub fn answer(text: &str) -> Vec<u8> {
    [event_stream().into_bytes(), piece(text).into_bytes(), b"data: [DONE]\n\n".to_vec()].concat()
}

/// The head of a streamed answer that lasts until the connection closes.
pub fn event_stream() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".into()
}

/// One piece of a streamed answer.
pub fn piece(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}))
}

/// A whole answer of another kind.
pub fn plain(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
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
