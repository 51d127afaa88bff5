//! What entries add up to.

use super::*;

/// Numbers of what a session or client has kept.
fn kept(retained: &Retained) -> Vec<u32> {
    retained.events.iter().map(|event| event.sequence).collect()
}

#[test]
fn entries_about_what_is_not_there_change_nothing_but_the_numbers() {
    let unknown = [
        session(3, 1),
        event(1, 0, 1),
        event(1, 3, 1),
        Entry::SessionSettings { number: 3, settings: "{}".into() },
        Entry::SessionEnded { number: 3 },
        Entry::ClientGone { number: 1 },
        Entry::Released { client: 1, session: 0, sequence: 4 },
        Entry::Released { client: 1, session: 3, sequence: 4 },
        Entry::Ask { session: 3, ask: 3 << 32 | 6, ts: 1 },
        Entry::AskClosed { session: 3, ask: 3 << 32 | 6 },
        Entry::Responded { client: 1, request: 2, ask: 7 },
        Entry::Note { session: 3, note: b"{}".into() },
    ];
    let numbers = Numbers { session: 3, ask: 6, ..Numbers::default() };
    assert_eq!(fold(unknown), State { numbers, ..State::default() });
}

#[test]
fn numbers_are_not_given_again_after_their_bearers_are_gone() {
    let question = |subject| match event(1, 2, 1) {
        Entry::Event { client, session, sequence, control, body, .. } => {
            let kind = EventKind::HostRequest.number();
            Entry::Event { client, session, sequence, kind, control, subject, body }
        }
        other => other,
    };
    let ask = Entry::Ask { session: 2, ask: 2 << 32 | 9, ts: 1 };
    let state = fold([client(1), session(2, 1), ask, question(2 << 32 | 4), Entry::ClientGone { number: 1 }]);
    let numbers = Numbers { client: 1, session: 2, ask: 9, host_request: 4 };
    assert_eq!(state, State { numbers, ..State::default() });
    assert_eq!(fold(state.entries()), state);
}

#[test]
fn events_are_kept_in_order_until_they_are_released() {
    let released = |client, sequence| Entry::Released { client, session: 2, sequence };
    let mut state = fold([client(1), client(5), session(2, 1)]);
    for (entry, left, last) in [
        (event(1, 2, 1), vec![1], 1),
        (event(1, 2, 2), vec![1, 2], 2),
        (event(1, 2, 2), vec![1, 2], 2), // twice
        (event(1, 2, 1), vec![1, 2], 2), // backwards
        (event(1, 2, 0), vec![1, 2], 2), // without a number
        (event(1, 2, 4), vec![1, 2, 4], 4),
        (released(5, 4), vec![1, 2, 4], 4), // by an observer
        (released(1, 0), vec![1, 2, 4], 4),
        (released(1, 2), vec![4], 4),
        (released(1, 1), vec![4], 4),
        (released(1, 4), vec![], 4),
        (event(1, 2, 4), vec![], 4),
        (event(1, 2, 5), vec![5], 5),
        (released(1, 9), vec![], 9), // what a rewritten journal says of released ones
        (event(1, 2, 10), vec![10], 10),
    ] {
        state.apply(entry);
        let events = &state.sessions[&2].events;
        assert_eq!((kept(events), events.last), (left, last));
        assert_eq!(fold(state.entries()), state);
    }
}

#[test]
fn numbers_of_events_go_round() {
    let numbers = [u32::MAX - 1, u32::MAX, 1, 2];
    let mut state = fold([client(1)].into_iter().chain(numbers.map(|sequence| event(1, 0, sequence))));
    assert_eq!(kept(&state.clients[&1].own), numbers);
    state.apply(Entry::Released { client: 1, session: 0, sequence: u32::MAX });
    assert_eq!(kept(&state.clients[&1].own), [1, 2]);
    assert_eq!(fold(state.entries()), state);
}

#[test]
fn the_last_answers_stay_after_they_are_released() {
    let mut state = fold([client(1)]);
    state.apply(Entry::Responded { client: 1, request: 3, ask: 7 });
    state.apply(Entry::Responded { client: 1, request: 1000, ask: 7 });
    for number in 1..=300 {
        state.apply(answer(1, number, u64::from(number)));
    }
    state.apply(Entry::Released { client: 1, session: 0, sequence: 290 });
    // Answered long ago, and answered not at all.
    state.apply(Entry::Responded { client: 1, request: 300, ask: 7 });
    state.apply(Entry::Responded { client: 1, request: 301, ask: 7 });
    let client = &state.clients[&1];
    assert_eq!(kept(&client.own), (291..=300).collect::<Vec<_>>());
    let answers: Vec<u64> = client.answers.iter().map(|answer| answer.subject).collect();
    assert_eq!(answers, (45..=300).collect::<Vec<_>>());
    assert_eq!(client.responded, [(1000, 7), (301, 7)]);
    assert_eq!(fold(state.entries()), state);
    for request in 2000..2400 {
        state.apply(Entry::Responded { client: 1, request, ask: 7 });
    }
    assert_eq!(state.clients[&1].responded.len(), ANSWER_LIMIT);
}

#[test]
fn an_answer_of_a_session_is_an_event_like_others() {
    let Entry::Event { client: number, sequence, kind, control, subject, body, .. } = answer(1, 1, 5) else { return };
    let of_session = Entry::Event { client: number, session: 2, sequence, kind, control, subject, body };
    let state = fold([client(1), session(2, 1), of_session]);
    assert!(state.clients[&1].answers.is_empty());
    assert_eq!(kept(&state.sessions[&2].events), [1]);
}

#[test]
fn a_client_that_said_goodbye_takes_its_sessions_along() {
    let entries = [client(1), client(2), session(1, 1), session(2, 2), Entry::ClientGone { number: 1 }];
    let state = fold(entries);
    assert_eq!(state.clients.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(state.sessions.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn asks_and_notes_and_settings_of_a_session() {
    let ask = |number: u64, ts| Entry::Ask { session: 2, ask: 2 << 32 | number, ts };
    let entries = [
        client(1),
        session(2, 1),
        ask(1, 10),
        ask(2, 20),
        Entry::AskClosed { session: 2, ask: 2 << 32 | 1 },
        Entry::SessionSettings { number: 2, settings: r#"{"mode":"ask"}"#.into() },
        note(2, &Note::Mode("ask".into())),
        note(2, &Note::Restored),
        note(2, &Note::Restored),
        Entry::Note { session: 2, note: b"none".into() },
        // Attached again under a new name, and sharing from now on.
        Entry::Client { number: 1, id: "id".into(), name: "other".into(), share: true, capabilities: vec![].into() },
    ];
    let state = fold(entries);
    let session = &state.sessions[&2];
    assert_eq!(session.asks, [(2 << 32 | 2, 20)]);
    assert_eq!(session.settings, r#"{"mode":"ask"}"#);
    assert_eq!(session.progress.notes(), [Note::Restores(2), Note::Mode("ask".into())].map(|note| note.to_bytes()));
    assert_eq!((state.clients[&1].name.as_str(), state.clients[&1].share), ("other", true));
    assert_eq!(fold(state.entries()), state);
}
