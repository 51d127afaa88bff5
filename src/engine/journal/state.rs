//! What a journal adds up to. Pure: entries in, state out, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::entry::Entry;
use super::retained::{Event, Retained};
use crate::protocol::event::EventKind;
use crate::protocol::ids::{AskId, HostRequestId};
use crate::task::recovery::Progress;

/// Answers, and requests without one, that are kept of each client.
pub const ANSWER_LIMIT: usize = 256;

/// Everything that outlives an engine.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Default, PartialEq)]
pub struct State {
    /// The generation part of session ids; 0 before the first engine.
    pub generation: u32,
    /// The highest numbers given so far.
    pub numbers: Numbers,
    /// Clients that have not said goodbye, by number.
    pub clients: BTreeMap<u32, ClientState>,
    /// Sessions that have not ended, by number. Each belongs to one of the clients.
    pub sessions: BTreeMap<u32, SessionState>,
}

/// The highest numbers given so far; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of clients.
    pub client: u32,
    /// Of sessions.
    pub session: u32,
    /// Index part of ask ids.
    pub ask: u32,
    /// Index part of host request ids.
    pub host_request: u32,
}

/// What is kept of a client.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Default, PartialEq)]
pub struct ClientState {
    /// The random id by which it is known again.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its sessions are visible to observers.
    pub share: bool,
    /// Host request methods it answers.
    pub capabilities: Vec<String>,
    /// Its events of no session.
    pub own: Retained,
    /// Its last [`ANSWER_LIMIT`] answers, oldest first, released or not. The subject is the request's id.
    pub answers: VecDeque<Event>,
    /// Requests that answer an ask and have no answer themselves yet, with the ask, oldest first; the last [`ANSWER_LIMIT`].
    pub responded: VecDeque<(u64, u64)>,
}

/// What is kept of a session.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Default, PartialEq)]
pub struct SessionState {
    /// The client it belongs to.
    pub client: u32,
    /// Visible to observers.
    pub shared: bool,
    /// Its folder.
    pub cwd: String,
    /// Settings of its own: a JSON object.
    pub settings: String,
    /// The request that opened it.
    pub request: u64,
    /// Its events.
    pub events: Retained,
    /// Asks that wait, oldest first: id, and `ts` of the message that asks.
    pub asks: Vec<(u64, i64)>,
    /// How far its task is.
    pub progress: Progress,
}

impl State {
    /// Takes one change in. Entries about what is not there change nothing: a journal that was cut still adds up.
    pub fn apply(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Engine { generation } => self.generation = generation,
            Entry::Numbers { client, session, ask, host_request } => {
                let numbers = &mut self.numbers;
                numbers.client = numbers.client.max(client);
                numbers.session = numbers.session.max(session);
                numbers.ask = numbers.ask.max(ask);
                numbers.host_request = numbers.host_request.max(host_request);
            }
            Entry::Client { number, id, name, share, capabilities } => {
                self.numbers.client = self.numbers.client.max(number);
                let client = self.clients.entry(number).or_default();
                (client.id, client.name, client.share) = (id.into_owned(), name.into_owned(), share);
                client.capabilities = capabilities.into_owned();
            }
            Entry::ClientGone { number } => {
                self.clients.remove(&number);
                self.sessions.retain(|_, session| session.client != number);
            }
            Entry::Session { number, client, shared, cwd, settings, request } => {
                self.numbers.session = self.numbers.session.max(number);
                if self.clients.contains_key(&client) {
                    let session = self.sessions.entry(number).or_default();
                    (session.client, session.shared, session.request) = (client, shared, request);
                    (session.cwd, session.settings) = (cwd.into_owned(), settings.into_owned());
                }
            }
            Entry::SessionSettings { number, settings } => {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.settings = settings.into_owned();
                }
            }
            Entry::SessionEnded { number } => {
                self.sessions.remove(&number);
            }
            Entry::Event { client, session, sequence, kind, control, subject, body } => {
                let body = body.into_owned().into();
                self.event(client, session, Event { sequence, kind, control, subject, body });
            }
            Entry::Released { client, session: 0, sequence } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.own.release(sequence);
                }
            }
            Entry::Released { client, session, sequence } => {
                if let Some(session) = self.sessions.get_mut(&session).filter(|session| session.client == client) {
                    session.events.release(sequence);
                }
            }
            Entry::Ask { session, ask, ts } => {
                self.numbers.ask = self.numbers.ask.max(AskId::from_raw(ask).index());
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.asks.retain(|(open, _)| *open != ask);
                    session.asks.push((ask, ts));
                }
            }
            Entry::AskClosed { session, ask } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.asks.retain(|(open, _)| *open != ask);
                }
            }
            Entry::Responded { client, request, ask } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.responded(request, ask);
                }
            }
            Entry::Note { session, note } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.progress.apply(&note);
                }
            }
        }
    }

    /// The fewest entries that add up to this state.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let Numbers { client, session, ask, host_request } = self.numbers;
        let engine =
            [Entry::Engine { generation: self.generation }, Entry::Numbers { client, session, ask, host_request }];
        let clients = self.clients.iter().flat_map(|(number, client)| client.entries(*number));
        let sessions = self.sessions.iter().flat_map(|(number, session)| session.entries(*number));
        engine.into_iter().chain(clients).chain(sessions)
    }

    fn event(&mut self, client: u32, session: u32, event: Event) {
        if event.kind == EventKind::HostRequest.number() {
            let number = HostRequestId::from_raw(event.subject).index();
            self.numbers.host_request = self.numbers.host_request.max(number);
        }
        if event.kind == EventKind::Ask.number() {
            self.numbers.ask = self.numbers.ask.max(AskId::from_raw(event.subject).index());
        }
        if session != 0 {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.told(event.kind, event.subject);
                session.events.push(event);
            }
        } else if let Some(client) = self.clients.get_mut(&client) {
            client.event(event);
        }
    }
}

