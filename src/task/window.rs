//! What of the API conversation fits and is sent: context management, sliding window, summaries (spec 02 §8).

use std::borrow::Cow;
use std::sync::Arc;

use super::condense::{self, Failure, Means, Outcome};
use super::request::bare;
use crate::prompt::text::Texts;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::providers::convert::remove_images;
use crate::providers::{Provider, ProviderError};

/// Output tokens reserved when the model names none.
const DEFAULT_RESERVE: u64 = 8192;
/// Part of the window that stays free.
const FREE_PART: f64 = 0.1;
/// Part of the messages a sliding window removes.
const REMOVED_PART: f64 = 0.5;

/// Whether and how the conversation must shrink.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Tokens of the context with the message to come.
    pub tokens: u64,
    /// Condensing is due.
    pub condense: bool,
    /// More than fits.
    pub overflow: bool,
}

/// Compares the context with the window (spec 02 §8.2 steps 1 to 5).
pub fn pressure(
    context_tokens: u64,
    last_tokens: u64,
    window: u64,
    max_tokens: Option<u64>,
    threshold: Option<f64>,
) -> Pressure {
    let reserved = max_tokens.filter(|tokens| *tokens > 0).unwrap_or(DEFAULT_RESERVE);
    let tokens = context_tokens.saturating_add(last_tokens);
    let allowed = window as f64 * (1.0 - FREE_PART) - reserved as f64;
    let overflow = tokens as f64 > allowed;
    let condense = threshold.is_some_and(|percent| 100.0 * tokens as f64 / window as f64 >= percent || overflow);
    Pressure { tokens, condense, overflow }
}

/// Keeps message 0 and drops `fraction` of the others from the front, an even number.
pub fn slide(messages: &[ApiMessage], fraction: f64) -> Vec<ApiMessage> {
    let Some((first, rest)) = messages.split_first() else { return Vec::new() };
    let raw = (rest.len() as f64 * fraction).floor() as usize;
    let removed = (raw - raw % 2).min(rest.len());
    std::iter::once(first).chain(&rest[removed..]).cloned().collect()
}

/// The conversation from its last summary on (spec 02 §8.4).
pub fn since_last_summary(messages: &[ApiMessage], texts: &Texts) -> Vec<ApiMessage> {
    let (question, rest) = told(messages, texts);
    question.map(Cow::into_owned).into_iter().chain(rest.iter().cloned()).collect()
}

/// The conversation from its last summary on, and the question that stands before it then.
fn told<'a>(messages: &'a [ApiMessage], texts: &Texts) -> (Option<Cow<'a, ApiMessage>>, &'a [ApiMessage]) {
    let summary = messages.iter().rposition(|message| message.is_summary == Some(true));
    let Some((at, summary)) = summary.and_then(|at| Some((at, messages.get(at)?))) else { return (None, messages) };
    let rest = messages.get(at..).unwrap_or_default();
    if summary.role == Role::User {
        return (None, rest);
    }
    let question = match messages.first().filter(|first| first.role == Role::User) {
        Some(first) => Cow::Borrowed(first),
        None => Cow::Owned(ApiMessage {
            role: Role::User,
            content: MessageContent::Text(texts.get("condense.continue")),
            ts: messages.first().and_then(|first| first.ts).map(|ts| ts - 1),
            is_summary: None,
        }),
    };
    (Some(question), rest)
}

/// What a provider gets of the conversation (spec 02 §6.6).
pub(super) fn messages_to_send(messages: &[ApiMessage], images: bool, texts: &Texts) -> Arc<Vec<ApiMessage>> {
    let note = format!("[{}]", texts.get("loop.image_placeholder"));
    let (question, rest) = told(messages, texts);
    let messages = Arc::new(question.as_deref().into_iter().chain(rest).map(bare).collect());
    if images { messages } else { remove_images(&messages, &note) }
}

/// Content as blocks, for counting.
pub fn blocks(content: &MessageContent) -> Vec<ContentBlock> {
    match content {
        MessageContent::Text(text) => vec![ContentBlock::text(text.as_str())],
        MessageContent::Blocks(blocks) => blocks.clone(),
    }
}

/// Percentage at which to condense: the profile's own within 5 to 100, else the one for all.
pub fn threshold(all: f64, own: Option<f64>) -> f64 {
    own.filter(|percent| (5.0..=100.0).contains(percent)).unwrap_or(all)
}

