//! Providers that are data: chat completions as a row of a table describes them (spec 07 §18, §19).
//!
//! `compatible.toml` has the built-in rows and describes the format; users add rows of their own. `rows` reads and checks them,
//! `profile` joins a row with the user's profile, `request` writes bodies, `template` fills texts; answers are read by the
//! shared core (`chat`). A vendor whose ways no row can express has code of its own elsewhere, not an exception here.

mod bill;
mod pattern;
mod profile;
mod request;
mod row;
mod rows;
mod rule;
mod template;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};

pub use row::{Family, List, Row};
pub use rows::{Rows, built_in, of_user};

use bill::Bill;
use profile::{Chosen, Profile};
use request::Writer;

use super::chat::{ChatClient, ChatDecoder, message_text};
use super::failure::Failure;
use super::http::{HeaderMap, HttpRequest};
use super::models::{ModelList, fetch};
use super::openai::{OpenAiProvider, Vendor};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, RequestMetadata, Surroundings, Usage};
use super::{cost, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Builds the provider that `row` describes. Opens no connection.
///
/// # Errors
/// See [`Profile::read`].
pub fn build(
    row: Arc<Row>,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Arc<dyn Provider>, ProviderError> {
    let options = Options::of(settings);
    let profile = Profile::read(row, options, surroundings)?;
    Ok(match profile.row.family {
        Family::Chat => Arc::new(CompatibleProvider::new(profile, surroundings)),
        Family::OpenAi => {
            let Chosen { id, info } = profile.choose(None);
            let (request, answer) = profile.row.rules(&id);
            let vendor = Vendor {
                usage: answer.usage.clone(),
                max_tokens_field: request.max_tokens_field.as_str(),
                base_url: profile.base_url,
                key: profile.key,
                model_id: id,
                info: info.into_owned(),
            };
            Arc::new(OpenAiProvider::of_vendor(vendor, options, surroundings))
        }
    })
}

/// A provider of a row; see the module. Cheap to clone.
#[derive(Clone)]
struct CompatibleProvider {
    profile: Arc<Profile>,
    client: ChatClient,
    surroundings: Surroundings,
    /// The published list as it was last seen.
    list: Arc<Mutex<Option<Arc<ModelList>>>>,
}

impl CompatibleProvider {
    fn new(profile: Profile, surroundings: &Surroundings) -> CompatibleProvider {
        let client = ChatClient::new(surroundings, profile.row.name.as_str(), profile.key.clone());
        CompatibleProvider {
            profile: Arc::new(profile),
            client,
            surroundings: surroundings.clone(),
            list: Arc::default(),
        }
    }

    fn http_request(
        &self,
        body: &serde_json::Value,
        metadata: Option<&RequestMetadata>,
    ) -> Result<HttpRequest, Failure> {
        let Profile { row, base_url, .. } = self.profile.as_ref();
        let url = format!("{}/chat/completions", base_url.strip_suffix('/').unwrap_or(base_url));
        let headers = request::headers(&self.profile, &self.surroundings.environment, metadata)?;
        Ok(HttpRequest {
            header_timeout: Some(Duration::from_secs_f64(row.timeout)),
            idle_timeout: Duration::from_secs_f64(row.idle_timeout),
            retries: row.retries,
            ..HttpRequest::post(url, headers, body)
        })
    }

    /// The model by what is known without asking anyone.
    fn known_model(&self) -> Chosen {
        let mut seen = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = &self.profile.row.list {
            let kept = self.surroundings.lists.get(&list.of, (self.surroundings.http.now)());
            *seen = kept.or(seen.take());
        }
        self.profile.choose(seen.as_deref())
    }

    /// The model, after a look at the published list.
    async fn model_in_force(&self) -> Result<Chosen, ProviderError> {
        if let Some(list) = self.profile.row.list.as_ref().filter(|list| list.fetch) {
            let Profile { key, base_url, .. } = self.profile.as_ref();
            let key = list.key.then(|| key.clone());
            let query = fetch::Query { key, base_url: Some(base_url.clone()), ..fetch::Query::default() };
            let fetched = fetch::models(&self.surroundings, &list.of, &query).await?;
            *self.list.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        }
        Ok(self.known_model())
    }

    fn stream_with(&self, model: Chosen, request: &ChatRequest) -> ChunkStream {
        let (rule, answer) = self.profile.row.rules(&model.id);
        let writer = Writer { profile: &self.profile, model: &model, rule };
        let body = writer.streamed(request, &self.client.image_placeholder());
        let http_request = self.http_request(&body, request.metadata.as_ref());
        let (usage, info) = (answer.usage.clone(), model.info);
        let read_usage = Arc::new(move |counts: &serde_json::Value| usage.read(counts, &info));
        let decoder = ChatDecoder::new(answer.reading(), read_usage, self.client.wording.clone());
        let chunks = match &answer.bill {
            None => self.client.stream(http_request, answer.errors, decoder),
            Some(rule) => {
                let bill = Bill::new(rule, &self.client, &self.surroundings.environment);
                let noted = bill.clone();
                let note = move |headers: &HeaderMap| noted.note(headers);
                bill.follow(self.client.stream_noting(http_request, answer.errors, decoder, note))
            }
        };
        let Some(text) = answer.error_text.clone() else { return chunks };
        let this = self.clone();
        chunks.map(move |chunk| chunk.map_err(|error| this.reworded(error, Some(&text)))).boxed()
    }

    /// Puts a text of the catalogue around the failure, if the row names one.
    fn reworded(&self, error: ProviderError, text: Option<&str>) -> ProviderError {
        match text {
            Some(text) => ProviderError::worded(&self.client.wording, text, &[("message", &error.message)]),
            None => error,
        }
    }
}

#[async_trait]
impl Provider for CompatibleProvider {
    fn model(&self) -> Model {
        self.known_model().into()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let answer = async move {
            match this.model_in_force().await {
                Ok(model) => this.stream_with(model, &request),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        };
        answer.flatten_stream().boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let model = self.model_in_force().await?;
        let (rule, answer) = self.profile.row.rules(&model.id);
        let body = Writer { profile: &self.profile, model: &model, rule }.single_prompt(prompt);
        let whole = self.client.whole(self.http_request(&body, None)).await;
        whole.map(|answer| message_text(&answer)).map_err(|failure| {
            let error = self.client.error(&failure, answer.complete_errors);
            self.reworded(error, answer.complete_error_text.as_deref())
        })
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.known_model().info, usage)
    }
}
