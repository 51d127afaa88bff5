//! After a restart: clients, sessions and owed answers as the journal knows them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::configuration;
use super::core::Core;
use super::journal::{ClientState, Event as Kept, SessionState, State};
use super::outbox::{Merge, Outgoing};
use super::settings::SessionSettings;
use crate::protocol::event::Event;
use crate::protocol::ids::SessionId;
use crate::task::session::Command;

/// Brings everybody back. Sessions run again when this returns, and what they have to say waits for their clients.
pub fn restore(core: &Arc<Core>, state: State) {
    core.number_from(&state.numbers);
    let mut owed = owed(core, &state);
    let mut clients = HashMap::new();
    for (number, known) in state.clients {
        let client = restore_client(core, number, known, owed.remove(&number).unwrap_or_default());
        core.admit(client.clone());
        clients.insert(number, client);
    }
    for (number, known) in state.sessions {
        match clients.get(&known.client) {
            Some(client) if has_begun(&known) => restore_session(core, client, number, known),
            // Nobody can ever ask for it, or its request is sent again and opens another.
            _ => core.keep(|| super::journal::Entry::SessionEnded { number }),
        }
    }
}

/// Whether the request that opened the session took effect: before there is a task, there is nothing to go on with.
fn has_begun(session: &SessionState) -> bool {
    session.progress.task().is_some()
}

fn restore_client(core: &Core, number: u32, known: ClientState, owed: HashMap<u64, Value>) -> Arc<Attachment> {
    let client = Attachment::new(number, known.id, known.name, known.share, core.keeper.clone());
    client.declare(known.capabilities);
    client.restore(known.answers.iter().map(|answer| answer.subject), owed);
    client.channel.restore(known.own.last, known.own.events.into_iter().map(|event| outgoing(0, event)).collect());
    client
}

/// Requests that were carried out and not answered, with their answers, by client.
fn owed(core: &Core, state: &State) -> HashMap<u32, HashMap<u64, Value>> {
    let mut owed: HashMap<u32, HashMap<u64, Value>> = HashMap::new();
    for (number, session) in state.sessions.iter().filter(|(_, session)| has_begun(session)) {
        let id = SessionId::new(core.generation, *number);
        let answer = json!({"task": session.progress.task(), "session": id.raw()});
        owed.entry(session.client).or_default().insert(session.request, answer);
    }
    for (number, client) in &state.clients {
        let waits = |ask: u64| state.sessions.values().any(|session| waits(session, ask));
        // One whose ask still waits had no effect: sent again, it is carried out.
        let taken = client.responded.iter().filter(|(_, ask)| !waits(*ask));
        owed.entry(*number).or_default().extend(taken.map(|(request, _)| (*request, Value::Null)));
    }
    for (number, client) in &state.clients {
        if let Some(owed) = owed.get_mut(number) {
            client.answers.iter().for_each(|answer| drop(owed.remove(&answer.subject)));
        }
    }
    owed
}

fn restore_session(core: &Core, client: &Arc<Attachment>, number: u32, known: SessionState) {
    let own: Map<String, Value> = serde_json::from_str(&known.settings).unwrap_or_default();
    let workspace = configuration::of_workspace(core, std::path::Path::new(&*known.cwd)).into();
    // Settings were checked when they were kept. One that cannot be read any more must not widen what the session may do to what
    // the engine's settings allow: the session ends, and its task stays in the history.
    let Ok(settings) = SessionSettings::in_workspace(core.settings.clone(), workspace, own.into()) else {
        return core.keep(|| super::journal::Entry::SessionEnded { number });
    };
    let host = core.session_host(number, client);
    host.expect_asks(asks(&known));
    let kept = known.events.events.into_iter().map(|event| outgoing(number, event)).collect();
    host.channel().restore(known.events.last, kept);
    let cwd = PathBuf::from(known.cwd);
    let session = core.run_session(host, client, &cwd, Arc::new(settings));
    // The session's first command; its reply matters to nobody.
    if session.handle.submit(Command::Restore(Box::new(known.progress))).is_err() {
        core.end_session(number);
    }
}

/// Whether nobody has answered this ask. The task knows before the host is told.
fn waits(session: &SessionState, ask: u64) -> bool {
    let ts = asks(session).into_iter().find_map(|(id, ts)| (id == ask).then_some(ts));
    ts.is_some_and(|ts| session.progress.waiting().any(|(_, open)| open == ts))
}

/// Asks that wait. One that was told and then not kept any more is among the last events.
fn asks(known: &SessionState) -> Vec<(u64, i64)> {
    let mut asks = known.asks.clone();
    for event in &known.events.events {
        match Event::decode(event.kind, &event.body) {
            Ok(Event::Ask(ask)) if !asks.iter().any(|(id, _)| *id == event.subject) => {
                asks.extend(i64::try_from(ask.message).map(|ts| (event.subject, ts)));
            }
            Ok(Event::AskResolved(_)) => asks.retain(|(id, _)| *id != event.subject),
            _ => {}
        }
    }
    asks
}

fn outgoing(session: u32, event: Kept) -> Outgoing {
    let Kept { sequence, kind, control, subject: correlation, body } = event;
    let (merge, coalesced, blob) = (Merge::Never, false, None);
    Outgoing { kind, session, correlation, sequence, body: body.to_vec(), merge, control, coalesced, blob }
}
