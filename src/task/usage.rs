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
    messages.iter().filter_map(Share::of).for_each(|share| share.add_to(&mut usage));
    usage
}

/// What one message adds to the usage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    tokens_in: i64,
    tokens_out: i64,
    cache_writes: Option<i64>,
    cache_reads: Option<i64>,
    cost: f64,
    /// Tokens in the context after it; 0 when it does not tell.
    context: i64,
}

impl Share {
    /// That of this message, if it has one.
    pub fn of(message: &UiMessage) -> Option<Share> {
        match message.kind {
            UiKind::Say(Say::ApiReqStarted) => {
                let request = object(message)?;
                let number = |key: &str| request.get(key).filter(|value| value.is_number()).map(|n| count(Some(n)));
                Some(Share {
                    cache_writes: number("cacheWrites"),
                    cache_reads: number("cacheReads"),
                    context: context_of(&request),
                    ..Share::costs(&request)
                })
            }
            UiKind::Say(Say::CondenseContext) => {
                let condensed = message.context_condense.as_ref()?;
                let cost = condensed.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
                Some(Share { cost, context: count(condensed.get("newContextTokens")), ..Share::default() })
            }
            UiKind::Ask(Ask::Tool) => {
                let text = message.text.as_deref().filter(|text| text.contains("fastApplyResult"));
                match text.and_then(|_| object(message)?.remove("fastApplyResult"))? {
                    Value::Object(fast) => Some(Share::costs(&fast)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn costs(record: &Map<String, Value>) -> Share {
        Share {
            tokens_in: count(record.get("tokensIn")),
            tokens_out: count(record.get("tokensOut")),
            cost: record.get("cost").and_then(Value::as_f64).unwrap_or(0.0),
            ..Share::default()
        }
    }

    /// Adds it to what the messages before it add up to.
    pub fn add_to(&self, usage: &mut TokenUsage) {
        usage.total_tokens_in = usage.total_tokens_in.saturating_add(self.tokens_in);
        usage.total_tokens_out = usage.total_tokens_out.saturating_add(self.tokens_out);
        usage.total_cost += self.cost;
        add(&mut usage.total_cache_writes, self.cache_writes);
        add(&mut usage.total_cache_reads, self.cache_reads);
        usage.context_tokens = if self.context == 0 { usage.context_tokens } else { self.context };
    }
}

/// *usage changed*: whether any count differs from those told before.
pub fn usage_changed(usage: &TokenUsage, told: Option<&TokenUsage>) -> bool {
    told != Some(usage)
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

fn add(total: &mut Option<i64>, more: Option<i64>) {
    if let Some(more) = more {
        *total = Some(total.unwrap_or(0).saturating_add(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(value: Value) -> UiMessage {
        UiMessage::new(1, UiKind::Say(Say::ApiReqStarted), Some(value.to_string()))
    }

    /// parity 02 §7.3: what the records of requests add up to
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

    /// parity 02 §19.14: what a deleted request cost is not in the totals
    #[test]
    fn a_deleted_request_vanishes_from_the_totals() {
        let deleted = json!({"tokensIn": 3, "tokensOut": 4, "cost": 2}).to_string();
        let deleted = UiMessage::new(2, UiKind::Say(Say::ApiReqDeleted), Some(deleted));
        let usage = token_usage(&[request(json!({"tokensIn": 1, "tokensOut": 1, "cost": 0.5})), deleted]);
        assert_eq!((usage.total_cost, usage.total_tokens_in), (0.5, 1));
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
