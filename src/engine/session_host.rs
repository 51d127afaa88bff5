//! One session towards its client: what the loop reports becomes events, its questions to the host become host requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use tokio::sync::Notify;

use super::attachment::Attachment;
use super::channel::Channel;
use super::host_requests::{HostRequests, time_limit};
use super::journal::Entry;
use super::keeper::Keeper;
use super::link::Link;
use crate::protocol::event::{self, Event, SessionState};
use crate::protocol::ids::{AskId, HostRequestId};
use crate::protocol::json::Json;
use crate::protocol::message::{Ask, Say, UiKind, UiMessage};
use crate::task::host::{HookRun, HostRequestError, Status, TaskEvent, TaskHost, ToolProgress};
use crate::task::recovery::Note;

/// Numbers that are unique in an engine.
#[derive(Default)]
pub struct Numbers {
    ask: AtomicU64,
    host_request: AtomicU64,
}

impl Numbers {
    /// Goes on behind the numbers of an earlier run.
    pub fn continue_from(&self, ask: u32, host_request: u32) {
        self.ask.store(ask.into(), Ordering::Relaxed);
        self.host_request.store(host_request.into(), Ordering::Relaxed);
    }
}

/// The engine's side of one session.
pub struct SessionHost {
    /// Number of the session.
    pub session: u32,
    owner: Arc<Attachment>,
    channel: Channel,
    keeper: Option<Keeper>,
    numbers: Arc<Numbers>,
    requests: Arc<HostRequests>,
    state: Mutex<State>,
    /// Told when a restored ask waits again or never will.
    settled: Notify,
}

#[derive(Default)]
struct State {
    /// Messages that still grow, by `ts`: their kind and the text the host has.
    open: HashMap<i64, Open>,
    /// Asks that wait.
    asks: Vec<OpenAsk>,
    /// Output of the running command as the host has it.
    output: String,
    task: Option<String>,
    /// What the host was last told.
    last: Option<event::SessionChanged>,
}

/// Where an ask stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskState {
    /// It waits; the `ts` of the message that asks.
    Waits(i64),
    /// It waited when the engine died, and will wait again.
    Restoring,
    /// No such ask waits.
    Unknown,
}

/// An ask that waits for its answer.
#[derive(Clone)]
struct OpenAsk {
    id: AskId,
    ts: i64,
    /// What the host is told; `None` after a restart, until the session asks again.
    event: Option<event::Ask>,
}

struct Open {
    kind: UiKind,
    text: String,
}

impl SessionHost {
    /// The session of this number, reporting to `owner` and whoever else listens.
    pub fn new(
        session: u32,
        owner: Arc<Attachment>,
        keeper: Option<Keeper>,
        numbers: Arc<Numbers>,
        requests: Arc<HostRequests>,
    ) -> SessionHost {
        let channel = Channel::new(session, owner.number, keeper.clone());
        let (state, settled) = Default::default();
        SessionHost { session, owner, channel, keeper, numbers, requests, state, settled }
    }

    /// Where its events go.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// After a restart: asks that waited. The session will open them again, under the same ids.
    pub fn expect_asks(&self, asks: impl IntoIterator<Item = (u64, i64)>) {
        let open = |(id, ts)| OpenAsk { id: AskId::from_raw(id), ts, event: None };
        self.lock().asks.extend(asks.into_iter().map(open));
    }

    /// Where this ask stands.
    pub fn ask(&self, ask: AskId) -> AskState {
        let state = self.lock();
        match state.asks.iter().find(|open| open.id == ask) {
            None => AskState::Unknown,
            Some(open) if open.event.is_none() => AskState::Restoring,
            Some(open) => AskState::Waits(open.ts),
        }
    }

