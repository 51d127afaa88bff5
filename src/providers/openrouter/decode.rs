//! Reads OpenRouter's streams (spec 07 §17): the shared reading, with failures in words of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use bumpalo::Bump;
use serde_json::Value;

use crate::providers::chat::{
    Charge, ChatDecoder, ChatReading, Count, ReasoningFields, ThinkTags, UsageReader, UsageRule, UsageTime, Zero,
};
use crate::providers::frames::SseEvent;
use crate::providers::stream::{EventDecoder, Flow};
use crate::providers::{ModelInfo, ProviderError, StreamChunk, Wording};

/// Codes of failures that pass with time.
const RATE_LIMITS: [u64; 2] = [429, 418];
/// What OpenRouter charged, and what the upstream provider charged the user's own key.
const OWN_COST: &str = "cost";
const UPSTREAM_COST: &str = "cost_details.upstream_inference_cost";

/// Reads one streamed answer.
pub struct OpenRouterDecoder {
    inner: ChatDecoder,
    wording: Wording,
}

impl OpenRouterDecoder {
    /// At the beginning of an answer.
    pub fn new(usage: UsageReader, wording: Wording) -> OpenRouterDecoder {
        let reading = ChatReading {
            finish_check: true,
            reasoning: ReasoningFields::BothFirst,
            think_tags: ThinkTags::Text,
            usage: UsageTime::Last,
            cumulative: false,
        };
        OpenRouterDecoder { inner: ChatDecoder::new(reading, usage, wording.clone()), wording }
    }
}

impl EventDecoder for OpenRouterDecoder {
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError> {
        self.inner.event(event, arena, out)
    }

    fn end(&mut self, out: &mut VecDeque<StreamChunk>) {
        self.inner.end(out);
    }

    fn failed(&mut self, error: ProviderError, out: &mut VecDeque<StreamChunk>) -> ProviderError {
        readable(&self.inner.failed(error, out), &self.wording)
    }
}

/// The failure in words that tell what to do.
fn readable(error: &ProviderError, wording: &Wording) -> ProviderError {
    let told = error.details.get("error");
    let code = told.and_then(|told| told.get("code")).and_then(Value::as_u64);
    if !code.is_some_and(|code| RATE_LIMITS.contains(&code)) {
        return ProviderError::worded(wording, "provider.openrouter.error", &[("message", &error.message)]);
    }
    match told.and_then(retry_delay) {
        Some(delay) => ProviderError::worded(wording, "provider.openrouter.rate_limited_after", &[("delay", &delay)]),
        None => ProviderError::worded(wording, "provider.openrouter.rate_limited", &[("message", &error.message)]),
    }
}

/// How long the upstream provider, whose own answer is quoted, asks to wait.
fn retry_delay(error: &Value) -> Option<String> {
    let quoted: Value = serde_json::from_str(error.pointer("/metadata/raw")?.as_str()?).ok()?;
    let details = quoted.pointer("/error/details")?.as_array()?;
    let delays = details.iter().filter_map(|detail| detail.get("retryDelay")?.as_str());
    delays.filter(|delay| !delay.is_empty()).map(str::to_owned).next()
}

/// Reads counts as OpenRouter gives them, with the sum of both costs.
pub fn openrouter_usage() -> UsageReader {
    let rule = rule(Charge::Reported(vec![UPSTREAM_COST.to_owned(), OWN_COST.to_owned()]));
    Arc::new(move |usage| rule.read(usage, &ModelInfo::default()))
}

/// Reads counts as the KiloCode gateway gives them (spec 07 §20): free models cost nothing, and with the user's own key only
/// the upstream provider charges.
pub fn kilocode_usage(info: &ModelInfo) -> UsageReader {
    let has_price = |price: Option<f64>| price.is_some_and(|price| price != 0.0);
    let free = !has_price(info.input_price) && !has_price(info.output_price);
    let charge = |path: &str| Charge::Reported(vec![path.to_owned()]);
    let (free_rule, own, upstream) =
        (rule(Charge::Reported(Vec::new())), rule(charge(OWN_COST)), rule(charge(UPSTREAM_COST)));
    Arc::new(move |usage| {
        let rule = match usage["is_byok"] == Value::Bool(true) {
            _ if free => &free_rule,
            true => &upstream,
            false => &own,
        };
        rule.read(usage, &ModelInfo::default())
    })
}

fn rule(charge: Charge) -> UsageRule {
    UsageRule {
        cache_write: Count::default(),
        cache_read: Count::at(&["prompt_tokens_details.cached_tokens"], Zero::Keep),
        reasoning: Count::at(&["completion_tokens_details.reasoning_tokens"], Zero::Keep),
        charge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn failures_tell_what_to_do() {
        let wording: Wording = Arc::new(|id, variables| format!("{id}|{}", variables[0].1));
        let raw = |text: &str| json!({"code": 429, "metadata": {"raw": text}});
        let delays = r#"{"error":{"details":[{"kind":"x"},{"retryDelay":""},{"retryDelay":"7s"}]}}"#;
        for (error, expected) in [
            (json!({"code": 500}), "provider.openrouter.error|m"),
            (json!({"code": "429"}), "provider.openrouter.error|m"),
            (json!({"code": 418}), "provider.openrouter.rate_limited|m"),
            (raw("not JSON"), "provider.openrouter.rate_limited|m"),
            (raw("{}"), "provider.openrouter.rate_limited|m"),
            (raw(delays), "provider.openrouter.rate_limited_after|7s"),
        ] {
            let details = serde_json::Map::from_iter([("error".to_owned(), error.clone())]);
            let failure = ProviderError { message: "m".into(), details, ..ProviderError::default() };
            assert_eq!(readable(&failure, &wording).message, expected, "{error}");
        }
    }

    #[test]
    fn the_gateway_charges_by_whose_key_was_used() {
        let priced = ModelInfo { output_price: Some(1.0), ..ModelInfo::default() };
        let free = ModelInfo { input_price: Some(0.0), ..ModelInfo::default() };
        let costs = json!({"cost": 0.5, "cost_details": {"upstream_inference_cost": 0.25}});
        let mut own_key = costs.clone();
        own_key["is_byok"] = json!(true);
        for (info, usage, expected) in [
            (&priced, &costs, 0.5),
            (&priced, &own_key, 0.25),
            (&priced, &json!({}), 0.0),
            (&free, &costs, 0.0),
            (&free, &own_key, 0.0),
        ] {
            assert_eq!(kilocode_usage(info)(usage).total_cost, Some(expected), "{usage}");
        }
        assert_eq!(openrouter_usage()(&costs).total_cost, Some(0.75));
    }
}
