//! `docs/parity/02.md` says which test shows what of the task loop's specification (spec 02). It is collected from lines
//! `/// parity 02 §18.4: what it shows` directly above tests in `src/` and `tests/`.
//!
//! `LAPCE_AI_BLESS=1 cargo test --test main parity_document` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "/// parity 02 §";

const HEAD: &str = "# Task loop: what is shown by which test

Generated from the lines `/// parity 02 §…` above tests: do not edit. A test below `src/` stands in the file named, one below `tests/` in the module.

";

/// The checklist of the specification (§18), in its order.
const CHECKLIST: [&str; 16] = [
    "the first user message is task, images, environment with files; later ones carry no file list",
    "a reply without a tool call is answered by a reminder and counts as a mistake; at the limit the user is asked first",
    "an empty reply is stored as a failure note and the task goes on by itself",
    "retry delays double from the base up to ten minutes; a delay named by the provider goes first",
    "the rate limit counts down whole seconds, and subtasks share its clock",
    "the window keeps a tenth and the output free; past it an even half of the messages goes, the first stays",
    "three messages are kept; nothing new to sum up is an error; six messages are the first that can be condensed",
    "a summary that is no smaller is an error: history unchanged, its cost reported",
    "the deny list holds with automatic approval off; the longer of two matching prefixes wins",
    "a queued message approves the next tool question with its text; one queued later waits for a later question",
    "a stop in a stream gives a new instance that waits to be resumed; nothing of the assistant is added",
    "a stream that fails is recorded in its request, and the task waits to be resumed",
    "a resumed task sends the old user blocks, the new message and a new environment in one message",
    "an answer without changed files makes no checkpoint; an edit always makes one",
    "after a subtask its parent has two user messages in a row, the subtask's result first",
    "tokens: none for nothing, half as many again for text, the root of the size for an image",
];

/// The quirks of the specification (§19), in its order: each is kept, or a deviation (`docs/deviations.md`) says why not, or it cannot
/// show.
const QUIRKS: [(&str, Fate); 23] = [
    ("answers are not expanded; a resumed task is expanded again", Fate::Kept),
    ("visible files and open tabs are separated by commas", Fate::Kept),
    ("a stop gives its request no reason", Fate::Kept),
    ("a failure loses the chunk before it", Fate::Deviation("D03")),
    ("what fails in condensing, prompt or limits is a failure of the stream", Fate::Kept),
    ("what cannot be condensed is said before each request", Fate::Kept),
    ("a summary leaves out the first message", Fate::Kept),
    ("retries and approved requests count against the limit of requests", Fate::Kept),
    ("substitution in quotes and glob words escape the allow list", Fate::Deviation("D02")),
    ("a parent is listed with its subtask's mode until it goes on", Fate::Kept),
    ("the list a task begins with is lost with a resume, a refused one comes back", Fate::Kept),
    ("favourites are lost", Fate::Deviation("D08")),
    ("the check of the rules file never fails", Fate::Unseen("no check is made")),
    ("requests that were deleted vanish from the totals", Fate::Kept),
    ("only the root's id is stored", Fate::Kept),
    ("the form of the conversation stays that of the task's beginning", Fate::Kept),
    ("what another message interrupts stays partial", Fate::Kept),
    (
        "one edit of the engine cancels one report of a change",
        Fate::Unseen("a file is compared, however often it is reported"),
    ),
    ("a resume sends the old environment again", Fate::Kept),
    ("lines of a command are split before its quotes", Fate::Kept),
    ("deleting a task looks for a branch of old versions", Fate::Unseen("there are no such branches")),
    ("a completion with a command is told twice", Fate::Kept),
    ("a subtask may end before its parent's answer", Fate::Kept),
];

