//! Token usage of a task from its UI messages (spec 01 §3).

use serde_json::{Map, Value};

use super::combine::combine_api_requests;
use crate::protocol::message::{Ask, Say, TokenUsage, UiKind, UiMessage};

/// The usage of a task, from all its messages but the first. Commands, which the specification combines as well, count
/// for nothing.
pub fn task_usage(messages: &[UiMessage]) -> TokenUsage {
    match messages.iter().any(|message| message.kind == UiKind::Say(Say::ApiReqFinished)) {
        true => token_usage(&combine_api_requests(messages)),
        false => token_usage(messages),
    }
}

/// *token-usage*: what `messages` report, as they are.
pub fn token_usage(messages: &[UiMessage]) -> TokenUsage {
    let mut usage = TokenUsage::default();
    for message in messages {
        match message.kind {
            UiKind::Say(Say::ApiReqStarted) => {
                let Some(request) = object(message) else { continue };
                add_costs(&mut usage, &request);
                add(&mut usage.total_cache_writes, request.get("cacheWrites"));
                add(&mut usage.total_cache_reads, request.get("cacheReads"));
                let context = context_of(&request);
                usage.context_tokens = if context == 0 { usage.context_tokens } else { context };
            }
            UiKind::Say(Say::CondenseContext) => {
                let Some(condensed) = &message.context_condense else { continue };
                usage.total_cost += condensed.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
                let context = count(condensed.get("newContextTokens"));
                usage.context_tokens = if context == 0 { usage.context_tokens } else { context };
            }
            UiKind::Ask(Ask::Tool) => {
                let told = message.text.as_deref().is_some_and(|text| text.contains("fastApplyResult"));
                if let Some(Value::Object(fast)) = told.then(|| object(message)?.remove("fastApplyResult")).flatten() {
                    add_costs(&mut usage, &fast);
                }
            }
            _ => {}
        }
    }
    usage
}

/// *usage changed*: whether any count differs from those told before.
pub fn usage_changed(usage: &TokenUsage, told: Option<&TokenUsage>) -> bool {
    told != Some(usage)
}

fn add_costs(usage: &mut TokenUsage, record: &Map<String, Value>) {
    usage.total_tokens_in = usage.total_tokens_in.saturating_add(count(record.get("tokensIn")));
    usage.total_tokens_out = usage.total_tokens_out.saturating_add(count(record.get("tokensOut")));
    usage.total_cost += record.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
}

/// Tokens in the context after this request; 0 when it does not tell.
fn context_of(request: &Map<String, Value>) -> i64 {
    let with_cache = request.get("apiProtocol").and_then(Value::as_str) == Some("anthropic");
    let keys = ["tokensIn", "tokensOut", "cacheWrites", "cacheReads"];
    let counted = if with_cache { &keys[..] } else { &keys[..2] };
    counted.iter().map(|key| count(request.get(*key))).fold(0, i64::saturating_add)
}

fn object(message: &UiMessage) -> Option<Map<String, Value>> {
    serde_json::from_str(message.text.as_deref()?).ok()
}

/// Negative counts, which only damaged records have, stay as they are.
fn count(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_f64).map_or(0, |n| n as i64)
}

fn add(total: &mut Option<i64>, value: Option<&Value>) {
    if value.is_some_and(Value::is_number) {
        *total = Some(total.unwrap_or(0).saturating_add(count(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(value: Value) -> UiMessage {
        UiMessage::new(1, UiKind::Say(Say::ApiReqStarted), Some(value.to_string()))
    }

    #[test]
    fn requests_add_up_and_the_last_one_with_tokens_is_the_context() {
        let usage = token_usage(&[
            request(json!({"tokensIn": 10, "tokensOut": 2, "cost": 0.5, "cacheReads": 4, "apiProtocol": "openai"})),
            request(
                json!({"tokensIn": 7, "tokensOut": 1, "cacheWrites": 3, "cacheReads": 5, "apiProtocol": "anthropic"}),
            ),
            request(json!({"request": "still open"})),
            UiMessage::new(2, UiKind::Say(Say::ApiReqStarted), Some("not json".into())),
        ]);
        let expected = TokenUsage {
            total_tokens_in: 17,
            total_tokens_out: 3,
            total_cache_writes: Some(3),
            total_cache_reads: Some(9),
            total_cost: 0.5,
            context_tokens: 16,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_condensing_resets_the_context_and_legacy_records_are_merged() {
        let mut condensed = UiMessage::new(3, UiKind::Say(Say::CondenseContext), None);
        condensed.context_condense = Some(json!({"cost": 0.25, "newContextTokens": 40}));
        let finished =
            UiMessage::new(2, UiKind::Say(Say::ApiReqFinished), Some(json!({"tokensIn": 5, "cost": 1}).to_string()));
        let usage = task_usage(&[request(json!({"tokensIn": 1, "tokensOut": 1})), finished, condensed]);
        assert_eq!((usage.total_tokens_in, usage.total_tokens_out, usage.context_tokens), (5, 1, 40));
        assert_eq!(usage.total_cost, 1.25);
    }
}
