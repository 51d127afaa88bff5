//! `completion.create`: a raw call of the model. The answer streams as a message whose id is the request's.

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
use crate::providers::{ChatRequest, ProviderError, StreamChunk, Usage};
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
