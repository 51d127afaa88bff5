//! Opening a request: rate limit, prompt, context, limits, first chunk, retries (spec 02 §6).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::approval::limits::Limits;
use super::backoff;
use super::host::{PromptRequest, TaskEvent};
use super::instance::Task;
use super::run::RequestError;
use super::window;
use crate::protocol::message::{ApiMessage, Ask, AskResponse, Say, UiKind};
use crate::providers::{
    ApiProtocol, ChatRequest, ChunkStream, Provider, ProviderError, RequestMetadata, StreamChunk, model_id_of,
};
use crate::settings::Settings;

/// The `api_req_started` message of a request.
pub(super) struct RequestRecord {
    /// Its identity.
    pub ts: i64,
}

/// A request that the provider answers.
pub(super) struct Opened {
    pub provider: Arc<dyn Provider>,
    pub stream: ChunkStream,
    /// Absent when the stream ended at once.
    pub first: Option<StreamChunk>,
    /// The system prompt sent.
    pub system: String,
}

impl Task {
    /// Sends the request until a first chunk comes, the user gives up, or the task ends.
    pub(super) async fn open_request(self: &Arc<Self>) -> Result<Opened, RequestError> {
        let mut retry = 0;
        loop {
            let settings = self.settings();
            let surroundings = &self.services.surroundings;
            let provider =
                (surroundings.providers)(&settings).map_err(|error| RequestError::Failed(describe(&error)))?;
            let wait = self.rate_limit_wait(&settings);
            if retry == 0 {
                self.count_down_rate_limit(wait).await?;
            }
            *last_request(self) = Some(tokio::time::Instant::now());
            let model = provider.model();
            let request = PromptRequest { cwd: &self.cwd, settings: &settings, mode: &settings.mode, model: &model };
            let system = self.unless_aborted(surroundings.prompt.build(request)).await?;
            let system = system.map_err(RequestError::Failed)?;
            self.manage_context(provider.as_ref(), &settings, &system).await?;
            let images = model.info.supports_images == Some(true);
            let messages = window::messages_to_send(&self.state().api, images, &surroundings.texts);
            self.check_limits(&settings).await?;
            let metadata = self.metadata(&settings, &model.id);
            let request = ChatRequest { system: system.clone(), messages, metadata: Some(metadata) };
            // Fused: a stream that ended at once is looked at again.
            let mut stream: ChunkStream = Box::pin(provider.stream(request).fuse());
            self.turn().waiting_first = true;
            self.progress.notify_waiters();
            self.unless_aborted(self.services.host.ready()).await?;
            let first = self.unless_aborted(stream.next()).await?;
            self.turn().waiting_first = false;
            let error = match first {
                None => return Ok(Opened { provider, stream, first: None, system }),
                Some(Ok(chunk)) => return Ok(Opened { provider, stream, first: Some(chunk), system }),
                Some(Err(error)) => error,
            };
            drop(stream);
            retry = self.next_retry(retry, &error, &settings, wait).await?;
        }
    }

    fn rate_limit_wait(&self, settings: &Settings) -> u64 {
        let since_last = last_request(self).map(|at| at.elapsed());
        backoff::rate_limit_wait(settings.rate_limit_seconds, since_last)
    }

    async fn count_down_rate_limit(self: &Arc<Self>, wait: u64) -> Result<(), RequestError> {
        for seconds in (1..=wait).rev() {
            let texts = &self.services.surroundings.texts;
            let text = texts.render("loop.rate_limit", crate::prompt::text::context! { seconds });
            self.say_countdown(text, false)?;
            self.unless_aborted(tokio::time::sleep(Duration::from_secs(1))).await?;
        }
        Ok(())
    }

    /// The first chunk did not come: waits and gives the next retry number, or asks the user.
    async fn next_retry(
        self: &Arc<Self>,
        retry: u32,
        error: &ProviderError,
        settings: &Settings,
        rate_limit: u64,
    ) -> Result<u32, RequestError> {
        if settings.auto_approval_enabled && settings.always_approve_resubmit {
            let message = self.retry_reason(error);
            let delay = backoff::retry_delay(settings.request_delay_seconds, retry, error, rate_limit);
            let attempt = retry + 1;
            self.emit(TaskEvent::Retry {
                task: self.id.clone(),
                attempt,
                in_ms: delay * 1000,
                reason: message.clone(),
            });
            for seconds in (1..=delay).rev() {
                self.say_countdown(self.retry_text(&message, attempt, Some(seconds)), false)?;
                self.unless_aborted(tokio::time::sleep(Duration::from_secs(1))).await?;
            }
            self.say_countdown(self.retry_text(&message, attempt, None), true)?;
            return Ok(attempt);
        }
        let answer = self.ask(Ask::ApiReqFailed, Some(describe(error)), false, None, None).await?;
        if answer.response != AskResponse::Yes {
            return Err(RequestError::Failed(self.services.surroundings.texts.get("loop.retry_refused")));
        }
        self.say(Say::ApiReqRetried, None, &[], None, super::messages::Extra::default())?;
        Ok(0)
    }

