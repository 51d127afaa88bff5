//! What a session (or a client's own answers) sends, and to whom: numbers the lossless events, journals and keeps them
//! until they are released when somebody may come back for them, and hands every event to all who listen.
//!
//! In process there is one listener for life and nothing is kept. In serve mode a listener may die and come back: it gets
//! what it had not released, in order, under the same numbers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::keeper::Keeper;
use super::link::{Detached, Link};
use super::outbox::{BACKLOG_LIMIT, Merge, Outgoing};
use crate::protocol::event::{Class, Event};

/// The sending side of one session; session 0 is what a client gets beside its sessions.
pub struct Channel {
    session: u32,
    keeper: Option<Keeper>,
    state: Mutex<State>,
    /// Told when room came or the listener changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Client that the events are kept for.
    client: u32,
    /// Number of the last lossless event.
    sequence: u32,
    /// Lossless events that the owner has not released, when they are kept.
    kept: VecDeque<Outgoing>,
    kept_bytes: usize,
    /// Bytes released since the journal was told.
    untold: usize,
    owner: Option<Arc<Link>>,
    observers: Vec<Arc<Link>>,
}

/// Released bytes after which the journal is told, so that it can forget them.
const TELL_AFTER: usize = 64 << 10;

impl State {
    /// Takes out what was kept up to `reached`, and merged text before anything beyond it.
    fn forget(&mut self, reached: u32) -> Vec<Outgoing> {
        let beyond = |event: &Outgoing| event.sequence != 0 && is_behind(reached, event.sequence);
        let end = self.kept.iter().position(beyond).unwrap_or(self.kept.len());
        let gone: Vec<Outgoing> = self.kept.drain(..end).collect();
        self.kept_bytes -= gone.iter().map(|event| event.body.len()).sum::<usize>();
        gone
    }

    /// Keeps an event that may be merged, while nobody listens.
    fn keep_mergeable(&mut self, event: &Outgoing) {
        let same = |e: &Outgoing| e.kind == event.kind && e.correlation == event.correlation;
        self.kept_bytes += event.body.len();
        match self.kept.back_mut().filter(|last| same(last)) {
            Some(last) if event.merge == Merge::Append => last.body.extend_from_slice(&event.body),
            Some(last) => {
                self.kept_bytes -= last.body.len();
                last.body.clone_from(&event.body);
            }
            None => self.kept.push_back(event.clone()),
        }
    }
}

impl Outgoing {
    /// The event as it travels. `None` for an event beyond its own bound, which is a bug and not a crash.
    fn encode(session: u32, correlation: u64, event: Event) -> Option<Outgoing> {
        let kind = event.kind();
        let (merge, body) = match event {
            Event::MessageDelta(text)
            | Event::ReasoningDelta(text)
            | Event::ToolDelta(text)
            | Event::ToolOutput(text) => (Merge::Append, text.into_bytes()),
            event => {
                let mut body = vec![0; event.encoded_upper_bound()];
                let len = event.encode_into(&mut body).ok()?;
                body.truncate(len);
                (if kind.class() == Class::Coalescable { Merge::Replace } else { Merge::Never }, body)
            }
        };
        let (control, coalesced, sequence, blob) = (kind.is_control(), false, 0, None);
        Some(Outgoing { kind: kind.number(), session, correlation, body, merge, control, coalesced, sequence, blob })
    }
}

