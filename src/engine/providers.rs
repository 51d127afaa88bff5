//! Requests about providers: which there are, what models they have, whether one works.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::completion::provider_failed;
use super::core::Core;
use super::router::Outcome;
use super::settings::SessionSettings;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::json::Json;
use crate::protocol::message::{ApiMessage, MessageContent, Role};
use crate::protocol::request::{ModelList, ProviderTest, TokensCount};
use crate::providers::catalogue::ModelSource;
use crate::providers::models::{fetch, find};
use crate::providers::{ChatRequest, ModelInfo, Options, StreamChunk, catalogue, tokens};
use crate::settings::Settings;
use crate::task::host::SettingsSource;

/// Providers of this build.
pub fn built_in() -> Value {
    json!({ "providers": catalogue::builtin() })
}

/// `provider.list`: those of this build and of the user's own tables.
pub fn list(core: &Core) -> Value {
    let (own, problems) = catalogue::of_user(core.provider_surroundings());
    let replaced = |name: &str| own.iter().any(|facts| facts.name == name);
    let mut providers = catalogue::builtin();
    providers.retain(|facts| !replaced(&facts.name));
    providers.extend(own);
    json!({ "providers": providers, "problems": problems })
}

/// `provider.test`: a few words are asked for; the first piece of an answer is enough.
pub async fn test(core: Arc<Core>, test: ProviderTest) -> Outcome {
    let settings = with_changes(&core, test.settings, "provider.test.settings")?;
    let provider = core.provider(&settings).map_err(|error| provider_failed(&error))?;
    let question = core.texts().render("provider.test.question", ());
    let message =
        ApiMessage { role: Role::User, content: MessageContent::Text(question.clone()), ts: None, is_summary: None };
    let request = ChatRequest { system: question, messages: Arc::new(vec![message]), metadata: None };
    let asked = Instant::now();
    let mut answer = provider.stream(request);
    while let Some(chunk) = answer.next().await {
        match chunk.map_err(|error| provider_failed(&error))? {
            StreamChunk::Text(text) | StreamChunk::Reasoning(text) if text.trim().is_empty() => {}
            StreamChunk::Text(_) | StreamChunk::Reasoning(_) => break,
            _ => {}
        }
    }
    let ms = asked.elapsed().as_millis() as u64;
    let facts = catalogue::chosen(settings.api_provider.as_deref(), core.provider_surroundings());
    let name = facts.map(|facts| facts.name).unwrap_or_default();
    Ok(json!({ "provider": name, "model": provider.model().id, "ms": ms }))
}

/// `model.list`: the built-in table, what a row of the user describes, the list that the provider publishes.
pub async fn models(core: Arc<Core>, request: ModelList) -> Outcome {
    let settings = with_changes(&core, request.settings, "model.list.settings")?;
    let surroundings = core.provider_surroundings();
    let facts = match &request.provider {
        Some(name) => catalogue::find(name, surroundings),
        None => catalogue::chosen(settings.api_provider.as_deref(), surroundings),
    };
    let Some(facts) = facts else {
        let name = request.provider.unwrap_or_default();
        return Err(RequestFailed {
            place: Some("model.list.provider".into()),
            ..RequestFailed::new(ErrorKind::InvalidRequest, format!("no provider `{name}`"))
        });
    };
    let known = catalogue::known_models(&facts.name, surroundings);
    let list = match request.fetch {
        _ if facts.models == ModelSource::Table => None,
        false => surroundings.lists.get(facts.list(), (surroundings.http.now)()),
        true => {
            let query = facts.query(Options::of(&settings));
            let list = fetch::models(surroundings, facts.list(), &query).await;
            Some(list.map_err(|error| provider_failed(&error))?)
        }
    };
    // What the user's own row says of a model counts.
    let others = list.iter().flat_map(|list| list.iter()).filter(|(id, _)| find(&known, id).is_none());
    let models: Vec<Value> = known.iter().chain(others).map(model).collect();
    Ok(json!({
        "provider": facts.name,
        "default_model": facts.default_model.as_deref().unwrap_or_default(),
        "fetched": list.is_some(),
        "models": models,
    }))
}

/// `tokens.count`: the tokens of a text, and what sessions take it for (spec 07 §4).
pub async fn count_tokens(request: TokensCount) -> Outcome {
    let tokens = tokens::count_aside(request.text).await;
    Ok(json!({"tokens": tokens, "estimate": tokens::estimate(tokens)}))
}

fn model((id, info): &(String, ModelInfo)) -> Value {
    let mut shown = Map::from_iter([("id".to_owned(), json!(id))]);
    if let Ok(Value::Object(facts)) = serde_json::to_value(info) {
        shown.extend(facts);
    }
    Value::Object(shown)
}

/// The settings in force with the request's own on top.
fn with_changes(core: &Core, changes: Option<Json>, place: &str) -> Result<Arc<Settings>, RequestFailed> {
    let changes = match changes.map(|changes| changes.value()) {
        Some(Value::Object(changes)) => changes,
        _ => Map::new(), // Anything but an object was refused with the request.
    };
    let settings = SessionSettings::new(core.settings.clone(), changes.into()).map_err(|error| RequestFailed {
        place: Some(format!("{place}.{}", error.place)),
        ..RequestFailed::new(ErrorKind::InvalidRequest, error.message)
    })?;
    Ok(settings.current())
}
