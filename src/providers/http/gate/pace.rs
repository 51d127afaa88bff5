//! Keeps within a service's rate limit as its answers tell it. No clock: the time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use super::limits::{self, Window};

/// Wait after a refusal that tells none; doubled with each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Windows remembered.
const WINDOWS: usize = 32;

/// What is known of a service's rate limit.
#[derive(Debug, Default)]
pub struct Pace {
    windows: BTreeMap<String, Window>,
    /// The service refuses until then.
    pause: Option<SystemTime>,
    /// Refusals in a row that told no time.
    refusals: u32,
}

impl Pace {
    /// How long the service would still refuse a request; zero: it may be sent.
    pub fn wait(&self, now: SystemTime) -> Duration {
        let used_up = self.windows.values().filter(|window| window.left == 0).map(|window| window.until);
        let until = used_up.chain(self.pause).max();
        until.and_then(|until| until.duration_since(now).ok()).unwrap_or_default()
    }

    /// A request is sent: it takes its part of each window that counts requests.
    pub fn sent(&mut self, now: SystemTime) {
        self.windows.retain(|_, window| window.until > now);
        self.windows.values_mut().filter(|window| window.counts_requests()).for_each(|window| {
            window.left = window.left.saturating_sub(1);
        });
    }

    /// Takes in an answer.
    pub fn answered(&mut self, status: u16, headers: &HeaderMap, now: SystemTime) {
        for window in limits::windows(headers, now) {
            if self.windows.len() < WINDOWS || self.windows.contains_key(&window.name) {
                self.windows.insert(window.name.clone(), window);
            }
        }
        let told = limits::retry_after(headers, now);
        let wait = match (status, told) {
            (429, None) => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << self.refusals.min(16)).min(LONGEST_PAUSE);
                self.refusals += 1;
                Some(doubled)
            }
            (429 | 503 | 529, told) => told,
            _ => {
                self.refusals = 0;
                None
            }
        };
        self.pause = wait.and_then(|wait| now.checked_add(wait)).max(self.pause.filter(|pause| *pause > now));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    /// What happens at a second: a request, or an answer with its status and headers.
    enum Step {
        Sent,
        Answer(u16, HeaderMap),
    }
    use Step::{Answer, Sent};

    #[test]
    fn requests_wait_until_they_would_be_taken() {
        let two_left = || headers(&[("x-ratelimit-remaining-requests", "2"), ("x-ratelimit-reset-requests", "30s")]);
        let no_tokens = || headers(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "9s")]);
        let after = |seconds: &str| headers(&[("retry-after", seconds)]);
        for (name, steps, now, wait) in [
            ("nothing known", vec![], 0, 0),
            ("told to wait", vec![(0, Answer(429, after("5")))], 1, 4),
            ("the wait is over", vec![(0, Answer(429, after("5")))], 5, 0),
            ("the longer wait counts", vec![(0, Answer(429, after("9"))), (1, Answer(503, after("1")))], 1, 8),
            ("a success tells nothing", vec![(0, Answer(200, after("9")))], 0, 0),
            ("refused without a time", vec![(0, Answer(429, headers(&[])))], 0, 1),
            ("refused again", vec![(0, Answer(429, headers(&[]))), (1, Answer(429, headers(&[])))], 1, 2),
            ("some left", vec![(0, Answer(200, two_left())), (0, Sent)], 0, 0),
            ("used up", vec![(0, Answer(200, two_left())), (0, Sent), (1, Sent)], 2, 28),
            ("whole again", vec![(0, Answer(200, two_left())), (0, Sent), (1, Sent), (30, Sent)], 30, 0),
            ("no tokens", vec![(0, Answer(200, no_tokens()))], 0, 9),
            ("tokens again", vec![(0, Answer(200, no_tokens()))], 9, 0),
        ] {
            let mut pace = Pace::default();
            for (second, step) in steps {
                match step {
                    Sent => pace.sent(at(second)),
                    Answer(status, headers) => pace.answered(status, &headers, at(second)),
                }
            }
            assert_eq!(pace.wait(at(now)), Duration::from_secs(wait), "{name}");
        }
    }

    proptest! {
        /// Whoever waits as long as told may send, and nothing grows without bound, whatever a service answers.
        #[test]
        fn the_wait_ends(answers in prop::collection::vec((0u64..100, 200u16..600, "[a-z-]{0,8}", 0u32..3, "[0-9smh.]{0,6}"), 0..60)) {
            let mut pace = Pace::default();
            let mut second = 0;
            for (later, status, window, left, reset) in answers {
                second += later;
                let (rest, end) = (format!("x-ratelimit-remaining-{window}"), format!("x-ratelimit-reset-{window}"));
                let list = [(rest, left.to_string()), (end, reset.clone()), ("retry-after".into(), reset)];
                let map = list.iter().filter_map(|(name, value)| {
                    Some((reqwest::header::HeaderName::try_from(name).ok()?, value.parse().ok()?))
                });
                pace.answered(status, &map.collect(), at(second));
                let wait = pace.wait(at(second));
                prop_assert_eq!(pace.wait(at(second) + wait), Duration::ZERO);
                pace.sent(at(second) + wait);
                prop_assert!(pace.windows.len() <= WINDOWS);
            }
        }
    }
}
