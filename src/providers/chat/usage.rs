//! Where a vendor's `usage` object hides its counts.

use serde::Deserialize;
use serde_json::Value;

use crate::providers::{ModelInfo, Usage, cost};

/// How a `usage` object is read. Both token counts always stand at `prompt_tokens` and `completion_tokens`; the default
/// reads nothing else.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct UsageRule {
    /// Tokens written to the cache.
    pub cache_write: Count,
    /// Tokens read from the cache.
    pub cache_read: Count,
    /// Tokens spent on reasoning.
    pub reasoning: Count,
    /// Cost.
    pub charge: Charge,
}

/// Where one count stands.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Count {
    /// Paths with dots between their keys; the first whose value is a number other than 0 counts.
    pub paths: Vec<String>,
    /// What is reported without such a value.
    pub zero: Zero,
}

/// What is reported in place of a count that is missing or 0.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Zero {
    /// Nothing.
    #[default]
    Omit,
    /// 0.
    Report,
    /// 0 if the vendor says so, nothing if it says nothing.
    Keep,
}

/// Where the cost comes from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    /// It is not reported: whoever sums up computes it ([`crate::providers::Provider::cost`]).
    #[default]
    Absent,
    /// The OpenAI formula over this report (spec 07 §5).
    Computed,
    /// The sum of the numbers at these paths.
    Reported(Vec<String>),
}

impl Count {
    /// A count at the first of these paths that has one.
    pub fn at(paths: &[&str], zero: Zero) -> Count {
        Count { paths: paths.iter().map(|path| (*path).to_owned()).collect(), zero }
    }

    fn read(&self, usage: &Value) -> Option<u64> {
        let found = |path: &String| number(usage, path);
        let tokens = self.paths.iter().filter_map(found).find(|tokens| *tokens != 0.0);
        match (tokens, self.zero) {
            (Some(tokens), _) => Some(tokens as u64),
            (None, Zero::Omit) => None,
            (None, Zero::Report) => Some(0),
            (None, Zero::Keep) => self.paths.iter().find_map(found).map(|_| 0),
        }
    }
}

impl UsageRule {
    /// The OpenAI-compatible provider's reading (spec 07 §11.3).
    pub fn openai() -> UsageRule {
        UsageRule {
            cache_write: Count::at(&["cache_creation_input_tokens"], Zero::Omit),
            cache_read: Count::at(&["cache_read_input_tokens"], Zero::Omit),
            ..UsageRule::default()
        }
    }

    /// Reads `usage`; what is no number counts as absent. `info` has the prices.
    pub fn read(&self, usage: &Value, info: &ModelInfo) -> Usage {
        let tokens = |path: &str| number(usage, path).unwrap_or(0.0) as u64;
        let mut read = Usage {
            input_tokens: tokens("prompt_tokens"),
            output_tokens: tokens("completion_tokens"),
            cache_write_tokens: self.cache_write.read(usage),
            cache_read_tokens: self.cache_read.read(usage),
            reasoning_tokens: self.reasoning.read(usage),
            total_cost: None,
        };
        read.total_cost = match &self.charge {
            Charge::Absent => None,
            Charge::Computed => Some(cost::openai(info, &read)),
            Charge::Reported(paths) => Some(paths.iter().filter_map(|path| number(usage, path)).sum()),
        };
        read
    }
}

fn number(usage: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(usage, |value, key| value.get(key))?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_found_and_zero_is_told_as_asked() {
        let paths = ["details.cached", "cached"];
        for (usage, omit, report, keep) in [
            (json!({"details": {"cached": 3}, "cached": 4}), Some(3), Some(3), Some(3)),
            (json!({"details": {"cached": 0}, "cached": 4}), Some(4), Some(4), Some(4)),
            (json!({"details": {"cached": 0}}), None, Some(0), Some(0)),
            (json!({"details": {"cached": null}}), None, Some(0), None),
            (json!({"details": 5, "cached": "6"}), None, Some(0), None),
            (json!({"cached": -2.5}), Some(0), Some(0), Some(0)),
            (json!("usage"), None, Some(0), None),
        ] {
            for (zero, expected) in [(Zero::Omit, omit), (Zero::Report, report), (Zero::Keep, keep)] {
                assert_eq!(Count::at(&paths, zero).read(&usage), expected, "{usage} {zero:?}");
            }
        }
    }

    #[test]
    fn the_cost_is_left_out_computed_or_reported() {
        let info = ModelInfo { input_price: Some(2.0), output_price: Some(4.0), ..ModelInfo::default() };
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.5, "more": {"cost": 0.25}});
        for (charge, expected) in [
            (Charge::Absent, None),
            (Charge::Computed, Some(0.004)),
            (Charge::Reported(vec!["cost".into(), "more.cost".into()]), Some(0.75)),
            (Charge::Reported(vec!["price".into()]), Some(0.0)),
        ] {
            let rule = UsageRule { charge: charge.clone(), ..UsageRule::default() };
            assert_eq!(rule.read(&usage, &info).total_cost, expected, "{charge:?}");
        }
    }
}
