//! Gemini by the login of Google's command-line program (spec 07 §19.1, gemini-cli). The program itself is not run.
//!
//! `login` has the access token of its credentials file, `project` finds the project that is asked in, `call` makes the
//! calls; bodies and answers are those of the `gemini` room in an envelope.

mod call;
mod failure;
mod login;
mod project;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::ready;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use call::Calls;
use failure::CliFailure;
use login::Login;
use project::Project;

use super::convert::to_gemini;
use super::failure::{event_stream, read_json};
use super::gemini::decode::{self, GeminiDecoder, Service};
use super::gemini::failure::unsupported;
use super::gemini::options::GeminiOptions;
use super::gemini::request::{generation, user};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, Wording};
use super::{stream as answer, tokens};
use crate::protocol::message::ContentBlock;
use crate::settings::Settings;

/// Most output tokens where neither profile nor model says.
const DEFAULT_MAX_TOKENS: i64 = 8192;

/// The provider; see the module.
#[derive(Clone)]
pub struct GeminiCliProvider {
    options: GeminiOptions,
    calls: Arc<Calls>,
    project: Arc<Project>,
    wording: Wording,
}

impl GeminiCliProvider {
    /// Reads the profile. Neither the credentials file is read nor a connection made.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> GeminiCliProvider {
        let options = Options::of(settings);
        let login = Login::new(options.filled("geminiCliOAuthPath"), surroundings);
        let project = Project::new(options.filled("geminiCliProjectId"), login.folder(), surroundings);
        let mut options = GeminiOptions::read(options, "gemini-cli");
        options.max_tokens.get_or_insert(DEFAULT_MAX_TOKENS.into());
        GeminiCliProvider {
            options,
            calls: Arc::new(Calls { login, http: surroundings.http.clone() }),
            project: Arc::new(project),
            wording: surroundings.wording.clone(),
        }
    }

    /// Sends a request for content to `method`.
    async fn send(&self, method: &str, request: Value) -> Result<super::http::HttpResponse, CliFailure> {
        let project = self.project.id(&self.calls).await?;
        let body = json!({"model": self.options.model.id, "project": project, "request": request});
        self.calls.send(method, &body).await
    }
}

#[async_trait]
impl Provider for GeminiCliProvider {
    fn model(&self) -> Model {
        self.options.model.clone()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let note = (self.wording)("transform.gemini.image_note", &[]);
        let mut contents = match to_gemini(&request.messages, &note) {
            Ok(contents) => contents,
            Err(block) => return stream::iter([Err(unsupported(&block, &self.wording))]).boxed(),
        };
        contents.insert(0, user(vec![json!({"text": request.system})]));
        let request = json!({"contents": contents, "generationConfig": generation(&self.options)});
        let this = self.clone();
        let opened = async move {
            let opened = match this.send("streamGenerateContent?alt=sse", request).await {
                Ok(response) => event_stream(response).map_err(CliFailure::from),
                Err(failure) => Err(failure),
            };
            let wording = this.wording;
            match opened {
                Ok(body) => {
                    let decoder = GeminiDecoder::new(Service::CodeAssist, wording.clone());
                    answer::answer(ready(Ok(body)).boxed(), decoder, wording.clone())
                        .map(move |item| item.map_err(|error| failure::api(&error.message, &wording)))
                        .boxed()
                }
                Err(failure) => stream::iter([Err(failure.worded(&wording))]).boxed(),
            }
        };
        opened.flatten_stream().boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let request = json!({
            "contents": [user(vec![json!({"text": prompt})])],
            "generationConfig": {"temperature": self.options.temperature},
        });
        let answer = async { Ok(read_json(self.send("generateContent", request).await?).await?) };
        let answer = answer.await.map_err(|failure: CliFailure| failure.worded(&self.wording))?;
        Ok(decode::text(&decode::unwrap_response(answer)))
    }

    /// Nothing is charged.
    fn cost(&self, _: &Usage) -> f64 {
        0.0
    }
}
