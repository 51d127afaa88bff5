//! The figures.

use std::time::{Duration, Instant};

use lapce_ai::engine::Client;
use rustix::process::{Signal, kill_process};

use crate::host::{Host, LIMIT};
use crate::measure::{figure, load, median};
use crate::place::Place;

const KILLS: usize = 200;
/// Kills by which the parts are told.
const PARTS_KILLS: usize = 25;
/// Attachments of one round.
const ATTACHMENTS: usize = 25;
/// An engine that has just taken over starts its spare.
const SETTLE: Duration = Duration::from_millis(100);

const STEPS: [&str; 4] = ["death seen", "process started", "attached", "answered"];
const SEEN: usize = 0;
const STARTED: usize = 1;
const ATTACHED: usize = 2;
const ANSWERED: usize = 3;

/// When each step was done, ms since the kill.
type Times = [f64; STEPS.len()];

pub fn main() {
    load();
    attach();
    recovery("recovery", &Place::new(&[]), Duration::ZERO);
    parts();
    recovery("recovery_spare", &Place::new(&["--spare"]), SETTLE);
    load();
}

/// To an engine that runs.
fn attach() {
    let place = Place::new(&[]);
    let _first = Host::start(&place);
    figure("attach.time", "ms", || {
        let attachment = || {
            let begin = Instant::now();
            let _client = Client::attach(place.options()).unwrap();
            millis(begin)
        };
        median(&mut (0..ATTACHMENTS).map(|_| attachment()).collect::<Vec<_>>())
    });
}

/// Kill until the answer, over and over; the client starts the engine that follows.
fn recovery(name: &str, place: &Place, settle: Duration) {
    let host = Host::start(place);
    let kill = |round| {
        std::thread::sleep(settle);
        killed(place, &host, round, || {})
    };
    let rounds: Vec<Times> = (0..KILLS).map(kill).collect();
    let answered = sorted(&rounds, ANSWERED);
    for (which, part) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        println!("figure {name}.{which} {:.3} ms", percentile(&answered, part));
    }
    // Who starts the engine is the client, and when it has is known to it alone.
    print_steps(name, &rounds, &[SEEN, ATTACHED]);
}

/// The same with the start in our own hands, to see how long it takes.
fn parts() {
    let place = Place::new(&[]);
    let host = Host::start(&place);
    let rounds: Vec<Times> = (0..PARTS_KILLS).map(|round| killed(&place, &host, round, || place.serve())).collect();
    print_steps("recovery.parts", &rounds, &[SEEN, STARTED, ATTACHED, ANSWERED]);
}

fn print_steps(name: &str, rounds: &[Times], steps: &[usize]) {
    for &step in steps {
        let values = sorted(rounds, step);
        let (middle, tail) = (percentile(&values, 0.5), percentile(&values, 0.99));
        println!("# {name} {} after {middle:.3} ms, p99 {tail:.3} ms, of {} kills", STEPS[step], rounds.len());
    }
}

fn killed(place: &Place, host: &Host, round: usize, start: impl FnOnce()) -> Times {
    let ask = host.approval();
    place.script(round + 1);
    let engine = place.engine().unwrap();
    let begin = Instant::now();
    kill_process(engine, Signal::KILL).unwrap();
    host.lose();
    let seen = millis(begin);
    start();
    let started = millis(begin);
    assert!(host.client.reattach(LIMIT).unwrap().restored);
    let attached = millis(begin);
    host.ask_engine();
    let answered = millis(begin);
    host.approve(ask);
    [seen, started, attached, answered]
}

fn sorted(rounds: &[Times], step: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rounds.iter().map(|round| round[step]).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The smallest value that `part` of them do not exceed.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}
