//! How many requests a task may make, and what it may cost, before the user is asked (spec 02 §11.1).

use serde_json::{Value, json};

use crate::ecma;

/// By how much a cost may pass its limit: sums of small amounts are not exact.
const TOLERANCE: f64 = 0.0001;

/// What the settings allow; absent or 0: anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Requests.
    pub requests: Option<u64>,
    /// US dollars.
    pub cost: Option<f64>,
}

/// A limit that is reached; the user decides whether the task goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// That many requests were made.
    Requests(u64),
    /// So many US dollars were spent.
    Cost(f64),
}

impl Limits {
    /// Looks at one more request, the `count`th since the task began or the user last let it go on.
    pub fn check(&self, count: u64, cost: impl FnOnce() -> f64) -> Option<Reached> {
        if let Some(max) = self.requests.filter(|max| *max > 0 && count > *max) {
            return Some(Reached::Requests(max));
        }
        let max = self.cost.filter(|max| *max > 0.0)?;
        (cost() > max + TOLERANCE).then_some(Reached::Cost(max))
    }
}

impl Reached {
    /// The question's text.
    pub fn detail(self) -> Value {
        match self {
            Reached::Requests(max) => json!({"count": max, "type": "requests"}),
            Reached::Cost(max) => json!({"count": ecma::text::cents(max), "type": "cost"}),
        }
    }

    /// The count to go on with when the user agrees: a cost is asked about again before the next request.
    pub fn count_after_consent(self, count: u64) -> u64 {
        match self {
            Reached::Requests(_) => 0,
            Reached::Cost(_) => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 04 §8: requests and cost are checked each by itself
    /// parity 02 §11.1: requests and cost, in this order
    #[test]
    fn requests_are_looked_at_before_the_cost() {
        let limits = Limits { requests: Some(2), cost: Some(0.125) };
        assert_eq!(limits.check(2, || 0.125), None);
        assert_eq!(limits.check(2, || 0.1251), None);
        assert_eq!(limits.check(2, || 0.126), Some(Reached::Cost(0.125)));
        assert_eq!(limits.check(3, || 9.0), Some(Reached::Requests(2)));
        assert_eq!(Limits { requests: Some(0), cost: Some(0.0) }.check(9, || 9.0), None);
        assert_eq!(Reached::Cost(0.125).detail(), json!({"count": "0.13", "type": "cost"}));
        assert_eq!((Reached::Requests(2).count_after_consent(3), Reached::Cost(1.0).count_after_consent(3)), (0, 3));
    }
}
