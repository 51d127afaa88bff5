//! Presents the blocks of the assistant message while it streams in: shows text, runs tools (spec 01 §6).

use std::sync::Arc;
use std::time::Duration;

use super::frame::Frame;
use super::host::{TaskEvent, ToolProgress};
use super::instance::{Aborted, Task};
use super::label;
use super::messages::Extra;
use super::recovery::{Given, Note};
use super::text::Change;
use super::turn::Work;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, AskResponse, ContentBlock, Say, ToolResponse};
use crate::protocol::tool::ToolCall;
use crate::tools::context::{ToolContext, ToolError};
use crate::tools::{self, Tool, permissions, response};

impl Task {
    /// Asks for a presentation of what has arrived.
    pub fn present(&self) {
        self.turn().wanted = true;
        self.presentation.notify_one();
    }

    /// Presents whenever asked to, one block after another, until the instance ends.
    pub async fn run_presenter(self: Arc<Self>) {
        loop {
            if self.unless_aborted(self.presentation.notified()).await.is_err() {
                return;
            }
            while std::mem::take(&mut self.turn().wanted) {
                self.turn().busy = true;
                let outcome = self.present_blocks().await;
                self.turn().busy = false;
                self.progress.notify_waiters();
                if outcome.is_err() {
                    return;
                }
            }
        }
    }

