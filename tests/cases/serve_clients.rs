//! Clients of an engine in a process of its own: many, slow ones, ones that watch, ones that come back; how the engine ends
//! and who takes its place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use lapce_ai::engine::{AttachOptions, Client, ClientOptions, ReceiveError};
use lapce_ai::protocol::event::{AskOutcome, Event};
use lapce_ai::transport::{RingSize, TransportError};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Host, Mode, done, script};
use crate::served::{Served, Site};

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";
const ID: &str = "00112233445566778899aabbccddeeff";

/// An engine that serves, whose model plays one transcript in every session.
struct Office {
    served: Served,
    workspace: PathBuf,
    _folder: tempfile::TempDir,
}

impl Office {
    fn open(transcript: &str, arguments: &[&str]) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (workspace, file) = (root.join("workspace"), root.join("transcript.jsonl"));
        std::fs::create_dir(&workspace).unwrap();
        std::fs::write(&file, transcript).unwrap();
        let settings = json!({"apiProvider": "replay", "replayFile": file});
        Office { served: Served::start(&root, &settings, arguments), workspace, _folder: folder }
    }

    fn site(&self) -> &Site {
        &self.served.site
    }

    fn host(&self) -> Host<'_> {
        self.host_with(self.site().options(None))
    }

    fn host_with(&self, options: AttachOptions) -> Host<'_> {
        Host::new(Client::attach(options).unwrap(), &self.workspace)
    }

    /// Waits until this many sessions live, as another client sees it.
    fn sessions(&self, wanted: usize) {
        let (host, until) = (self.host(), Instant::now() + DEADLINE);
        while stats(&host)["sessions"] != wanted {
            assert!(Instant::now() < until, "{}", stats(&host));
        }
    }
}

fn stats(host: &Host) -> Value {
    host.call(&json!({"type": "engine.stats"})).unwrap()
}

/// Reads until the connection is over, and says how.
fn end_of(client: &Client) -> TransportError {
    let until = Instant::now() + DEADLINE;
    loop {
        match client.receive() {
            Ok(Some(_)) => {}
            Ok(None) => drop(client.wait(Some(DEADLINE), Duration::ZERO)),
            Err(ReceiveError::Ring(error)) => return error,
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < until, "it does not end");
    }
}

#[test]
fn a_thousand_sessions_of_fifty_clients_all_come_to_their_end() {
    const CLIENTS: usize = 50;
    const EACH: usize = 20;
    let office = Office::open(&script(&[ASK, &done("Done.")]), &[]);
    let all_ask = Barrier::new(CLIENTS + 1);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let host = office.host();
                for _ in 0..EACH {
                    host.submit(&json!({"type": "task.start", "workspace": office.workspace, "text": "x"}));
                }
                let asks: Vec<u64> = (0..EACH).map(|_| host.ask("followup")).collect();
                all_ask.wait();
                for ask in asks {
                    let answer = json!({"type": "task.respond", "ask": ask, "response": "message", "text": "one"});
                    host.submit(&answer);
                }
                let ended =
                    || host.events().iter().filter(|event| matches!(event.event, Event::TaskCompleted(_))).count();
                while ended() < EACH {
                    host.client.wait(Some(DEADLINE), Duration::ZERO);
                    host.call(&json!({"type": "engine.info"})).unwrap();
                }
            });
        }
        all_ask.wait();
        let kilobytes = resident(office.served.pid());
        println!("{} sessions that wait: {kilobytes} KiB resident", CLIENTS * EACH);
        assert!(kilobytes < 1 << 20, "{kilobytes} KiB");
    });
}

/// Memory of a process that is in use, KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An answer of 6 MB, and its transcript.
fn flood() -> (String, String) {
    let part = format!("{:.>300} ", "é");
    let mut transcript = "{\"expect\": {}}\n".to_owned();
    writeln!(transcript, "{}", json!({"reasoning": part, "repeat": 20_000})).unwrap();
    writeln!(transcript, "{}", json!({"text": done("Done.")})).unwrap();
    (part.repeat(20_000), transcript)
}

/// Runs a task to its end; gives all reasoning it was sent.
fn listen(host: &Host) -> String {
    host.completed();
    let text = |event: lapce_ai::engine::Received| match event.event {
        Event::ReasoningDelta(text) => Some(text),
        _ => None,
    };
    host.events().into_iter().filter_map(text).collect()
}

