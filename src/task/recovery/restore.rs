//! Going on with a session from its [`Progress`].

use std::sync::Arc;

use serde_json::json;

use super::editor::take_back;
use super::keep::keep;
use super::note::{Facts, Note, Origin};
use super::progress::{Given, Phase, Progress, TaskProgress, TurnProgress};
use crate::protocol::message::{
    ApiMessage, Ask, AskResponse, ContentBlock, MessageContent, Role, Say, UiKind, UiMessage,
};
use crate::protocol::tool::ToolName;
use crate::task::host::{TaskEvent, ToolProgress};
use crate::task::instance::{Lineage, Task};
use crate::task::manager::{Manager, is_plain_name, result_content};
use crate::task::messages::Extra;
use crate::task::parser::{BlockView, Parser};
use crate::task::request::RequestRecord;
use crate::task::resume::{is_completed, modernise};
use crate::task::run::{RequestError, Step, task_content};
use crate::task::session::{CommandError, Reply};
use crate::task::stored::{self, Stored};
use crate::task::stream;
use crate::tools;

/// Restored so often without getting on, a session asks whether to go on instead: what it does may be what kills it.
const CIRCLE: u32 = 2;
/// As [`CIRCLE`], for a session that waits for an answer: waiting kills nobody, but getting there again might.
const CIRCLE_WAITING: u32 = 16;

/// What is known of an answer that was being read or worked on.
pub(in crate::task) struct RestoredTurn {
    record: RequestRecord,
    /// What the loop had appended to it; `None` when it had not been read to its end.
    suffix: Option<String>,
    /// Stands in the API conversation.
    stored: bool,
}

impl Manager {
    /// Rebuilds the stack of tasks and lets each of them go on.
    pub async fn restore(&self, progress: Progress) -> Reply {
        if self.current().is_some() {
            return Err(CommandError::Invalid("the session has a task already".into()));
        }
        let services = &self.services;
        if let Some((task, message)) = progress.untold_message() {
            services.host.emit(TaskEvent::MessageUpdated { task: task.to_owned(), message: message.clone() });
        }
        keep(services.host.as_ref(), || Note::Restored);
        let waits = progress.waiting().next().is_some();
        let in_a_circle = progress.restores >= if waits { CIRCLE_WAITING } else { CIRCLE };
        if let Some(mode) = progress.mode {
            if services.settings.current().mode != mode {
                services.set_mode(&mode);
            }
            services.host.emit(TaskEvent::Mode(mode));
        }
        let mut tasks: Vec<(Arc<Task>, TaskProgress, Stored)> = Vec::with_capacity(progress.tasks.len());
        for mut known in progress.tasks.into_iter().filter(|known| is_plain_name(&known.entry.id)) {
            let entry = &known.entry;
            let stored = stored::read_begun(services.task_folder(&entry.id)).await;
            let lineage = Lineage {
                parent: tasks.last().filter(|_| entry.child).map(|(below, ..)| below.clone()),
                parent_id: entry.parent_id.clone(),
                root_id: entry.root_id.clone(),
                number: entry.number,
            };
            let task = self.instance(entry.id.clone(), lineage, entry.cwd.clone(), entry.mode.clone());
            self.put(task.clone());
            if stored.unread {
                task.keep_unread();
            }
            let stored = std::mem::take(&mut known.later).over(stored);
            let (stored, _) = task.complete_restore(stored).await;
            tasks.push((task, known, stored));
        }
        let reply = json!({"task": tasks.last().map(|(task, ..)| task.id.clone())});
        let count = tasks.len();
        for (at, (task, known, stored)) in tasks.into_iter().enumerate() {
            let is_top = at + 1 == count;
            task.restore(known, stored, Restoring { is_top, in_a_circle });
        }
        Ok(reply)
    }
}

/// Circumstances of a task that is restored.
struct Restoring {
    is_top: bool,
    in_a_circle: bool,
}

