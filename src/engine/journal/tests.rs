//! What is written is read again, whatever happens in between.

#[cfg(unix)]
mod crash;
mod properties;
mod sums;

use std::fs;
use std::path::Path;

use super::*;
use crate::protocol::event::EventKind;
use crate::task::recovery::Note;

fn client(number: u32) -> Entry<'static> {
    Entry::Client {
        number,
        id: "0123456789abcdef0123456789abcdef".into(),
        name: "editor".into(),
        share: false,
        capabilities: vec!["buffer.read".to_owned()].into(),
    }
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

fn note(session: u32, note: &Note) -> Entry<'static> {
    Entry::Note { session, note: note.to_bytes().into() }
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
        note(1, &Note::Restored),
        Entry::Responded { client: 1, request: 8, ask: 1 },
        answer(1, 1, 7),
    ];
    let (journal, state, report) = Journal::open(&folder).unwrap();
    assert_eq!((state, report), (State::default(), Report::default()));
    entries.iter().for_each(|entry| journal.append(entry).unwrap());
    drop(journal);
    assert_eq!(reopened(&folder), (fold(entries.clone()), Report::default()));
    // And once more, behind what was there.
    let (journal, ..) = Journal::open(&folder).unwrap();
    journal.append(&event(1, 1, 3)).unwrap();
    drop(journal);
    let state = fold(entries.into_iter().chain([event(1, 1, 3)]));
    assert_eq!(reopened(&folder), (state, Report::default()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it_and_a_link_is_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("storage/serve");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(Journal::open(&folder).unwrap());
    assert_eq!((mode(&folder), mode(&folder.join("journal"))), (0o700, 0o600));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.join("journal"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(Journal::open(&folder).unwrap());
    assert_eq!((mode(&folder), mode(&folder.join("journal"))), (0o700, 0o600));

    let elsewhere = root.path().join("elsewhere");
    fs::rename(folder.join("journal"), &elsewhere).unwrap();
    symlink(&elsewhere, folder.join("journal")).unwrap();
    assert!(Journal::open(&folder).is_err());
}

/// A folder with a journal of a few entries: those entries, and the bytes of its file.
fn written(folder: &Path) -> (Vec<Entry<'static>>, Vec<u8>) {
    let (journal, ..) = Journal::open(folder).unwrap();
    let entries = [client(1), session(2, 1), event(1, 2, 1), event(1, 0, 1), answer(1, 2, 3)];
    entries.iter().for_each(|entry| journal.append(entry).unwrap());
    let bytes = fs::read(folder.join("journal")).unwrap();
    let (entries, good) = read(&bytes[HEAD_BYTES..]);
    assert_eq!(good, bytes.len() - HEAD_BYTES);
    (entries, bytes)
}

#[test]
fn a_file_cut_anywhere_gives_what_stands_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, bytes) = written(folder.path());
    for cut in 0..bytes.len() {
        fs::write(folder.path().join("journal"), &bytes[..cut]).unwrap();
        let (state, report) = reopened(folder.path());
        let (whole, good) = read(bytes[..cut].get(HEAD_BYTES..).unwrap_or(&[]));
        assert!(entries.starts_with(&whole));
        assert_eq!(state, fold(whole));
        if cut < HEAD_BYTES {
            assert_eq!(report.set_aside.is_some(), cut > 0, "{cut}");
        } else {
            assert_eq!(report, Report { cut: (cut - HEAD_BYTES - good) as u64, set_aside: None });
        }
        // The rest is gone: nothing is wrong any more.
        assert_eq!(reopened(folder.path()).1, Report::default());
    }
}

#[test]
fn a_changed_byte_ends_the_journal_or_sets_it_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, bytes) = written(folder.path());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        fs::write(folder.path().join("journal"), &changed).unwrap();
        let (state, report) = reopened(folder.path());
        if at < HEAD_BYTES {
            assert_eq!(fs::read(report.set_aside.unwrap()).unwrap(), changed);
            assert_eq!(state, State::default());
        } else {
            let (whole, good) = read(&changed[HEAD_BYTES..]);
            assert!(whole.len() < entries.len() && entries.starts_with(&whole), "{at}");
            assert_eq!(state, fold(whole));
            assert_eq!(report.cut, (bytes.len() - HEAD_BYTES - good) as u64);
        }
    }
    // However often: only so many are kept.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + 8);
}

