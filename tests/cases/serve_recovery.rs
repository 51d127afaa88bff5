//! What the next engine makes of what it finds: a journal that was cut, one that is no journal.

use std::fs;
use std::path::PathBuf;

use lapce_ai::engine::Client;
use lapce_ai::protocol::event::Event;
use serde_json::json;

use crate::harness::{Host, done, script};
use crate::served::{Served, Site};

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";
const ID: &str = "00112233445566778899aabbccddeeff";

/// What is left of an engine that was killed while three sessions waited.
struct Wreck {
    site: Site,
    workspace: PathBuf,
    asks: Vec<u64>,
    sessions: Vec<u64>,
    _folder: tempfile::TempDir,
}

impl Wreck {
    fn new() -> Wreck {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let file = root.join("transcript.jsonl");
        fs::write(&file, script(&[ASK, &done("Done.")])).unwrap();
        let served = Served::start(&root, &json!({"apiProvider": "replay", "replayFile": file}), &[]);
        let site = served.site.clone();
        let host = Host::new(Client::attach(site.options(Some(ID))).unwrap(), &root);
        let wait = |_| {
            let session = host.start("wait");
            (host.ask("followup"), session)
        };
        let (asks, sessions) = (0..3).map(wait).unzip();
        served.kill();
        drop(host);
        Wreck { site, workspace: root, asks, sessions, _folder: folder }
    }

    fn journal(&self) -> PathBuf {
        self.site.storage().join("serve/journal")
    }

    /// The next engine, with the same client.
    fn resume(&self) -> (Served, Host<'_>) {
        let served = self.site.serve(&["--resume"]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
        let client = Client::attach(self.site.options(Some(ID))).unwrap();
        (served, Host::new(client, &self.workspace))
    }
}

/// How many sessions live.
fn sessions(host: &Host) -> u64 {
    host.call(&json!({"type": "engine.stats"})).unwrap()["sessions"].as_u64().unwrap()
}

#[test]
fn a_journal_that_was_cut_anywhere_gives_what_came_before() {
    let wreck = Wreck::new();
    let whole = fs::read(wreck.journal()).unwrap();
    let len = whole.len();
    let mut before = 3;
    for cut in [0, 1, 2, 5, 17, 100, len / 4, len / 2, len * 3 / 4, len - 20, len - 1, len] {
        fs::write(wreck.journal(), &whole[..len - cut]).unwrap();
        let (served, host) = wreck.resume();
        let found = sessions(&host);
        assert!(found <= before, "{found} sessions with {cut} bytes less, {before} with more");
        assert!(found == 3 || cut > 0);
        before = found;
        let waiting = wreck.asks.iter().filter(|ask| match host.respond(**ask, "yes") {
            Ok(_) => true,
            Err(failed) => {
                assert_eq!(failed.kind, "stale", "{cut}: {}", failed.message);
                false
            }
        });
        let waiting = waiting.count() as u64;
        assert!(waiting <= found && (waiting == 3 || cut > 0), "{waiting} of {found} wait with {cut} bytes less");
        // It is as good an engine as any other.
        host.start("after");
        host.ask("followup");
        served.kill();
    }
}

/// Requests may come before a session has its task back.
#[test]
fn a_session_that_is_being_restored_answers_for_its_task() {
    let wreck = Wreck::new();
    let (_served, host) = wreck.resume();
    for session in &wreck.sessions {
        for kind in ["task.diff", "checkpoint.list"] {
            host.call(&json!({"type": kind, "session": session})).unwrap_or_else(|failed| panic!("{kind}: {failed:?}"));
        }
    }
}

#[test]
fn damage_in_the_middle_is_told_to_those_who_are_known() {
    let wreck = Wreck::new();
    let mut bytes = fs::read(wreck.journal()).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 0xff;
    fs::write(wreck.journal(), &bytes).unwrap();
    let (_served, host) = wreck.resume();
    let told = host.until(|event| match &event.event {
        Event::Log(log) if log.target == "journal" => Some(log.message.clone()),
        _ => None,
    });
    assert!(told.contains("damaged bytes"), "{told}");
    assert_eq!(sessions(&host), 3);
}

#[test]
fn what_is_no_journal_is_set_aside_and_kept() {
    let wreck = Wreck::new();
    let mut bytes = fs::read(wreck.journal()).unwrap();
    bytes[0] ^= 0xff;
    fs::write(wreck.journal(), &bytes).unwrap();
    let (_served, host) = wreck.resume();
    assert_eq!(sessions(&host), 0);
    let folder = wreck.journal().parent().unwrap().to_owned();
    let mut aside = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal.damaged-")));
    assert_eq!(fs::read(aside.next().expect("it is kept")).unwrap(), bytes);
    host.start("after");
    host.ask("followup");
}
