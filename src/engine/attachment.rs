//! A client as the engine knows it, over all connections it ever has: who it is, what it can do, which of its requests were
//! answered, and the channel of what it gets beside its sessions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::keeper::Keeper;
use super::link::Link;

/// Requests whose answers are remembered, so that one sent again is not carried out again (ring §8).
pub const REMEMBERED: usize = 256;

/// A client of this engine.
pub struct Attachment {
    /// Its number, the generation part of its request ids.
    pub number: u32,
    /// What it calls itself; empty in process, where no other connection can follow.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its sessions may be seen and answered by observers.
    pub share: bool,
    /// Events of no session: answers, logs.
    pub channel: Channel,
    state: RwLock<State>,
    requests: Mutex<Requests>,
    gone: CancellationToken,
}

#[derive(Default)]
struct State {
    capabilities: Vec<String>,
    observes: bool,
    link: Option<Arc<Link>>,
}

#[derive(Default)]
struct Requests {
    running: HashSet<u64>,
    answered: VecDeque<u64>,
    /// Answers that a restart cut off: carried out, and not yet told.
    owed: HashMap<u64, Value>,
}

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq)]
pub enum Arrival {
    /// Not seen before.
    New,
    /// Under way or answered: its answer is on its way already.
    Known,
    /// Carried out before a restart: this is its answer.
    Owed(Value),
}

impl Attachment {
    /// A client; `keeper` keeps for it what it has not released.
    pub fn new(number: u32, id: String, name: String, share: bool, keeper: Option<Keeper>) -> Arc<Attachment> {
        let (state, requests, gone) = Default::default();
        Arc::new(Attachment {
            number,
            id,
            name,
            share,
            channel: Channel::new(0, number, keeper),
            state,
            requests,
            gone,
        })
    }

    /// Whether it can come back over another connection.
    pub fn returns(&self) -> bool {
        !self.id.is_empty()
    }

    /// What it can do, before it is connected again.
    pub fn declare(&self, capabilities: Vec<String>) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).capabilities = capabilities;
    }

    /// Takes a new connection into use; gives the one before.
    pub fn connect(&self, link: Arc<Link>, capabilities: Vec<String>, observes: bool) -> Option<Arc<Link>> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.capabilities = capabilities;
        state.observes = observes;
        state.link.replace(link)
    }

    /// Its connection now, if it has one.
    pub fn link(&self) -> Option<Arc<Link>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).link.clone()
    }

    /// Lets go of this connection, unless another has taken its place.
    pub fn disconnect(&self, link: &Arc<Link>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.link.as_ref().is_some_and(|now| Arc::ptr_eq(now, link)) {
            state.link = None;
        }
    }

    /// Whether it answers this host request method.
    pub fn offers(&self, method: &str) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.capabilities.iter().any(|offered| offered == method)
    }

    /// Whether it wants to see shared sessions of others.
    pub fn observes(&self) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).observes
    }

    /// Notes a request that arrives. Only a client that can come back sends one twice.
    pub fn arrives(&self, request: u64) -> Arrival {
        if !self.returns() {
            return Arrival::New;
        }
        let mut requests = self.requests();
        if let Some(answer) = requests.owed.remove(&request) {
            return Arrival::Owed(answer);
        }
        if requests.answered.contains(&request) || !requests.running.insert(request) {
            return Arrival::Known;
        }
        Arrival::New
    }

    /// Notes that a request was answered.
    pub fn answered(&self, request: u64) {
        if !self.returns() {
            return;
        }
        let mut requests = self.requests();
        requests.running.remove(&request);
        requests.answered.push_back(request);
        if requests.answered.len() > REMEMBERED {
            requests.answered.pop_front();
        }
    }

    /// After a restart: answers already given, and those still owed.
    pub fn restore(&self, answered: impl IntoIterator<Item = u64>, owed: HashMap<u64, Value>) {
        let mut requests = self.requests();
        requests.answered = answered.into_iter().collect();
        requests.owed = owed;
    }

    /// It will not come back.
    pub fn leave(&self) {
        self.gone.cancel();
    }

    /// Waits until it has left for good.
    pub async fn until_left(&self) {
        self.gone.cancelled().await;
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_sent_again_is_not_carried_out_again() {
        let client = Attachment::new(1, "c".into(), String::new(), false, None);
        assert_eq!(client.arrives(1), Arrival::New);
        assert_eq!(client.arrives(1), Arrival::Known, "under way");
        client.answered(1);
        assert_eq!(client.arrives(1), Arrival::Known, "answered");
        for request in 2..=REMEMBERED as u64 + 1 {
            assert_eq!(client.arrives(request), Arrival::New);
            client.answered(request);
        }
        assert_eq!(client.arrives(1), Arrival::New, "forgotten");
        client.restore([5], HashMap::from([(9, Value::Bool(true))]));
        assert_eq!(client.arrives(9), Arrival::Owed(Value::Bool(true)));
        assert_eq!(client.arrives(5), Arrival::Known);
    }
}
