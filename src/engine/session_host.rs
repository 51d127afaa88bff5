//! One session towards its client: what the loop reports becomes events, its questions to the host become host requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::host_requests::{HostRequests, time_limit};
use super::link::Link;
use crate::protocol::event::{self, Event, SessionState};
use crate::protocol::ids::{AskId, HostRequestId};
use crate::protocol::json::Json;
use crate::protocol::message::{Ask, Say, UiKind, UiMessage};
use crate::task::host::{HostRequestError, Status, TaskEvent, TaskHost, ToolProgress};

/// Numbers that are unique in an engine.
#[derive(Default)]
pub struct Numbers {
    ask: AtomicU64,
    host_request: AtomicU64,
}

/// The engine's side of one session.
pub struct SessionHost {
    /// Number of the session.
    pub session: u32,
    link: Arc<Link>,
    numbers: Arc<Numbers>,
    requests: Arc<HostRequests>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Messages that still grow, by `ts`: their kind and the text the host has.
    open: HashMap<i64, Open>,
    /// Asks that wait: id and `ts`.
    asks: Vec<(AskId, i64)>,
    /// Output of the running command as the host has it.
    output: String,
    task: Option<String>,
}

struct Open {
    kind: UiKind,
    text: String,
}

impl SessionHost {
    /// The session of this number, reporting to `link`.
    pub fn new(session: u32, link: Arc<Link>, numbers: Arc<Numbers>, requests: Arc<HostRequests>) -> SessionHost {
        SessionHost { session, link, numbers, requests, state: Mutex::default() }
    }

    /// The `ts` of the message that asks, while the ask waits.
    pub fn waiting_ask(&self, ask: AskId) -> Option<i64> {
        self.lock().asks.iter().find(|(id, _)| *id == ask).map(|(_, ts)| *ts)
    }

    /// Reports the end of the session.
    pub fn ended(&self, state: SessionState, reason: Option<String>) {
        self.requests.withdraw(self.session);
        self.session_state(state, reason);
    }

    fn session_state(&self, state: SessionState, reason: Option<String>) {
        let task = self.lock().task.clone();
        self.send(0, Event::SessionState(event::SessionChanged { state, reason, task }));
    }

