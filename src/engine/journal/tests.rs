//! What is written is read again, whatever happens in between.

use std::fs;
use std::path::Path;

use super::*;
use crate::protocol::event::EventKind;

fn client(number: u32) -> Entry<'static> {
    Entry::Client { number, id: "0123456789abcdef0123456789abcdef".into(), name: "editor".into(), share: false }
}

fn session(number: u32, client: u32) -> Entry<'static> {
    let settings = r#"{"mode":"code"}"#.into();
    Entry::Session { number, client, shared: false, cwd: "/work".into(), settings, request: 4 }
}

fn event(client: u32, session: u32, sequence: u32) -> Entry<'static> {
    let body = format!("event {sequence} of {session}").into_bytes().into();
    Entry::Event { client, session, sequence, kind: EventKind::MessageEnd.number(), control: false, subject: 9, body }
}

fn answer(client: u32, sequence: u32, request: u64) -> Entry<'static> {
    let kind = EventKind::RequestDone.number();
    let body = format!("answer to {request}").into_bytes().into();
    Entry::Event { client, session: 0, sequence, kind, control: true, subject: request, body }
}

fn fold<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> State {
    let mut state = State::default();
    entries.into_iter().for_each(|entry| state.apply(entry));
    state
}

/// The state the journal in this folder has, and what opening it reported.
fn reopened(folder: &Path) -> (State, Report) {
    let (_, state, report) = Journal::open(folder).unwrap();
    (state, report)
}

#[test]
fn what_was_appended_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("serve");
    let entries = [
        Entry::Engine { generation: 7 },
        client(1),
        session(1, 1),
        event(1, 1, 1),
        event(1, 1, 2),
        Entry::Ask { session: 1, ask: 1 << 32 | 5, ts: 1234 },
        Entry::Note { session: 1, note: br#"{"step":1}"#.into() },
        Entry::Responded { client: 1, request: 8, ask: 1 },
        answer(1, 1, 7),
    ];
    let (journal, state, report) = Journal::open(&folder).unwrap();
    assert_eq!((state, report), (State::default(), Report::default()));
    entries.iter().for_each(|entry| journal.append(entry).unwrap());
    drop(journal);
    assert_eq!(reopened(&folder), (fold(entries.clone()), Report::default()));
    // And once more, from the rewritten file.
    let (journal, ..) = Journal::open(&folder).unwrap();
    journal.append(&event(1, 1, 3)).unwrap();
    drop(journal);
    let state = fold(entries.into_iter().chain([event(1, 1, 3)]));
    assert_eq!(reopened(&folder), (state, Report::default()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}
