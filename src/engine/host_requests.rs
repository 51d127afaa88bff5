//! Questions to the host that wait for an answer: numbered, bounded in time, withdrawn when their session ends.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::task::host::HostRequestError;

/// Methods with the time a host may take, in milliseconds (spec 05 §2.1: 10 s until an edit is shown).
pub const METHODS: &[(&str, u64)] = &[
    ("buffer.read", 10_000),
    ("buffer.save", 10_000),
    ("edit.propose", 10_000),
    ("edit.apply", 10_000),
    ("edit.revert", 10_000),
    ("diagnostics.get", 10_000),
    ("tabs.get", 5_000),
    ("selection.get", 5_000),
    ("terminal.text", 5_000),
    ("url.markdown", 60_000),
    ("terminal.create", 10_000),
    ("terminal.run", 10_000),
    ("terminal.write", 10_000),
    ("terminal.kill", 10_000),
    ("file.open", 5_000),
    ("url.open", 5_000),
    ("tool.call", 600_000),
    ("elicit", 600_000),
    ("relay.ask", 3_600_000),
    ("notify", 5_000),
    ("hook.run", 600_000),
];

/// Milliseconds a host may take for this method.
pub fn time_limit(method: &str) -> u64 {
    METHODS.iter().find(|(name, _)| *name == method).map_or(10_000, |(_, limit)| *limit)
}

type Answer = Result<Value, HostRequestError>;

/// Host requests under way, by id.
#[derive(Default)]
pub struct HostRequests {
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    session: u32,
    answer: oneshot::Sender<Answer>,
}

impl HostRequests {
    /// Notes a request of `session`; the answer arrives on the receiver.
    pub fn open(&self, id: u64, session: u32) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.lock().insert(id, Waiting { session, answer });
        receiver
    }

    /// Hands in the host's answer. False when nothing waits under this id any more.
    pub fn answer(&self, id: u64, answer: Result<Value, String>) -> bool {
        match self.lock().remove(&id) {
            // The asking side may have given up in this moment; the answer is then as late as any other.
            Some(waiting) => waiting.answer.send(answer.map_err(HostRequestError::Failed)).is_ok(),
            None => false,
        }
    }

    /// Waits for the answer of request `id`, at most the method's time.
    pub async fn wait(&self, id: u64, method: &'static str, receiver: oneshot::Receiver<Answer>) -> Answer {
        let after_ms = time_limit(method);
        let _forgotten = Forgotten { requests: self, id };
        match tokio::time::timeout(Duration::from_millis(after_ms), receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(HostRequestError::Withdrawn),
            Err(_) => Err(HostRequestError::TimedOut { method, after_ms }),
        }
    }

    /// Withdraws all requests of a session.
    pub fn withdraw(&self, session: u32) {
        self.lock().retain(|_, waiting| waiting.session != session);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a request when nobody waits for it any more.
struct Forgotten<'a> {
    requests: &'a HostRequests,
    id: u64,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_answered_time_out_or_are_withdrawn() {
        let requests = HostRequests::default();
        let receiver = requests.open(1, 5);
        assert!(requests.answer(1, Ok(Value::Bool(true))));
        assert_eq!(requests.wait(1, "tabs.get", receiver).await, Ok(Value::Bool(true)));
        assert!(!requests.answer(1, Ok(Value::Null)), "answered twice");

        let receiver = requests.open(2, 5);
        let late = requests.wait(2, "tabs.get", receiver).await;
        assert_eq!(late, Err(HostRequestError::TimedOut { method: "tabs.get", after_ms: 5_000 }));
        assert!(!requests.answer(2, Ok(Value::Null)), "too late");

        let receiver = requests.open(3, 5);
        requests.withdraw(5);
        assert_eq!(requests.wait(3, "tabs.get", receiver).await, Err(HostRequestError::Withdrawn));

        let receiver = requests.open(4, 5);
        requests.answer(4, Err("no such tab".into()));
        assert_eq!(requests.wait(4, "tabs.get", receiver).await, Err(HostRequestError::Failed("no such tab".into())));
        assert_eq!(requests.len(), 0);

        let receiver = requests.open(6, 5);
        let gives_up = tokio::time::timeout(Duration::from_secs(1), requests.wait(6, "tabs.get", receiver)).await;
        assert!(gives_up.is_err());
        assert!(!requests.answer(6, Ok(Value::Null)), "nobody waits");
    }
}