impl Channel {
    /// The channel of `session` of a client. With a `keeper`, events are kept until the client released them.
    pub fn new(session: u32, client: u32, keeper: Option<Keeper>) -> Channel {
        let state = State { client, ..State::default() };
        Channel { session, keeper, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Continues after a restart: the last number given, and the events not yet released.
    pub fn restore(&self, sequence: u32, kept: Vec<Outgoing>) {
        let mut state = self.lock();
        state.sequence = sequence;
        state.kept_bytes = kept.iter().map(|event| event.body.len()).sum();
        state.kept = kept.into();
    }

    /// Sends an event to all who listen; never blocks.
    pub fn send(&self, subject: u64, event: Event) {
        let Some(mut outgoing) = Outgoing::encode(self.session, subject, event) else { return };
        let mut state = self.lock();
        // What the next engine would not know of is not said either.
        if self.keeper.as_ref().is_some_and(Keeper::is_frozen) {
            return;
        }
        if outgoing.merge == Merge::Never {
            state.sequence = state.sequence.checked_add(1).unwrap_or(1);
            outgoing.sequence = state.sequence;
            if let Some(keeper) = &self.keeper {
                // Journaled before anybody can see it: what a host acts on is known after a crash.
                keeper.event(state.client, &outgoing);
                state.kept_bytes += outgoing.body.len();
                state.kept.push_back(outgoing.clone());
            }
        } else if self.keeper.is_some() && state.owner.is_none() {
            state.keep_mergeable(&outgoing);
        }
        state.observers.retain(|link| {
            let follows = link.backlog_of(self.session) <= BACKLOG_LIMIT;
            if follows {
                link.push(outgoing.clone());
            } else {
                link.detach(Detached::Slow);
            }
            follows && !link.is_gone()
        });
        if let Some(owner) = &state.owner {
            owner.push(outgoing);
        }
        self.settle(&mut state);
    }

    /// Forgets what the owner has released.
    fn settle(&self, state: &mut State) {
        let (Some(keeper), Some(owner)) = (&self.keeper, &state.owner) else { return };
        let released = owner.released(self.session);
        if released == 0 {
            return;
        }
        // An event without a body takes room in the journal too.
        state.untold += state.forget(released).iter().map(|event| event.body.len() + 64).sum::<usize>();
        if state.untold > TELL_AFTER {
            state.untold = 0;
            keeper.released(state.client, self.session, released);
        }
    }

    /// Makes `link` the one the events are for: it gets what is kept beyond `seen` (`None`: everything kept), then `first` is
    /// called to send what else it needs, before anything new.
    pub fn attach(&self, link: Arc<Link>, seen: Option<u32>, first: impl FnOnce(&Arc<Link>)) {
        let mut state = self.lock();
        if let Some(seen) = seen {
            state.forget(seen);
        }
        for event in &state.kept {
            link.push(event.clone());
        }
        first(&link);
        state.owner = Some(link);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Adds a listener that gets everything from now on.
    pub fn observe(&self, link: Arc<Link>) {
        let mut state = self.lock();
        state.observers.retain(|other| other.client != link.client);
        state.observers.push(link);
    }

    /// Sends one event that is not part of the sequence to one listener.
    pub fn tell(&self, link: &Link, subject: u64, event: Event) {
        if let Some(outgoing) = Outgoing::encode(self.session, subject, event) {
            link.push(outgoing);
        }
    }

    /// The listener is gone; when it was the owner, what it has not released is kept for its return.
    pub fn detach(&self, gone: &Link) {
        let mut state = self.lock();
        self.settle(&mut state);
        state.observers.retain(|link| !std::ptr::eq(&raw const **link, gone));
        if state.owner.as_ref().is_some_and(|owner| std::ptr::eq(&raw const **owner, gone)) {
            state.owner = None;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits while the owner is too far behind; one that is gone lets as much wait as a slow one.
    pub async fn ready(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            let (owner, kept) = {
                let state = self.lock();
                (state.owner.clone(), state.kept_bytes)
            };
            match owner {
                Some(link) => {
                    tokio::select! {
                        () = link.ready(self.session) => if !link.is_gone() || self.keeper.is_none() { return },
                        () = changed => {}
                    }
                }
                None if kept <= BACKLOG_LIMIT && !self.keeper.as_ref().is_some_and(Keeper::pauses) => return,
                None => changed.await,
            }
        }
    }

    /// The session is over: its listeners forget it.
    pub fn close(&self) {
        let state = self.lock();
        state.owner.iter().chain(&state.observers).for_each(|link| link.forget(self.session));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `sequence` comes after `reached`; numbers wrap.
fn is_behind(reached: u32, sequence: u32) -> bool {
    sequence != reached && sequence.wrapping_sub(reached) < u32::MAX / 2
}
