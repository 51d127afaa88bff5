//! A client of an engine in another process: started when none runs, lost when it is killed, taken up where it was.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use lapce_ai::engine::{AttachError, AttachOptions, Client, ReceiveError, Received, Start};
use lapce_ai::protocol::event::{Event, EventKind};
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::{RawEvent, TransportError, Waited, inherited};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, done, script};

/// The folders of an engine, and the program that serves there.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A model that wants to write a file, and is done when it has.
    pub fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("workspace")).unwrap();
        let write = "<write_to_file>\n<path>new.txt</path>\n<content>\nhello\n</content>\n<line_count>1</line_count>\n</write_to_file>";
        fs::write(folder.path().join("transcript.jsonl"), script(&[write, &done("written")])).unwrap();
        Place { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn options(&self) -> AttachOptions {
        let settings = json!({"apiProvider": "replay", "replayFile": self.path("transcript.jsonl"), "writeDelayMs": 0});
        let start = Start {
            program: Some(env!("CARGO_BIN_EXE_lapce-ai").into()),
            storage: Some(self.path("storage")),
            home: Some(self.folder.path().to_owned()),
            settings: settings.as_object().unwrap().clone(),
            ..Start::default()
        };
        AttachOptions {
            name: "test".into(),
            runtime_dir: Some(self.path("run")),
            start: Some(start),
            timeout: Some(DEADLINE),
            ..AttachOptions::default()
        }
    }

    /// The process that serves here.
    pub fn engine(&self) -> Option<Pid> {
        let lock = fs::read_to_string(self.path("run/engine.lock")).ok()?;
        let pid = Pid::from_raw(lock.trim().parse().ok()?)?;
        rustix::process::test_kill_process(pid).is_ok().then_some(pid)
    }

    pub fn kill(&self) {
        rustix::process::kill_process(self.engine().unwrap(), Signal::KILL).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(engine) = self.engine() {
            let _ = rustix::process::kill_process(engine, Signal::KILL);
        }
    }
}

pub fn submit(client: &Client, request: Value) -> u64 {
    client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap().raw()
}

pub fn start(client: &Client, workspace: &Path) -> u64 {
    submit(client, json!({"type": "task.start", "workspace": workspace, "text": "write a file"}))
}

