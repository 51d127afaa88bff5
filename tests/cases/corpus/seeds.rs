//! What real peers send, as inputs of the fuzz targets.

use lapce_ai::protocol::event::{Event, EventKind, event_from_json};
use lapce_ai::protocol::fuzzing::JSON;
use lapce_ai::protocol::hello::{HEAD_LEN, Hello, Refusal, RingSizes, Welcome, WelcomeSession};
use lapce_ai::protocol::request::{Request, RequestKind};

const REQUESTS: &str = include_str!("../../data/samples/requests.jsonl");
const EVENTS: &str = include_str!("../../data/samples/events.jsonl");

/// Names and inputs of a target's seeds.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "event" => events(),
        "hello" => hellos(),
        "request" => requests(),
        other => panic!("no seeds for `{other}`"),
    }
}

/// The JSON form and the record of one body.
fn both(name: &str, number: usize, text: &str, kind: u16, record: &[u8]) -> [(String, Vec<u8>); 2] {
    let json = [&[JSON], text.as_bytes()].concat();
    let record = [b"r".as_slice(), &kind.to_le_bytes(), record].concat();
    [(format!("{name}-{number}-json"), json), (format!("{name}-{number}-record"), record)]
}

fn requests() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, text) in REQUESTS.lines().enumerate() {
        let request = Request::from_json(text).unwrap();
        let mut span = vec![0; request.encoded_upper_bound()];
        let len = request.encode_into(&mut span).unwrap();
        seeds.extend(both(request.kind().as_str(), number, text, request.kind().number(), &span[..len]));
    }
    seeds
}

fn events() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, text) in EVENTS.lines().enumerate() {
        let (_, _, event) = event_from_json(text).unwrap();
        let mut span = vec![0; event.encoded_upper_bound()];
        let len = event.encode_into(&mut span).unwrap();
        seeds.extend(both(event.kind().as_str(), number, text, event.kind().number(), &span[..len]));
    }
    seeds
}

fn hellos() -> Vec<(String, Vec<u8>)> {
    let rings = RingSizes { slots: 1024, bytes: 1 << 20 };
    let first = Hello {
        client: "0123456789abcdef0123456789abcdef".to_owned(),
        name: "editor".to_owned(),
        number: 0,
        capabilities: vec!["edit.propose".to_owned(), "buffer.read".to_owned()],
        share: true,
        observe: false,
        events: rings,
        requests: RingSizes { slots: 256, bytes: 1 << 18 },
        seen: Vec::new(),
        seen_own: None,
    };
    let again = Hello { number: 7, seen: vec![(1, 9), (2, u32::MAX)], seen_own: Some(4), ..first.clone() };
    let session = WelcomeSession { session: 1 << 32 | 1, own: true };
    let welcome =
        Welcome { number: 7, generation: 3, engine_generation: 1, pid: 4711, events: rings, sessions: vec![session] };
    let refusal = Refusal { kind: "busy".to_owned(), message: "no room for another client".to_owned() };
    // What stands in the head differs from our own hello's by this; the kind is its third word.
    let ours = [0; HEAD_LEN];
    let with = |at: usize, value: u8| {
        let mut head = ours;
        head[at] = value;
        head
    };
    [
        ("first", ours, first.to_bytes()),
        ("again", ours, again.to_bytes()),
        ("welcome", with(8, 1 ^ 2), welcome.to_bytes()),
        ("refusal", with(8, 1 ^ 3), refusal.to_bytes()),
        ("stranger", with(0, 1), first.to_bytes()),
        ("layout", with(12, 7), first.to_bytes()),
        ("records", with(16, 1), first.to_bytes()),
        ("length", with(51, 1), first.to_bytes()),
        ("kind", with(8, 0x80), first.to_bytes()),
    ]
    .into_iter()
    .map(|(name, head, message)| (name.to_owned(), [head.as_slice(), &message[HEAD_LEN..]].concat()))
    .collect()
}

#[test]
fn there_is_one_of_every_kind() {
    let is_named = |texts: &str, name: &str| texts.lines().any(|text| text.contains(&format!(r#""type":"{name}""#)));
    for kind in RequestKind::ALL.iter().filter(|kind| kind.is_built()) {
        assert!(is_named(REQUESTS, kind.as_str()), "{kind:?}");
    }
    for kind in EventKind::ALL {
        assert!(is_named(EVENTS, kind.as_str()), "{kind:?}");
    }
    // And what stands there is what comes back.
    for text in REQUESTS.lines() {
        assert_eq!(Request::from_json(text).unwrap().to_json().unwrap(), text);
    }
    for text in EVENTS.lines() {
        let (session, correlation, event) = event_from_json(text).unwrap();
        assert_eq!(json(session, correlation, &event), text);
    }
}

fn json(session: u64, correlation: u64, event: &Event) -> String {
    let mut span = vec![0; event.encoded_upper_bound()];
    let len = event.encode_into(&mut span).unwrap();
    lapce_ai::protocol::event::event_to_json(event.kind().number(), session, correlation, &span[..len]).unwrap()
}