#[test]
fn a_client_that_does_not_read_holds_up_no_other_and_gets_everything_later() {
    let (whole, transcript) = flood();
    let office = Office::open(&transcript, &[]);
    let slow = office.host();
    slow.submit(&json!({"type": "task.start", "workspace": office.workspace, "text": "x"}));
    for _ in 0..3 {
        let host = office.host();
        host.start("x");
        assert!(listen(&host) == whole, "something is missing");
    }
    assert!(listen(&slow) == whole, "something is missing for the slow one");
}

fn sharing(site: &Site) -> AttachOptions {
    AttachOptions { share: true, ..site.options(None) }
}

fn observing(site: &Site) -> AttachOptions {
    AttachOptions { observe: true, ..site.options(None) }
}

#[test]
fn observers_see_and_answer_what_is_shared_and_nothing_else() {
    let office = Office::open(&script(&[ASK, &done("Done.")]), &[]);
    let (owner, hermit) = (office.host_with(sharing(office.site())), office.host());
    let session = owner.start("before");
    let ask = owner.ask("followup");
    hermit.start("alone");
    let hidden = hermit.ask("followup");

    // What is open already is shown to an observer that comes later; what opens later too.
    let observer = office.host_with(observing(office.site()));
    assert_eq!(observer.ask("followup"), ask);
    let later = owner.start("later");
    let second = owner.ask("followup");
    assert_eq!(observer.ask("followup"), second);

    observer.respond(ask, "yes").unwrap();
    assert_eq!(observer.respond(hidden, "yes").unwrap_err().kind, "stale");
    let cancel = |session| json!({"type": "task.cancel", "session": session});
    assert_eq!(hermit.call(&cancel(session)).unwrap_err().kind, "stale");
    for host in [&owner, &observer] {
        let outcome = host.until(|event| match &event.event {
            Event::AskResolved(resolved) if event.about == ask => Some(resolved.outcome),
            _ => None,
        });
        assert_eq!(outcome, AskOutcome::Answered);
        assert_eq!(host.completed(), "Done.");
    }
    owner.respond(second, "yes").unwrap();
    assert_eq!(observer.completed(), "Done.");
    let seen: std::collections::BTreeSet<u64> =
        observer.events().iter().filter_map(|event| event.session).map(|session| session.raw()).collect();
    assert_eq!(seen, [session, later].into());
    // Numbers are those of the owner, without gaps.
    let numbers = |host: &Host| -> Vec<u32> {
        let of = |event: &lapce_ai::engine::Received| event.session.is_some_and(|id| id.raw() == later);
        host.events().iter().filter(|event| of(event)).map(|event| event.session_sequence).filter(|n| *n != 0).collect()
    };
    let (theirs, ours) = (numbers(&owner), numbers(&observer));
    assert!(theirs.windows(2).chain(ours.windows(2)).all(|pair| pair[1] == pair[0] + 1), "{theirs:?} {ours:?}");
}

#[test]
fn an_observer_that_does_not_read_is_let_go_and_its_owner_notices_nothing() {
    let (whole, transcript) = flood();
    let office = Office::open(&transcript, &[]);
    let ring = RingSize { slots: 64, arena_bytes: 1 << 16 };
    let client = ClientOptions { events: Some(ring), ..ClientOptions::default() };
    let observer = Client::attach(AttachOptions { client, ..observing(office.site()) }).unwrap();
    let owner = office.host_with(sharing(office.site()));
    owner.start("x");
    assert!(listen(&owner) == whole, "something is missing");
    let end = end_of(&observer);
    assert!(matches!(end, TransportError::Closed { .. } | TransportError::Lost), "{end}");
}

#[test]
fn a_client_that_dies_finds_its_sessions_and_one_that_leaves_ends_them() {
    let office = Office::open(&script(&[ASK, &done("Done.")]), &[]);
    let first = office.host_with(office.site().options(Some(ID)));
    first.start("x");
    let ask = first.ask("followup");
    // A second connection under the id takes the place of the first, as after a death that nobody noticed.
    let second = office.host_with(office.site().options(Some(ID)));
    assert!(matches!(end_of(&first.client), TransportError::Closed { .. } | TransportError::Lost));
    drop(first);
    assert_eq!(second.ask("followup"), ask);
    second.respond(ask, "yes").unwrap();
    assert_eq!(second.completed(), "Done.");
    second.start("y");
    second.ask("followup");
    drop(second);
    office.sessions(0);
}

