//! Times of the journal: `cargo bench --bench journal`. What an event costs to keep, and what a restart waits for. Each line
//! is `figure <name> <value> <unit>`, the middle of several rounds.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

mod measure;

use std::path::Path;
use std::time::Instant;

use lapce_ai::engine::journal::{Entry, Journal};
use lapce_ai::protocol::event::EventKind;

/// Events kept in one round.
const EVENTS: u32 = 10_000;

fn main() {
    measure::load();
    for size in [300, 4000] {
        measure::figure(&format!("journal.append_{size}b"), "us", || {
            let folder = tempfile::tempdir().unwrap();
            let journal = begun(folder.path());
            let start = Instant::now();
            events(&journal, size, EVENTS);
            start.elapsed().as_secs_f64() * 1e6 / f64::from(EVENTS)
        });
    }
    // As long as the file becomes while little is waiting, and with as many events as a detached session may hold.
    for (name, count) in [("1mb", 2_800), ("4mb", 11_200)] {
        let folder = tempfile::tempdir().unwrap();
        events(&begun(folder.path()), 330, count);
        measure::figure(&format!("journal.open_{name}"), "ms", || {
            let start = Instant::now();
            let opened = Journal::open(folder.path()).unwrap();
            let taken = start.elapsed().as_secs_f64() * 1e3;
            assert_eq!(opened.1.sessions[&1].events.events.len(), count as usize);
            taken
        });
    }
    measure::figure("journal.rewrite_4mb", "ms", || {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        events(&journal, 330, 11_200);
        let start = Instant::now();
        assert!(journal.compact_if_due().unwrap());
        start.elapsed().as_secs_f64() * 1e3
    });
    measure::load();
}

/// A journal with a session in it.
fn begun(folder: &Path) -> Journal {
    let (journal, ..) = Journal::open(folder).unwrap();
    journal
        .append(&Entry::Client {
            number: 1,
            id: "id".into(),
            name: "bench".into(),
            share: false,
            capabilities: vec![].into(),
        })
        .unwrap();
    let (cwd, settings) = ("/work".into(), "{}".into());
    journal.append(&Entry::Session { number: 1, client: 1, shared: false, cwd, settings, request: 1 }).unwrap();
    journal
}

fn events(journal: &Journal, size: usize, count: u32) {
    let body = vec![b'x'; size];
    let (kind, control, subject) = (EventKind::MessageEnd.number(), false, 7);
    for sequence in 1..=count {
        let body = body.as_slice().into();
        journal.append(&Entry::Event { client: 1, session: 1, sequence, kind, control, subject, body }).unwrap();
    }
}