impl Task {
    fn restore(self: Arc<Self>, known: TaskProgress, stored: Stored, how: Restoring) {
        if !known.created.is_empty() {
            take_back(&known.created);
            self.note(|task| Note::Created { task });
        }
        let Stored { mut ui, mut api, .. } = stored;
        modernise(&mut api);
        let step = ui.iter().rposition(|message| message.ts <= known.after).map_or(0, |last| last + 1);
        let messages = ui.split_off(step);
        let mode_before = Some(known.facts.mode.clone()).filter(|mode| !mode.is_empty());
        self.recall(known.facts);
        {
            let mut state = self.state();
            ui.rearranged();
            state.ui = ui;
            state.api = api.into();
            // What the provider stored of an answer that was cut off is not what the conversation holds.
            state.skip_previous_response = true;
            state.paused = known.paused;
            state.paused_mode = known.paused_mode.clone().unwrap_or_default();
            state.replay.back_to = known.paused_mode;
            for message in known.queue {
                // As many as waited before may wait again.
                let _ = state.queue.add(message);
            }
            state.open_call = known.call.as_ref().map(|(number, _)| *number);
            state.calls = state.calls.max(state.open_call.unwrap_or(0));
            state.replay.messages = messages.into();
            state.replay.answers = known.answers;
            state.replay.verdicts = known.verdicts;
            state.replay.open = known.open;
            state.replay.pending_todos = known.pending_todos;
            state.replay.mode = mode_before;
        }
        self.report_restored(known.ended);
        self.persist_ui();
        self.persist_api();
        if how.is_top && !known.paused {
            self.return_from_subtask(known.result);
        }
        let give_up = how.is_top && how.in_a_circle;
        match (known.phase, known.entry.origin) {
            (Phase::Stopped, _) => self.ask_from_the_beginning(Vec::new(), known.call),
            (Phase::Beginning, Origin::New { text, images, .. }) => match give_up {
                true => {
                    let _ = self.say(Say::Text, Some(text.clone()), &images, None, Extra::default());
                    self.ask_from_the_beginning(task_content(&text, &images), None);
                }
                false => self.start(text, images),
            },
            (Phase::Content(content), _) => match give_up {
                true => self.ask_from_the_beginning(content, None),
                false => self.run_from(Step::Content { content, files: true }),
            },
            (Phase::Turn(turn), _) => match give_up {
                true => self.ask_from_the_beginning(turn.results, known.call),
                false => self.go_on_with(turn, known.call),
            },
            (Phase::Beginning, Origin::Stored) => self.ask_from_the_beginning(Vec::new(), None),
            (Phase::Resuming, _) => {
                let completed = is_completed(&self.state().ui);
                self.services.spawner.clone().spawn(self.ask_to_resume(completed));
            }
        }
    }

    fn recall(&self, facts: Facts) {
        let mut state = self.state();
        state.mistakes = facts.mistakes;
        let known = |(tool, count): (String, _)| Some((ToolName::parse(&tool)?, count));
        state.tool_usage = facts.tool_usage.into_iter().filter_map(known).collect();
        state.todos = facts.todos;
        state.diff_failures = facts.diff_failures.into_iter().collect();
        if let Some(repeated) = facts.repeated {
            state.repetition.recall(repeated);
        }
        state.requests = facts.requests;
        state.edited = facts.edited;
        state.recently_modified = facts.recently_modified;
        state.calls = facts.calls;
        state.completion_denials = facts.completion_denials;
    }

