//! Claude Code, a program of the user's that answers instead of a service (spec 07 §19.1).
//!
//! `options` reads the profile and builds the command line, `run` starts the program and reads it, `decode` and `lines` turn
//! what it prints into chunks. It runs in the workspace folder, with its own tools off, and does not outlive its stream.

mod decode;
mod lines;
mod options;
mod prompt_file;
mod run;

#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use options::ClaudeCodeOptions;
use run::Question;

use super::convert::{replace_images, to_anthropic};
use super::options::Options;
use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, Surroundings, Usage, cost, tokens};
use crate::protocol::message::{ApiMessage, ContentBlock, ImageSource};
use crate::settings::Settings;

/// Name in errors.
const NAME: &str = "Claude Code";

/// The provider; see the module.
pub struct ClaudeCodeProvider {
    options: ClaudeCodeOptions,
    surroundings: Surroundings,
}

impl ClaudeCodeProvider {
    /// Reads the profile. The program is looked for when an answer is wanted.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> ClaudeCodeProvider {
        let options = ClaudeCodeOptions::read(Options::of(settings), surroundings);
        ClaudeCodeProvider { options, surroundings: surroundings.clone() }
    }
}

/// The conversation with a text in place of each image: what `note` makes of the kind of its source and its media type.
pub fn without_images(messages: &Arc<Vec<ApiMessage>>, note: impl Fn(&str, &str) -> String) -> Arc<Vec<ApiMessage>> {
    replace_images(messages, |source| match source {
        ImageSource::Base64 { media_type, .. } if !media_type.is_empty() => note("base64", media_type),
        ImageSource::Base64 { .. } => note("base64", "unknown"),
        ImageSource::Url { .. } => note("url", "unknown"),
    })
}

#[async_trait]
impl Provider for ClaudeCodeProvider {
    fn model(&self) -> Model {
        Model { id: self.options.model_id.clone(), info: self.options.info.clone() }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let Surroundings { wording, home, storage, program_environment, .. } = &self.surroundings;
        let messages = without_images(&request.messages, |source, media_type| {
            wording("provider.claude_code.image", &[("source", source), ("media_type", media_type)])
        });
        run::answer(Question {
            options: self.options.clone(),
            system: request.system,
            conversation: Value::Array(to_anthropic(&messages)).to_string(),
            workspace: request.metadata.and_then(|metadata| metadata.workspace).unwrap_or_else(|| home.clone()),
            environment: program_environment.to_vec(),
            storage: storage.clone(),
            wording: wording.clone(),
        })
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, _: &str) -> Result<String, ProviderError> {
        let wording = &self.surroundings.wording;
        Err(ProviderError::worded(wording, "provider.no_single_prompt", &[("provider", NAME)]))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::anthropic(&self.options.info, usage)
    }
}