#[test]
fn a_file_that_has_grown_is_rewritten_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal");
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    let mut expected = fold([client(1), session(2, 1)]);
    expected.entries().for_each(|entry| journal.append(&entry).unwrap());
    assert!(!journal.compact_if_due().unwrap());
    for sequence in 1.. {
        let mut large = event(1, 2, sequence);
        if let Entry::Event { body, .. } = &mut large {
            *body = vec![b'x'; 10_000].into();
        }
        journal.append(&large).unwrap();
        journal.append(&Entry::Released { client: 1, session: 2, sequence: sequence - 1 }).unwrap();
        expected.apply(large);
        expected.apply(Entry::Released { client: 1, session: 2, sequence: sequence - 1 });
        if fs::metadata(&file).unwrap().len() > REWRITE_BYTES {
            break;
        }
    }
    assert!(journal.compact_if_due().unwrap());
    assert!(fs::metadata(&file).unwrap().len() < 11_000);
    assert!(!journal.compact_if_due().unwrap());
    let next = expected.sessions[&2].events.last + 1;
    journal.append(&event(1, 2, next)).unwrap();
    expected.apply(event(1, 2, next));
    assert_eq!(reopened(folder.path()), (expected, Report::default()));
}

#[test]
fn what_is_appended_while_it_is_rewritten_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, _) = written(folder.path());
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    let until = journal.writer().length;
    journal.append(&event(1, 2, 2)).unwrap();
    journal.append(&Entry::ClientGone { number: 9 }).unwrap();
    journal.rewrite(until).unwrap();
    journal.append(&event(1, 2, 3)).unwrap();
    let expected = fold(entries.into_iter().chain([event(1, 2, 2), event(1, 2, 3)]));
    assert_eq!(journal.writer().length, fs::metadata(folder.path().join("journal")).unwrap().len());
    assert_eq!(reopened(folder.path()), (expected, Report::default()));
}

#[test]
fn threads_append_while_another_rewrites() {
    const THREADS: u32 = 3;
    const EVENTS: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    journal.append(&client(1)).unwrap();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=THREADS)
            .map(|number| {
                let journal = &journal;
                scope.spawn(move || {
                    journal.append(&session(number, 1)).unwrap();
                    for sequence in 1..=EVENTS {
                        let body = vec![number as u8; 8000].into();
                        let kind = EventKind::MessageEnd.number();
                        let (session, control, subject) = (number, false, u64::from(sequence));
                        let event = Entry::Event { client: 1, session, sequence, kind, control, subject, body };
                        journal.append(&event).unwrap();
                        let sequence = sequence.saturating_sub(3);
                        journal.append(&Entry::Released { client: 1, session, sequence }).unwrap();
                    }
                })
            })
            .collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            journal.compact_if_due().unwrap();
            std::thread::yield_now();
        }
    });
    journal.compact_if_due().unwrap();
    assert!(fs::metadata(folder.path().join("journal")).unwrap().len() < REWRITE_BYTES);
    drop(journal);
    let (state, report) = reopened(folder.path());
    assert_eq!(report, Report::default());
    for number in 1..=THREADS {
        let events = &state.sessions[&number].events;
        let left: Vec<u32> = events.events.iter().map(|event| event.sequence).collect();
        assert_eq!(left, [EVENTS - 2, EVENTS - 1, EVENTS]);
        assert!(events.events.iter().all(|event| *event.body == [number as u8; 8000]));
    }
}

#[test]
fn a_rewrite_that_fails_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (mut entries, _) = written(folder.path());
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    // Where the new file would be, a folder is in the way.
    fs::create_dir_all(folder.path().join("journal.new/x")).unwrap();
    journal.writer().due = 0;
    assert!(matches!(journal.compact_if_due(), Err(JournalError::Io { .. })));
    assert!(!journal.compact_if_due().unwrap(), "not again at once");
    journal.append(&event(1, 2, 2)).unwrap();
    entries.push(event(1, 2, 2));
    drop(journal);
    assert_eq!(reopened(folder.path()), (fold(entries), Report::default()));
}

#[test]
fn a_file_somebody_damaged_is_not_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    let file = folder.path().join("journal");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    journal.writer().due = 0;
    assert!(matches!(journal.compact_if_due(), Err(JournalError::Damaged { .. })));
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn an_entry_beyond_the_limit_is_refused_and_nothing_of_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, ..) = Journal::open(folder.path()).unwrap();
    let too_long = Entry::Note { session: 1, note: vec![0; MAX_ENTRY_BYTES].into() };
    assert!(matches!(journal.append(&too_long), Err(JournalError::TooLong)));
    journal.append(&client(1)).unwrap();
    assert_eq!(reopened(folder.path()), (fold([client(1)]), Report::default()));
}
