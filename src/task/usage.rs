//! Token usage of a task from its UI messages (spec 01 §3).

use serde_json::{Map, Value};

use crate::protocol::message::{Ask, Say, TokenUsage, UiKind, UiMessage};

/// The usage that `messages` report. For a task these are all but the first.
pub fn token_usage(messages: &[UiMessage]) -> TokenUsage {
    let mut requests = Vec::new();
    let mut usage = TokenUsage::default();
    for message in messages {
        match message.kind {
            UiKind::Say(Say::ApiReqStarted) => requests.push(Entry::Request(object(message))),
            UiKind::Say(Say::ApiReqFinished) if messages.len() > 1 => merge_legacy(&mut requests, message),
            UiKind::Say(Say::CondenseContext) => {
                let data = message.context_condense.as_ref();
                usage.total_cost += data.and_then(|d| d.get("cost")).and_then(Value::as_f64).unwrap_or(0.0);
                requests.push(Entry::Condensed(data.map_or(0, |d| count(d.get("newContextTokens")))));
            }
            UiKind::Ask(Ask::Tool) => {
                let Some(text) = message.text.as_deref().filter(|t| t.contains("fastApplyResult")) else { continue };
                let Ok(tool) = serde_json::from_str::<Value>(text) else { continue };
                let fast = &tool["fastApplyResult"];
                usage.total_tokens_in += count(fast.get("tokensIn"));
                usage.total_tokens_out += count(fast.get("tokensOut"));
                usage.total_cost += fast["cost"].as_f64().unwrap_or(0.0);
            }
            _ => {}
        }
    }
    for request in requests.iter().filter_map(Entry::request) {
        usage.total_tokens_in += count(request.get("tokensIn"));
        usage.total_tokens_out += count(request.get("tokensOut"));
        usage.total_cost += request.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
        add(&mut usage.total_cache_writes, request.get("cacheWrites"));
        add(&mut usage.total_cache_reads, request.get("cacheReads"));
    }
    usage.context_tokens = requests.iter().rev().map(Entry::context).find(|tokens| *tokens > 0).unwrap_or(0);
    usage
}

/// What counts, in the order of the messages.
enum Entry {
    /// The JSON of an `api_req_started`; `None` when it cannot be parsed.
    Request(Option<Map<String, Value>>),
    /// Context tokens after a condensing.
    Condensed(u64),
}

impl Entry {
    fn request(&self) -> Option<&Map<String, Value>> {
        match self {
            Entry::Request(request) => request.as_ref(),
            Entry::Condensed(_) => None,
        }
    }

    /// Tokens in the context after this entry; 0 when it does not tell.
    fn context(&self) -> u64 {
        match self {
            Entry::Condensed(tokens) => *tokens,
            Entry::Request(None) => 0,
            Entry::Request(Some(request)) => {
                let cached = request.get("apiProtocol").and_then(Value::as_str) == Some("anthropic");
                let tokens = count(request.get("tokensIn")) + count(request.get("tokensOut"));
                let cache = count(request.get("cacheWrites")) + count(request.get("cacheReads"));
                if cached { tokens + cache } else { tokens }
            }
        }
    }
}

fn object(message: &UiMessage) -> Option<Map<String, Value>> {
    // The request text is the bulk of the record and holds nothing that counts; serde skips over it.
    serde_json::from_str(message.text.as_deref()?).ok()
}

/// Merges a legacy `api_req_finished` over the last request.
fn merge_legacy(requests: &mut [Entry], message: &UiMessage) {
    let last = requests.iter_mut().rev().find_map(|entry| match entry {
        Entry::Request(request) => Some(request),
        Entry::Condensed(_) => None,
    });
    if let Some(request) = last {
        request.get_or_insert_default().extend(object(message).unwrap_or_default());
    }
}

fn count(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_f64).map_or(0, |n| n as u64)
}

fn add(total: &mut Option<u64>, value: Option<&Value>) {
    if value.is_some_and(Value::is_number) {
        *total = Some(total.unwrap_or(0) + count(value));
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
        let usage = token_usage(&[request(json!({"tokensIn": 1, "tokensOut": 1})), finished, condensed]);
        assert_eq!((usage.total_tokens_in, usage.total_tokens_out, usage.context_tokens), (5, 1, 40));
        assert_eq!(usage.total_cost, 1.25);
    }
}
