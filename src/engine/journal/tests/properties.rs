//! Whatever was written: the fewest entries give the same state, and damage takes the end away and nothing else.

use proptest::prelude::*;

use super::*;

/// Texts and bodies short enough that many entries fit into a case.
fn text() -> impl Strategy<Value = String> {
    "[a-zé]{0,6}"
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..12)
}

/// One entry. Its event number is relative to where the journal stands: see [`entries`].
fn entry() -> impl Strategy<Value = Entry<'static>> {
    let client = 0u32..4;
    let session = 0u32..5;
    let sequence = 0u32..4;
    let request = 0u64..6;
    let kind = prop::sample::select(vec![
        EventKind::RequestDone.number(),
        EventKind::RequestFailed.number(),
        EventKind::HostRequest.number(),
        EventKind::MessageEnd.number(),
        999,
    ]);
    prop_oneof![
        1 => any::<u32>().prop_map(|generation| Entry::Engine { generation }),
        3 => (client.clone(), text(), text(), any::<bool>()).prop_map(|(number, id, name, share)| {
            let capabilities = vec![name.clone()].into();
            Entry::Client { number, id: id.into(), name: name.into(), share, capabilities }
        }),
        1 => client.clone().prop_map(|number| Entry::ClientGone { number }),
        3 => (session.clone(), client.clone(), any::<bool>(), text(), text(), request.clone()).prop_map(
            |(number, client, shared, cwd, settings, request)| {
                Entry::Session { number, client, shared, cwd: cwd.into(), settings: settings.into(), request }
            }
        ),
        1 => (session.clone(), text())
            .prop_map(|(number, settings)| Entry::SessionSettings { number, settings: settings.into() }),
        1 => session.clone().prop_map(|number| Entry::SessionEnded { number }),
        12 => (client.clone(), session.clone(), sequence.clone(), kind, any::<bool>(), request.clone(), body())
            .prop_map(|(client, session, sequence, kind, control, subject, body)| {
                Entry::Event { client, session, sequence, kind, control, subject, body: body.into() }
            }),
        5 => (client.clone(), session.clone(), sequence)
            .prop_map(|(client, session, sequence)| Entry::Released { client, session, sequence }),
        2 => (session.clone(), request.clone(), any::<i64>())
            .prop_map(|(session, ask, ts)| Entry::Ask { session, ask, ts }),
        1 => (session.clone(), request.clone()).prop_map(|(session, ask)| Entry::AskClosed { session, ask }),
        2 => (client, request.clone(), request)
            .prop_map(|(client, request, ask)| Entry::Responded { client, request, ask }),
        1 => (session.clone(), body()).prop_map(|(session, note)| Entry::Note { session, note: note.into() }),
        2 => (session, prop_oneof![Just(Note::Restored), text().prop_map(Note::Mode)])
            .prop_map(|(session, step)| note(session, &step)),
    ]
}

/// Entries whose event numbers mostly go up, from the beginning or about where they wrap.
fn entries() -> impl Strategy<Value = Vec<Entry<'static>>> {
    let start = prop::sample::select(vec![0, 1, u32::MAX - 20]);
    (start, prop::collection::vec(entry(), 0..120)).prop_map(|(start, mut entries)| {
        for (at, entry) in entries.iter_mut().enumerate() {
            if let Entry::Event { sequence, .. } | Entry::Released { sequence, .. } = entry {
                *sequence = start.wrapping_add(at as u32 / 3).wrapping_add(*sequence);
            }
        }
        entries
    })
}

/// The records of these entries, and where each ends.
fn records(entries: &[Entry<'_>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let ends = entries.iter().map(|entry| {
        assert!(write_record(entry, &mut bytes));
        bytes.len()
    });
    let ends = ends.collect();
    (bytes, ends)
}

proptest! {
    #[test]
    fn the_fewest_entries_give_the_same_state(entries in entries()) {
        let state = fold(entries);
        let again = fold(state.entries());
        prop_assert_eq!(&again, &state);
        prop_assert_eq!(again.entries().count(), state.entries().count());
    }

    #[test]
    fn going_on_after_a_rewrite_is_going_on(entries in entries(), at in any::<prop::sample::Index>()) {
        let at = at.index(entries.len() + 1);
        let mut rewritten = fold(fold(entries[..at].iter().cloned()).entries());
        entries[at..].iter().for_each(|entry| rewritten.apply(entry.clone()));
        prop_assert_eq!(rewritten, fold(entries));
    }

    #[test]
    fn records_come_back_and_a_cut_takes_only_the_end(entries in entries(), cut in any::<prop::sample::Index>()) {
        let (bytes, ends) = records(&entries);
        prop_assert_eq!(read(&bytes), (entries.clone(), bytes.len()));
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let good = whole.checked_sub(1).map_or(0, |last| ends[last]);
        prop_assert_eq!(read(&bytes[..cut]), (entries[..whole].to_vec(), good));
    }

    #[test]
    fn a_changed_byte_takes_its_record_and_what_follows(
        entries in entries(),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        let (mut bytes, ends) = records(&entries);
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let before = ends.iter().filter(|end| **end <= at).count();
        prop_assert_eq!(read(&bytes).0, entries[..before].to_vec());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).1 <= bytes.len());
        // The same behind a checksum that holds.
        let checksum = crc32fast::hash(&bytes);
        let record = [&(bytes.len() as u32).to_le_bytes()[..], &checksum.to_le_bytes(), &bytes].concat();
        prop_assert!(read(&record).1 <= record.len());
    }
}
