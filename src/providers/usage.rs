//! Token counts as providers report them.

use serde::{Deserialize, Serialize};

/// Token counts of one chunk: increments, to be summed (spec 07 §1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// US dollars, when the provider reports or computes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_cost: Option<f64>,
}

impl Usage {
    /// Takes in the next usage chunk of the same answer: tokens are summed, the cost is replaced, by "absent" as well
    /// (spec 07 §1.4 point 3).
    pub fn add(&mut self, next: &Usage) {
        self.input_tokens = self.input_tokens.saturating_add(next.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(next.output_tokens);
        self.cache_write_tokens = sum(self.cache_write_tokens, next.cache_write_tokens);
        self.cache_read_tokens = sum(self.cache_read_tokens, next.cache_read_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, next.reasoning_tokens);
        self.total_cost = next.total_cost;
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_add_up_and_the_last_cost_counts() {
        let mut total =
            Usage { input_tokens: 5, cache_read_tokens: Some(1), total_cost: Some(0.5), ..Usage::default() };
        total.add(&Usage { output_tokens: 7, cache_read_tokens: Some(2), total_cost: Some(0.75), ..Usage::default() });
        assert_eq!(
            total,
            Usage {
                input_tokens: 5,
                output_tokens: 7,
                cache_read_tokens: Some(3),
                total_cost: Some(0.75),
                ..Usage::default()
            }
        );
        total.add(&Usage::default());
        assert_eq!((total.cache_read_tokens, total.total_cost), (Some(3), None));
    }
}
