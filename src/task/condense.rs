//! Replacing older messages by a summary that the model writes (spec 02 §8.3). Knows no task: conversation and providers
//! in, a shorter conversation or a refusal out.

use std::sync::Arc;

use futures::StreamExt;

use super::request::bare;
use super::window::{blocks, since_last_summary};
use crate::ecma;
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::providers::convert::remove_images;
use crate::providers::{ChatRequest, Provider, ProviderError, StreamChunk};

/// Messages at the end that stay as they are.
const KEPT: usize = 3;
/// Messages without which there is nothing to sum up: the first, the kept ones, and one between.
const MINIMUM: usize = KEPT + 2;
/// The longest summary that is taken, in bytes; more is no summary.
const MAX_SUMMARY: usize = 1 << 20;

/// With what a conversation is condensed.
pub struct Means<'a> {
    /// Texts for the model.
    pub texts: &'a Texts,
    /// The task's own provider. It counts tokens, and its model decides whether images are sent.
    pub main: &'a dyn Provider,
    /// The provider of the profile chosen for condensing, which then writes the summary.
    pub condensing: Option<&'a dyn Provider>,
    /// What the user wants in place of the built-in prompt.
    pub prompt: Option<&'a str>,
    /// The system prompt of the task, which counts into the new context.
    pub system: &'a str,
}

/// A condensed conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
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

impl Outcome {
    /// The outcome itself, if it took the conversation's place; else the conversation has just become shorter otherwise.
    pub fn unless_outdated(self, replaced: bool) -> Result<Outcome, Failure> {
        if replaced { Ok(self) } else { Err(Failure { refusal: Refusal::Recent, cost: self.cost }) }
    }
}

/// Why a conversation was not condensed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The reason.
    pub refusal: Refusal,
    /// US dollars spent nevertheless.
    pub cost: f64,
}

/// Reasons not to condense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing between the first message and the last ones.
    NotEnough {
        /// Tokens of the context.
        previous_tokens: u64,
        /// Messages of the conversation.
        count: usize,
    },
    /// There is little since the last summary.
    Recent,
    /// The model gave no summary.
    Failed,
    /// It would not get smaller.
    Grew {
        /// Tokens before.
        previous_tokens: u64,
        /// Tokens it would have.
        new_tokens: u64,
    },
    /// No provider can be asked.
    NoProvider,
}

impl Refusal {
    /// For the user.
    pub fn text(self, texts: &Texts) -> String {
        match self {
            Refusal::NotEnough { previous_tokens, count } => texts
                .render("condense.not_enough", context! { prevTokens => previous_tokens, count, minimum => MINIMUM }),
            Refusal::Recent => texts.get("condense.recent"),
            Refusal::Failed => texts.get("condense.failed"),
            Refusal::Grew { previous_tokens, new_tokens } => {
                texts.render("condense.grew", context! { prevTokens => previous_tokens, newTokens => new_tokens })
            }
            Refusal::NoProvider => texts.get("condense.handler_invalid"),
        }
    }
}

/// Condenses `messages`, of which the context has `previous_tokens`.
///
/// # Errors
/// The provider's, when the request for a summary fails.
pub async fn summarise(
    messages: &[ApiMessage],
    means: &Means<'_>,
    previous_tokens: u64,
) -> Result<Result<Outcome, Failure>, ProviderError> {
    let refuse = |refusal, cost| Ok(Err(Failure { refusal, cost }));
    let (older, keep) = messages.split_at(messages.len().saturating_sub(KEPT));
    let to_sum = since_last_summary(older.get(1..).unwrap_or_default(), means.texts);
    if to_sum.len() <= 1 {
        let count = messages.len();
        let few = count < MINIMUM;
        return refuse(if few { Refusal::NotEnough { previous_tokens, count } } else { Refusal::Recent }, 0.0);
    }
    if keep.iter().any(|message| message.is_summary == Some(true)) {
        return refuse(Refusal::Recent, 0.0);
    }
    let Summary { text, cost, output_tokens } = read_summary(means, request(&to_sum, means)).await?;
    if text.is_empty() {
        return refuse(Refusal::Failed, cost);
    }
    let mut counted = vec![ContentBlock::text(means.system)];
    if output_tokens == 0 {
        counted.push(ContentBlock::text(text.as_str()));
    }
    counted.extend(keep.iter().flat_map(|message| blocks(&message.content)));
    let new_tokens = output_tokens.saturating_add(means.main.count_tokens(&counted).await);
    if new_tokens >= previous_tokens {
        return refuse(Refusal::Grew { previous_tokens, new_tokens }, cost);
    }
    let summary = ApiMessage {
        role: Role::Assistant,
        content: MessageContent::Text(text.clone()),
        ts: keep.first().and_then(|first| first.ts),
        is_summary: Some(true),
    };
    let first = messages.first().cloned();
    let messages = first.into_iter().chain(std::iter::once(summary)).chain(keep.iter().cloned()).collect();
    Ok(Ok(Outcome { messages, summary: text, cost, previous_tokens, new_tokens }))
}

fn request(to_sum: &[ApiMessage], means: &Means<'_>) -> ChatRequest {
    let texts = means.texts;
    let own = means.prompt.map(ecma::trim).filter(|prompt| !prompt.is_empty());
    let system = own.map_or_else(|| texts.get("condense.prompt"), str::to_owned);
    let mut messages: Vec<ApiMessage> = to_sum.iter().map(bare).collect();
    messages.push(ApiMessage {
        role: Role::User,
        content: MessageContent::Text(texts.get("condense.request")),
        ts: None,
        is_summary: None,
    });
    let messages = Arc::new(messages);
    let note = format!("[{}]", texts.get("loop.image_placeholder"));
    let images = means.main.model().info.supports_images == Some(true);
    let messages = if images { messages } else { remove_images(&messages, &note) };
    ChatRequest { system, messages, metadata: None }
}

/// What the model answered.
struct Summary {
    text: String,
    cost: f64,
    output_tokens: u64,
}

/// Reads the answer: its text, and cost and output tokens of the last usage chunk.
async fn read_summary(means: &Means<'_>, request: ChatRequest) -> Result<Summary, ProviderError> {
    let mut stream = means.condensing.unwrap_or(means.main).stream(request);
    let (mut text, mut usage) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        match chunk? {
            StreamChunk::Text(more) => text.push_str(&more),
            StreamChunk::Usage(counts) => usage = Some(counts),
            _ => {}
        }
        if text.len() > MAX_SUMMARY {
            text.clear();
            break;
        }
    }
    let usage = usage.unwrap_or_default();
    let cost = usage.total_cost.unwrap_or(0.0);
    Ok(Summary { text: ecma::trim(&text).to_owned(), cost, output_tokens: usage.output_tokens })
}