    /// Waits until the session, after a restart, has asked this again; its `ts`, or `None` when it never will.
    pub async fn restored_ask(&self, ask: AskId) -> Option<i64> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            match self.ask(ask) {
                AskState::Unknown => return None,
                AskState::Waits(ts) => return Some(ts),
                AskState::Restoring => settled.await,
            }
        }
    }

    /// Gives the session to a connection of its owner: what it has not seen, then, to one that comes without knowledge of the
    /// session, what is open now. A message that was growing begins again, as its additions are not kept.
    pub fn attach(&self, link: Arc<Link>, seen: Option<u32>) {
        // Held throughout, so that no addition comes between the whole text and what follows it.
        let state = self.lock();
        self.channel.attach(link, seen, |link| {
            if seen.is_none() {
                self.present(&state, link);
            }
        });
        for (ts, open) in &state.open {
            let message = UiMessage::new(*ts, open.kind, None);
            let task = state.task.as_deref().unwrap_or_default();
            self.send(message_id(*ts), Event::MessageBegin(event::MessageBegin::new(task, &message)));
            self.delta(message_id(*ts), open.kind, open.text.clone());
        }
    }

    /// Lets another client see and answer this session.
    pub fn observe(&self, link: &Arc<Link>) {
        let state = self.lock();
        self.present(&state, link);
        self.channel.observe(link.clone());
    }

    /// What is open now, beside the sequence, for somebody who knows nothing yet.
    fn present(&self, state: &State, link: &Arc<Link>) {
        if let Some(last) = &state.last {
            self.channel.tell(link, 0, Event::SessionState(last.clone()));
        }
        for OpenAsk { id, event, .. } in &state.asks {
            if let Some(event) = event {
                self.channel.tell(link, id.raw(), Event::Ask(event.clone()));
            }
        }
    }

    /// Reports the end of the session.
    pub fn ended(&self, state: SessionState, reason: Option<String>) {
        self.requests.withdraw(self.session);
        self.session_state(state, reason);
    }

    /// Nothing more comes from this session: who waits for a restored ask is let go.
    pub fn closed(&self) {
        self.lock().asks.clear();
        self.settled.notify_waiters();
        self.channel.close();
    }

    fn session_state(&self, state: SessionState, reason: Option<String>) {
        let changed = {
            let mut known = self.lock();
            let changed = event::SessionChanged { state, reason, task: known.task.clone() };
            known.last = Some(changed.clone());
            changed
        };
        self.send(0, Event::SessionState(changed));
    }

    fn send(&self, correlation: u64, event: Event) {
        self.channel.send(correlation, event);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message as it is now: complete ones are sent whole, once; growing ones by what was added.
    fn message(&self, task: &str, message: &UiMessage) {
        let id = message_id(message.ts);
        // The JSON of a growing tool ask does not extend itself; the host gets it when it is complete.
        let streams = !matches!(message.kind, UiKind::Ask(Ask::Tool | Ask::UseMcpServer));
        // Held until everything is sent: a connection that comes now must not find half of it (see `attach`).
        let mut state = self.lock();
        if message.partial != Some(true) {
            // What came with the completion itself: the additions alone make up the whole text.
            let open = state.open.remove(&message.ts);
            let rest = open.and_then(|open| Some(message.text.as_ref()?.strip_prefix(&open.text)?.to_owned()));
            if let Some(rest) = rest.filter(|_| streams) {
                self.delta(id, message.kind, rest);
            }
            self.send(id, Event::MessageEnd(event::MessageEnd::new(task, message)));
            return;
        }
        let text = if streams { message.text.clone().unwrap_or_default() } else { String::new() };
        let added = match state.open.get_mut(&message.ts) {
            Some(open) if text.starts_with(&open.text) => {
                let added = text[open.text.len()..].to_owned();
                open.text.push_str(&added);
                Some(added)
            }
            _ => {
                state.open.insert(message.ts, Open { kind: message.kind, text: text.clone() });
                None
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
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&ts) else { return };
        open.text.push_str(&text);
        let kind = open.kind;
        self.delta(message_id(ts), kind, text);
    }

    fn ask_opened(&self, task: &str, message: &UiMessage, expires_ms: Option<u64>) {
        let event = event::Ask { expires_ms, ..event::Ask::new(task, message) };
        let (again, superseded) = {
            let mut state = self.lock();
            let again = state.asks.iter_mut().find(|open| open.ts == message.ts).map(|open| {
                open.event = Some(event.clone());
                open.id
            });
            // A session that asks something else after a restart will not ask what it asked before.
            let left = |open: &OpenAsk| open.event.is_none();
            let superseded: Vec<AskId> = state.asks.iter().filter(|open| left(open)).map(|open| open.id).collect();
            state.asks.retain(|open| !left(open));
            (again, superseded)
        };
        for ask in superseded {
            self.ask_over(ask, task.to_owned(), event::AskOutcome::Superseded);
        }
        self.settled.notify_waiters();
        // The host has this question, or will get it among what it had not seen.
        if again.is_some() {
            return;
        }
        let number = self.numbers.ask.fetch_add(1, Ordering::Relaxed) + 1;
        let id = AskId::new(self.session, number as u32);
        // Held until all is kept, so that an answer does not overtake it.
        let mut state = self.lock();
        state.asks.push(OpenAsk { id, ts: message.ts, event: Some(event.clone()) });
        // Told first: one that was kept and never told would wait for ever.
        self.send(id.raw(), Event::Ask(event));
        self.keep(|| Entry::Ask { session: self.session, ask: id.raw(), ts: message.ts });
    }

    fn ask_closed(&self, task: String, ts: i64, how: &str) {
        let ask = {
            let mut state = self.lock();
            let Some(at) = state.asks.iter().position(|open| open.ts == ts) else { return };
            state.asks.remove(at).id
        };
        self.settled.notify_waiters();
        let outcome = match how {
            "superseded" => event::AskOutcome::Superseded,
            "withdrawn" => event::AskOutcome::Withdrawn,
            _ => event::AskOutcome::Answered,
        };
        self.ask_over(ask, task, outcome);
    }

    fn ask_over(&self, ask: AskId, task: String, outcome: event::AskOutcome) {
        self.keep(|| Entry::AskClosed { session: self.session, ask: ask.raw() });
        self.send(ask.raw(), Event::AskResolved(event::AskResolved { task, outcome }));
    }

    fn keep<'a>(&self, entry: impl FnOnce() -> Entry<'a>) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(&entry());
        }
    }

    fn tool(&self, task: String, progress: ToolProgress) {
        match progress {
            ToolProgress::Begin { call, tool } => {
                self.send(call, Event::ToolBegin(event::ToolBegin { task, tool: tool.to_owned() }));
            }
            ToolProgress::Delta { call, text } => self.send(call, Event::ToolDelta(text)),
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

    fn hook(&self, task: String, run: HookRun) {
        let HookRun { call, event, name, tool, state, message, duration_ms } = run;
        let (kind, tool, state) = (event.to_owned(), tool.map(str::to_owned), state.to_owned());
        self.send(call, Event::Hook(event::HookRun { task, kind, target: name, tool, state, message, duration_ms }));
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

    fn subtask(&self, state: &str, child: &Value, parent: String) {
        let task = child.as_str().unwrap_or_default().to_owned();
        self.send(0, Event::Subtask(event::Subtask { task, parent: Some(parent), state: state.to_owned() }));
    }

    fn lifecycle(&self, task: String, event: &str, data: &Value) {
        match event {
            "taskFocused" => self.lock().task = Some(task),
            "taskSpawned" => self.subtask("started", data, task),
            "taskUnpaused" => self.subtask("finished", data, task),
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
            TaskEvent::Hook { task, run } => self.hook(task, run),
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
            TaskEvent::Usage { task, usage, context_window } => {
                self.send(0, Event::Usage(event::Usage::new(&task, &usage, context_window)));
            }
            TaskEvent::Todos { task, items } => self.send(0, Event::Todo(event::TodoChanged::new(&task, &items))),
            TaskEvent::Diff { task, files, added, removed } => {
                let file = |(path, added, removed)| event::DiffFile { path, added, removed };
                let files = files.into_iter().map(file).collect();
                self.send(0, Event::Diff(event::Diff { task, files, added, removed }));
            }
            TaskEvent::Checkpoint { task, commit } => {
                self.send(0, Event::Checkpoint(event::Checkpoint { task, commit }));
            }
            TaskEvent::Mode(mode) => self.send(0, Event::Mode(event::ModeChanged { mode })),
            TaskEvent::Profile(profile) => self.send(0, Event::Profile(event::ProfileChanged { profile })),
            TaskEvent::Retry { task, attempt, in_ms, reason } => {
                self.send(0, Event::Retry(event::Retry { task, attempt, in_ms, reason }));
            }
            TaskEvent::Condensed { task, tokens_before, tokens_after, cost, summary, error } => {
                let condensed = event::Condensed { task, tokens_before, tokens_after, cost, summary, error };
                self.send(0, Event::Condense(condensed));
            }
            TaskEvent::Queue { task, texts, ids } => self.send(0, Event::Queue(event::Queue { task, texts, ids })),
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
        self.channel.ready().await;
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

    fn keeps_notes(&self) -> bool {
        self.keeper.is_some()
    }

    fn note(&self, note: Note) {
        self.keep(|| Entry::Note { session: self.session, note: note.to_bytes().into() });
    }

    fn offers(&self, method: &str) -> bool {
        self.owner.offers(method)
    }
}
