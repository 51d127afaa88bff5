//! Holds requests back that a service would refuse: rate limit and circuit breaker, by service and key (both off unless the
//! settings say otherwise).
//!
//! [`Pace`] and [`Breaker`] decide, without clock or I/O; a [`Gate`] joins the two for one service, [`Gates`] keeps them
//! while an engine lives. What is sent is never changed, only when, or not at all.

mod breaker;
mod limits;
mod pace;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use self::breaker::Breaker;
use self::pace::Pace;
use super::{Hold, TransportError};
use crate::settings::Settings;

/// Longest time that a request waits for a rate limit; one that would wait longer is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Services remembered.
const GATES: usize = 256;

/// The gates of an engine.
#[derive(Default)]
pub struct Gates {
    known: Mutex<HashMap<u64, Arc<Mutex<Machines>>>>,
    /// Keys are known by a number that means nothing elsewhere.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Machines {
    pace: Pace,
    breaker: Breaker,
}

/// The gate of one service and key, as one profile uses it.
#[derive(Clone)]
pub struct Gate {
    machines: Arc<Mutex<Machines>>,
    rate_limit: bool,
    breaker: bool,
}

impl Gates {
    /// The gate of the profile's service; `None` when it uses neither limit nor breaker.
    pub fn of(&self, settings: &Settings) -> Option<Gate> {
        let (rate_limit, breaker) = (settings.http.http_rate_limit, settings.http.http_circuit_breaker);
        if !rate_limit && !breaker {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= GATES {
            known.retain(|_, machines| Arc::strong_count(machines) > 1);
        }
        let machines = known.entry(self.service(settings)).or_default().clone();
        Some(Gate { machines, rate_limit, breaker })
    }

    /// Provider, keys and addresses: what a service tells its callers apart by.
    fn service(&self, settings: &Settings) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        settings.api_provider.hash(&mut hasher);
        for key in settings.secrets.keys() {
            (key, settings.secrets.expose(key).map(ToString::to_string)).hash(&mut hasher);
        }
        let is_address = |key: &str| ["Url", "Endpoint", "Region"].iter().any(|end| key.ends_with(end));
        for (key, value) in settings.other.iter().filter(|(key, _)| is_address(key)) {
            (key, value.as_str()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Gate {
    /// Lets a request through when the service will take it, after a wait of at most a minute.
    ///
    /// # Errors
    /// [`TransportError::Held`]: it would wait longer, or the service is left alone.
    pub async fn pass(&self, now: impl Fn() -> SystemTime) -> Result<Pass<'_>, TransportError> {
        let mut patience = LONGEST_WAIT;
        loop {
            let wait = {
                let (mut machines, now) = (self.machines(), now());
                let rest = if self.breaker { machines.breaker.wait(now) } else { Duration::ZERO };
                if !rest.is_zero() {
                    return Err(TransportError::Held { why: Hold::Failing, wait: rest });
                }
                let wait = if self.rate_limit { machines.pace.wait(now) } else { Duration::ZERO };
                if wait.is_zero() {
                    machines.pace.sent(now);
                    machines.breaker.sent(now);
                    return Ok(Pass { gate: self, done: false });
                }
                wait
            };
            if wait > patience {
                return Err(TransportError::Held { why: Hold::RateLimit, wait });
            }
            patience -= wait;
            tokio::time::sleep(wait).await;
        }
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that was let through. Dropped without an outcome, it was given up.
pub struct Pass<'a> {
    gate: &'a Gate,
    done: bool,
}

impl Pass<'_> {
    /// An answer came.
    pub fn answered(mut self, status: u16, headers: &HeaderMap, now: SystemTime) {
        self.done = true;
        let mut machines = self.gate.machines();
        machines.pace.answered(status, headers, now);
        match status {
            500.. => machines.breaker.failed(now),
            _ => machines.breaker.answered(),
        }
    }

    /// No answer came.
    pub fn failed(mut self, now: SystemTime) {
        self.done = true;
        self.gate.machines().breaker.failed(now);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.gate.machines().breaker.abandoned();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gate(gates: &Gates, changes: Value) -> Option<Gate> {
        let mut settings = json!({"apiProvider": "openai", "openAiApiKey": "a", "openAiBaseUrl": "http://a"});
        settings.as_object_mut().expect("an object").extend(changes.as_object().cloned().unwrap_or_default());
        gates.of(&serde_json::from_value(settings).expect("settings"))
    }

    #[test]
    fn a_gate_belongs_to_a_service_and_a_key() {
        let gates = Gates::default();
        assert!(gate(&gates, json!({})).is_none(), "off by default");
        let first = gate(&gates, json!({"httpRateLimit": true})).expect("a gate");
        for (changes, same) in [
            (json!({"httpCircuitBreaker": true, "openAiModelId": "m"}), true),
            (json!({"httpRateLimit": true, "openAiApiKey": "b"}), false),
            (json!({"httpRateLimit": true, "openAiBaseUrl": "http://b"}), false),
            (json!({"httpRateLimit": true, "apiProvider": "xai"}), false),
        ] {
            let other = gate(&gates, changes.clone()).expect("a gate");
            assert_eq!(Arc::ptr_eq(&first.machines, &other.machines), same, "{changes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_or_are_refused_with_the_time_to_wait() {
        let begun = tokio::time::Instant::now();
        let now = || SystemTime::UNIX_EPOCH + begun.elapsed();
        let gates = Gates::default();
        let gate = gate(&gates, json!({"httpRateLimit": true, "httpCircuitBreaker": true})).expect("a gate");
        let after = |seconds: &'static str| {
            HeaderMap::from_iter([("retry-after".parse().expect("a name"), seconds.parse().expect("a value"))])
        };
        gate.pass(now).await.expect("nothing is known").answered(429, &after("40"), now());
        gate.pass(now).await.expect("it waits").answered(429, &after("61"), now());
        assert_eq!(begun.elapsed().as_secs(), 40);
        let held = |outcome: Result<Pass<'_>, TransportError>| match outcome {
            Err(TransportError::Held { why, wait }) => (why, wait.as_secs()),
            _ => panic!("let through"),
        };
        assert_eq!(held(gate.pass(now).await), (Hold::RateLimit, 61));
        tokio::time::advance(Duration::from_secs(61)).await;
        for _ in 0..5 {
            gate.pass(now).await.expect("not open yet").failed(now());
        }
        assert_eq!(held(gate.pass(now).await), (Hold::Failing, 30));
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(gate.pass(now).await.expect("a probe"));
        gate.pass(now).await.expect("another probe").answered(200, &HeaderMap::new(), now());
        assert!(gate.pass(now).await.is_ok());
    }
}
