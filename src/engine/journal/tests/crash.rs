//! Processes that are killed while they write, and a disk that is full. The test binary runs itself as that process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;

/// Where the process that is to be killed writes.
const FOLDER: &str = "LAPCE_AI_TEST_JOURNAL";
/// Events that are not released.
const UNSEEN: u32 = 10;

fn large(sequence: u32) -> Entry<'static> {
    // Different lengths, so that records and pages never keep step.
    let body = vec![sequence as u8; 9000 + (sequence % 97) as usize];
    let kind = EventKind::MessageEnd.number();
    let subject = u64::from(sequence);
    Entry::Event { client: 1, session: 2, sequence, kind, control: false, subject, body: body.into() }
}

/// Runs one of the tests below as a process; `shell` stands before its command line.
fn run(test: &str, folder: &Path, shell: &str) -> Child {
    Command::new("sh")
        .arg("-c")
        .arg(format!(r#"{shell} exec "$0" "$@""#))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", &format!("engine::journal::tests::crash::{test}")])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The process: appends for ever, says each number once it is kept, and rewrites beside it. A test only when it is told a folder.
#[test]
fn process_that_appends() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (journal, ..) = Journal::open(Path::new(&folder)).unwrap();
    let journal = Arc::new(journal);
    journal.append(&client(1)).unwrap();
    journal.append(&session(2, 1)).unwrap();
    let rewriter = journal.clone();
    std::thread::spawn(move || {
        loop {
            rewriter.compact_if_due().unwrap();
            std::thread::yield_now();
        }
    });
    // Ends, at the latest, when nobody reads what it says.
    for sequence in 1.. {
        journal.append(&large(sequence)).unwrap();
        eprintln!("{sequence}");
        let sequence = sequence.saturating_sub(UNSEEN);
        journal.append(&Entry::Released { client: 1, session: 2, sequence }).unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_was_told_is_kept() {
    // A rewrite is due about every 115 entries.
    for entries in [1, 50, 117, 300] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = run("process_that_appends", folder.path(), "");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut last = 0;
        for line in lines.by_ref().take(entries) {
            last = line.unwrap().parse::<u32>().expect("a number");
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // What it still said before it died.
        last = lines.map_while(|line| line.unwrap().parse().ok()).last().unwrap_or(last);
        assert!(last as usize >= entries);

        let (state, report) = reopened(folder.path());
        assert_eq!(report.set_aside, None);
        let events = &state.sessions[&2].events;
        assert!(events.last >= last, "{} of {last}", events.last);
        // Nothing is missing in between, and nothing that was not released.
        let first = events.events.front().unwrap().sequence;
        assert!(first <= last.saturating_sub(UNSEEN) + 1);
        assert!(events.events.iter().map(|event| event.sequence).eq(first..=events.last));
        for event in &events.events {
            let Entry::Event { body, .. } = large(event.sequence) else { continue };
            assert_eq!(event.body, *body);
        }
    }
}

/// The process: fills the disk up, then goes on with what still fits. A test only when it is told a folder.
#[test]
fn process_that_fills_the_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (journal, ..) = Journal::open(Path::new(&folder)).unwrap();
    journal.append(&client(1)).unwrap();
    journal.append(&session(2, 1)).unwrap();
    let refused = (1..).find(|sequence| journal.append(&large(*sequence)).is_err()).unwrap();
    assert!(matches!(journal.append(&large(refused)), Err(JournalError::Io { doing: "write", .. })));
    journal.append(&event(1, 2, refused)).unwrap();
    eprintln!("{refused}");
}

#[test]
fn a_full_disk_costs_the_entry_that_did_not_fit_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    // Files end after 64 KiB or 128 KiB, by the shell's unit; the write reports it instead of a signal.
    let process = run("process_that_fills_the_disk", folder.path(), "trap '' XFSZ; ulimit -f 128;");
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let last: u32 = said.trim().parse().unwrap_or_else(|_| panic!("{said}"));
    let (state, report) = reopened(folder.path());
    assert_eq!(report, Report::default());
    let events = &state.sessions[&2].events;
    assert!(last > 3 && events.events.iter().map(|event| event.sequence).eq(1..=last));
}
