//! `completion.create`: a raw call of the model, whose answer streams as a message with the request's id. And single prompts of the
//! engine's own.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::core::Core;
use super::router::Outcome;
use super::settings::SessionSettings;
use crate::protocol::event::{Event, Form, MessageBegin, RequestFailed};
use crate::protocol::failure::ErrorKind;
use crate::protocol::message::ApiMessage;
use crate::protocol::request::CompletionCreate;
use crate::providers::{ChatRequest, ProviderError, StreamChunk, Usage, settings_of_profile};
use crate::settings::Settings;
use crate::task::host::SettingsSource;

/// Sends the call and streams its answer.
pub async fn run(core: Arc<Core>, client: Arc<Attachment>, id: u64, create: CompletionCreate) -> Outcome {
    let at = |place: &str, message: String| RequestFailed {
        place: Some(format!("completion.create.{place}")),
        ..RequestFailed::new(ErrorKind::InvalidRequest, message)
    };
    if create.profile.is_some() {
        return Err(RequestFailed::new(ErrorKind::NotSupported, "provider profiles are not supported by this version"));
    }
    let messages: Vec<ApiMessage> =
        serde_json::from_value(create.messages.value()).map_err(|error| at("messages", error.to_string()))?;
    let changes = match create.parameters.map(|parameters| parameters.value()) {
        None => Map::new(),
        Some(Value::Object(changes)) => changes,
        Some(_) => return Err(at("parameters", "must be an object".into())),
    };
    let settings = SessionSettings::new(core.settings.clone(), changes.into())
        .map_err(|error| at(&format!("parameters.{}", error.place), error.message))?;
    let provider = core.provider(&settings.current()).map_err(|error| provider_failed(&error))?;
    let request =
        ChatRequest { system: create.system.unwrap_or_default(), messages: Arc::new(messages), metadata: None };
    let begin = MessageBegin { task: String::new(), form: Form::Say, kind: "text".into() };
    client.channel.send(id, Event::MessageBegin(begin));
    let mut stream = provider.stream(request);
    let mut total = Usage::default();
    loop {
        client.channel.ready().await;
        match stream.next().await {
            None => break,
            Some(Err(error)) => return Err(provider_failed(&error)),
            Some(Ok(StreamChunk::Text(text))) if !text.is_empty() => client.channel.send(id, Event::MessageDelta(text)),
            Some(Ok(StreamChunk::Reasoning(text))) if !text.is_empty() => {
                client.channel.send(id, Event::ReasoningDelta(text))
            }
            Some(Ok(StreamChunk::Usage(usage))) => total.add(&usage),
            Some(Ok(_)) => {}
        }
    }
    let cost = total.total_cost.unwrap_or_else(|| provider.cost(&total));
    Ok(json!({"tokens_in": total.input_tokens, "tokens_out": total.output_tokens, "cost": cost}))
}

/// The failure of a provider as that of the request.
pub fn provider_failed(error: &ProviderError) -> RequestFailed {
    RequestFailed::new(ErrorKind::Provider, error.message.clone())
}

/// What a model is asked for beside a task, by a profile of its own if the user chose one (spec 03 §13.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auxiliary {
    /// A better prompt.
    Enhancement,
    /// A commit message.
    CommitMessage,
    /// A command for the terminal.
    TerminalCommand,
}

impl Auxiliary {
    /// The setting with the id of its profile.
    const fn setting(self) -> &'static str {
        match self {
            Auxiliary::Enhancement => "enhancementApiConfigId",
            Auxiliary::CommitMessage => "commitMessageApiConfigId",
            Auxiliary::TerminalCommand => "terminalCommandApiConfigId",
        }
    }
}

/// The model's answer to one prompt.
///
/// # Errors
/// The prompt or the answer is empty, the profile chosen for enhancement cannot be used, or the provider fails.
pub async fn single(
    core: &Core,
    settings: &Settings,
    purpose: Auxiliary,
    prompt: &str,
) -> Result<String, RequestFailed> {
    if prompt.trim().is_empty() {
        return Err(RequestFailed::new(ErrorKind::InvalidRequest, core.texts().get("support.failed.no_text")));
    }
    let own = match chosen(settings, purpose.setting()) {
        Err(Unreadable) if purpose == Auxiliary::Enhancement => {
            return Err(RequestFailed::new(ErrorKind::Settings, core.texts().get("support.failed.profile")));
        }
        Err(Unreadable) => None,
        Ok(own) => own,
    };
    let provider = core.provider(own.as_ref().unwrap_or(settings)).map_err(|error| provider_failed(&error))?;
    let answer = provider.complete(prompt).await.map_err(|error| provider_failed(&error))?;
    if answer.trim().is_empty() {
        return Err(RequestFailed::new(ErrorKind::Provider, core.texts().get("support.failed.empty")));
    }
    Ok(answer)
}

/// The profile that a setting names is known, but it cannot be read.
struct Unreadable;

/// The settings of the profile that a setting names; `None` when there is none such, or it says no provider.
fn chosen(settings: &Settings, setting: &str) -> Result<Option<Settings>, Unreadable> {
    let Some(id) = settings.option_str(setting) else { return Ok(None) };
    let mut listed = settings.other.get("listApiConfigMeta").and_then(Value::as_array).into_iter().flatten();
    if !listed.any(|entry| entry["id"] == id) {
        return Ok(None);
    }
    let own = settings_of_profile(settings, id).ok_or(Unreadable)?;
    Ok(Some(own).filter(|own| own.api_provider.is_some()))
}
