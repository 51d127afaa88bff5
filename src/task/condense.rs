//! Replacing older messages by a summary that the model writes (spec 02 §8.3).

use std::sync::Arc;

use futures::StreamExt;

use super::instance::Task;
use super::request::{bare, describe};
use super::run::RequestError;
use super::window::{blocks, since_last_summary};
use crate::ecma;
use crate::prompt::text::context;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::providers::convert::remove_images;
use crate::providers::{ChatRequest, Provider, StreamChunk};
use crate::settings::Settings;

/// Messages at the end that stay as they are.
const KEPT: usize = 3;

/// A condensed conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// The shorter conversation.
    pub messages: Vec<ApiMessage>,
    /// The summary in it.
    pub summary: String,
    /// US dollars.
    pub cost: f64,
    /// Tokens before.
    pub previous_tokens: u64,
    /// Tokens now.
    pub new_tokens: u64,
}

/// Why the conversation was not condensed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    /// For the user.
    pub text: String,
    /// US dollars spent nevertheless.
    pub cost: f64,
}

/// Condenses `messages`, of which the context has `previous_tokens`. The outer error is a failed request.
pub(super) async fn summarise(
    task: &Arc<Task>,
    messages: &[ApiMessage],
    provider: &dyn Provider,
    settings: &Settings,
    system: &str,
    previous_tokens: u64,
) -> Result<Result<Outcome, Failure>, RequestError> {
    let texts = &task.services.surroundings.texts;
    let fail = |text: String, cost: f64| Ok(Err(Failure { text, cost }));
    let split = messages.len().saturating_sub(KEPT);
    let (older, keep) = messages.split_at(split);
    let to_sum = since_last_summary(older.get(1..).unwrap_or_default(), texts);
    if to_sum.len() <= 1 {
        let count = messages.len();
        if count <= 4 {
            let variables = context! { prevTokens => previous_tokens, count, minimum => 5 };
            return fail(texts.render("condense.not_enough", variables), 0.0);
        }
        return fail(texts.get("condense.recent"), 0.0);
    }
    if keep.iter().any(|message| message.is_summary == Some(true)) {
        return fail(texts.get("condense.recent"), 0.0);
    }
    let request = request(task, &to_sum, provider, settings);
    let (summary, cost, out_tokens) = read_summary(task, request, provider).await?;
    if summary.is_empty() {
        return fail(texts.get("condense.failed"), cost);
    }
    let message = ApiMessage {
        role: Role::Assistant,
        content: MessageContent::Text(summary.clone()),
        ts: keep.first().and_then(|first| first.ts),
        is_summary: Some(true),
    };
    let mut counted = vec![ContentBlock::text(system)];
    if out_tokens == 0 {
        counted.push(ContentBlock::text(summary.as_str()));
    }
    counted.extend(keep.iter().flat_map(|message| blocks(&message.content)));
    let new_tokens = out_tokens + provider.count_tokens(&counted).await;
    if new_tokens >= previous_tokens {
        let variables = context! { prevTokens => previous_tokens, newTokens => new_tokens };
        return fail(texts.render("condense.grew", variables), cost);
    }
    let messages = messages.first().into_iter().cloned().chain(std::iter::once(message)).chain(keep.to_vec()).collect();
    Ok(Ok(Outcome { messages, summary, cost, previous_tokens, new_tokens }))
}

/// The request for a summary; images are judged by the task's own model.
fn request(task: &Task, to_sum: &[ApiMessage], provider: &dyn Provider, settings: &Settings) -> ChatRequest {
    let texts = &task.services.surroundings.texts;
    let own = settings.option_str("customCondensingPrompt").map(ecma::trim).filter(|prompt| !prompt.is_empty());
    let system = own.map_or_else(|| texts.get("condense.prompt"), str::to_owned);
    let images = provider.model().info.supports_images == Some(true);
    let note = format!("[{}]", texts.get("loop.image_placeholder"));
    let mut messages: Vec<ApiMessage> = to_sum.iter().map(bare).collect();
    messages.push(ApiMessage {
        role: Role::User,
        content: MessageContent::Text(texts.get("condense.request")),
        ts: None,
        is_summary: None,
    });
    let messages = Arc::new(messages);
    let messages = if images { messages } else { remove_images(&messages, &note) };
    ChatRequest { system, messages, metadata: None }
}

/// Reads the summary, its cost and its output tokens.
async fn read_summary(
    task: &Arc<Task>,
    request: ChatRequest,
    provider: &dyn Provider,
) -> Result<(String, f64, u64), RequestError> {
    let mut stream = provider.stream(request);
    let (mut text, mut usage) = (String::new(), None);
    loop {
        task.unless_aborted(task.services.host.ready()).await?;
        match task.unless_aborted(stream.next()).await? {
            None => break,
            Some(Ok(StreamChunk::Text(more))) => text.push_str(&more),
            Some(Ok(StreamChunk::Usage(counts))) => usage = Some(counts),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(RequestError::Failed(describe(&error))),
        }
    }
    let usage = usage.unwrap_or_default();
    Ok((ecma::trim(&text).to_owned(), usage.total_cost.unwrap_or(0.0), usage.output_tokens))
}