/// What became of a quirk.
enum Fate {
    /// Tests show it.
    Kept,
    /// It is not kept: id of the deviation.
    Deviation(&'static str),
    /// Nobody could tell; the text says why.
    Unseen(&'static str),
}

/// Items of the checklist, by number, that no test shows yet.
const KNOWN_MISSING: &[usize] = &[];

/// The other sections, in their order. A step within one (`§6.5`) belongs to the section.
const SECTIONS: [(&str, &str); 45] = [
    ("1", "objects"),
    ("2", "lifecycle"),
    ("2.1", "start"),
    ("2.2", "resume from the history"),
    ("2.3", "abort, dispose, cancel"),
    ("2.4", "ask and say"),
    ("3", "message queue"),
    ("4", "outer loop"),
    ("5", "one request after another"),
    ("6", "opening a request"),
    ("6.6", "responses that go on from a stored one"),
    ("7", "stream"),
    ("7.1", "no read-ahead"),
    ("7.2", "chunks"),
    ("7.3", "usage"),
    ("7.4", "failure in a stream"),
    ("8", "context"),
    ("8.1", "counting tokens"),
    ("8.2", "what fits the window"),
    ("8.3", "condensing"),
    ("8.4", "since the last summary"),
    ("8.5", "errors of the window"),
    ("9", "expanding what users write"),
    ("9.1", "mentions"),
    ("9.2", "slash commands"),
    ("10", "environment details"),
    ("11", "automatic approval"),
    ("11.1", "limits of automatic approval"),
    ("11.2", "what is answered automatically"),
    ("11.3", "commands allowed and denied"),
    ("12", "todo list"),
    ("13", "persistence"),
    ("14", "tracking of files"),
    ("15", "checkpoints"),
    ("15.1", "service of checkpoints"),
    ("15.2", "its repository"),
    ("15.3", "what it leaves out"),
    ("15.4", "saving"),
    ("15.5", "restoring"),
    ("15.6", "deleting and editing messages"),
    ("15.7", "differences between checkpoints"),
    ("15.8", "range of a completion"),
    ("16", "modes, subtasks, requests of the host"),
    ("17", "defaults"),
    ("20", "texts"),
];

/// A test and what it shows.
struct Proof {
    section: String,
    shows: String,
    test: String,
}

#[test]
fn the_page_of_parity_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/parity/02.md");
    let (proofs, faults) = proofs();
    assert!(faults.is_empty(), "lines of parity that cannot be read:\n{}", faults.join("\n"));
    let page = page(&proofs);
    if std::env::var_os("LAPCE_AI_BLESS").is_some() {
        fs::write(path, &page).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/parity/02.md is out of date: LAPCE_AI_BLESS=1 cargo test --test main parity_document"
    );
}

#[test]
fn every_item_of_the_checklist_has_a_test() {
    let (proofs, _) = proofs();
    let shown = |item: &usize| proofs.iter().any(|proof| proof.section == format!("18.{item}"));
    let missing: Vec<usize> = (1..=CHECKLIST.len()).filter(|item| !shown(item)).collect();
    assert!(
        missing.iter().all(|item| KNOWN_MISSING.contains(item)),
        "checklist items without a test: {missing:?}, known: {KNOWN_MISSING:?}"
    );
}

#[test]
fn every_quirk_has_a_test_or_a_reason() {
    let (proofs, _) = proofs();
    let shown = |number: usize| proofs.iter().any(|proof| proof.section == format!("19.{number}"));
    let open = QUIRKS.iter().enumerate().filter(|(_, (_, fate))| matches!(fate, Fate::Kept)).map(|(at, _)| at + 1);
    let missing: Vec<usize> = open.filter(|number| !shown(*number)).collect();
    assert!(missing.is_empty(), "quirks without a test: {missing:?}");
    let deviations = include_str!("../../docs/deviations.md");
    for (quirk, fate) in &QUIRKS {
        if let Fate::Deviation(id) = fate {
            assert!(deviations.contains(&format!("\n| {id} |")), "{quirk}: {id}");
        }
    }
}

/// The table, one row an item of the checklist and one each further section.
fn page(proofs: &[Proof]) -> String {
    let mut rows: BTreeMap<String, Vec<&Proof>> = BTreeMap::new();
    for proof in proofs {
        rows.entry(row(&proof.section).expect("looked at when it was read")).or_default().push(proof);
    }
    let mut page = String::from(HEAD);
    page.push_str("## Checklist\n\n| § | must hold | shown by |\n|---|---|---|\n");
    for (index, wording) in CHECKLIST.iter().enumerate() {
        let number = format!("18.{}", index + 1);
        let tests = tests(rows.get(&number), "**missing**");
        let _ = writeln!(page, "| {number} | {wording} | {tests} |");
    }
    page.push_str("\n## Sections\n\n| § | about | shown by |\n|---|---|---|\n");
    for (number, about) in SECTIONS {
        let _ = writeln!(page, "| {number} | {about} | {} |", tests(rows.get(number), "–"));
    }
    page.push_str("\n## Quirks\n\n| § | of the reference | kept, and shown by |\n|---|---|---|\n");
    for (index, (wording, fate)) in QUIRKS.iter().enumerate() {
        let number = format!("19.{}", index + 1);
        let otherwise = match fate {
            Fate::Kept => "**missing**".to_owned(),
            Fate::Deviation(id) => format!("not kept: {id}"),
            Fate::Unseen(why) => format!("cannot show: {why}"),
        };
        let _ = writeln!(page, "| {number} | {wording} | {} |", tests(rows.get(&number), &otherwise));
    }
    page
}

fn tests(proofs: Option<&Vec<&Proof>>, none: &str) -> String {
    let Some(proofs) = proofs else { return none.to_owned() };
    let mut shown: Vec<String> =
        proofs.iter().map(|proof| format!("{}: `{}`", proof.shows.replace('|', "\\|"), proof.test)).collect();
    shown.sort();
    shown.join("<br>")
}

/// The row that a section belongs to: an item of the checklist, or the longest section of the table that begins its number.
fn row(section: &str) -> Option<String> {
    if let Some(item) = section.strip_prefix("18.") {
        let item: usize = item.parse().ok()?;
        return (1..=CHECKLIST.len()).contains(&item).then(|| section.to_owned());
    }
    if let Some(quirk) = section.strip_prefix("19.") {
        let quirk: usize = quirk.parse().ok()?;
        return (1..=QUIRKS.len()).contains(&quirk).then(|| section.to_owned());
    }
    let mut prefix = section;
    loop {
        if SECTIONS.iter().any(|(number, _)| *number == prefix) {
            return Some(prefix.to_owned());
        }
        prefix = prefix.rsplit_once('.')?.0;
    }
}

/// All lines of parity in order of files, and those that are wrong, each with its place.
fn proofs() -> (Vec<Proof>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    files.sort();
    let (mut proofs, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        let inner = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        if inner == "tests/cases/parity_document.rs" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("/// parity")) {
            match proof(line, &lines[at + 1..], &inner) {
                Some(proof) => proofs.push(proof),
                None => faults.push(format!("{inner}:{}: {line}", at + 1)),
            }
        }
    }
    (proofs, faults)
}

