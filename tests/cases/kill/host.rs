//! The host is killed; the engine stays, and the next life of the host attaches to it under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use lapce_ai::engine::Client;
use lapce_ai::protocol::event::EventKind;
use lapce_ai::protocol::request::Request;
use lapce_ai::transport::{RawEvent, TransportError};
use serde_json::{Value, json};

use super::ABREAST;
use super::scene::{Dice, Scene, rounds};
use crate::harness::DEADLINE;
use crate::served::Site;

/// The client id of all lives.
const ID: &str = "0123456789abcdef0123456789abcdef";
/// Tells this binary to be the host that is killed: a JSON object.
const JOB: &str = "LAPCE_AI_KILL_HOST";

/// What a life says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    /// It submitted a task under this id.
    Started(u64),
    /// It was given an event, which it has not released yet.
    Got(Got),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Got {
    session: u32,
    sequence: u32,
    kind: u16,
    about: u64,
}

impl Said {
    /// A line without its end is what a life was about to say when it was killed; others are the test frame's.
    fn parse(line: &str) -> Option<Said> {
        let line = line.strip_prefix("@ ")?.strip_suffix(" .")?;
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        match numbers[..] {
            [id] => Some(Said::Started(id)),
            [session, sequence, kind, about] => {
                Some(Said::Got(Got { session: session as u32, sequence: sequence as u32, kind: kind as u16, about }))
            }
            _ => panic!("{line}"),
        }
    }
}

/// A life of the host.
struct Life {
    child: Child,
    said: Receiver<Said>,
    /// Its tasks, by request.
    started: BTreeSet<u64>,
    /// Last number by session.
    sequences: BTreeMap<u32, u32>,
}

