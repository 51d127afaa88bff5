//! A host that takes one event every 10 ms while a model floods it: every byte arrives in order, memory stays bounded.

use std::fmt::Write as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lapce_ai::engine::{Client, ClientOptions};
use lapce_ai::protocol::event::Event;
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::{RingSize, Waited};
use serde_json::json;

use crate::harness::{DEADLINE, Host, Mode, both};

both! {
    a_slow_host_gets_every_byte_of_a_text,
    a_stream_is_read_no_faster_than_its_host_can_take_it,
}

const PACE: Duration = Duration::from_millis(10);
/// Parts of an answer, each one chunk repeated.
const PARTS: usize = 20;
const REPEAT: usize = 1000;
/// What one session may leave waiting outside the ring, and one event above it.
const BACKLOG: u64 = (4 << 20) + 4096;

/// What a slow host saw of an answer.
#[derive(Default)]
struct Seen {
    text: String,
    events: usize,
    /// The most that waited outside the ring.
    backlog: u64,
    coalesced: u64,
}

fn a_slow_host_gets_every_byte_of_a_text(mode: Mode) {
    let parts = parts(40);
    let seen = read_slowly(mode, "text", &parts);
    // White space at the end of a text is not shown.
    assert_same(&seen.text, whole(&parts).trim_end());
    assert!(seen.coalesced > 0 && seen.events < 1000, "{} events, {} merged", seen.events, seen.coalesced);
}

fn a_stream_is_read_no_faster_than_its_host_can_take_it(mode: Mode) {
    let parts = parts(300);
    let seen = read_slowly(mode, "reasoning", &parts);
    assert_same(&seen.text, &whole(&parts));
    assert!(seen.backlog > BACKLOG / 2, "{} bytes waited at most: the limit was never near", seen.backlog);
    assert!(seen.backlog <= BACKLOG, "{} bytes waited outside the ring", seen.backlog);
}

/// The chunk of every part: its number, filled up to `length` bytes.
fn parts(length: usize) -> Vec<String> {
    (0..PARTS).map(|part| format!("part {part} é{:.>fill$} ", "", fill = length - 12)).collect()
}

fn whole(parts: &[String]) -> String {
    parts.iter().map(|part| part.repeat(REPEAT)).collect()
}

/// The texts are too long to be printed.
fn assert_same(got: &str, expected: &str) {
    let at = got.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let around =
        |text: &str| text.chars().skip(text.get(..at).unwrap_or("").chars().count()).take(40).collect::<String>();
    assert!(
        got == expected,
        "differs at byte {at} of {}: {:?}, not {:?}",
        expected.len(),
        around(got),
        around(expected)
    );
}

/// Plays `parts` as chunks of `kind` and reads one event every [`PACE`].
fn read_slowly(mode: Mode, kind: &str, parts: &[String]) -> Seen {
    let mut script = "{\"expect\": {}}\n".to_owned();
    for part in parts {
        writeln!(script, "{}", json!({kind: part, "repeat": REPEAT})).unwrap();
    }
    writeln!(script, "{}", json!({"text": "<attempt_completion>\n<result>done</result>\n</attempt_completion>"}))
        .unwrap();
    let place = mode.play(&script);
    let ring = RingSize { slots: 64, arena_bytes: 1 << 20 };
    let client = place.client(ClientOptions { events: Some(ring), ..ClientOptions::default() }).unwrap();
    let start = json!({"type": "task.start", "workspace": place.workspace, "text": "Talk."});
    client.submit(&Request::from_json(&start.to_string()).unwrap()).unwrap();
    follow(&client, &place.host(&[]), kind)
}

/// Reads what comes, while `other` looks at the engine's counters.
fn follow(client: &Client, other: &Host, kind: &str) -> Seen {
    let (_silent, pace) = mpsc::channel::<()>();
    let begin = Instant::now();
    let mut seen = Seen::default();
    // The message that grows: the answer, later the result.
    let mut grows = String::new();
    loop {
        assert!(begin.elapsed() < DEADLINE, "no end after {} events", seen.events);
        let Some(received) = client.receive().unwrap() else {
            assert_eq!(client.wait(Some(DEADLINE), Duration::ZERO), Waited::Ready);
            continue;
        };
        seen.events += 1;
        let stats = other.call(&json!({"type": "engine.stats"})).unwrap();
        let clients = stats["clients"].as_array().unwrap();
        let most = |counter: &str| clients.iter().filter_map(|client| client[counter].as_u64()).max().unwrap();
        seen.backlog = seen.backlog.max(most("backlog_bytes"));
        seen.coalesced = most("coalesced");
        match received.event {
            Event::MessageBegin(message) => grows = message.kind,
            Event::MessageDelta(text) if kind == "text" && grows == "text" => seen.text.push_str(&text),
            Event::ReasoningDelta(text) if kind == "reasoning" => seen.text.push_str(&text),
            Event::RequestFailed(failed) => panic!("{}", failed.message),
            Event::Ask(ask) if ask.kind == "api_req_failed" => panic!("{}", ask.text),
            Event::TaskCompleted(_) => return seen,
            _ => {}
        }
        // Nothing is ever sent here: the host is just busy for that long.
        let _ = pace.recv_timeout(PACE);
    }
}