/// One line of parity with the test below it.
fn proof(line: &str, below: &[&str], file: &str) -> Option<Proof> {
    let (section, shows) = line.strip_prefix(MARK)?.split_once(':')?;
    let (section, shows) = (section.trim().to_owned(), shows.trim().to_owned());
    row(&section)?;
    let signature = below.iter().position(|line| !line.starts_with("///") && !line.starts_with("#["))?;
    let named = below[signature].trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    // A case of `both!` is no test by itself; it takes the mode of the engine.
    let is_test = below[..signature].iter().any(|line| line.starts_with("#[") && line.contains("test"))
        || named.contains("(mode: Mode");
    let name: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let place = file.trim_start_matches("tests/cases/").trim_end_matches(".rs");
    (is_test && !shows.is_empty()).then(|| Proof { section, shows, test: format!("{place}::{name}") })
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn a_line_of_parity_needs_a_section_and_a_test() {
    let test = ["/// More.", "#[test]", "fn shown() {"];
    let read = |line: &str, below: &[&str]| proof(line, below, "src/task/x.rs").map(|p| (p.section, p.test));
    let found = Some(("6.5".to_owned(), "src/task/x::shown".to_owned()));
    assert_eq!(read("/// parity 02 §6.5: it goes on", &test), found);
    assert_eq!(read("/// parity 02 §6.5: it goes on", &["fn shown(mode: Mode) {"]), found);
    for line in [
        "/// parity 02 §99: x",
        "/// parity 02 §18.17: x",
        "/// parity 02 §19.24: x",
        "/// parity 02 §6.5",
        "/// parity 2 §6: x",
    ] {
        assert_eq!(read(line, &test), None, "{line}");
    }
    assert_eq!(read("/// parity 02 §6.5: x", &["fn helper() {"]), None);
    assert_eq!(row("15.4").as_deref(), Some("15.4"));
    assert_eq!(row("10.8").as_deref(), Some("10"));
}
