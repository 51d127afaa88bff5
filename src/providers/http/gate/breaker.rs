//! Leaves a service alone that fails again and again. No clock: the time is an argument.

use std::time::{Duration, SystemTime};

/// Failures in a row after which a service is left alone.
const FAILURES: u32 = 5;
/// For how long at first; doubled with each probe that fails.
const FIRST_REST: Duration = Duration::from_secs(30);
/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// Others look again after this while a probe is on its way; the probe itself is given up after [`LONGEST_REST`].
const PROBE: Duration = Duration::from_secs(1);

/// Whether a service is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// It is; so many failures in a row.
    Closed { failures: u32 },
    /// Not before `until`; `rest` is how long it was.
    Open { until: SystemTime, rest: Duration },
    /// One request went out to see whether it works again.
    HalfOpen { since: SystemTime, rest: Duration },
}

/// The breaker of one service.
#[derive(Debug)]
pub struct Breaker {
    state: State,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker { state: State::Closed { failures: 0 } }
    }
}

impl Breaker {
    /// How long the service is still left alone; zero: it may be asked.
    pub fn wait(&self, now: SystemTime) -> Duration {
        let left = |until: SystemTime| until.duration_since(now).unwrap_or_default();
        match self.state {
            State::Closed { .. } => Duration::ZERO,
            // A clock that was set back must not lengthen a rest.
            State::Open { until, rest } => left(until).min(rest),
            State::HalfOpen { since, .. } => left(since + LONGEST_REST).min(PROBE),
        }
    }

    /// A request is sent.
    pub fn sent(&mut self, now: SystemTime) {
        if let State::Open { rest, .. } | State::HalfOpen { rest, .. } = self.state {
            self.state = State::HalfOpen { since: now, rest };
        }
    }

    /// The service answered.
    pub fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The service failed.
    pub fn failed(&mut self, now: SystemTime) {
        let open = |rest: Duration| State::Open { until: now + rest, rest };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed { failures: failures + 1 },
            State::Closed { .. } => open(FIRST_REST),
            State::HalfOpen { rest, .. } => open((rest * 2).min(LONGEST_REST)),
            // One that went out before the rest began.
            State::Open { .. } => return,
        };
    }

    /// A request was given up before it was answered: a probe tells nothing then, and the next one may go.
    pub fn abandoned(&mut self) {
        if let State::HalfOpen { since, rest } = self.state {
            self.state = State::Open { until: since, rest };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Sent,
        Answered,
        Failed,
        Abandoned,
    }
    use Step::{Abandoned, Answered, Failed, Sent};

    fn after(steps: &[(u64, Step)]) -> Breaker {
        let mut breaker = Breaker::default();
        for (second, step) in steps {
            match step {
                Sent => breaker.sent(at(*second)),
                Answered => breaker.answered(),
                Failed => breaker.failed(at(*second)),
                Abandoned => breaker.abandoned(),
            }
        }
        breaker
    }

    #[test]
    fn a_failing_service_is_left_alone_and_probed() {
        const OPEN: [(u64, Step); 5] = [(0, Failed); 5];
        for (name, more, now, wait) in [
            ("just opened", &[][..], 0, 30),
            ("late failures do not lengthen it", &[(9, Failed)], 10, 20),
            ("the rest is over", &[], 30, 0),
            ("a probe is on its way", &[(30, Sent)], 31, 1),
            ("a probe that never ends", &[(30, Sent)], 330, 0),
            ("the probe was given up", &[(30, Sent), (31, Abandoned)], 31, 0),
            ("the probe succeeded", &[(30, Sent), (31, Answered)], 31, 0),
            ("the probe failed", &[(30, Sent), (31, Failed)], 31, 60),
            ("closed again: counts anew", &[(30, Sent), (31, Answered), (32, Failed)], 32, 0),
        ] {
            let steps: Vec<_> = OPEN.iter().chain(more).copied().collect();
            assert_eq!(after(&steps).wait(at(now)), Duration::from_secs(wait), "{name}");
        }
        assert_eq!(after(&OPEN[1..]).wait(at(0)), Duration::ZERO, "one failure less");
        let interrupted: Vec<_> = [&OPEN[1..], &[(0, Answered)], &OPEN[1..]].concat();
        assert_eq!(after(&interrupted).wait(at(0)), Duration::ZERO, "not in a row");
    }

    proptest! {
        /// A rest is never longer than its limit, whatever happens and however the clock jumps.
        #[test]
        fn it_opens_again(steps in prop::collection::vec((0u64..10_000, 0usize..4), 0..80), now in 0u64..10_000) {
            let steps: Vec<_> = steps.iter().map(|(at, n)| (*at, [Sent, Answered, Failed, Abandoned][*n])).collect();
            let breaker = after(&steps);
            prop_assert!(breaker.wait(at(now)) <= LONGEST_REST);
            prop_assert_eq!(breaker.wait(at(20_000)), Duration::ZERO);
        }
    }
}