    async fn present_blocks(self: &Arc<Self>) -> Result<(), Aborted> {
        loop {
            self.check()?;
            let work = {
                let mut turn = self.turn();
                let work = turn.next_work();
                if work.is_none() && turn.stream_done {
                    turn.ready = true;
                }
                work
            };
            let partial = match work {
                None => return Ok(()),
                Some(Work::Skip) => {
                    self.report_written();
                    true
                }
                Some(Work::Text { change, partial }) => {
                    self.show_text(change, partial)?;
                    partial
                }
                Some(Work::Tool(call)) => {
                    let partial = call.partial;
                    self.present_tool(call).await?;
                    partial
                }
            };
            if self.turn().passes(partial) {
                self.note_block();
            }
            let more = self.turn().advance(partial);
            if !more {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    fn show_text(self: &Arc<Self>, change: Change, partial: bool) -> Result<(), Aborted> {
        if self.turn().rejected || self.turn().used {
            return Ok(());
        }
        match change {
            Change::Append(more) => {
                if !self.say_more(Say::Text, &more)? {
                    let text = self.turn().visible_text();
                    self.say(Say::Text, Some(text), &[], Some(partial), Extra::default())?;
                }
            }
            Change::Replace(text) => self.say(Say::Text, Some(text), &[], Some(partial), Extra::default())?,
            // Even a block of nothing but white space is a message (spec 01 Q9).
            Change::None => {
                let shown = self.showing(Say::Text);
                if !shown {
                    let text = self.turn().visible_text();
                    self.say(Say::Text, Some(text), &[], Some(partial), Extra::default())?;
                }
            }
        }
        Ok(())
    }

    /// Steps a to h of spec 01 §6.2.
    async fn present_tool(self: &Arc<Self>, call: ToolCall) -> Result<(), Aborted> {
        let settings = self.settings();
        let texts = self.services.surroundings.texts.clone();
        let label = label::describe(&call, &settings, &texts);
        if self.turn().rejected {
            let id = if call.partial {
                "present.tool_interrupted_after_reject"
            } else {
                "present.tool_skipped_after_reject"
            };
            self.turn().results.push(ContentBlock::text(texts.render(id, context! { description => label })));
            return Ok(());
        }
        if self.turn().used {
            let tool = format!("[{}]", call.name);
            let notice = texts.render("present.tool_not_executed_one_per_message", context! { tool });
            self.turn().results.push(ContentBlock::text(notice));
            return Ok(());
        }
        if !call.partial {
            self.note_text();
        }
        let number = self.begin_call(&call);
        self.report_written();
        let started = tokio::time::Instant::now();
        let frame = Frame::new(self.clone(), call, label);
        let outcome = self.run_tool(&frame).await;
        let over = !frame.call().partial || self.turn().used || self.turn().rejected;
        if over {
            if outcome.is_ok() {
                self.settle_rest();
                self.note_block();
            }
            self.end_call(number, frame.call(), started.elapsed(), frame.summary());
        }
        outcome
    }

    async fn run_tool(self: &Arc<Self>, frame: &Frame) -> Result<(), Aborted> {
        let call = frame.call();
        let settings = self.settings();
        let texts = self.services.surroundings.texts.clone();
        if !call.partial {
            self.state().tool_usage.entry(call.name).or_default().attempts += 1;
        }
        let interrupted = self.state().replay.interrupted.take();
        if let Some(given) = interrupted {
            return self.tell_interrupted(frame, given);
        }
        let diff = self.settings_at_start.diff_enabled;
        if let Err(refused) = permissions::check(call.name, &call.params, &settings.mode, &settings.custom_modes, diff)
        {
            self.state().mistakes += 1;
            let error = response::tool_error(&texts, &refused.text(&texts));
            frame.push_result(ToolResponse::Text(error));
            return Ok(());
        }
        if !call.partial && !self.state().repetition.allows(call) {
            return self.block_repetition(frame).await;
        }
        let Some(tool) = tools::find(call.name) else {
            if !call.partial {
                let error = texts.render("tool.not_built", context! { tool => call.name.as_str() });
                frame.push_result(ToolResponse::Text(response::tool_error(&texts, &error)));
            }
            return Ok(());
        };
        match call.partial {
            true => self.run_unhooked(tool, frame).await,
            false => self.run_hooked(tool, frame).await,
        }
    }

    /// Runs the tool itself; what it does not catch becomes its result.
    pub(super) async fn run_unhooked(self: &Arc<Self>, tool: &dyn Tool, frame: &Frame) -> Result<(), Aborted> {
        let call = frame.call();
        self.checkpoint_before(call.name).await?;
        match tool.run(call, frame).await {
            Ok(()) => Ok(()),
            Err(ToolError::Aborted) => Err(Aborted),
            Err(ToolError::AskIgnored) if call.partial => Ok(()),
            Err(error) => {
                frame.handle_error(&format!("executing {}", call.name), &error).await;
                self.check()
            }
        }
    }

    /// The call was allowed and may have begun when the session was killed. It is not repeated.
    fn tell_interrupted(self: &Arc<Self>, frame: &Frame, given: Given) -> Result<(), Aborted> {
        let texts = &self.services.surroundings.texts;
        self.state().repetition.allows(frame.call());
        if let Some(text) = given.answer.text.filter(|text| !text.is_empty()) {
            self.say(Say::UserFeedback, Some(text.clone()), &given.answer.images, None, Extra::default())?;
            let told = response::approved_with_feedback(texts, &text);
            frame.push_result(ToolResponse::with_images(told, &given.answer.images));
        }
        frame.mark_failed();
        frame.push_result(ToolResponse::Text(texts.get("recovery.tool_interrupted")));
        Ok(())
    }

    /// Step g: the model repeats itself.
    async fn block_repetition(self: &Arc<Self>, frame: &Frame) -> Result<(), Aborted> {
        let texts = self.services.surroundings.texts.clone();
        let tool = frame.call().name.as_str();
        let detail = texts.render("tools.repetition_limit", context! { tool });
        match self.ask(Ask::MistakeLimitReached, Some(detail), false, None, None).await {
            Ok(answer) if answer.response == AskResponse::Message => {
                let text = answer.text.unwrap_or_default();
                let mut blocks = vec![ContentBlock::text(
                    texts.render("present.repetition_user_feedback", context! { text => text.as_str() }),
                )];
                blocks.extend(answer.images.iter().map(|url| ContentBlock::image_from_data_url(url)));
                frame.push_blocks(blocks);
                self.say(Say::UserFeedback, Some(text), &answer.images, None, Extra::default())?;
            }
            Err(ToolError::Aborted) => return Err(Aborted),
            _ => {}
        }
        let error = texts.render("present.repetition_limit", context! { tool });
        frame.push_result(ToolResponse::Text(response::tool_error(&texts, &error)));
        Ok(())
    }

    /// Reports the call when it is first seen; its number.
    fn begin_call(&self, call: &ToolCall) -> u64 {
        let mut state = self.state();
        if let Some(number) = state.open_call {
            return number;
        }
        state.calls += 1;
        let number = state.calls;
        state.open_call = Some(number);
        drop(state);
        self.note(|task| Note::Call { task, number, tool: call.name.to_string() });
        let progress = ToolProgress::Begin { call: number, tool: call.name.as_str() };
        self.emit(TaskEvent::Tool { task: self.id.clone(), progress });
        number
    }

    /// Reports what has been written of the call that has begun.
    fn report_written(&self) {
        let Some(call) = self.state().open_call else { return };
        let Some(text) = self.turn().take_written() else { return };
        self.emit(TaskEvent::Tool { task: self.id.clone(), progress: ToolProgress::Delta { call, text } });
    }

    fn end_call(&self, number: u64, call: &ToolCall, took: Duration, (status, summary): (&'static str, String)) {
        self.state().open_call = None;
        let progress = ToolProgress::End {
            call: number,
            tool: call.name.as_str(),
            status,
            summary,
            duration_ms: took.as_millis() as u64,
        };
        self.emit(TaskEvent::Tool { task: self.id.clone(), progress });
    }
}
