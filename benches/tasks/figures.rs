//! The figures. Each kind is measured in a fresh child process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use lapce_ai::protocol::event::Event;
use serde_json::json;
use tempfile::TempDir;

use crate::host::Host;
use crate::measure::{self, load, median};
use crate::server::{self, COMMAND, ENDLESS, READER, WRITER, turns};
use crate::usage::{memory, now, peak, reset_peak};

/// Turns at the beginning and at the end whose middle is the overhead. The first few, while the window fills, are left out.
const WARM: usize = 20;
const SAMPLE: usize = 50;
/// Stops of each kind.
const STOPS: usize = 34;

/// What one child measures: its name, how, and the figures it prints, each with unit and upper bound.
type Measurement = (&'static str, fn(&str) -> Vec<f64>, &'static [(&'static str, &'static str, f64)]);
const MEASUREMENTS: &[Measurement] = &[
    (
        "long",
        long,
        &[
            ("task.rss_500_turns", "MB", 50.0),
            ("task.rss_500_turns_peak", "MB", 100.0),
            ("task.turn_overhead_first", "ms", 15.0),
            ("task.turn_overhead_500", "ms", 15.0),
            ("task.cancel_after_500", "ms", 50.0),
            ("task.resume_500", "ms", 500.0),
            ("task.resume_500_rss", "MB", 50.0),
            ("task.stored_500", "MB", 1000.0),
        ],
    ),
    (
        "stop",
        stop,
        &[
            ("task.cancel_p99", "ms", 100.0),
            ("task.cancel_streaming", "ms", 50.0),
            ("task.cancel_command", "ms", 50.0),
            ("task.cancel_approval", "ms", 50.0),
        ],
    ),
];

pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => server::serve().unwrap(),
        ["resume", server, folder, task] => print(&resume(server, Path::new(folder), task)),
        ["child", name, server] => {
            let measure = MEASUREMENTS.iter().find(|(found, ..)| *found == name).unwrap().1;
            print(&measure(server));
        }
        _ => all(),
    }
}

fn all() {
    load();
    println!("# turns {}", turns());
    let server = Server::spawn();
    for (name, _, figures) in MEASUREMENTS {
        let values = run(&["child", name, &server.address]);
        for ((figure, unit, bound), value) in figures.iter().zip(values) {
            println!("# bound {figure} {bound} {unit}");
            measure::figure(figure, unit, || value);
        }
    }
    load();
}

fn print(values: &[f64]) {
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    println!("{}", values.join(" "));
}

/// Runs this program again; gives the numbers it prints.
fn run(arguments: &[&str]) -> Vec<f64> {
    let output = again().args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{arguments:?} failed");
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

/// Two tasks of 500 turns in one engine, then a stop of one of them, then the other resumed by a fresh process.
fn long(server: &str) -> Vec<f64> {
    let folder = TempDir::new().unwrap();
    let host = Host::open(server, folder.path());
    reset_peak();
    let before = memory().0;
    for name in ["a", "b"] {
        host.begin(folder.path(), &format!("{READER}-{name}"));
    }
    let (mut times, mut asking) = (Vec::new(), Vec::new());
    host.until(|_, session, event| {
        match event {
            Event::TaskCompleted(done) => {
                times.push(done.result.split(' ').map(|nanos| millis(nanos.parse().unwrap())).collect::<Vec<f64>>());
            }
            Event::Ask(ask) if ask.kind == "completion_result" => asking.push((session, ask.task)),
            _ => {}
        }
        (asking.len() == 2).then_some(())
    });
    let (after, most) = (memory().0, peak());
    let middle = |from: usize, to: usize| {
        let mut part: Vec<f64> = times.iter().flat_map(|times| &times[from.min(to)..to]).copied().collect();
        median(&mut part)
    };
    let count = turns();
    let first = middle(WARM.min(count / 2), (WARM + SAMPLE).min(count));
    let last = middle(count.saturating_sub(SAMPLE).max(count / 2), count);
    let (session, task) = &asking[0];
    let stopped = stop_session(&host, *session);
    host.close();
    let resumed = run(&["resume", server, folder.path().to_str().unwrap(), task]);
    let stored = std::fs::metadata(folder.path().join("storage/tasks").join(task).join("ui_messages.json"));
    let stored = stored.unwrap().len() as f64 / 1e6;
    vec![after - before, most - before, first, last, stopped, resumed[0], resumed[1], stored]
}

/// `task.resume` in a fresh engine: to its question, and the most memory it took.
fn resume(server: &str, folder: &Path, task: &str) -> Vec<f64> {
    let host = Host::open(server, folder);
    reset_peak();
    let before = memory().0;
    let begin = now();
    host.submit(json!({ "type": "task.resume", "task": task }));
    let asked = until_resume_ask(&host);
    host.close();
    vec![millis(asked - begin), peak() - before]
}

/// Whether an event says that a task is where it is to be stopped.
type Reached = fn(&Event) -> bool;

/// `task.cancel` submitted → the resume question at the host, in each of three situations.
fn stop(server: &str) -> Vec<f64> {
    let folder = TempDir::new().unwrap();
    let host = Host::open(server, folder.path());
    let kinds: [(&str, Reached); 3] = [
        (ENDLESS, |event| matches!(event, Event::MessageDelta(_))),
        (COMMAND, |event| matches!(event, Event::ToolOutput(_))),
        (WRITER, |event| matches!(event, Event::Ask(ask) if ask.kind == "tool")),
    ];
    let mut middles = Vec::new();
    let mut all = Vec::new();
    for (model, there) in kinds {
        let mut times: Vec<f64> = (0..STOPS)
            .map(|_| {
                host.begin(folder.path(), model);
                let session = host.until(|_, session, event| there(&event).then_some(session));
                stop_session(&host, session)
            })
            .collect();
        all.extend(times.iter().copied());
        middles.push(median(&mut times));
    }
    all.sort_by(f64::total_cmp);
    let mut values = vec![all[(all.len() * 99).div_ceil(100) - 1]];
    values.extend(middles);
    values
}

fn stop_session(host: &Host, session: u64) -> f64 {
    let begin = now();
    host.submit(json!({ "type": "task.cancel", "session": session }));
    millis(until_resume_ask(host) - begin)
}

fn until_resume_ask(host: &Host) -> u64 {
    host.until(|at, _, event| match event {
        Event::Ask(ask) if ask.kind == "resume_task" || ask.kind == "resume_completed_task" => Some(at),
        _ => None,
    })
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
