//! A host that keeps book: what it was told adds up, over all deaths of its engine.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ReceiveError, Received};
use lapce_ai::protocol::event::{AskOutcome, Event, Form, SessionState};
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::{TransportError, Waited};
use serde_json::{Value, json};

use super::HANG;
use crate::harness::DEADLINE;

/// A session as its host knows it.
pub struct Session {
    pub completed: bool,
    /// Restored so many times since it was last heard to go on.
    pub restored: u32,
}

#[derive(Default)]
struct Message {
    streamed: String,
    grows: bool,
}

pub struct Follower {
    pub client: Client,
    /// Asks that wait: their kind and session.
    pub asks: BTreeMap<u64, (String, u64)>,
    /// By id.
    pub sessions: HashMap<u64, Session>,
    /// Last number by session; 0 stands for what belongs to none.
    sequences: HashMap<u64, u32>,
    messages: HashMap<(u64, u64), Message>,
    /// Requests without an answer, with what they are for.
    open: HashMap<u64, Purpose>,
    /// Asks that were answered: once is enough, whatever dies.
    responded: HashSet<u64>,
    submitted: usize,
    answered: usize,
    /// Asks that a restored session did not ask again.
    pub superseded: usize,
    /// The last events, for a failure's message.
    last: VecDeque<(u64, String)>,
}

#[derive(Debug, PartialEq)]
enum Purpose {
    Start { lane: usize },
    Respond { ask: u64 },
}

/// Whether there was something to read.
#[derive(Debug, PartialEq)]
pub enum Next {
    Event(Box<Received>),
    Nothing,
    Lost,
}

/// Sees to it that a call that must not block does not.
pub fn prompt<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = call();
    assert!(begin.elapsed() < HANG, "{what} took {:?}", begin.elapsed());
    result
}

impl Follower {
    pub fn new(client: Client) -> Follower {
        Follower {
            client,
            asks: BTreeMap::new(),
            sessions: HashMap::new(),
            sequences: HashMap::new(),
            messages: HashMap::new(),
            open: HashMap::new(),
            responded: HashSet::new(),
            submitted: 0,
            answered: 0,
            superseded: 0,
            last: VecDeque::new(),
        }
    }

    fn submit(&mut self, request: &Value, purpose: Purpose) {
        let request = Request::from_json(&request.to_string()).unwrap();
        let id = prompt("submit", || self.client.submit(&request)).unwrap();
        assert!(self.open.insert(id.raw(), purpose).is_none(), "the id {id:?} was given before");
        self.submitted += 1;
    }

    pub fn start(&mut self, lane: usize, workspace: &std::path::Path) {
        let asks = lane.is_multiple_of(2);
        let settings = json!({"alwaysAllowWrite": !asks, "alwaysAllowExecute": !asks});
        let task = json!({"type": "task.start", "workspace": workspace, "text": "Work.", "settings": settings});
        self.submit(&task, Purpose::Start { lane });
    }

    /// Answers everything that waits for an answer.
    pub fn respond(&mut self) {
        let waiting: Vec<(u64, String)> = self.asks.iter().map(|(ask, (kind, _))| (*ask, kind.clone())).collect();
        for (ask, kind) in waiting {
            if kind == "completion_result" || !self.responded.insert(ask) {
                continue;
            }
            let answer = match kind.as_str() {
                "followup" | "mistake_limit_reached" => {
                    json!({"type": "task.respond", "ask": ask, "response": "message", "text": "Go on."})
                }
                _ => json!({"type": "task.respond", "ask": ask, "response": "yes"}),
            };
            self.submit(&answer, Purpose::Respond { ask });
        }
    }

    /// Sessions that have not come to their end, and those that have not begun.
    pub fn unfinished(&self) -> usize {
        let begins = self.open.values().filter(|purpose| matches!(purpose, Purpose::Start { .. })).count();
        begins + self.sessions.values().filter(|session| !session.completed).count()
    }

    /// Requests without an answer.
    pub fn open_requests(&self) -> usize {
        self.open.len()
    }

