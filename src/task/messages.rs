//! The UI conversation: ask, say, append, update (spec 02 §2.4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::approval::policy::{self, Verdict};
use super::changes;
use super::checkpoints::Saving;
use super::hooks;
use super::host::{Status, TaskEvent};
use super::instance::{Aborted, PendingAsk, State, Task};
use super::queue::{Full, QueuedMessage};
use super::recovery::{Given, Note};
use crate::protocol::message::{Ask, AskResponse, ProgressStatus, Say, UiKind, UiMessage};
use crate::tools::context::{Answer, ToolError};

/// A question that waits this long changes the status of the session (spec 02 §2.4).
const STATUS_DELAY: Duration = Duration::from_millis(1000);

impl From<Aborted> for ToolError {
    fn from(_: Aborted) -> ToolError {
        ToolError::Aborted
    }
}

/// The rarer parts of a statement.
#[derive(Default)]
pub(super) struct Extra {
    /// Does not supersede a waiting question.
    pub non_interactive: bool,
    /// Outcome of a condensing.
    pub context_condense: Option<Value>,
    /// Tool progress.
    pub progress: Option<ProgressStatus>,
    /// Joins the message's own when it completes (spec 02 §2.4).
    pub metadata: Option<Value>,
}

impl Task {
    /// Appends a message and reports it, unless a restored task says it for the second time.
    pub fn append(&self, state: &mut State, message: UiMessage) {
        if !self.take_up(state, &message) {
            self.tell_checkpoints(state);
            self.append_new(state, message);
        }
    }

    /// Appends a message that no restored task said before.
    pub fn append_new(&self, state: &mut State, mut message: UiMessage) {
        message.ts = state.ui.last().map_or(message.ts, |last| message.ts.max(last.ts + 1));
        if let Some(last) = state.ui.last().filter(|last| last.partial == Some(true)) {
            // It does not grow any more, and may never be said to be complete.
            self.note_ui(last);
        }
        self.note_ui(&message);
        self.emit(TaskEvent::MessageCreated { task: self.id.clone(), message: message.clone() });
        state.ui.push(message);
    }

