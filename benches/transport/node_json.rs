//! An agent written for Node.js behind a Unix socket, speaking JSON lines: what editors start beside themselves today.
//! Its events are parsed here, as a host must; the ring's records are not, they need none.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;

use crate::BODY;
use crate::far::Far;
use crate::measure::figure;

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/transport/agent.js");
const ROUND_TRIPS: u32 = 3_000;
const RECORDS: u32 = 100_000;

#[derive(Deserialize)]
struct Event<'a> {
    id: u32,
    text: &'a str,
}

pub fn figures() {
    if Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("# node_json skipped: no `node` on the path");
        return;
    }
    let (near, stdin) = UnixStream::pair().unwrap();
    let _far = Far::of(Command::new("node").arg(AGENT).stdin(OwnedFd::from(stdin)));
    let mut socket = BufReader::with_capacity(64 << 10, near);
    // Its compiler has seen the code once.
    round_trip(&mut socket);
    figure("node_json.round_trip", "us", || round_trip(&mut socket));
    throughput(&mut socket);
    figure("node_json.throughput_64b", "records/s", || throughput(&mut socket));
}

fn round_trip(socket: &mut BufReader<UnixStream>) -> f64 {
    let mut line = String::new();
    let begin = Instant::now();
    for id in 0..ROUND_TRIPS {
        request(socket, id, 1);
        receive(socket, id, &mut line);
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS)
}

fn throughput(socket: &mut BufReader<UnixStream>) -> f64 {
    let mut line = String::new();
    let begin = Instant::now();
    request(socket, 0, RECORDS);
    for id in 0..RECORDS {
        receive(socket, id, &mut line);
    }
    f64::from(RECORDS) / begin.elapsed().as_secs_f64()
}

/// Asks for `count` events numbered from `id`.
fn request(socket: &mut BufReader<UnixStream>, id: u32, count: u32) {
    let text = std::str::from_utf8(&BODY).unwrap();
    let request = serde_json::json!({ "id": id, "type": "say", "text": text, "count": count });
    socket.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
}

fn receive(socket: &mut BufReader<UnixStream>, id: u32, line: &mut String) {
    line.clear();
    socket.read_line(line).unwrap();
    let event: Event = serde_json::from_str(line).unwrap();
    assert!(event.id == id && event.text.as_bytes() == BODY);
}
