//! What of the API conversation fits and is sent: context management, sliding window, summaries (spec 02 §8).

use std::sync::Arc;

use serde_json::json;

use super::condense::{self, Failure};
use super::instance::Task;
use super::messages::Extra;
use super::recovery::Note;
use super::request::bare;
use super::run::RequestError;
use super::session::CommandError;
use crate::prompt::text::Texts;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role, Say};
use crate::providers::Provider;
use crate::providers::convert::remove_images;
use crate::providers::params::max_output_tokens;
use crate::settings::Settings;

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
    let tokens = context_tokens + last_tokens;
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
    let Some(summary) = messages.iter().rposition(|message| message.is_summary == Some(true)) else {
        return messages.to_vec();
    };
    let suffix = &messages[summary..];
    let mut out = Vec::with_capacity(suffix.len() + 1);
    if suffix.first().is_some_and(|first| first.role != Role::User) {
        out.push(match messages.first().filter(|first| first.role == Role::User) {
            Some(first) => first.clone(),
            None => ApiMessage {
                role: Role::User,
                content: MessageContent::Text(texts.get("condense.continue")),
                ts: messages.first().and_then(|first| first.ts).map(|ts| ts - 1),
                is_summary: None,
            },
        });
    }
    out.extend_from_slice(suffix);
    out
}

/// What a provider gets of the conversation (spec 02 §6.6).
pub(super) fn messages_to_send(messages: &[ApiMessage], images: bool, texts: &Texts) -> Arc<Vec<ApiMessage>> {
    let note = format!("[{}]", texts.get("loop.image_placeholder"));
    let messages = Arc::new(since_last_summary(messages, texts).iter().map(bare).collect());
    if images { messages } else { remove_images(&messages, &note) }
}

/// Content as blocks, for counting.
pub(super) fn blocks(content: &MessageContent) -> Vec<ContentBlock> {
    match content {
        MessageContent::Text(text) => vec![ContentBlock::text(text.as_str())],
        MessageContent::Blocks(blocks) => blocks.clone(),
    }
}

/// Percentage at which to condense; `None` when that is off.
fn threshold(settings: &Settings) -> Option<f64> {
    if !settings.auto_condense_context {
        return None;
    }
    let profile = &settings.current_api_config_name;
    let id = settings
        .other
        .get("listApiConfigMeta")
        .and_then(|list| list.as_array())
        .and_then(|list| list.iter().find(|entry| entry["name"] == profile.as_str()))
        .and_then(|entry| entry["id"].as_str())
        .unwrap_or("default");
    let own = settings.other.get("profileThresholds").and_then(|all| all.get(id)).and_then(|value| value.as_f64());
    Some(own.filter(|percent| (5.0..=100.0).contains(percent)).unwrap_or(settings.auto_condense_context_percent))
}

/// Context management before a request (spec 02 §6.5).
pub(super) async fn manage(
    task: &Arc<Task>,
    provider: &dyn Provider,
    settings: &Settings,
    system: &str,
) -> Result<(), RequestError> {
    let context_tokens = task.context_tokens();
    if context_tokens == 0 {
        return Ok(());
    }
    let messages = task.state().api.clone();
    let Some(last) = messages.last() else { return Ok(()) };
    let model = provider.model();
    let last_tokens = provider.count_tokens(&blocks(&last.content)).await;
    let options = &task.settings_at_start.other;
    let reserve = max_output_tokens(&model.id, &model.info, options, None).and_then(|tokens| tokens.try_into().ok());
    let pressure = pressure(context_tokens, last_tokens, model.info.context_window, reserve, threshold(settings));
    let mut error = None;
    if pressure.condense {
        match condense::summarise(task, &messages, provider, settings, system, pressure.tokens).await? {
            Ok(outcome) => {
                task.replace_api(outcome.messages.clone());
                task.state().skip_previous_response = true;
                return Ok(say_condensed(task, outcome)?);
            }
            Err(failure) => error = Some(failure),
        }
    }
    if pressure.overflow {
        let kept = slide(&messages, REMOVED_PART);
        if kept.len() != messages.len() {
            task.replace_api(kept);
        }
    }
    if let Some(Failure { text, .. }) = error {
        task.say_text(Say::CondenseContextError, text)?;
    }
    Ok(())
}

/// Reports a condensing to the user.
fn say_condensed(task: &Arc<Task>, outcome: condense::Outcome) -> Result<(), super::instance::Aborted> {
    let data = json!({
        "summary": outcome.summary,
        "cost": outcome.cost,
        "newContextTokens": outcome.new_tokens,
        "prevContextTokens": outcome.previous_tokens,
    });
    let extra = Extra { non_interactive: true, context_condense: Some(data), ..Extra::default() };
    task.say(Say::CondenseContext, None, &[], None, extra)
}

impl Task {
    /// Replaces the API conversation.
    pub(super) fn replace_api(&self, messages: Vec<ApiMessage>) {
        {
            let mut state = self.state();
            self.note(|task| Note::ApiReplaced { task, messages: messages.clone() });
            state.api = messages;
        }
        self.persist_api();
    }

    /// Condenses at the user's wish (`condenseTaskContextRequest`).
    pub(super) async fn condense_now(self: &Arc<Self>) -> Result<(), CommandError> {
        let settings = self.settings();
        let surroundings = &self.services.surroundings;
        let failed = |cause: String| CommandError::Provider(cause);
        let provider = (surroundings.providers)(&settings).map_err(|error| failed(error.to_string()))?;
        let model = provider.model();
        let request =
            super::host::PromptRequest { cwd: &self.cwd, settings: &settings, mode: &settings.mode, model: &model };
        let system = surroundings.prompt.build(request).await.map_err(failed)?;
        let messages = self.state().api.clone();
        let previous = self.context_tokens();
        let outcome = condense::summarise(self, &messages, provider.as_ref(), &settings, &system, previous).await;
        let aborted = |_| CommandError::NoTask;
        match outcome {
            Ok(Ok(outcome)) => {
                self.replace_api(outcome.messages.clone());
                self.state().skip_previous_response = true;
                say_condensed(self, outcome).map_err(aborted)
            }
            Ok(Err(failure)) => {
                let extra = Extra { non_interactive: true, ..Extra::default() };
                self.say(Say::CondenseContextError, Some(failure.text), &[], Some(false), extra).map_err(aborted)
            }
            Err(RequestError::Failed(cause)) => Err(CommandError::Provider(cause)),
            Err(RequestError::Aborted) => Err(CommandError::NoTask),
        }
    }
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
}