    /// Reports the last message as changed.
    fn report_last(&self, state: &mut State) {
        let Some(message) = state.ui.last() else { return };
        let partial = message.partial == Some(true);
        let known = state.replay.known.take_if(|known| known.ts != message.ts || !partial);
        if state.replay.known.is_some() {
            return;
        }
        if !partial {
            self.note_ui(message);
        }
        if known.as_ref() != Some(message) {
            self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: message.clone() });
        }
    }

    /// Marks `ts` as the newest interactive message; an older question that still waits is superseded.
    fn supersede(&self, state: &mut State, ts: i64) {
        state.last_message_ts = ts;
        if let Some(pending) = state.pending.take_if(|pending| pending.ts != ts) {
            self.note(|task| Note::Closed { task, ts: pending.ts });
            self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts: pending.ts, how: "superseded" });
        }
    }

    /// `say` with text and nothing else, complete at birth.
    pub fn say_text(self: &Arc<Self>, say: Say, text: impl Into<String>) -> Result<(), Aborted> {
        self.say(say, Some(text.into()), &[], None, Extra::default())
    }

    /// `say(type, text, images, partial, …)`.
    pub fn say(
        self: &Arc<Self>,
        say: Say,
        text: Option<String>,
        images: &[String],
        partial: Option<bool>,
        extra: Extra,
    ) -> Result<(), Aborted> {
        self.check()?;
        let mut guard = self.state();
        let state = &mut *guard;
        let continues = partial.is_some() && continues(state, UiKind::Say(say));
        let images = (!images.is_empty()).then(|| images.to_vec());
        if continues {
            if let Some(last) = state.ui.last_mut() {
                last.text = text;
                last.images = images;
                last.progress_status = extra.progress;
                last.partial = partial;
                add_metadata(last, extra.metadata);
            }
            self.report_last(state);
        } else {
            let ts = self.next_ts(state);
            let mut message = UiMessage::new(ts, UiKind::Say(say), text);
            message.images = images;
            message.partial = partial.filter(|partial| *partial);
            message.context_condense = extra.context_condense;
            add_metadata(&mut message, extra.metadata);
            self.append(state, message);
        }
        let ts = state.ui.last().map_or(0, |last| last.ts);
        let partial_update = continues && partial == Some(true);
        if !extra.non_interactive && !partial_update {
            self.supersede(state, ts);
        }
        self.tell_checkpoints_at_rest(state);
        drop(guard);
        if !partial_update {
            self.persist_ui();
        }
        Ok(())
    }

    /// Extends the last message, a partial statement of this kind, by `suffix`; false when there is none such.
    pub fn say_more(&self, say: Say, suffix: &str) -> Result<bool, Aborted> {
        self.check()?;
        let mut state = self.state();
        if !continues(&state, UiKind::Say(say)) {
            return Ok(false);
        }
        let Some(last) = state.ui.last_mut() else { return Ok(false) };
        last.text.get_or_insert_default().push_str(suffix);
        let ts = last.ts;
        drop(state);
        self.emit(TaskEvent::MessageDelta { task: self.id.clone(), ts, text: suffix.to_owned() });
        Ok(true)
    }

    /// Whether the last message is a partial statement of this kind.
    pub fn showing(&self, say: Say) -> bool {
        continues(&self.state(), UiKind::Say(say))
    }

    /// `ask(type, text, partial=true)`: shows, never waits.
    pub fn ask_partial(
        self: &Arc<Self>,
        ask: Ask,
        text: String,
        progress: Option<ProgressStatus>,
        protected: Option<bool>,
    ) -> Result<(), Aborted> {
        self.check()?;
        let mut guard = self.state();
        let state = &mut *guard;
        if continues(state, UiKind::Ask(ask)) {
            if let Some(last) = state.ui.last_mut() {
                if last.text.as_deref() == Some(&text) && last.progress_status == progress {
                    return Ok(());
                }
                last.text = Some(text);
                last.progress_status = progress;
                last.is_protected = protected;
            }
            self.report_last(state);
            return Ok(());
        }
        let ts = self.next_ts(state);
        let mut message = UiMessage::new(ts, UiKind::Ask(ask), Some(text));
        message.partial = Some(true);
        message.is_protected = protected;
        self.append(state, message);
        self.supersede(state, ts);
        drop(guard);
        self.persist_ui();
        Ok(())
    }

    /// `ask(type, text, partial)` with `partial` false (completes a partial question) or absent (always a new message).
    pub async fn ask(
        self: &Arc<Self>,
        ask: Ask,
        text: Option<String>,
        completes: bool,
        progress: Option<ProgressStatus>,
        protected: Option<bool>,
    ) -> Result<Answer, ToolError> {
        self.check()?;
        let OpenedAsk { message, receiver, queued, given } = self.open_ask(ask, text, completes, progress, protected);
        self.persist_ui();
        if let Some(given) = given {
            let _ = self.deliver(Some(message.ts), given.answer, how(&given.how), None);
            return self.wait_for_answer(&message, receiver, Verdict::Ask).await;
        }
        if let Some(queued) = queued {
            let approves = matches!(ask, Ask::Tool | Ask::Command | Ask::BrowserActionLaunch | Ask::UseMcpServer);
            let response = if approves { AskResponse::Yes } else { AskResponse::Message };
            let answer = Answer { response, text: Some(queued.text), images: queued.images };
            self.note_answer(message.ts, &answer, "answered", Some(&queued.id));
            self.emit_queue();
            // Nobody else can have taken the question in between: it was opened in this very step.
            let _ = self.respond(Some(message.ts), answer, "answered");
            return self.wait_for_answer(&message, receiver, Verdict::Ask).await;
        }
        let settings = self.settings();
        let verdict = policy::decide(ask, &message, &settings, &self.services.surroundings.texts);
        let verdict = hooks::adjust(verdict, self.state().hook_decision, &message, &settings);
        let verdict = if self.is_dry_run() { changes::adjust(verdict, ask) } else { verdict };
        if !verdict.is_immediate() {
            self.note(|task| Note::Opened { task, ts: message.ts });
            let (task, message) = (self.id.clone(), message.clone());
            self.emit(TaskEvent::AskOpened { task, message, expires_ms: verdict.after_ms() });
        }
        self.wait_for_answer(&message, receiver, verdict).await
    }

    /// Records the question and makes it the one that waits; also takes a queued message that answers it.
    fn open_ask(
        &self,
        ask: Ask,
        text: Option<String>,
        completes: bool,
        progress: Option<ProgressStatus>,
        protected: Option<bool>,
    ) -> OpenedAsk {
        let mut guard = self.state();
        let state = &mut *guard;
        if completes && continues(state, UiKind::Ask(ask)) {
            if let Some(last) = state.ui.last_mut() {
                last.text = text;
                last.partial = Some(false);
                last.progress_status = progress;
                last.is_protected = protected;
            }
            self.report_last(state);
        } else {
            let mut message = UiMessage::new(self.next_ts(state), UiKind::Ask(ask), text);
            message.is_protected = protected;
            self.append(state, message);
        }
        let message = state.ui.last().cloned().unwrap_or_else(|| UiMessage::new(0, UiKind::Ask(ask), None));
        self.supersede(state, message.ts);
        let (answer, receiver) = oneshot::channel();
        state.pending = Some(PendingAsk { ts: message.ts, ask, answer });
        let given = state.replay.answer(message.ts);
        // A question that waited when messages were queued waits on.
        let waited = state.replay.open.take_if(|open| *open == message.ts).is_some();
        let is_for_user = self.is_dry_run() && changes::is_real(ask);
        let queued = if given.is_some() || waited || is_for_user { None } else { state.queue.dequeue() };
        self.tell_checkpoints_at_rest(state);
        drop(guard);
        OpenedAsk { message, receiver, queued, given }
    }

    /// Waits for the answer, the policy's own answer, a newer message, or abort; a long wait shows in the status.
    async fn wait_for_answer(
        self: &Arc<Self>,
        message: &UiMessage,
        mut receiver: oneshot::Receiver<Answer>,
        verdict: Verdict,
    ) -> Result<Answer, ToolError> {
        let UiKind::Ask(ask) = message.kind else { return Err(ToolError::AskIgnored) };
        let automatic = async {
            match verdict {
                Verdict::Ask => std::future::pending().await,
                Verdict::Answer { after, mode, answer, how } => {
                    if !after.is_zero() {
                        tokio::time::sleep(after).await;
                    }
                    (mode, answer, how)
                }
            }
        };
        tokio::pin!(automatic);
        let mut automatic_done = false;
        let mut waiting_status = None;
        let long_wait = tokio::time::sleep(STATUS_DELAY);
        tokio::pin!(long_wait);
        let outcome = loop {
            tokio::select! {
                biased;
                () = self.aborted.cancelled() => break Err(ToolError::Aborted),
                answer = &mut receiver => break answer.map_err(|_| ToolError::AskIgnored),
                (mode, answer, how) = &mut automatic, if !automatic_done => {
                    automatic_done = true;
                    if let Some(mode) = mode
                        && let Some(manager) = self.manager.upgrade()
                    {
                        manager.switch_mode(&mode);
                    }
                    let _ = self.respond(Some(message.ts), answer, how);
                }
                () = &mut long_wait, if waiting_status.is_none() => {
                    let class = class_of(ask);
                    waiting_status = Some(class);
                    if let Some((status, event)) = class {
                        self.persist_at_rest();
                        self.lifecycle(event, Value::Null);
                        self.status(status, Some(ask.as_str().to_owned()));
                    }
                }
            }
        };
        if let Err(ToolError::Aborted) = outcome {
            let withdrawn = self.state().pending.take_if(|pending| pending.ts == message.ts).is_some();
            if withdrawn {
                self.note(|task| Note::Closed { task, ts: message.ts });
                self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts: message.ts, how: "withdrawn" });
            }
            return outcome;
        }
        if let Some(Some(_)) = waiting_status {
            self.lifecycle("taskActive", Value::Null);
            self.status(Status::Running, None);
        }
        if outcome.is_ok() {
            self.lifecycle("taskAskResponded", Value::Null);
        }
        outcome
    }

    /// Answers the question that waits (of this `ts`, if given). False when none such does.
    pub fn respond(&self, ts: Option<i64>, answer: Answer, how: &'static str) -> bool {
        self.respond_with(ts, answer, how, None)
    }

    /// As [`Task::respond`]; `queued` names the message of the queue that answers. A message of the user is an occasion for
    /// a checkpoint (spec 02 §2.4).
    fn respond_with(&self, ts: Option<i64>, answer: Answer, how: &'static str, queued: Option<&str>) -> bool {
        let message = answer.response == AskResponse::Message;
        let delivered = self.deliver(ts, answer, how, queued);
        if message && delivered {
            self.checkpoint_beside(Saving { force: false, suppress: true });
        }
        delivered
    }

    fn deliver(&self, ts: Option<i64>, answer: Answer, how: &'static str, queued: Option<&str>) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(pending) = state.pending.take_if(|pending| ts.is_none_or(|ts| ts == pending.ts)) else {
            // A restored task is on its way back to the question; it will find the answer there.
            let Some(open) = state.replay.open.take_if(|open| ts.is_none_or(|ts| ts == *open)) else { return false };
            self.note_answer(open, &answer, how, queued);
            state.replay.answers.push(Given { ts: open, how: how.to_owned(), answer });
            drop(guard);
            self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts: open, how });
            return true;
        };
        self.note_answer(pending.ts, &answer, how, queued);
        if matches!(answer.response, AskResponse::Message | AskResponse::Yes) {
            let followup =
                state.ui.iter().rposition(|m| m.kind == UiKind::Ask(Ask::Followup) && m.is_answered != Some(true));
            if let Some(message) = followup.and_then(|at| state.ui.edit(at)) {
                message.is_answered = Some(true);
                let message = message.clone();
                self.note_ui(&message);
                self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message });
            }
        }
        let ts = pending.ts;
        let delivered = pending.answer.send(answer).is_ok();
        drop(guard);
        self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts, how });
        self.persist_ui();
        delivered
    }

    /// Takes a message of the user: answers the question that waits if it takes messages, else queues it. True when it
    /// was queued.
    ///
    /// # Errors
    /// The queue is full.
    pub fn message(&self, text: String, images: Vec<String>) -> Result<bool, Full> {
        self.message_from(text, images, None)
    }

    /// As [`Task::message`]; `queued` names the message of the queue that it was.
    fn message_from(&self, text: String, images: Vec<String>, queued: Option<&str>) -> Result<bool, Full> {
        let text = crate::ecma::trim(&text).to_owned();
        if text.is_empty() && images.is_empty() {
            return Ok(false);
        }
        if self.asks().is_some_and(accepts_messages) {
            let answer = Answer { response: AskResponse::Message, text: Some(text.clone()), images: images.clone() };
            if self.respond_with(None, answer, "answered", queued) {
                return Ok(false);
            }
        }
        self.enqueue(text, images).map(|_| true)
    }

    /// Kind of the question that waits, or to which a restored task is on its way back.
    fn asks(&self) -> Option<Ask> {
        let state = self.state();
        if let Some(pending) = &state.pending {
            return Some(pending.ask);
        }
        let open = state.replay.open?;
        match state.replay.messages.iter().find(|message| message.ts == open)?.kind {
            UiKind::Ask(ask) => Some(ask),
            UiKind::Say(_) => None,
        }
    }

    /// Queues a message for the next question; its id, or `None` if it was empty.
    pub fn enqueue(&self, text: String, images: Vec<String>) -> Result<Option<String>, Full> {
        let timestamp = (self.services.surroundings.now_ms)();
        let id = (self.services.surroundings.new_id)();
        let message = QueuedMessage { timestamp, id: id.clone(), text, images };
        let added = self.state().queue.add(message)?;
        if added {
            self.emit_queue();
        }
        Ok(added.then_some(id))
    }

    /// Takes a message off the queue.
    pub fn unqueue(&self, id: &str) -> bool {
        let removed = self.state().queue.remove(id);
        if removed {
            self.emit_queue();
        }
        removed
    }

    /// Changes a queued message.
    pub fn edit_queued(&self, id: &str, text: String, images: Vec<String>) -> bool {
        let now = (self.services.surroundings.now_ms)();
        let changed = self.state().queue.update(id, text, images, now);
        if changed {
            self.emit_queue();
        }
        changed
    }

    /// Notes and reports a change of the queue.
    pub fn emit_queue(&self) {
        self.note_queue();
        self.report_queue();
    }

    /// Reports a change of the queue, which is noted otherwise.
    pub fn report_queue(&self) {
        self.lifecycle("taskUserMessage", Value::Null);
        let (texts, ids) = {
            let state = self.state();
            (state.queue.texts(), state.queue.ids())
        };
        self.emit(TaskEvent::Queue { task: self.id.clone(), texts, ids });
    }

    /// *processQueued()* (spec 02 §3): submits one queued message as if typed.
    pub fn process_queued(self: &Arc<Self>) {
        let Some(message) = self.state().queue.dequeue() else { return };
        // Until it has found its place, it is noted where it was.
        self.report_queue();
        let task = self.clone();
        self.services.spawner.spawn(async move {
            tokio::task::yield_now().await;
            if !task.aborted.is_cancelled() {
                // It left its place in the queue a moment ago.
                let _ = task.message_from(message.text, message.images, Some(&message.id));
                task.note_queue();
            }
        });
    }

    /// Says `api_req_retry_delayed` and the like, whose text is replaced while it counts down.
    pub fn say_countdown(self: &Arc<Self>, text: String, done: bool) -> Result<(), Aborted> {
        self.say(Say::ApiReqRetryDelayed, Some(text), &[], Some(!done), Extra::default())
    }

    /// `"Error <action>:\n<message>"` of handle-error (spec 01 §6.2) and its result text.
    pub fn error_texts(action: &str, message: &str) -> (String, String) {
        let serialised = json!({"name": "Error", "message": message});
        (format!("Error {action}:\n{message}"), format!("Error {action}: {serialised}"))
    }
}