/// Reads until `wanted` gives something; all events go to `log`.
pub fn until<T>(client: &Client, log: &mut Vec<Received>, wanted: impl Fn(&Received) -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        while let Some(received) = client.receive().unwrap() {
            log.push(received);
            if let Some(found) = log.last().and_then(&wanted) {
                return found;
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it did not come: {log:#?}");
        assert_eq!(client.wait(Some(left), Duration::ZERO), Waited::Ready, "{log:#?}");
    }
}

/// Reads what is left until the loss is told.
fn until_lost(client: &Client, log: &mut Vec<Received>) {
    loop {
        match client.receive() {
            Ok(Some(received)) => log.push(received),
            Ok(None) => drop(client.wait(Some(DEADLINE), Duration::ZERO)),
            Err(ReceiveError::Ring(TransportError::Lost)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn tool_ask(received: &Received) -> Option<u64> {
    matches!(&received.event, Event::Ask(ask) if ask.kind == "tool").then_some(received.about)
}

fn result(received: &Received) -> Option<String> {
    match &received.event {
        Event::TaskCompleted(completed) => Some(completed.result.clone()),
        _ => None,
    }
}

fn is_readable(client: &Client) -> bool {
    // A duplicate of an epoll instance is the same instance.
    let watched = inherited(client.fd()).unwrap();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&now)).unwrap() == 1
}

/// Approves whatever is asked until the task is completed; gives its result. The model of an engine that was started anew
/// plays its first turn once more.
fn approve_all(client: &Client, log: &mut Vec<Received>) -> String {
    loop {
        let next = until(client, log, |received| match result(received) {
            Some(result) => Some(Ok(result)),
            None => tool_ask(received).map(Err),
        });
        match next {
            Ok(result) => return result,
            Err(ask) => drop(submit(client, json!({"type": "task.respond", "ask": ask, "response": "yes"}))),
        }
    }
}

/// Numbered events of each session came once each, in order, without a gap.
fn check_numbers(log: &[Received]) {
    let mut last: HashMap<u64, u32> = HashMap::new();
    for received in log.iter().filter(|received| received.session_sequence != 0) {
        let session = received.session.map_or(0, |session| session.raw());
        let before = last.insert(session, received.session_sequence).unwrap_or(0);
        assert_eq!(received.session_sequence, before + 1, "{received:?}");
    }
}

#[test]
fn a_killed_engine_costs_nothing() {
    let place = Place::new();
    let client = Client::attach(place.options()).unwrap();
    let (fd, mut log) = (client.fd(), Vec::new());
    let task = start(&client, &place.path("workspace"));
    let ask = until(&client, &mut log, tool_ask);
    place.kill();
    until_lost(&client, &mut log);
    assert!(is_readable(&client), "a host that polls learns of it");
    assert_eq!(client.wait(Some(DEADLINE), Duration::ZERO), Waited::Lost);
    // An answer that is given meanwhile is kept.
    let answer = submit(&client, json!({"type": "task.respond", "ask": ask, "response": "yes"}));
    assert!(client.reattach(DEADLINE).unwrap().restored);
    assert_eq!(approve_all(&client, &mut log), "written");
    assert_eq!(client.fd(), fd);
    assert_eq!(fs::read_to_string(place.path("workspace/new.txt")).unwrap().trim_end(), "hello");
    check_numbers(&log);
    for request in [task, answer] {
        let answers = log.iter().filter(|r| r.about == request && matches!(r.event, Event::RequestDone(_))).count();
        assert_eq!(answers, 1, "{log:#?}");
    }
    // Nothing is lost now: nothing happens.
    assert!(client.reattach(Duration::ZERO).unwrap().restored);
}

#[test]
fn events_held_over_a_loss_are_released_afterwards() {
    let place = Place::new();
    let client = Client::attach(place.options()).unwrap();
    start(&client, &place.path("workspace"));
    let mut events = [RawEvent::EMPTY; 64];
    let mut numbers = Vec::new();
    let mut read = || -> Result<bool, TransportError> {
        let count = client.next(&mut events)?;
        numbers.extend(events[..count].iter().map(|event| (event.session_index, event.session_sequence)));
        Ok(events[..count].iter().any(|event| event.kind == EventKind::Ask.number()))
    };
    while !read().unwrap() {
        assert_eq!(client.wait(Some(DEADLINE), Duration::ZERO), Waited::Ready);
    }
    place.kill();
    while read().is_ok() {
        client.wait(Some(DEADLINE), Duration::ZERO);
    }
    assert!(client.reattach(DEADLINE).unwrap().restored);
    let held = numbers.len();
    assert_eq!(client.release(held), held);
    numbers.retain(|(_, sequence)| *sequence != 0);
    let distinct: HashSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len());
    // Room was freed in the ring there is now, not in the one before.
    let request = submit(&client, json!({"type": "engine.info"}));
    until(&client, &mut Vec::new(), |r| (r.about == request).then_some(()));
}

#[test]
fn whoever_comes_first_starts_the_engine() {
    let place = Place::new();
    let together = Barrier::new(3);
    let attach = || {
        together.wait();
        Client::attach(place.options()).unwrap()
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(attach)).collect();
        let clients: Vec<Client> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        for client in &clients {
            let request = submit(client, json!({"type": "engine.info"}));
            until(client, &mut Vec::new(), |r| (r.about == request).then_some(()));
        }
    });
}

#[test]
fn a_journal_that_is_lost_is_told() {
    let place = Place::new();
    let client = Client::attach(place.options()).unwrap();
    let mut log = Vec::new();
    start(&client, &place.path("workspace"));
    let ask = until(&client, &mut log, tool_ask);
    place.kill();
    until_lost(&client, &mut log);
    fs::remove_dir_all(place.path("storage/serve")).unwrap();
    let answer = submit(&client, json!({"type": "task.respond", "ask": ask, "response": "yes"}));
    assert!(!client.reattach(DEADLINE).unwrap().restored);
    let failed = until(&client, &mut log, |received| match &received.event {
        Event::RequestFailed(failed) if received.about == answer => Some(failed.kind.clone()),
        _ => None,
    });
    assert_eq!(failed, "lost");
    // The client itself works.
    let info = submit(&client, json!({"type": "engine.info"}));
    until(&client, &mut log, |r| (r.about == info && matches!(r.event, Event::RequestDone(_))).then_some(()));
}

#[test]
fn a_host_that_comes_back_under_its_id_gets_its_session() {
    let place = Place::new();
    let options = || AttachOptions { id: Some("0123456789abcdef".repeat(2)), ..place.options() };
    let mut log = Vec::new();
    let client = Client::attach(options()).unwrap();
    start(&client, &place.path("workspace"));
    let ask = until(&client, &mut log, tool_ask);
    // As if its process had hung: it says no goodbye.
    std::mem::forget(client);
    let client = Client::attach(options()).unwrap();
    assert_eq!(until(&client, &mut log, tool_ask), ask);
    submit(&client, json!({"type": "task.respond", "ask": ask, "response": "yes"}));
    assert_eq!(approve_all(&client, &mut log), "written");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let place = Place::new();
    let refused = |options: AttachOptions| Client::attach(options).err().unwrap();
    let without_start = AttachOptions { start: None, timeout: None, ..place.options() };
    assert!(matches!(refused(without_start), AttachError::NoEngine { .. }));
    let id = AttachOptions { id: Some("ABC".into()), ..place.options() };
    assert_eq!(refused(id).to_string(), "id: must be 32 lower-case hex digits");
    let mut unknown = place.options();
    unknown.client.capabilities = vec!["teleport".into()];
    assert_eq!(refused(unknown).to_string(), "capabilities: unknown capability `teleport`");
    let mut broken = place.options();
    broken.start.as_mut().unwrap().settings.insert("alwaysAllowWrite".into(), json!("perhaps"));
    let error = refused(broken);
    assert!(matches!(&error, AttachError::NotStarted(reason) if reason.contains("alwaysAllowWrite")), "{error}");
    let mut missing = place.options();
    missing.start.as_mut().unwrap().program = Some(place.path("missing"));
    assert!(matches!(refused(missing), AttachError::Start { .. }));
}
