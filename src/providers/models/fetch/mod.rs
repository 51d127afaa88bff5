//! Lists of models that providers publish: asked for over HTTP, read, kept for a while (spec 07 §21).
//!
//! One file a provider: a [`Source`] says what to ask, how to read the answer and what a failure means. Reading is pure (bytes
//! in, list out). [`models`] is the way in; nothing here knows profiles or sends chat requests.

mod answer;
mod deepinfra;
mod glama;
mod huggingface;
mod io_intelligence;
mod litellm;
mod lmstudio;
mod ollama;
mod openai_compatible;
mod openrouter;
mod requesty;
#[cfg(test)]
mod tests;
mod unbound;
mod vercel_ai_gateway;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use openai_compatible::model_ids;
pub use openrouter::endpoints;

use super::lists::ModelList;
use crate::providers::failure::{self, Failure, Sdk};
use crate::providers::http::{HeaderMap, HttpFailure, HttpRequest, TransportError, set_header};
use crate::providers::{ProviderError, Surroundings};

/// How long a list's headers may take where the specification names no limit.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);
/// Largest share of the context window that output may take where a list names no limit.
const OUTPUT_SHARE: f64 = 0.2;

/// Option that sets the context window of all models of Ollama.
pub const OLLAMA_CONTEXT: &str = "ollamaNumCtx";

/// All providers whose list is one request. Ollama and LM Studio need several.
const SOURCES: [&Source; 10] = [
    &openrouter::SOURCE,
    &openrouter::KILOCODE_SOURCE,
    &vercel_ai_gateway::SOURCE,
    &huggingface::SOURCE,
    &litellm::SOURCE,
    &deepinfra::SOURCE,
    &io_intelligence::SOURCE,
    &requesty::SOURCE,
    &unbound::SOURCE,
    &glama::SOURCE,
];

/// With what a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Key; lists that need none are asked without one.
    pub key: Option<SecretString>,
    /// Base address; `None` or empty: the provider's own.
    pub base_url: Option<String>,
    /// Context window that the profile sets for all models ([`OLLAMA_CONTEXT`]).
    pub context: Option<u64>,
}

impl Query {
    /// The base address, without a slash at its end.
    fn base<'a>(&'a self, default: &'a str) -> &'a str {
        let base = self.base_url.as_deref().filter(|base| !base.is_empty()).unwrap_or(default);
        base.strip_suffix('/').unwrap_or(base)
    }

    /// A GET with `headers`, and with the key if there is one.
    fn get(&self, url: String, headers: &[(&str, &str)]) -> Result<HttpRequest, Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            set_header(&mut map, name, value)?;
        }
        if let Some(key) = self.key.as_ref().filter(|key| !key.expose_secret().is_empty()) {
            set_header(&mut map, "Authorization", &format!("Bearer {}", key.expose_secret()))?;
        }
        let limits = HttpRequest::get(url, map);
        Ok(HttpRequest { header_timeout: Some(DEFAULT_LIMIT), idle_timeout: DEFAULT_LIMIT, retries: 0, ..limits })
    }
}

/// How one provider publishes its models.
struct Source {
    /// Its name (spec 07 §21.1).
    name: &'static str,
    /// What to ask.
    request: fn(&Query) -> Result<HttpRequest, Failure>,
    /// How to read the answer.
    read: fn(&[u8]) -> Result<ModelList, serde_json::Error>,
    /// How long the whole answer may take.
    limit: Option<Duration>,
    /// Whether a key is needed.
    needs_key: bool,
    /// What a failure means.
    on_failure: OnFailure,
}

