//! Token counts of a response and what they cost in which service tier (spec 07 §10.6).

use serde_json::Value;

use crate::providers::{ModelInfo, Usage, cost};

/// The facts of this tier, if the model has it.
pub fn tier<'a>(info: &'a ModelInfo, name: &str) -> Option<&'a Value> {
    let tiers = info.other.get("tiers").and_then(Value::as_array)?;
    tiers.iter().find(|tier| tier["name"] == name)
}

/// The usage that `reported` tells, with its cost in the tier of that name.
pub fn usage(reported: &Value, info: &ModelInfo, tier_name: Option<&str>) -> Usage {
    let first = |keys: &[&str]| keys.iter().find_map(|key| reported.get(*key).and_then(Value::as_f64));
    let details = ["input_tokens_details", "prompt_tokens_details"].iter().find_map(|key| reported.get(*key));
    let detail = |key: &str| details.and_then(|details| details.get(key)?.as_f64()).unwrap_or(0.0);
    let (cached, missed) = (detail("cached_tokens"), detail("cache_miss_tokens"));
    let mut input = first(&["input_tokens", "prompt_tokens"]).unwrap_or(0.0);
    if input == 0.0 && (cached > 0.0 || missed > 0.0) {
        input = cached + missed;
    }
    let written = first(&["cache_creation_input_tokens", "cache_write_tokens"]).unwrap_or(0.0);
    let read = first(&["cache_read_input_tokens", "cache_read_tokens", "cached_tokens"]).unwrap_or(cached);
    let reasoning = reported.pointer("/output_tokens_details/reasoning_tokens").and_then(Value::as_f64);
    let mut usage = Usage {
        input_tokens: input as u64,
        output_tokens: first(&["output_tokens", "completion_tokens"]).unwrap_or(0.0) as u64,
        cache_write_tokens: Some(written as u64),
        cache_read_tokens: Some(read as u64),
        reasoning_tokens: reasoning.map(|tokens| tokens as u64),
        total_cost: None,
    };
    usage.total_cost = Some(cost_in_tier(&usage, info, tier_name));
    usage
}

/// What `usage` costs in this tier; by the base prices where there is no tier, or it does not say.
pub fn cost_in_tier(usage: &Usage, info: &ModelInfo, tier_name: Option<&str>) -> f64 {
    let tier = tier_name.filter(|name| *name != "default").and_then(|name| tier(info, name));
    let price = |key: &str, base: Option<f64>| tier.and_then(|tier| tier.get(key)?.as_f64()).or(base);
    let prices = ModelInfo {
        input_price: price("inputPrice", info.input_price),
        output_price: price("outputPrice", info.output_price),
        cache_writes_price: price("cacheWritesPrice", info.cache_writes_price),
        cache_reads_price: price("cacheReadsPrice", info.cache_reads_price),
        ..ModelInfo::default()
    };
    cost::openai(&prices, usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_found_under_all_their_names() {
        let counts = |usage: Usage| {
            (
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_write_tokens,
                usage.cache_read_tokens,
                usage.reasoning_tokens,
            )
        };
        for (reported, expected) in [
            (json!({}), (0, 0, Some(0), Some(0), None)),
            (json!({"prompt_tokens": 5, "completion_tokens": 6}), (5, 6, Some(0), Some(0), None)),
            (
                json!({"input_tokens_details": {"cached_tokens": 3, "cache_miss_tokens": 4}}),
                (7, 0, Some(0), Some(3), None),
            ),
            (
                json!({"input_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}, "cache_read_tokens": 2}),
                (9, 0, Some(0), Some(2), None),
            ),
            (
                json!({"input_tokens": "9", "cache_write_tokens": 4, "output_tokens_details": {"reasoning_tokens": 8}}),
                (0, 0, Some(4), Some(0), Some(8)),
            ),
        ] {
            assert_eq!(counts(usage(&reported, &ModelInfo::default(), None)), expected, "{reported}");
        }
    }

    #[test]
    fn a_tier_without_a_price_has_the_base_price() {
        let info: ModelInfo = serde_json::from_value(json!({
            "inputPrice": 2.0, "outputPrice": 8.0, "tiers": [{"name": "flex", "inputPrice": 1.0}],
        }))
        .expect("an info");
        let reported = json!({"input_tokens": 1_000_000, "output_tokens": 1_000_000});
        for (tier, expected) in [(None, 10.0), (Some("flex"), 9.0), (Some("default"), 10.0), (Some("priority"), 10.0)] {
            assert_eq!(usage(&reported, &info, tier).total_cost, Some(expected), "{tier:?}");
        }
    }
}