/// What a conversation must fit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Context window of the model in tokens.
    pub window: u64,
    /// Output tokens to keep free; absent or 0: 8192.
    pub max_tokens: Option<u64>,
    /// Percentage of the window at which to condense; `None` when that is off.
    pub threshold: Option<f64>,
}

/// A conversation after context management.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Tokens of the context with the message to come.
    pub tokens: u64,
    /// The new conversation; `None` when it stays.
    pub messages: Option<Vec<ApiMessage>>,
    /// What condensing gave, if it was tried.
    pub condensed: Option<Result<Outcome, Failure>>,
}

/// Compares a conversation with what it must fit. `last` is what its last message says, which `context_tokens` do not count yet.
pub async fn measure(last: &[ContentBlock], context_tokens: u64, limits: Limits, main: &dyn Provider) -> Pressure {
    let last_tokens = if last.is_empty() { 0 } else { main.count_tokens(last).await };
    pressure(context_tokens, last_tokens, limits.window, limits.max_tokens, limits.threshold)
}

/// Makes a conversation fit (spec 02 §8.2): condenses when that is due, else drops older messages when there are too many.
///
/// # Errors
/// The provider's, when the request for a summary fails.
pub async fn shrink(messages: &[ApiMessage], pressure: Pressure, means: &Means<'_>) -> Result<Fitted, ProviderError> {
    let Pressure { tokens, condense, overflow } = pressure;
    let mut condensed = None;
    if condense {
        let result = condense::summarise(messages, means, tokens).await?;
        if let Ok(outcome) = &result {
            let messages = Some(outcome.messages.clone());
            return Ok(Fitted { tokens, messages, condensed: Some(result) });
        }
        condensed = Some(result);
    }
    let kept = overflow.then(|| slide(messages, REMOVED_PART)).filter(|kept| kept.len() != messages.len());
    Ok(Fitted { tokens, messages: kept, condensed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, text: &str, is_summary: bool) -> ApiMessage {
        let content = MessageContent::Text(text.into());
        ApiMessage { role, content, ts: Some(10), is_summary: is_summary.then_some(true) }
    }

    /// parity 02 §18.6: what fits the window and what is one token too much
    #[test]
    fn the_window_is_held_with_a_reserve() {
        let fits = pressure(171_807, 1, 200_000, Some(8192), None);
        assert!(!fits.overflow && !fits.condense);
        assert!(pressure(171_808, 1, 200_000, Some(8192), None).overflow);
        assert!(pressure(50, 0, 100, Some(1), Some(50.0)).condense);
        assert!(!pressure(49, 0, 100, Some(1), Some(50.0)).condense);
    }

    /// parity 02 §18.6: an even number goes, the first message stays
    #[test]
    fn sliding_removes_an_even_number_after_the_first() {
        for (count, left) in [(0, 0), (1, 1), (3, 3), (5, 3), (6, 4), (9, 5), (11, 7)] {
            let messages: Vec<ApiMessage> = (0..count).map(|n| message(Role::User, &n.to_string(), false)).collect();
            let kept = slide(&messages, 0.5);
            assert_eq!(kept.len(), left, "{count}");
            assert_eq!(kept.first(), messages.first());
        }
    }

    /// parity 02 §8.4: the conversation from its last summary on
    #[test]
    fn a_summary_hides_what_was_before_it_but_the_first_question() {
        let list = [
            message(Role::User, "task", false),
            message(Role::Assistant, "old", false),
            message(Role::Assistant, "summary", true),
            message(Role::User, "new", false),
        ];
        let texts = Texts::builtin();
        let kept = since_last_summary(&list, &texts);
        assert_eq!(kept, [list[0].clone(), list[2].clone(), list[3].clone()]);
        let synthetic = since_last_summary(&list[1..], &texts);
        assert_eq!((synthetic.len(), synthetic[0].role, synthetic[0].ts), (3, Role::User, Some(9)));
    }

    /// parity 04 §2.2: the threshold of a profile
    /// parity 04 §checklist.13: -1, 4, 5, 100 and 101 as the threshold of a profile
    /// parity 02 §8.2: a profile's own threshold counts within its limits
    #[test]
    fn a_profile_may_have_a_threshold_of_its_own() {
        for (own, percent) in [(-1.0, 80.0), (4.0, 80.0), (5.0, 5.0), (100.0, 100.0), (101.0, 80.0)] {
            assert_eq!(threshold(80.0, Some(own)), percent);
        }
        assert_eq!(threshold(80.0, None), 80.0);
    }
}