    fn retry_reason(&self, error: &ProviderError) -> String {
        let raw = error.details.get("error").and_then(|e| e.pointer("/metadata/raw"));
        match raw {
            Some(raw) => pretty(raw),
            None if !error.message.is_empty() => error.message.clone(),
            None => self.services.surroundings.texts.get("loop.unknown_error"),
        }
    }

    /// Limits of automatic approval (spec 02 §11.1).
    async fn check_limits(self: &Arc<Self>, settings: &Settings) -> Result<(), RequestError> {
        let count = {
            let mut state = self.state();
            state.requests += 1;
            state.requests
        };
        let limits = Limits { requests: settings.allowed_max_requests, cost: settings.allowed_max_cost };
        let Some(reached) = limits.check(count, || self.usage().total_cost) else { return Ok(()) };
        let ask = Ask::AutoApprovalMaxReqReached;
        let answer = self.ask(ask, Some(reached.detail().to_string()), false, None, None).await?;
        if answer.response != AskResponse::Yes {
            return Err(RequestError::Failed(self.services.surroundings.texts.get("loop.limit_refused")));
        }
        self.state().requests = reached.count_after_consent(count);
        Ok(())
    }

    /// Side information; models that go on from a stored response get its id (spec 02 §6.8).
    fn metadata(&self, settings: &Settings, model: &str) -> RequestMetadata {
        let mut state = self.state();
        let suppress = std::mem::take(&mut state.skip_previous_response);
        let goes_on = model.starts_with("gpt-5") && !suppress;
        let previous = state
            .ui
            .iter()
            .rev()
            .take_while(|_| goes_on)
            .filter(|message| message.kind == UiKind::Say(Say::Text))
            .find_map(|message| message.metadata.as_ref()?.pointer("/gpt5/previous_response_id")?.as_str())
            .map(str::to_owned);
        RequestMetadata {
            task_id: self.id.clone(),
            mode: Some(settings.mode.clone()),
            previous_response_id: previous,
            suppress_previous_response_id: suppress,
            store: None,
            thinking: None,
            workspace: Some(self.cwd.clone()),
        }
    }

    /// Changes the JSON of a request's record, reports and stores it.
    pub(super) fn update_request(&self, ts: i64, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut state = self.state();
        let Some(at) = state.ui.iter().rposition(|message| message.ts == ts) else { return };
        let Some(message) = state.ui.edit(at) else { return };
        let mut info: Map<String, Value> =
            message.text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        change(&mut info);
        message.text = Some(Value::Object(info).to_string());
        let message = message.clone();
        drop(state);
        self.note_ui(&message);
        self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message });
        self.persist_ui();
    }
}

fn last_request(task: &Task) -> std::sync::MutexGuard<'_, Option<tokio::time::Instant>> {
    task.services.surroundings.last_request.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What to show of a provider's error: its message, else the whole as JSON.
pub(super) fn describe(error: &ProviderError) -> String {
    if !error.message.is_empty() {
        return error.message.clone();
    }
    let mut object = Map::new();
    if let Some(status) = error.status {
        object.insert("status".into(), json!(status));
    }
    if let Some(code) = &error.code {
        object.insert("code".into(), json!(code));
    }
    object.extend(error.details.clone());
    pretty(&Value::Object(object))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Which conversation format the provider speaks (spec 01 §2.8).
pub(super) fn api_protocol(settings: &Settings) -> &'static str {
    ApiProtocol::of(settings.api_provider.as_deref(), model_id_of(&settings.other)).as_str()
}

/// A message without what providers do not get.
pub(super) fn bare(message: &ApiMessage) -> ApiMessage {
    ApiMessage { role: message.role, content: message.content.clone(), ts: None, is_summary: None }
}
