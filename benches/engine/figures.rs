//! The figures. What must not be coloured by earlier work is measured in a fresh child process.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use lapce_ai::protocol::event::Event;
use serde_json::json;
use tempfile::TempDir;

use crate::host::Host;
use crate::library::Library;
use crate::measure::{self, ROUNDS, load, median};
use crate::server::{self, ECHO, FLOOD, FLOOD_CHUNKS, FLOOD_TEXT, PACED, PACED_CHUNKS, REPORT};
use crate::usage::{cpu, cpu_beside_main, memory, now, peak, reset_peak};

const PROMPTS: usize = 100;
const IDLE: Duration = Duration::from_secs(2);
/// After a task: its files are written, its question has waited long enough to change the session's state.
const SETTLE: Duration = Duration::from_secs(2);

/// What one child measures: its name, how, and the figures it prints, each with unit and upper bound.
type Measurement = (&'static str, fn(&str) -> Vec<f64>, &'static [(&'static str, &'static str, f64)]);
const MEASUREMENTS: &[Measurement] = &[
    ("ready", ready, &[("engine.ready", "ms", 20.0)]),
    ("rss", rss, &[("engine.rss_idle", "MB", 15.0), ("engine.anonymous_idle", "MB", 15.0)]),
    ("prompt", prompt_to_request, &[("engine.prompt_to_request", "ms", 5.0)]),
    ("byte", byte_to_event, &[("engine.byte_to_event", "ms", 0.5)]),
    ("tool", tool_round_trip, &[("engine.tool_round_trip", "ms", 15.0)]),
    ("stream", stream, &[("engine.stream_20k_cpu", "s", 0.25), ("engine.stream_20k_rss_growth", "MB", 20.0)]),
    ("idle", idle, &[("engine.idle_cpu", "ms/s", 0.0)]),
];

pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => server::serve().unwrap(),
        ["child", name, server] => {
            let measure = MEASUREMENTS.iter().find(|(found, ..)| *found == name).unwrap().1;
            let values: Vec<String> = measure(server).iter().map(f64::to_string).collect();
            println!("{}", values.join(" "));
        }
        _ => all(),
    }
}

fn all() {
    load();
    let server = Server::spawn();
    for (name, _, figures) in MEASUREMENTS {
        let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| child(name, &server.address)).collect();
        for (at, (figure, unit, bound)) in figures.iter().enumerate() {
            let mut values = rounds.iter().map(|round| round[at]);
            println!("# bound {figure} {bound} {unit}");
            measure::figure(figure, unit, || values.next().unwrap());
        }
    }
    load();
}

/// Runs one measurement in a fresh process.
fn child(name: &str, server: &str) -> Vec<f64> {
    let output = again().args(["child", name, server]).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{name} failed");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(|value| value.parse().unwrap()).collect()
}

fn again() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// The model, in a process of its own, which ends when its standard input does.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    address: String,
}

impl Server {
    fn spawn() -> Server {
        let mut process = again().arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Server { input: process.stdin.take(), address: address.trim().to_owned(), process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        self.process.wait().unwrap();
    }
}

/// Library loaded, engine opened, client attached, first task accepted.
fn ready(server: &str) -> Vec<f64> {
    let folder = TempDir::new().unwrap();
    let begin = now();
    let library = Library::open(server, &folder);
    library.start(&folder, REPORT);
    vec![millis(now() - begin)]
}

/// What the loaded library with an open engine and a client adds to the process.
fn rss(server: &str) -> Vec<f64> {
    let folder = TempDir::new().unwrap();
    let before = memory();
    let _library = Library::open(server, &folder);
    // Until its threads sleep.
    std::thread::sleep(Duration::from_millis(200));
    let after = memory();
    vec![after.0 - before.0, after.1 - before.1]
}

/// Message submitted → first byte of the HTTP request at the server, over a warm connection.
fn prompt_to_request(server: &str) -> Vec<f64> {
    let host = Host::open(server);
    let session = host.start(REPORT);
    host.result();
    let mut times: Vec<f64> = (0..PROMPTS)
        .map(|_| {
            let begin = now();
            host.submit(json!({ "type": "task.message", "session": session, "text": "Go on." }));
            let arrived: u64 = host.result().parse().unwrap();
            millis(arrived - begin)
        })
        .collect();
    vec![median(&mut times)]
}

/// Chunk written by the server → the host, which slept, has the event.
fn byte_to_event(server: &str) -> Vec<f64> {
    let host = Host::open(server);
    host.start(PACED);
    let (mut text, mut times) = (String::new(), Vec::new());
    host.until(|at, event| {
        match event {
            Event::MessageDelta(more) => text.push_str(&more),
            Event::TaskCompleted(_) => return Some(()),
            _ => {}
        }
        while let Some(end) = text.find(';') {
            let sent: u64 = text[..end].trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            times.push(millis(at - sent));
            text.drain(..=end);
        }
        None
    });
    assert_eq!(times.len(), PACED_CHUNKS);
    vec![median(&mut times)]
}

/// Complete call of `echo` sent → next request at the server; approved without a question.
fn tool_round_trip(server: &str) -> Vec<f64> {
    let host = Host::open(server);
    host.start(ECHO);
    let mut times: Vec<f64> = host.result().split(' ').map(|nanos| millis(nanos.parse().unwrap())).collect();
    vec![median(&mut times)]
}

/// CPU of host and engine together, and the most memory they took beyond what they had before.
fn stream(server: &str) -> Vec<f64> {
    let host = Host::open(server);
    host.start(REPORT);
    host.result();
    reset_peak();
    let before = (cpu(), memory().0);
    host.begin(FLOOD);
    let mut bytes = 0;
    host.until(|_, event| {
        match event {
            Event::MessageDelta(text) => bytes += text.len(),
            Event::TaskCompleted(_) => return Some(()),
            _ => {}
        }
        None
    });
    let spent = cpu() - before.0;
    // White space at the end of a text is not shown.
    assert_eq!(bytes, (FLOOD_CHUNKS * FLOOD_TEXT.len()) - 1);
    vec![spent, peak() - before.1]
}

/// CPU of the engine while nothing happens, after a task.
fn idle(server: &str) -> Vec<f64> {
    let host = Host::open(server);
    host.start(REPORT);
    host.result();
    std::thread::sleep(SETTLE);
    let before = cpu_beside_main();
    std::thread::sleep(IDLE);
    vec![(cpu_beside_main() - before) * 1000.0 / IDLE.as_secs_f64()]
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