impl Life {
    /// Attaches; starts tasks in these folders. Answers are given in all sessions but these.
    fn begin(scene: &Scene, start: &[PathBuf], completed: &BTreeSet<u32>) -> Life {
        let job = json!({"root": scene.folder.path(), "start": start, "completed": completed});
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::host::process", "--exact", "--ignored", "--nocapture"])
            .env(JOB, job.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            // Once nobody listens, it may say what it likes.
            lines.filter_map(|line| Said::parse(&line.unwrap())).try_for_each(|said| say.send(said))
        });
        Life { child, said, started: BTreeSet::new(), sequences: BTreeMap::new() }
    }

    /// What it says next; `None` when it is dead and all is heard.
    fn next(&mut self) -> Option<Said> {
        match self.said.recv_timeout(DEADLINE) {
            Err(RecvTimeoutError::Timeout) => panic!("the host says nothing"),
            said => said.ok(),
        }
    }

    fn kill(&mut self) {
        // It may be dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the host of the test below, in a process of its own"]
fn process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Value = serde_json::from_str(&job).unwrap();
    let site = Site::new(job["root"].as_str().unwrap().as_ref(), &json!({}));
    let client = Client::attach(site.options(Some(ID))).unwrap();
    let submit = |request: Value| client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap().raw();
    let mut out = std::io::stdout().lock();
    // Each in one piece: the reader gets all of it or nothing.
    let mut say = |line: String| out.write_all(format!("@ {line} .\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    for workspace in job["start"].as_array().unwrap() {
        let settings = json!({"alwaysAllowWrite": false});
        let id = submit(json!({"type": "task.start", "workspace": workspace, "text": "Work.", "settings": settings}));
        say(id.to_string());
    }
    let mut completed: BTreeSet<u32> = serde_json::from_value(job["completed"].clone()).unwrap();
    let mut event = RawEvent::EMPTY;
    loop {
        match client.next(std::slice::from_mut(&mut event)) {
            Ok(0) => drop(client.wait(None, Duration::ZERO)),
            Ok(_) => {
                let RawEvent { session_index: session, session_sequence: sequence, kind, correlation: about, .. } =
                    event;
                say(format!("{session} {sequence} {kind} {about}"));
                if kind == EventKind::TaskCompleted.number() {
                    completed.insert(session);
                }
                // What is asked after the end would begin anew.
                if kind == EventKind::Ask.number() && !completed.contains(&session) {
                    submit(json!({"type": "task.respond", "ask": about, "response": "yes", "text": "Go on."}));
                }
                client.release(1);
            }
            Err(TransportError::Lost) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// All that the lives of a host were told.
#[derive(Default)]
struct Book {
    /// Every numbered event, by session and number.
    got: BTreeMap<(u32, u32), Got>,
    sessions: BTreeSet<u32>,
    completed: BTreeSet<u32>,
    started: BTreeSet<u64>,
    answered: BTreeSet<u64>,
}

impl Book {
    fn hear(&mut self, life: &mut Life, said: Said) {
        match said {
            Said::Got(got) => self.take(life, got),
            Said::Started(id) => {
                life.started.insert(id);
                self.started.insert(id);
            }
        }
    }

    fn take(&mut self, life: &mut Life, got: Got) {
        let Got { session, sequence, kind, about } = got;
        if session != 0 {
            self.sessions.insert(session);
        }
        if sequence == 0 {
            return;
        }
        let all = self.got.range((session, 0)..=(session, u32::MAX));
        let last = all.last().map_or(0, |((_, last), _)| *last);
        match life.sequences.insert(session, sequence) {
            Some(before) => assert_eq!(sequence, before + 1, "{got:?}"),
            // Nothing that the life before had not released is left out.
            None => assert!(sequence <= last + 1, "{got:?} after {last}"),
        }
        match (self.got.insert((session, sequence), got), EventKind::from_number(kind)) {
            (Some(before), _) => assert_eq!(before, got, "a number was given twice"),
            (None, Some(EventKind::TaskCompleted)) => assert!(self.completed.insert(session), "completed twice"),
            (None, Some(EventKind::RequestFailed)) if self.started.contains(&about) => panic!("a task was refused"),
            (None, Some(EventKind::RequestDone | EventKind::RequestFailed)) => {
                assert!(self.answered.insert(about), "answered twice");
            }
            _ => {}
        }
    }

    /// Whether all tasks that were taken have come to their end, among them those of this life.
    fn is_settled(&self, life: &Life) -> bool {
        let taken = self.started.intersection(&self.answered).count();
        let own = life.started.iter().all(|id| self.answered.contains(id));
        own && self.sessions.len() >= taken && self.completed.len() == self.sessions.len()
    }
}

#[test]
fn a_killed_host_finds_everything_again() {
    let (mut dice, scene) = (Dice::new(), Scene::new());
    let _served = scene.site.serve(&[]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    let (mut book, mut lanes) = (Book::default(), 0);
    let deaths = rounds() / 2;
    for round in 0..=deaths {
        let is_last = round == deaths;
        let mut start = Vec::new();
        if is_last || book.sessions.len() - book.completed.len() < ABREAST {
            lanes += 1;
            start.push(scene.workload.lane(lanes));
        }
        let mut life = Life::begin(&scene, &start, &book.completed);
        let mut more = if is_last { usize::MAX } else { dice.below(80) };
        let until = Instant::now() + DEADLINE;
        // Everything comes to its end in the last life: what it starts itself stands behind all that was kept.
        while more > 0 && (life.started.len() < start.len() || !book.is_settled(&life)) {
            assert!(Instant::now() < until, "{:?} of {:?} completed", book.completed, book.sessions);
            let said = life.next().expect("the host ended by itself");
            book.hear(&mut life, said);
            more -= 1;
        }
        dice.spin();
        life.kill();
        while let Some(said) = life.next() {
            book.hear(&mut life, said);
        }
        (1..=lanes).for_each(|lane| scene.workload.check(lane));
    }
    // A task that was never taken left its folder empty.
    let begun = |lane: &usize| std::fs::read_dir(scene.workload.lane(*lane)).unwrap().next().is_some();
    let lanes: Vec<usize> = (1..=lanes).filter(begun).collect();
    assert_eq!(lanes.len(), book.sessions.len());
    lanes.iter().for_each(|lane| scene.workload.check_end(*lane));
    println!("{deaths} kills, {} sessions, {} events", lanes.len(), book.got.len());
}
