//! What must hold whatever stands in a journal: one definition, searched for counterexamples by `tests/fuzz` and replayed
//! over the committed corpus by `tests/cases/corpus.rs`. A property that does not hold panics.

use super::entry::Entry;
use super::file::{read, write_record};
use super::state::State;

/// First byte of an input that goes on with records as they stand in a file. After any other come entries, each behind
/// its length (2 bytes), which are then given the checksums they need to be looked at.
pub const FILE: u8 = b'f';

/// Numbers of events below which none comes before one that was given earlier: far from half of all.
const NEAR: u32 = 1 << 30;

/// The records of a journal.
///
/// What counts is a beginning of the file; cut there it reads the same, and cut shorter it lacks what was cut. Entries
/// written again read as the same. The state that entries add up to is the one its own entries add up to.
pub fn journal(input: &[u8]) {
    let Some((form, bytes)) = input.split_first() else { return };
    let bytes = if *form == FILE { bytes.to_vec() } else { with_checksums(bytes) };
    let (entries, good) = read(&bytes);
    let (counted, _) = bytes.split_at(good);
    assert!(read(counted) == (entries.clone(), good));
    if let Some((_, before)) = entries.split_last() {
        let (fewer, shorter) = read(counted.split_last().map_or(&[], |(_, cut)| cut));
        assert!(fewer == before && shorter < good);
    }

    let mut written = Vec::new();
    assert!(entries.iter().all(|entry| write_record(entry, &mut written)));
    assert!(read(&written) == (entries.clone(), written.len()));

    let all_near = entries.iter().all(|entry| match entry {
        Entry::Event { sequence, .. } | Entry::Released { sequence, .. } => *sequence < NEAR,
        _ => true,
    });
    let state = sum(entries);
    let rebuilt = sum(state.entries());
    assert!(rebuilt == state || !all_near, "the fewest entries add up to something else");
}

fn sum<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> State {
    let mut state = State::default();
    entries.into_iter().for_each(|entry| state.apply(entry));
    state
}

fn with_checksums(mut rest: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (entry, behind) = behind.split_at(usize::from(u16::from_le_bytes(*length)).min(behind.len()));
        file.extend((entry.len() as u32).to_le_bytes());
        file.extend(crc32fast::hash(entry).to_le_bytes());
        file.extend(entry);
        rest = behind;
    }
    file
}

/// One entry of every kind and what may stand around it, as inputs of [`journal`].
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let event = |client: u32, session: u32, sequence: u32, kind: u16| Entry::Event {
        client,
        session,
        sequence,
        kind,
        control: false,
        subject: 1 << 32 | 7,
        body: [sequence as u8; 40].as_slice().to_vec().into(),
    };
    let client = |number: u32| {
        let capabilities = vec!["buffer.read".to_owned()].into();
        Entry::Client { number, id: "0f".repeat(16).into(), name: "editor".into(), share: true, capabilities }
    };
    let session = |number: u32, client: u32| {
        let (cwd, settings) = ("/work".into(), r#"{"mode":"code"}"#.into());
        Entry::Session { number, client, shared: false, cwd, settings, request: 5 }
    };
    let life = [
        Entry::Engine { generation: 3 },
        Entry::Numbers { client: 4, session: 5, ask: 6, host_request: 7 },
        client(5),
        session(6, 5),
        Entry::Responded { client: 5, request: 5, ask: 1 << 32 | 8 },
        event(5, 0, 1, 1),
        event(5, 6, 1, 3),
        event(5, 6, 2, 12),
        Entry::Ask { session: 6, ask: 1 << 32 | 8, ts: 1_700_000_000_000 },
        Entry::Note { session: 6, note: br#"{"step":1}"#.as_slice().into() },
        Entry::SessionSettings { number: 6, settings: "{}".into() },
        Entry::Released { client: 5, session: 6, sequence: 1 },
        Entry::Released { client: 5, session: 0, sequence: 1 },
        Entry::AskClosed { session: 6, ask: 1 << 32 | 8 },
    ];
    let ends =
        [client(1), session(1, 1), session(2, 1), Entry::SessionEnded { number: 2 }, Entry::ClientGone { number: 1 }];
    let answers: Vec<Entry> =
        [client(1)].into_iter().chain((1..40).map(|number| event(1, 0, number, 1 + (number % 3) as u16))).collect();
    let file = |entries: &[Entry]| {
        let mut bytes = vec![FILE];
        assert!(entries.iter().all(|entry| write_record(entry, &mut bytes)));
        bytes
    };
    let loose = |entries: &[Entry]| {
        let mut bytes = vec![b'e'];
        for entry in entries {
            let mut record = Vec::new();
            assert!(write_record(entry, &mut record));
            let entry = record.get(8..).unwrap_or_default();
            bytes.extend((entry.len() as u16).to_le_bytes());
            bytes.extend(entry);
        }
        bytes
    };
    let mut torn = file(&life);
    torn.truncate(torn.len() - 9);
    vec![
        ("life-file", file(&life)),
        ("life", loose(&life)),
        ("ends", loose(&ends)),
        ("answers", loose(&answers)),
        ("torn-file", torn),
        ("blank-file", [file(&ends), vec![0; 64]].concat()),
    ]
}