/// A question that was just asked.
struct OpenedAsk {
    message: UiMessage,
    receiver: oneshot::Receiver<Answer>,
    /// Message of the queue that answers it.
    queued: Option<QueuedMessage>,
    /// Answer it had got before the task was restored.
    given: Option<Given>,
}

/// How a question was closed, as events name it.
fn how(noted: &str) -> &'static str {
    match noted {
        "approved" => "approved",
        "denied" => "denied",
        _ => "answered",
    }
}

/// Adds the keys of an object to a message's metadata.
fn add_metadata(message: &mut UiMessage, more: Option<Value>) {
    match (&mut message.metadata, more) {
        (Some(Value::Object(known)), Some(Value::Object(more))) => known.extend(more),
        (metadata, Some(more)) => *metadata = Some(more),
        (_, None) => {}
    }
}

/// Whether the last message is a partial one of this kind.
fn continues(state: &State, kind: UiKind) -> bool {
    state.ui.last().is_some_and(|last| last.partial == Some(true) && last.kind == kind)
}

/// Status and event of a question that waits long (spec 01 §2.5).
fn class_of(ask: Ask) -> Option<(Status, &'static str)> {
    use Ask::*;
    match ask {
        Followup | Command | Tool | BrowserActionLaunch | UseMcpServer => {
            Some((Status::Interactive, "taskInteractive"))
        }
        CompletionResult | ApiReqFailed | ResumeCompletedTask | MistakeLimitReached | AutoApprovalMaxReqReached => {
            Some((Status::Idle, "taskIdle"))
        }
        ResumeTask => Some((Status::Resumable, "taskResumable")),
        CommandOutput | PaymentRequiredPrompt | InvalidModel | ReportBug | Condense => None,
    }
}

/// Questions that a typed message answers (spec 02 §3).
fn accepts_messages(ask: Ask) -> bool {
    use Ask::*;
    matches!(
        ask,
        Followup
            | Tool
            | Command
            | CommandOutput
            | BrowserActionLaunch
            | UseMcpServer
            | CompletionResult
            | ResumeTask
            | ResumeCompletedTask
            | MistakeLimitReached
    )
}
