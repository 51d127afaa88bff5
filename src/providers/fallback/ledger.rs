//! What each profile used lately and which ones rest (spec 07 §19.1). Pure: the time is an argument, in milliseconds
//! since the Unix epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A minute.
pub const MINUTE: i64 = 60_000;
/// An hour.
pub const HOUR: i64 = 60 * MINUTE;
/// A day; older uses are forgotten.
pub const DAY: i64 = 24 * HOUR;
/// Uses kept at most; the oldest are forgotten first.
const USES_KEPT: usize = 50_000;
/// Keys of the stored form.
const USAGE_KEY: &str = "kilocode.virtualQuotaFallbackProvider.usage.v1";
const COOLDOWNS_KEY: &str = "kilocode.virtualQuotaFallbackProvider.cooldowns.v1";

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Input and output tokens.
    Tokens,
    /// Requests sent.
    Requests,
}

/// One use of a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Use {
    timestamp: i64,
    provider_id: String,
    #[serde(rename = "type")]
    kind: Kind,
    count: u64,
}

/// How much of a kind may be used within which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What is limited.
    pub kind: Kind,
    /// Length of the window.
    pub window: i64,
    /// Use at which it is reached.
    pub count: f64,
}

/// Uses and rests of all profiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// In the order in which they were recorded.
    uses: Vec<Use>,
    /// Until when a profile rests.
    cooldowns: BTreeMap<String, i64>,
}

impl Ledger {
    /// Reads the stored form; what is not as expected is left out.
    pub fn read(stored: &Value) -> Ledger {
        let uses = stored.get(USAGE_KEY).and_then(Value::as_array).into_iter().flatten();
        let cooldowns = stored.get(COOLDOWNS_KEY).and_then(Value::as_object).into_iter().flatten();
        Ledger {
            uses: uses.filter_map(|one| Use::deserialize(one).ok()).collect(),
            cooldowns: cooldowns.filter_map(|(profile, until)| Some((profile.clone(), until.as_i64()?))).collect(),
        }
    }

    /// The stored form.
    pub fn stored(&self) -> Value {
        json!({USAGE_KEY: self.uses, COOLDOWNS_KEY: self.cooldowns})
    }

    /// A profile used this much.
    pub fn record(&mut self, profile: &str, kind: Kind, count: u64, now: i64) {
        self.prune(now);
        self.uses.push(Use { timestamp: now, provider_id: profile.to_owned(), kind, count });
    }

    /// A profile rests until `until`.
    pub fn cool_down(&mut self, profile: &str, until: i64) {
        self.cooldowns.insert(profile.to_owned(), until);
    }

    /// Whether a profile may be used now: it does not rest, and none of its limits is reached.
    pub fn allows(&self, profile: &str, limits: &[Limit], now: i64) -> bool {
        let rests = self.cooldowns.get(profile).is_some_and(|until| now < *until);
        !rests && limits.iter().all(|limit| (self.used(profile, limit.kind, limit.window, now) as f64) < limit.count)
    }

    /// How much a profile used within the last `window`.
    pub fn used(&self, profile: &str, kind: Kind, window: i64, now: i64) -> u64 {
        let within =
            |one: &&Use| one.kind == kind && one.provider_id == profile && now.saturating_sub(one.timestamp) < window;
        self.uses.iter().filter(within).fold(0, |sum, one| sum.saturating_add(one.count))
    }

    /// Forgets what counts no longer.
    pub fn prune(&mut self, now: i64) {
        // A clock that was set back makes uses of the future: they would count for ever.
        self.uses.retain(|one| (-DAY..DAY).contains(&now.saturating_sub(one.timestamp)));
        let surplus = (self.uses.len() + 1).saturating_sub(USES_KEPT);
        self.uses.drain(..surplus);
        self.cooldowns.retain(|_, until| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_767_323_045_000;

    #[test]
    fn a_limit_is_reached_at_its_count_and_passes_with_its_window() {
        let limit = |kind, window, count| Limit { kind, window, count };
        let mut ledger = Ledger::default();
        ledger.record("a", Kind::Requests, 1, NOW - MINUTE);
        ledger.record("a", Kind::Requests, 1, NOW - MINUTE + 1);
        ledger.record("a", Kind::Tokens, 500, NOW);
        for (limits, allowed) in [
            (vec![], true),
            (vec![limit(Kind::Requests, MINUTE, 2.0)], true),
            (vec![limit(Kind::Requests, MINUTE, 1.0)], false),
            (vec![limit(Kind::Requests, HOUR, 2.0)], false),
            (vec![limit(Kind::Requests, HOUR, 2.5)], true),
            (vec![limit(Kind::Tokens, DAY, 500.0), limit(Kind::Requests, DAY, 9.0)], false),
        ] {
            assert_eq!(ledger.allows("a", &limits, NOW), allowed, "{limits:?}");
            assert!(ledger.allows("b", &limits, NOW));
        }
    }

    #[test]
    fn a_profile_rests_until_its_time() {
        let mut ledger = Ledger::default();
        ledger.cool_down("a", NOW + 10);
        assert_eq!([NOW, NOW + 9, NOW + 10].map(|now| ledger.allows("a", &[], now)), [false, false, true]);
    }

    #[test]
    fn what_is_stored_has_the_keys_of_the_specification() {
        let mut ledger = Ledger::default();
        ledger.record("a", Kind::Tokens, 7, NOW);
        ledger.cool_down("a", NOW + 1);
        let stored = json!({
            USAGE_KEY: [{"timestamp": NOW, "providerId": "a", "type": "tokens", "count": 7}],
            COOLDOWNS_KEY: {"a": NOW + 1},
        });
        assert_eq!(ledger.stored(), stored);
        assert_eq!(Ledger::read(&stored), ledger);
        let damaged = json!({USAGE_KEY: [{"timestamp": "x"}, 1], COOLDOWNS_KEY: {"a": "soon"}});
        assert_eq!(Ledger::read(&damaged), Ledger::default());
        assert_eq!(Ledger::read(&Value::Null), Ledger::default());
    }

    fn uses() -> impl Strategy<Value = Vec<(i64, u64, bool)>> {
        prop::collection::vec((0..2 * DAY, 0..1000u64, any::<bool>()), 0..60)
    }

    proptest! {
        #[test]
        fn windows_slide_and_pruning_changes_nothing(uses in uses(), window in 1..=DAY) {
            let mut pruned = Ledger::default();
            let mut all = Vec::new();
            let mut uses = uses;
            uses.sort_unstable();
            for (age, count, tokens) in uses.iter().rev() {
                let kind = if *tokens { Kind::Tokens } else { Kind::Requests };
                pruned.record("a", kind, *count, NOW - age);
                all.push((NOW - age, kind, *count));
            }
            let expected = |kind| all.iter().filter(|(at, k, _)| *k == kind && NOW - at < window).map(|(_, _, n)| n).sum::<u64>();
            for kind in [Kind::Tokens, Kind::Requests] {
                prop_assert_eq!(pruned.used("a", kind, window, NOW), expected(kind));
            }
            let before = pruned.clone();
            pruned.prune(NOW);
            prop_assert_eq!(pruned.used("a", Kind::Tokens, window, NOW), before.used("a", Kind::Tokens, window, NOW));
            prop_assert!(pruned.used("a", Kind::Tokens, window, NOW) >= pruned.used("a", Kind::Tokens, window / 2, NOW));
            prop_assert_eq!(Ledger::read(&pruned.stored()), pruned);
        }
    }
}
