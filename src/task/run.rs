//! The loop of a task: one request after another until it is aborted (spec 02 §4, §5).

use std::sync::Arc;

use serde_json::json;

use super::environment;
use super::host::{Status, TaskEvent};
use super::instance::{AbortReason, Aborted, Task};
use super::messages::Extra;
use super::recovery::{Note, RestoredTurn};
use super::request::RequestRecord;
use super::stream::Reply;
use crate::prompt::text::context;
use crate::protocol::message::{Ask, AskResponse, ContentBlock, MessageContent, Role, Say, UiKind};
use crate::providers::GroundingSource;
use crate::tools::context::ToolError;
use crate::tools::response;

/// How one chain of requests ended.
enum End {
    /// The task is over.
    Over,
    /// The model gave nothing to go on with.
    NoContent,
}

/// Where the loop begins.
pub(super) enum Step {
    /// With a request of this content; `files` lists the workspace for the model.
    Content { content: Vec<ContentBlock>, files: bool },
    /// With the request of this record, which is in the conversation and has no answer.
    Again(RequestRecord),
    /// With what a restored session knows of an answer.
    Turn(RestoredTurn),
}

/// Why a request ended without an answer.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The task was aborted.
    Aborted,
    /// It failed; the text is for the user.
    Failed(String),
}

impl From<Aborted> for RequestError {
    fn from(_: Aborted) -> RequestError {
        RequestError::Aborted
    }
}

impl From<ToolError> for RequestError {
    fn from(error: ToolError) -> RequestError {
        match error {
            ToolError::Aborted => RequestError::Aborted,
            other => RequestError::Failed(other.to_string()),
        }
    }
}

impl Task {
    /// Starts a new task (spec 02 §2.1). It is under way when this returns.
    pub fn start(self: Arc<Self>, text: String, images: Vec<String>) {
        if self.say(Say::Text, Some(text.clone()), &images, None, Extra::default()).is_err() {
            return;
        }
        let todos = self.state().todos.clone();
        if let Some(items) = todos {
            self.emit(TaskEvent::Todos { task: self.id.clone(), items });
        }
        let content = task_content(&text, &images);
        self.run_after_hooks(text, content);
    }

    /// Starts the outer loop (spec 02 §4) and the presenter.
    pub fn run(self: Arc<Self>, content: Vec<ContentBlock>) {
        {
            let state = self.state();
            let after = state.ui.last().map_or(i64::MIN, |last| last.ts);
            let kept = state.api.len();
            self.note(|task| Note::Content { task, content: content.clone(), kept, after });
        }
        self.lifecycle("taskStarted", serde_json::Value::Null);
        self.run_from(Step::Content { content, files: true });
    }

    /// The outer loop and the presenter, from this step on.
    pub fn run_from(self: Arc<Self>, step: Step) {
        self.state().ran = true;
        self.status(Status::Running, None);
        self.prepare_checkpoints();
        let spawner = &self.services.spawner;
        spawner.spawn(self.clone().run_presenter());
        spawner.spawn(self.clone().request_until_over(step));
    }

    async fn request_until_over(self: Arc<Self>, mut step: Step) {
        while let End::NoContent = self.iterate(step).await {
            let content = vec![ContentBlock::text(response::no_tools_used(&self.services.surroundings.texts))];
            step = Step::Content { content, files: false };
            self.state().mistakes += 1;
        }
    }