    fn send(&self, correlation: u64, event: Event) {
        self.link.send(self.session, correlation, event);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message as it is now: complete ones are sent whole, once; growing ones by what was added.
    fn message(&self, task: &str, message: &UiMessage) {
        let id = message_id(message.ts);
        // The JSON of a growing tool ask does not extend itself; the host gets it when it is complete.
        let streams = !matches!(message.kind, UiKind::Ask(Ask::Tool | Ask::UseMcpServer));
        if message.partial != Some(true) {
            let open = self.lock().open.remove(&message.ts);
            // What came with the completion itself: the additions alone make up the whole text.
            let rest = open.and_then(|open| Some(message.text.as_ref()?.strip_prefix(&open.text)?.to_owned()));
            if let Some(rest) = rest.filter(|_| streams) {
                self.delta(id, message.kind, rest);
            }
            self.send(id, Event::MessageEnd(event::MessageEnd::new(task, message)));
            return;
        }
        let text = if streams { message.text.clone().unwrap_or_default() } else { String::new() };
        let added = {
            let mut state = self.lock();
            match state.open.get_mut(&message.ts) {
                Some(open) if text.starts_with(&open.text) => {
                    let added = text[open.text.len()..].to_owned();
                    open.text.push_str(&added);
                    Some(added)
                }
                _ => {
                    state.open.insert(message.ts, Open { kind: message.kind, text: text.clone() });
                    None
                }
            }
        };
        let added = added.unwrap_or_else(|| {
            self.send(id, Event::MessageBegin(event::MessageBegin::new(task, message)));
            text
        });
        self.delta(id, message.kind, added);
    }

    fn delta(&self, id: u64, kind: UiKind, text: String) {
        if text.is_empty() {
            return;
        }
        let event = match kind {
            UiKind::Say(Say::Reasoning) => Event::ReasoningDelta(text),
            _ => Event::MessageDelta(text),
        };
        self.send(id, event);
    }

    fn grow(&self, ts: i64, text: String) {
        let kind = {
            let mut state = self.lock();
            let Some(open) = state.open.get_mut(&ts) else { return };
            open.text.push_str(&text);
            open.kind
        };
        self.delta(message_id(ts), kind, text);
    }

    fn ask_opened(&self, task: &str, message: &UiMessage, expires_ms: Option<u64>) {
        let number = self.numbers.ask.fetch_add(1, Ordering::Relaxed) + 1;
        let ask = AskId::new(self.session, number as u32);
        self.lock().asks.push((ask, message.ts));
        self.send(ask.raw(), Event::Ask(event::Ask { expires_ms, ..event::Ask::new(task, message) }));
    }

    fn ask_closed(&self, task: String, ts: i64, how: &str) {
        let ask = {
            let mut state = self.lock();
            let Some(at) = state.asks.iter().position(|(_, asked)| *asked == ts) else { return };
            state.asks.remove(at).0
        };
        let outcome = match how {
            "superseded" => event::AskOutcome::Superseded,
            "withdrawn" => event::AskOutcome::Withdrawn,
            _ => event::AskOutcome::Answered,
        };
        self.send(ask.raw(), Event::AskResolved(event::AskResolved { task, outcome }));
    }

    fn tool(&self, task: String, progress: ToolProgress) {
        match progress {
            ToolProgress::Begin { call, tool } => {
                self.send(call, Event::ToolBegin(event::ToolBegin { task, tool: tool.to_owned() }));
            }
            ToolProgress::End { call, tool, status, summary, duration_ms } => {
                let status = match status {
                    "error" => event::ToolStatus::Error,
                    "rejected" => event::ToolStatus::Rejected,
                    "skipped" => event::ToolStatus::Skipped,
                    _ => event::ToolStatus::Ok,
                };
                let end = event::ToolEnd { task, tool: tool.to_owned(), status, summary, duration_ms };
                self.send(call, Event::ToolEnd(end));
            }
        }
    }

    /// Output of a command: the loop reports all so far, the host gets what is new.
    fn command_status(&self, status: &Value) {
        match status["status"].as_str() {
            Some("started") => self.lock().output.clear(),
            Some("output") => {
                let all = status["output"].as_str().unwrap_or("");
                let added = {
                    let mut state = self.lock();
                    let shared = state.output.bytes().zip(all.bytes()).take_while(|(a, b)| a == b).count();
                    let from = (0..=shared).rev().find(|at| all.is_char_boundary(*at)).unwrap_or(0);
                    let added = all[from..].to_owned();
                    state.output = all.to_owned();
                    added
                };
                if !added.is_empty() {
                    let execution = status["executionId"].as_str().and_then(|id| id.parse().ok()).unwrap_or(0);
                    self.send(execution, Event::ToolOutput(added));
                }
            }
            _ => {}
        }
    }

    fn lifecycle(&self, task: String, event: &str, data: &Value) {
        let subtask = |state: &str, task: String, parent: Option<String>| {
            Event::Subtask(event::Subtask { task, parent, state: state.to_owned() })
        };
        match event {
            "taskFocused" => self.lock().task = Some(task),
            "taskSpawned" => {
                let child = data.as_str().unwrap_or("").to_owned();
                self.send(0, subtask("started", child, Some(task)));
            }
            "taskUnpaused" => self.send(0, subtask("finished", task, None)),
            "taskAborted" => self.session_state(SessionState::Cancelled, None),
            _ => {}
        }
    }
}

/// Id of a message: its `ts`, which is never negative.
fn message_id(ts: i64) -> u64 {
    u64::try_from(ts).unwrap_or(0)
}

#[async_trait]
impl TaskHost for SessionHost {
    fn emit(&self, event: TaskEvent) {
        match event {
            TaskEvent::TaskCreated { .. } => {}
            TaskEvent::Lifecycle { task, event, data } => self.lifecycle(task, event, &data),
            TaskEvent::MessageCreated { task, message } | TaskEvent::MessageUpdated { task, message } => {
                self.message(&task, &message);
            }
            TaskEvent::MessageDelta { ts, text, .. } => self.grow(ts, text),
            TaskEvent::AskOpened { task, message, expires_ms } => self.ask_opened(&task, &message, expires_ms),
            TaskEvent::AskClosed { task, ts, how } => self.ask_closed(task, ts, how),
            TaskEvent::Tool { task, progress } => self.tool(task, progress),
            TaskEvent::CommandStatus { status, .. } => self.command_status(&status),
            TaskEvent::Status(status, reason) => {
                let state = match status {
                    Status::Running => SessionState::Running,
                    Status::Streaming => SessionState::Streaming,
                    Status::Interactive => SessionState::WaitingForAnswer,
                    Status::Resumable => SessionState::Resumable,
                    Status::Idle if reason.as_deref() == Some(Ask::CompletionResult.as_str()) => {
                        SessionState::Completed
                    }
                    Status::Idle | Status::None => SessionState::Idle,
                };
                self.session_state(state, reason);
            }
            TaskEvent::Usage { task, usage } => self.send(0, Event::Usage(event::Usage::new(&task, &usage, 0))),
            TaskEvent::Todos { task, items } => self.send(0, Event::Todo(event::TodoChanged::new(&task, &items))),
            TaskEvent::Mode(mode) => self.send(0, Event::Mode(event::ModeChanged { mode })),
            TaskEvent::Retry { task, attempt, in_ms, reason } => {
                self.send(0, Event::Retry(event::Retry { task, attempt, in_ms, reason }));
            }
            TaskEvent::Queue { task, texts, .. } => self.send(0, Event::Queue(event::Queue { task, texts })),
            TaskEvent::Completed { task, result, usage } => {
                self.send(0, Event::TaskCompleted(event::TaskCompleted::new(&task, &result, &usage)));
            }
            TaskEvent::Notify { level, message } => {
                let level = match level {
                    "error" => event::LogLevel::Error,
                    "warning" => event::LogLevel::Warning,
                    _ => event::LogLevel::Info,
                };
                self.send(0, Event::Log(event::Log { level, target: "task".into(), message }));
            }
        }
    }

    async fn ready(&self) {
        self.link.ready(self.session).await;
    }

    async fn request(&self, method: &'static str, params: Value) -> Result<Value, HostRequestError> {
        if !self.offers(method) {
            return Err(HostRequestError::Unsupported(method));
        }
        let number = self.numbers.host_request.fetch_add(1, Ordering::Relaxed) + 1;
        let id = HostRequestId::new(self.session, number as u32);
        let receiver = self.requests.open(id.raw(), self.session);
        let request = event::HostRequest {
            method: method.to_owned(),
            parameters: Json::from(params),
            deadline_ms: time_limit(method),
        };
        self.send(id.raw(), Event::HostRequest(request));
        self.requests.wait(id.raw(), method, receiver).await
    }

    fn offers(&self, method: &str) -> bool {
        self.link.capabilities.iter().any(|offered| offered == method)
    }
}