    /// Reads one event.
    pub fn next(&mut self) -> Next {
        match prompt("receive", || self.client.receive()) {
            Ok(Some(received)) => {
                self.take(&received);
                Next::Event(Box::new(received))
            }
            Ok(None) => Next::Nothing,
            Err(ReceiveError::Ring(TransportError::Lost)) => Next::Lost,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads one event, waiting for it.
    pub fn wait(&mut self) -> Next {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.next() {
                Next::Nothing => {}
                next => return next,
            }
            assert!(Instant::now() < until, "nothing comes; {}", self.describe());
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.client.wait(Some(left), Duration::ZERO);
            assert_ne!(waited, Waited::Closed);
        }
    }

    /// What is known of sessions that have not come to their end.
    pub fn describe(&self) -> String {
        let unfinished = |id: &u64| *id != 0 && self.sessions.get(id).is_none_or(|session| !session.completed);
        let last: Vec<&String> = self.last.iter().filter(|(id, _)| unfinished(id)).map(|(_, event)| event).collect();
        let last = &last[last.len().saturating_sub(40)..];
        format!("asks {:?}, requests {:?}, last events {last:#?}", self.asks, self.open)
    }

    fn take(&mut self, received: &Received) {
        let Received { session, session_sequence, about, event } = received;
        let session = session.map_or(0, |session| session.raw());
        if !matches!(event, Event::MessageDelta(_)) {
            let event: String = format!("{event:?}").chars().take(300).collect();
            self.last.push_back((session, format!("#{session_sequence} {about:x} {event}")));
            if self.last.len() > 1000 {
                self.last.pop_front();
            }
        }
        if *session_sequence != 0 {
            let last = self.sequences.insert(session, *session_sequence).unwrap_or(0);
            assert_eq!(*session_sequence, last + 1, "session {session:x}: {event:?}");
        }
        match event {
            Event::RequestDone(done) => self.answered(*about, Ok(done.result.value())),
            Event::RequestFailed(failed) => self.answered(*about, Err(failed.kind.clone())),
            Event::Ask(ask) => {
                let before = self.asks.insert(*about, (ask.kind.clone(), session));
                assert_eq!(before, None, "asked twice under one id");
            }
            Event::AskResolved(resolved) => {
                let (kind, _) =
                    self.asks.remove(about).unwrap_or_else(|| panic!("resolved, never asked: {resolved:?}"));
                if resolved.outcome == AskOutcome::Superseded {
                    self.superseded += 1;
                    let restored = self.sessions.get(&session).map_or(0, |session| session.restored);
                    assert!(restored >= 16, "an open {kind} was dropped after {restored} restarts");
                }
            }
            Event::MessageBegin(_) => {
                let message = self.messages.entry((session, *about)).or_default();
                *message = Message { streamed: String::new(), grows: true };
            }
            Event::MessageDelta(text) | Event::ReasoningDelta(text) => {
                let message = self.messages.entry((session, *about)).or_default();
                assert!(message.grows, "{text:?} is added to a message that does not grow");
                message.streamed.push_str(text);
            }
            Event::MessageEnd(end) => {
                let message = self.messages.entry((session, *about)).or_default();
                let whole = end.text.as_deref().unwrap_or_default();
                // A question streams as its words and ends as its record; white space around a text is cut at its end.
                assert!(
                    end.form == Form::Ask || whole.starts_with(message.streamed.trim()),
                    "{:?} became {whole:?}, after {:#?}",
                    message.streamed,
                    self.last
                );
                message.grows = false;
            }
            Event::TaskCompleted(_) => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.completed = true;
                }
            }
            Event::ToolEnd(_) => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.restored = 0;
                }
            }
            Event::SessionState(changed) => {
                assert_ne!(changed.state, SessionState::Failed, "{changed:?}");
            }
            _ => {}
        }
    }

    fn answered(&mut self, request: u64, answer: Result<Value, String>) {
        let purpose =
            self.open.remove(&request).unwrap_or_else(|| panic!("{answer:?} to a request that waits for none"));
        self.answered += 1;
        match (purpose, answer) {
            (Purpose::Start { .. }, Ok(result)) => {
                let session = result["session"].as_u64().unwrap();
                let before = self.sessions.insert(session, Session { completed: false, restored: 0 });
                assert!(before.is_none(), "two tasks in one session");
            }
            (Purpose::Respond { .. }, Ok(_)) => {}
            // A restored session that asked something else: told above.
            (Purpose::Respond { ask }, Err(kind)) => {
                assert!(
                    kind == "stale" && !self.asks.contains_key(&ask),
                    "the answer to {ask:x} was refused: {kind} {}",
                    self.describe()
                );
                assert!(self.superseded > 0, "the answer to {ask:x} was refused: {kind} {}", self.describe());
            }
            (purpose, Err(kind)) => panic!("{purpose:?} failed: {kind}"),
        }
    }

    /// The engine was killed.
    pub fn engine_died(&mut self) {
        self.sessions.values_mut().for_each(|session| session.restored += 1);
    }

    /// At the end: nothing waits, nothing grows.
    pub fn check_end(&self) {
        assert!(self.open.is_empty() && self.submitted == self.answered, "{}", self.describe());
        let growing = self.messages.iter().find(|(_, message)| message.grows);
        if let Some(((session, message), Message { streamed, .. })) = growing {
            let of_session = self.last.iter().filter(|(id, _)| id == session).map(|(_, event)| event);
            let last: Vec<&String> = of_session.collect();
            panic!("message {message} of {session:x} never ends: {streamed:?}, {last:#?}");
        }
        let asks: Vec<_> = self.asks.values().filter(|(kind, _)| kind != "completion_result").collect();
        assert!(asks.is_empty(), "{asks:?}");
    }
}