impl ClientState {
    fn event(&mut self, event: Event) {
        if !self.own.push(event.clone()) || !event.is_answer() {
            return;
        }
        self.responded.retain(|(request, _)| *request != event.subject);
        self.answers.push_back(event);
        if self.answers.len() > ANSWER_LIMIT {
            self.answers.pop_front();
        }
    }

    fn responded(&mut self, request: u64, ask: u64) {
        if self.responded.iter().any(|(known, _)| *known == request)
            || self.answers.iter().any(|answer| answer.subject == request)
        {
            return;
        }
        self.responded.push_back((request, ask));
        if self.responded.len() > ANSWER_LIMIT {
            self.responded.pop_front();
        }
    }

    fn entries(&self, number: u32) -> impl Iterator<Item = Entry<'_>> {
        let Self { id, name, share, capabilities, .. } = self;
        let capabilities = capabilities.as_slice().into();
        let client = Entry::Client { number, id: id.into(), name: name.into(), share: *share, capabilities };
        let released: Vec<&Event> =
            self.answers.iter().filter(|answer| self.own.is_released(answer.sequence)).collect();
        let up_to = released.last().map_or(0, |answer| answer.sequence);
        let answers = released.into_iter().map(move |answer| answer.entry(number, 0));
        let own = self.own.entries(number, 0, up_to);
        let responded =
            self.responded.iter().map(move |&(request, ask)| Entry::Responded { client: number, request, ask });
        std::iter::once(client).chain(answers).chain(own).chain(responded)
    }
}

impl SessionState {
    /// What an event tells is known to its host.
    fn told(&mut self, kind: u16, subject: u64) {
        let ts = i64::try_from(subject).unwrap_or(0);
        match () {
            () if kind == EventKind::MessageBegin.number() => self.progress.told_message(ts, false),
            () if kind == EventKind::MessageEnd.number() => self.progress.told_message(ts, true),
            () if kind == EventKind::ToolEnd.number() => self.progress.told_end(subject),
            () => {}
        }
    }

    fn entries(&self, number: u32) -> impl Iterator<Item = Entry<'_>> {
        let Self { client, shared, cwd, settings, request, .. } = self;
        let session = Entry::Session {
            number,
            client: *client,
            shared: *shared,
            cwd: cwd.into(),
            settings: settings.into(),
            request: *request,
        };
        let events = self.events.entries(*client, number, 0);
        let asks = self.asks.iter().map(move |(ask, ts)| Entry::Ask { session: number, ask: *ask, ts: *ts });
        let notes = self.progress.notes().into_iter();
        let notes = notes.map(move |note| Entry::Note { session: number, note: Cow::Owned(note) });
        std::iter::once(session).chain(events).chain(asks).chain(notes)
    }
}