    async fn iterate(self: &Arc<Self>, mut step: Step) -> End {
        loop {
            let outcome = match step {
                Step::Content { content, files } => self.one_request(content, files).await,
                Step::Again(record) => self.request_again(record).await,
                Step::Turn(turn) => self.finish_restored(turn).await,
            };
            match outcome {
                Ok(Some(content)) => step = Step::Content { content, files: false },
                Ok(None) => return End::NoContent,
                Err(RequestError::Aborted) => return End::Over,
                Err(RequestError::Failed(message)) => {
                    self.show_received().await;
                    self.fail(&message);
                    return End::Over;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Steps 1 to 13 of spec 02 §5: one request and what its tools gave; `None` when they gave nothing.
    async fn one_request(
        self: &Arc<Self>,
        mut content: Vec<ContentBlock>,
        files: bool,
    ) -> Result<Option<Vec<ContentBlock>>, RequestError> {
        self.check()?;
        self.ask_for_guidance(&mut content).await?;
        self.wait_for_subtask().await?;
        self.manager.upgrade().inspect(|manager| manager.refresh_settings());
        let record = self.announce_request(&content)?;
        let mut content = self.unless_aborted(self.expand_content(content)).await?;
        let environment = environment::details(self, files).await;
        content.push(ContentBlock::text(environment));
        self.check()?;
        self.update_request(record.ts, |info| {
            info.insert("request".into(), json!(render(&content)));
        });
        self.append_sent(record.ts, content);
        self.turn().begin();
        self.state().open_call = None;
        self.edits.lock().await.reset().await;
        self.answer(record).await
    }

    /// Step 2: too many mistakes in a row.
    async fn ask_for_guidance(self: &Arc<Self>, content: &mut Vec<ContentBlock>) -> Result<(), RequestError> {
        let limit = self.mistake_limit();
        if limit <= 0 || self.state().mistakes < limit {
            return Ok(());
        }
        let texts = self.services.surroundings.texts.clone();
        let guidance = texts.get("loop.mistake_guidance");
        let answer = self.ask(Ask::MistakeLimitReached, Some(guidance), false, None, None).await?;
        if answer.response == AskResponse::Message {
            let text = answer.text.unwrap_or_default();
            content.push(ContentBlock::text(response::too_many_mistakes(&texts, &text)));
            content.extend(answer.images.iter().map(|url| ContentBlock::image_from_data_url(url)));
            self.say(Say::UserFeedback, Some(text), &answer.images, None, Extra::default())?;
        }
        self.state().mistakes = 0;
        Ok(())
    }

    /// Step 3: a subtask runs.
    async fn wait_for_subtask(self: &Arc<Self>) -> Result<(), RequestError> {
        let back_to = self.state().replay.back_to.take();
        if !self.state().paused && back_to.is_none() {
            return Ok(());
        }
        let finished = async {
            loop {
                let resumed = self.resumed.notified();
                if !self.state().paused {
                    return;
                }
                resumed.await;
            }
        };
        self.persist_at_rest();
        self.unless_aborted(finished).await?;
        let mode = self.state().paused_mode.clone();
        if self.settings().mode != mode
            && let Some(manager) = self.manager.upgrade()
        {
            manager.switch_mode(&mode);
        }
        Ok(())
    }

    /// Step 4: the request's record in the UI.
    fn announce_request(self: &Arc<Self>, content: &[ContentBlock]) -> Result<RequestRecord, RequestError> {
        let request = format!("{}\n\nLoading...", render(content));
        let protocol = super::request::api_protocol(&self.settings_at_start);
        self.say_text(Say::ApiReqStarted, json!({"request": request, "apiProtocol": protocol}).to_string())?;
        let ts = self.state().ui.last().map_or(0, |message| message.ts);
        Ok(RequestRecord { ts })
    }

    /// Steps 10 to 13: the model's answer, its tools, what they gave.
    pub(super) async fn answer(
        self: &Arc<Self>,
        record: RequestRecord,
    ) -> Result<Option<Vec<ContentBlock>>, RequestError> {
        self.turn().streaming = true;
        let reply = self.read_answer(&record).await;
        {
            let mut turn = self.turn();
            turn.streaming = false;
            turn.waiting_first = false;
        }
        self.progress.notify_waiters();
        self.status(Status::Running, None);
        let reply = reply?;
        self.check()?;
        let was_partial = {
            let mut turn = self.turn();
            turn.stream_done = true;
            let partial = turn.parser.blocks().any(|block| block.partial());
            turn.parser.finalize();
            partial
        };
        if was_partial {
            self.present();
            // The last text is shown before anything that belongs behind it or is attached to it.
            tokio::task::yield_now().await;
        }
        self.note_read(&reply.text);
        self.note_response(&reply);
        self.persist_ui();
        self.finish_answer(reply, false).await
    }

    /// Steps 12 and 13, from the complete answer on; `stored` says that it stands in the conversation already.
    pub(super) async fn finish_answer(
        self: &Arc<Self>,
        reply: Reply,
        stored: bool,
    ) -> Result<Option<Vec<ContentBlock>>, RequestError> {
        let append = |text: String| {
            if !stored {
                self.append_api(Role::Assistant, MessageContent::Blocks(vec![ContentBlock::text(text)]));
            }
        };
        if reply.text.is_empty() {
            let texts = &self.services.surroundings.texts;
            self.say_text(Say::Error, texts.get("loop.no_assistant_message"))?;
            append(texts.get("loop.no_response_placeholder"));
            return Ok(None);
        }
        self.say_sources(&reply.sources)?;
        append(reply.text);
        self.wait_until_ready().await?;
        let mut turn = self.turn();
        let used_tool = turn.parser.blocks().any(|block| matches!(block, super::parser::BlockView::Tool(_)));
        let mut results = std::mem::take(&mut turn.results);
        drop(turn);
        if !used_tool {
            results.push(ContentBlock::text(response::no_tools_used(&self.services.surroundings.texts)));
            self.state().mistakes += 1;
        }
        Ok((!results.is_empty()).then_some(results))
    }

    pub(super) async fn wait_until_ready(self: &Arc<Self>) -> Result<(), Aborted> {
        let ready = async {
            loop {
                let progress = self.progress.notified();
                if self.turn().ready {
                    return;
                }
                progress.await;
            }
        };
        self.unless_aborted(ready).await
    }

    fn say_sources(self: &Arc<Self>, sources: &[GroundingSource]) -> Result<(), Aborted> {
        if sources.is_empty() {
            return Ok(());
        }
        let links: Vec<String> =
            sources.iter().enumerate().map(|(index, source)| format!("[{}]({})", index + 1, source.url)).collect();
        let label = self.services.surroundings.texts.get("loop.sources");
        let extra = Extra { non_interactive: true, ..Extra::default() };
        self.say(Say::Text, Some(format!("{label} {}", links.join(", "))), &[], Some(false), extra)
    }

    /// Lets the presenter show the text that came just before a failure.
    async fn show_received(&self) {
        loop {
            {
                let turn = self.turn();
                let text = matches!(turn.parser.block(turn.index), Some(super::parser::BlockView::Text { .. }));
                if !text || turn.at_rest() || self.aborted.is_cancelled() {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// The stream failed (spec 02 §7.4): the instance ends and the task is reopened at its resume question.
    fn fail(self: &Arc<Self>, message: &str) {
        {
            let mut state = self.state();
            state.abort_reason = Some(AbortReason::StreamingFailed);
            self.note(|task| Note::Stopped { task });
            let growing = state.ui.last().is_some_and(|last| last.partial == Some(true));
            if let Some(last) = state.ui.last_mut().filter(|_| growing) {
                last.partial = Some(false);
                self.note_ui(last);
                self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: last.clone() });
            }
            self.tell_checkpoints(&mut state);
            let request = state.ui.iter().rev().find(|m| m.kind == UiKind::Say(Say::ApiReqStarted)).map(|m| m.ts);
            drop(state);
            if let Some(ts) = request {
                self.update_request(ts, |info| {
                    info.insert("cancelReason".into(), json!(AbortReason::StreamingFailed.as_str()));
                    info.insert("streamingFailedMessage".into(), json!(message));
                });
            }
        }
        let task = self.clone();
        self.services.spawner.spawn(async move {
            // The open edit is taken back before the instance ends, and again once a tool that was just at work on it has ended too.
            if let Ok(mut edits) = task.edits.try_lock() {
                let _ = edits.revert().await;
            }
            task.abort(false);
            let _ = task.edits.lock().await.revert().await;
            if let Some(manager) = task.manager.upgrade() {
                let _ = manager.reopen(&task, None).await;
            }
        });
    }

    /// Text of a message for the catalogue's retry and limit notices.
    pub(super) fn retry_text(&self, message: &str, attempt: u32, seconds: Option<u64>) -> String {
        let texts = &self.services.surroundings.texts;
        let count = texts.render("loop.retry_attempt", context! { attempt });
        let when = match seconds {
            Some(seconds) => texts.render("loop.retry_in", context! { seconds }),
            None => texts.get("loop.retry_now"),
        };
        format!("{message}\n\n{count}\n{when}")
    }
}

/// What the model is told of a new task.
pub(super) fn task_content(text: &str, images: &[String]) -> Vec<ContentBlock> {
    let mut content = vec![ContentBlock::text(format!("<task>\n{text}\n</task>"))];
    content.extend(images.iter().map(|url| ContentBlock::image_from_data_url(url)));
    content
}

/// Blocks as the text of a request record: text as it is, images as a mark.
fn render(blocks: &[ContentBlock]) -> String {
    let parts: Vec<&str> = blocks
        .iter()
        .map(|block| match block {
            ContentBlock::Text { text } => text.as_str(),
            _ => "[Image]",
        })
        .collect();
    parts.join("\n\n")
}