    /// What the host was to be told last, it may not have been told.
    fn report_restored(&self, ended: Option<(u64, String)>) {
        let (todos, queued, closed) = {
            let state = self.state();
            let replay = &state.replay;
            let asks = |m: &&UiMessage| matches!(m.kind, UiKind::Ask(_)) && replay.open != Some(m.ts);
            let last = state.ui.iter().rfind(asks);
            let closed: Vec<(i64, &'static str)> = last
                .into_iter()
                .chain(replay.messages.iter().filter(asks))
                .map(|message| {
                    let answered = replay.answers.iter().any(|given| given.ts == message.ts);
                    (message.ts, if answered { "answered" } else { "superseded" })
                })
                .collect();
            (state.todos.clone(), !state.queue.texts().is_empty(), closed)
        };
        for (ts, how) in closed {
            self.emit(TaskEvent::AskClosed { task: self.id.clone(), ts, how });
        }
        self.report_end(ended, "ok");
        if let Some(items) = todos {
            self.emit(TaskEvent::Todos { task: self.id.clone(), items });
        }
        if queued {
            self.emit_queue();
        }
    }

    /// Completes what was under way when a subtask had ended.
    fn return_from_subtask(self: &Arc<Self>, result: Option<String>) {
        let Some(result) = result else { return };
        let (shown, told) = {
            let state = self.state();
            let said = |m: &UiMessage| m.kind == UiKind::Say(Say::SubtaskResult) && m.text.as_ref() == Some(&result);
            let shown = state.replay.messages.iter().chain(state.ui.last()).any(said);
            (shown, state.api.last().is_some_and(|last| last.content == result_content(&result)))
        };
        if !shown {
            let _ = self.say_text(Say::SubtaskResult, result.as_str());
        }
        if !told {
            self.append_api(Role::User, result_content(&result));
        }
        self.note(|task| Note::Returned { task });
    }

    /// Gives up the step and asks whether to go on. `content` is what the model has not been told.
    fn ask_from_the_beginning(self: Arc<Self>, content: Vec<ContentBlock>, call: Option<(u64, String)>) {
        self.settle_rest();
        self.end_restored_call(call);
        let stored = {
            let mut state = self.state();
            let answered = state.api.last().is_none_or(|last| last.role == Role::Assistant);
            if answered && !content.is_empty() {
                let content = MessageContent::Blocks(content);
                let message = ApiMessage { role: Role::User, content, ts: None, is_summary: None };
                self.note_api(&state, &message);
                state.api.push(message);
            }
            // Copies: the files may be written meanwhile.
            Stored { ui: state.ui.clone(), api: state.api.to_vec(), ..Stored::default() }
        };
        self.services.spawner.clone().spawn(self.resume(stored, None));
    }

    /// Goes on with a turn: with the tool at hand, or with the request if there is none.
    fn go_on_with(self: Arc<Self>, known: TurnProgress, call: Option<(u64, String)>) {
        let record = RequestRecord { ts: known.record };
        let mut parser = Parser::default();
        // What fitted once fits again.
        let _ = parser.process(&known.text);
        let at_hand = match parser.block(known.index) {
            Some(BlockView::Tool(tool)) if !tool.partial() => Some(tool.name()),
            _ => None,
        };
        let read = known.suffix.is_some() || known.answered;
        let begun = known.used || known.rejected || !known.results.is_empty() || at_hand.is_some();
        if !read && !begun {
            self.end_restored_call(call);
            self.state().replay.mode = None;
            self.unsay_answer(record.ts);
            return self.run_from(Step::Again(record));
        }
        if !read {
            parser = without_begun_call(parser, known.index);
        }
        parser.finalize();
        match at_hand {
            Some(tool) => self.recall_call(tool),
            None => self.state().replay.mode = None,
        }
        {
            let mut turn = self.turn();
            turn.noted.text = parser.message().len();
            turn.noted.blocks = known.index;
            turn.noted.results = known.results.len();
            // A call that was announced was also reported, as far as it had come.
            turn.reported = if call.is_some() { parser.message().len() } else { 0 };
            turn.parser = parser;
            turn.index = known.index;
            turn.results = known.results;
            turn.rejected = known.rejected;
            turn.used = known.used;
            turn.stream_done = true;
        }
        let suffix = known.suffix.or_else(|| known.answered.then(String::new));
        self.run_from(Step::Turn(RestoredTurn { record, suffix, stored: known.answered }));
    }

    /// What the call of the present block had come to.
    fn recall_call(&self, tool: ToolName) {
        let mut state = self.state();
        state.replay.subtask = tool == ToolName::NewTask && state.paused;
        // Whether to switch was decided by the mode before the switch.
        if tool != ToolName::SwitchMode || state.replay.answers.is_empty() {
            state.replay.mode = None;
        }
        if tools::find(tool).is_none_or(|tool| tool.repeatable()) {
            return;
        }
        let replay = &mut state.replay;
        let approves = |ts: i64| {
            replay.messages.iter().any(|message| {
                let approval = [Ask::Tool, Ask::Command, Ask::BrowserActionLaunch, Ask::UseMcpServer];
                message.ts == ts && approval.iter().any(|ask| message.kind == UiKind::Ask(*ask))
            })
        };
        let allowed = |given: &&Given| given.answer.response == AskResponse::Yes && approves(given.ts);
        let mut interrupted = replay.answers.iter().find(allowed).cloned();
        if let Some(given) = &mut interrupted {
            // Words of the user that the running tool had got are not lost.
            let words = |given: &&Given| given.answer.text.as_ref().is_some_and(|text| !text.is_empty());
            if let Some(last) = replay.answers.iter().rev().find(words) {
                given.answer = last.answer.clone();
            }
        }
        replay.interrupted = interrupted;
    }

    /// The answer begins anew, and all that was said since its request with it.
    fn unsay_answer(&self, record: i64) {
        let mut state = self.state();
        let state = &mut *state;
        let from = state.ui.iter().rposition(|message| message.ts <= record).map_or(0, |last| last + 1);
        for message in state.ui.split_off(from).into_iter().rev() {
            state.replay.messages.push_front(message);
        }
    }

    /// A call that will not come to its end.
    fn end_restored_call(&self, call: Option<(u64, String)>) {
        self.state().open_call = None;
        self.report_end(call, "skipped");
    }

    fn report_end(&self, call: Option<(u64, String)>, status: &'static str) {
        let Some((number, tool)) = call.and_then(|(number, tool)| Some((number, ToolName::parse(&tool)?))) else {
            return;
        };
        let (tool, summary) = (tool.as_str(), String::new());
        let progress = ToolProgress::End { call: number, tool, status, summary, duration_ms: 0 };
        self.emit(TaskEvent::Tool { task: self.id.clone(), progress });
    }

    /// Sends the request of a restored task again.
    pub(in crate::task) async fn request_again(
        self: &Arc<Self>,
        record: RequestRecord,
    ) -> Result<Option<Vec<ContentBlock>>, RequestError> {
        let after = self.state().ui.last().map_or(record.ts, |last| last.ts);
        self.note(|task| Note::Again { task, after });
        self.answer(record).await
    }

    /// Works off what is left of a restored answer. What had not come of it yet is given up.
    pub(in crate::task) async fn finish_restored(
        self: &Arc<Self>,
        restored: RestoredTurn,
    ) -> Result<Option<Vec<ContentBlock>>, RequestError> {
        self.present();
        let mut text = self.turn().parser.message().to_owned();
        match restored.suffix {
            Some(suffix) => text.push_str(&suffix),
            None => {
                self.wait_until_ready().await?;
                let id = match self.turn().rejected {
                    true => "loop.interrupted_by_feedback",
                    false => "loop.interrupted_by_tool",
                };
                text.push_str(&format!("\n\n[{}]", self.services.surroundings.texts.get(id)));
                self.note_read(&text);
            }
        }
        self.close_record(&restored.record);
        self.finish_answer(stream::Reply::of(text), restored.stored).await
    }

    /// A request whose usage is not known any more is over nevertheless.
    fn close_record(&self, record: &RequestRecord) {
        let text = {
            let state = self.state();
            let at = state.ui.iter().rposition(|message| message.ts == record.ts);
            at.and_then(|at| state.ui.whole(at)).and_then(|message| message.into_owned().text)
        };
        let info: serde_json::Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if info.get("cost").is_none() {
            self.update_request(record.ts, |info| {
                info.insert("cost".into(), json!(0));
                info.insert("usageMissing".into(), json!(true));
            });
        }
    }
}

/// The answer without a call behind the block at `index` that had only begun: it must not run half.
fn without_begun_call(mut parser: Parser, index: usize) -> Parser {
    while parser.len() > index + 1
        && let Some(BlockView::Tool(tool)) = parser.block(parser.len() - 1)
        && tool.partial()
        && let Some(begin) = parser.message().rfind(&format!("<{}>", tool.name()))
    {
        let mut shorter = Parser::default();
        // A part of what fitted fits.
        let _ = shorter.process(&parser.message()[..begin]);
        parser = shorter;
    }
    parser
}