/// What follows when a list cannot be fetched or read.
enum OnFailure {
    /// The failure is passed on, worded by this text (`message`, `provider`).
    Fail(&'static str),
    /// The list is empty.
    Empty,
    /// The last list counts, however old; without one the failure is passed on. A list of this source is used for an hour.
    Stale,
}

/// The models that the provider called `name` offers, in its order: as kept, else as fetched.
///
/// # Errors
/// `provider.models.invalid_router` for a name without a list; what the provider's source passes on (spec 07 §21.2).
pub async fn models(surroundings: &Surroundings, name: &str, query: &Query) -> Result<Arc<ModelList>, ProviderError> {
    match name {
        ollama::NAME => return keep(surroundings, name, ollama::models(surroundings, query)).await,
        lmstudio::NAME => return keep(surroundings, name, lmstudio::models(surroundings, query)).await,
        _ => {}
    }
    let Some(source) = SOURCES.into_iter().find(|source| source.name == name) else {
        let variables = [("name", name)];
        return Err(ProviderError::worded(&surroundings.wording, "provider.models.invalid_router", &variables));
    };
    let now = (surroundings.http.now)();
    surroundings.lists.get_or_fetch(name, now, source.fetch(surroundings, query)).await
}

/// A list that is asked for by several requests; where they fail, it ends.
async fn keep(
    surroundings: &Surroundings,
    name: &str,
    list: impl Future<Output = ModelList>,
) -> Result<Arc<ModelList>, ProviderError> {
    let now = (surroundings.http.now)();
    surroundings.lists.get_or_fetch(name, now, async { Ok(list.await) }).await
}

impl Source {
    /// The list, after the source's own rule for failures.
    async fn fetch(&self, surroundings: &Surroundings, query: &Query) -> Result<Arc<ModelList>, ProviderError> {
        let text = match self.on_failure {
            OnFailure::Stale => return self.fetch_own(surroundings, query).await,
            OnFailure::Empty => return Ok(Arc::new(self.ask(surroundings, query).await.unwrap_or_default())),
            OnFailure::Fail(text) => text,
        };
        let list = self.ask(surroundings, query).await;
        list.map(Arc::new).map_err(|failure| self.worded(&failure, text, surroundings, query))
    }

    /// The list of a source that keeps its own for an hour, and longer when no new one can be had.
    async fn fetch_own(&self, surroundings: &Surroundings, query: &Query) -> Result<Arc<ModelList>, ProviderError> {
        let (lists, now) = (&surroundings.lists, (surroundings.http.now)());
        if let Some(list) = lists.own(self.name, now) {
            return Ok(list);
        }
        if self.needs_key && query.key.is_none() {
            let variables = [("provider", self.name)];
            return Err(ProviderError::worded(&surroundings.wording, "provider.key_required", &variables));
        }
        match self.ask(surroundings, query).await {
            Ok(list) => Ok(lists.put_own(self.name, list, now)),
            Err(failure) => lists
                .own_stale(self.name)
                .ok_or_else(|| self.worded(&failure, "provider.models.failed", surroundings, query)),
        }
    }

    async fn ask(&self, surroundings: &Surroundings, query: &Query) -> Result<ModelList, Failure> {
        let list = ask(surroundings, (self.request)(query)?, self.read);
        match self.limit {
            Some(limit) => tokio::time::timeout(limit, list).await.unwrap_or_else(|_| Err(timed_out())),
            None => list.await,
        }
    }

    /// The failure with its status, in the words of `text`.
    fn worded(&self, failure: &Failure, text: &str, surroundings: &Surroundings, query: &Query) -> ProviderError {
        let key = query.key.clone().unwrap_or_default();
        let error = failure::raw(failure, Sdk::OpenAi, &key, &surroundings.wording);
        let variables = [("provider", self.name), ("message", error.message.as_str())];
        let message = (surroundings.wording)(text, &variables);
        ProviderError { message, ..error }
    }
}

async fn ask(
    surroundings: &Surroundings,
    request: HttpRequest,
    read: fn(&[u8]) -> Result<ModelList, serde_json::Error>,
) -> Result<ModelList, Failure> {
    let bytes = failure::read_bytes(surroundings.http.send(request).await?).await?;
    read(&bytes).map_err(|error| Failure::NotJson(error.to_string()))
}

fn timed_out() -> Failure {
    Failure::Http(HttpFailure::Transport(TransportError::Timeout))
}