#[test]
fn a_client_can_end_the_engine() {
    let office = Office::open("", &[]);
    let (host, other) = (office.host(), office.host());
    host.call(&json!({"type": "engine.shutdown"})).unwrap();
    assert!(office.served.wait().success());
    for client in [&host.client, &other.client] {
        assert!(matches!(end_of(client), TransportError::Closed { .. }));
    }
}

#[test]
fn an_engine_in_the_hosts_process_is_not_ended_by_a_request() {
    let place = Mode::InProcess.replay(&[]);
    let failed = place.host(&[]).call(&json!({"type": "engine.shutdown"})).unwrap_err();
    assert_eq!(failed.kind, "not_supported");
}

#[test]
fn an_engine_that_nobody_uses_ends() {
    let office = Office::open("", &["--exit-when-unused=1"]);
    // As long as somebody is there it stays, however quiet.
    drop(office.host());
    assert!(office.served.wait().success());
}

#[test]
fn a_second_engine_is_refused_and_the_first_goes_on() {
    let office = Office::open("", &[]);
    let (code, said) = office.site().serve(&[]).err().expect("it is refused");
    assert_eq!((code, said.as_bytes()), (Some(3), &[2][..]));
    let stderr = std::fs::read_to_string(office.site().stderr()).unwrap();
    assert!(stderr.contains("an engine runs already"), "{stderr}");
    stats(&office.host());
}

#[test]
fn an_engine_that_does_not_resume_begins_anew() {
    let office = Office::open(&script(&[ASK]), &[]);
    let host = office.host_with(office.site().options(Some(ID)));
    host.start("x");
    host.ask("followup");
    office.served.kill();
    assert!(matches!(end_of(&host.client), TransportError::Lost));
    // Submitted to nobody: the next engine does not know whether it was carried out.
    let unanswered = host.submit(&json!({"type": "engine.info"}));
    let _next = office.site().serve(&[]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    assert!(!host.client.reattach(DEADLINE).unwrap().restored);
    let kind = host.until(|event| match &event.event {
        Event::RequestFailed(failed) if event.about == unanswered => Some(failed.kind.clone()),
        _ => None,
    });
    assert_eq!(kind, "lost");
    assert_eq!(stats(&host)["sessions"], 0);
}

#[test]
fn what_waits_when_the_engine_ends_in_order_waits_again_in_the_next() {
    let office = Office::open(&script(&[ASK, &done("Done.")]), &[]);
    let host = office.host();
    host.start("x");
    let ask = host.ask("followup");
    office.served.terminate();
    assert!(matches!(end_of(&host.client), TransportError::Closed { .. }));
    let _next = office.site().serve(&["--resume"]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    assert!(host.client.reattach(DEADLINE).unwrap().restored);
    host.respond(ask, "yes").unwrap();
}

#[test]
fn a_standby_takes_the_place_of_a_killed_engine() {
    let office = Office::open(&script(&[ASK]), &[]);
    let host = office.host();
    host.start("x");
    let ask = host.ask("followup");
    std::thread::scope(|scope| {
        // It says that it is ready once it has taken over.
        let standby = scope.spawn(|| office.site().serve(&["--standby", "--resume"]));
        office.served.kill();
        let standby = standby.join().unwrap().unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
        assert!(host.client.reattach(DEADLINE).unwrap().restored);
        assert_eq!(office.site().pid().map(|pid| pid.as_raw_nonzero().get() as u32), Some(standby.pid()));
        host.respond(ask, "yes").unwrap();
    });
}

#[test]
fn a_spare_is_kept_and_takes_over() {
    let office = Office::open(&script(&[ASK]), &["--spare", "--exit-when-unused=60"]);
    let host = office.host();
    host.start("x");
    let ask = host.ask("followup");
    let first = office.served.pid();
    office.served.kill();
    assert!(host.client.reattach(DEADLINE).unwrap().restored);
    let second = office.site().pid().expect("somebody answers");
    assert_ne!(second.as_raw_nonzero().get() as u32, first);
    host.respond(ask, "yes").unwrap();
    // The end in order is the end of its own spare too.
    host.call(&json!({"type": "engine.shutdown"})).unwrap();
    let until = Instant::now() + DEADLINE;
    while runs_for(&office.site().runtime()) {
        assert!(Instant::now() < until, "an engine is left");
        std::thread::yield_now();
    }
}

/// Whether any process serves this runtime folder.
fn runs_for(runtime: &Path) -> bool {
    let runtime = runtime.to_str().unwrap();
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|argument| argument == runtime)
    })
}
