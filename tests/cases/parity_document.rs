//! `docs/parity/NN.md` say which test shows what of the specification's parts. They are collected from lines
//! `/// parity 02 §6.5: what it shows` directly above tests in `src/` and `tests/`; one file here a part. Where a part gives its
//! checklist and quirks no section number, they are `§checklist.N` and `§quirks.N`.
//!
//! `LAPCE_AI_BLESS=1 cargo test --test main parity_document` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "parity_document/prompts.rs"]
mod prompts;
#[path = "parity_document/settings.rs"]
mod settings;
#[path = "parity_document/task_loop.rs"]
mod task_loop;

const DOCUMENTS: [&Document; 3] = [&task_loop::DOCUMENT, &prompts::DOCUMENT, &settings::DOCUMENT];

/// A part of the specification.
pub struct Document {
    /// Its number, such as `02`.
    spec: &'static str,
    title: &'static str,
    /// Section of the checklist.
    checklist_section: &'static str,
    /// What must hold, in the order of the specification.
    checklist: &'static [&'static str],
    /// Items of the checklist, by number, that no test shows yet.
    known_missing: &'static [usize],
    /// Section of the quirks.
    quirks_section: &'static str,
    /// The quirks, in the order of the specification.
    quirks: &'static [(&'static str, Fate)],
    /// Quirks, by number, that no test shows yet, or whose deviation is not described yet.
    known_missing_quirks: &'static [usize],
    /// Sections that no test shows, and why.
    reasons: &'static [(&'static str, &'static str)],
    /// The other sections, in their order. A step within one (`§6.5`) belongs to the section.
    sections: &'static [(&'static str, &'static str)],
}

/// What became of a quirk.
pub enum Fate {
    /// Tests show it.
    Kept,
    /// It is not kept: id of the deviation (`docs/deviations.md`).
    Deviation(&'static str),
    /// Nobody could tell; the text says why.
    Unseen(&'static str),
}

/// A test and what it shows.
struct Proof {
    spec: &'static str,
    section: String,
    shows: String,
    test: String,
}

#[test]
fn the_pages_of_parity_are_up_to_date() {
    let (proofs, faults) = proofs();
    assert!(faults.is_empty(), "lines of parity that cannot be read:\n{}", faults.join("\n"));
    for document in DOCUMENTS {
        let path = format!("{}/docs/parity/{}.md", env!("CARGO_MANIFEST_DIR"), document.spec);
        let page = document.page(&proofs);
        if std::env::var_os("LAPCE_AI_BLESS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/parity/{}.md is out of date: LAPCE_AI_BLESS=1 cargo test --test main parity_document",
            document.spec
        );
    }
}

#[test]
fn every_item_of_the_checklists_has_a_test() {
    let (proofs, _) = proofs();
    for document in DOCUMENTS {
        let shown = |item: &usize| document.shown(&proofs, document.checklist_section, *item);
        let missing: Vec<usize> = (1..=document.checklist.len()).filter(|item| !shown(item)).collect();
        assert!(
            missing.iter().all(|item| document.known_missing.contains(item)),
            "checklist items of {} without a test: {missing:?}, known: {:?}",
            document.spec,
            document.known_missing
        );
    }
}

#[test]
fn every_quirk_has_a_test_or_a_reason() {
    let (proofs, _) = proofs();
    let deviations = include_str!("../../docs/deviations.md");
    for document in DOCUMENTS {
        let open = |at: &usize| !document.known_missing_quirks.contains(&(at + 1));
        for (at, (quirk, fate)) in document.quirks.iter().enumerate().filter(|(at, _)| open(at)) {
            match fate {
                Fate::Kept => assert!(
                    document.shown(&proofs, document.quirks_section, at + 1),
                    "quirk {} of {} without a test: {quirk}",
                    at + 1,
                    document.spec
                ),
                Fate::Deviation(id) => assert!(deviations.contains(&format!("\n| {id} |")), "{quirk}: {id}"),
                Fate::Unseen(_) => {}
            }
        }
    }
}

impl Document {
    fn shown(&self, proofs: &[Proof], section: &str, number: usize) -> bool {
        proofs.iter().any(|proof| proof.spec == self.spec && proof.section == format!("{section}.{number}"))
    }

    /// The table, one row an item of the checklist, one each further section, one a quirk.
    fn page(&self, proofs: &[Proof]) -> String {
        let mut rows: BTreeMap<String, Vec<&Proof>> = BTreeMap::new();
        for proof in proofs.iter().filter(|proof| proof.spec == self.spec) {
            rows.entry(self.row(&proof.section).expect("looked at when it was read")).or_default().push(proof);
        }
        let mut page = format!(
            "# {}: what is shown by which test\n\nGenerated from the lines `/// parity {} §…` above tests: do not edit. \
             A test below `src/` stands in the file named, one below `tests/` in the module.\n\n",
            self.title, self.spec
        );
        page.push_str("## Checklist\n\n| § | must hold | shown by |\n|---|---|---|\n");
        for (index, wording) in self.checklist.iter().enumerate() {
            let number = format!("{}.{}", self.checklist_section, index + 1);
            let tests = tests(rows.get(&number), "**missing**");
            let _ = writeln!(page, "| {number} | {wording} | {tests} |");
        }
        page.push_str("\n## Sections\n\n| § | about | shown by |\n|---|---|---|\n");
        for (number, about) in self.sections {
            let reason = self.reasons.iter().find(|(section, _)| section == number).map_or("–", |(_, why)| why);
            let _ = writeln!(page, "| {number} | {about} | {} |", tests(rows.get(*number), reason));
        }
        page.push_str("\n## Quirks\n\n| § | of the reference | kept, and shown by |\n|---|---|---|\n");
        for (index, (wording, fate)) in self.quirks.iter().enumerate() {
            let number = format!("{}.{}", self.quirks_section, index + 1);
            let otherwise = match fate {
                Fate::Kept => "**missing**".to_owned(),
                Fate::Deviation(id) => format!("not kept: {id}"),
                Fate::Unseen(why) => format!("cannot show: {why}"),
            };
            let _ = writeln!(page, "| {number} | {wording} | {} |", tests(rows.get(&number), &otherwise));
        }
        page
    }

    /// The row that a section belongs to: an item of checklist or quirks, or the longest section of the table that begins its
    /// number.
    fn row(&self, section: &str) -> Option<String> {
        for (own, items) in [(self.checklist_section, self.checklist.len()), (self.quirks_section, self.quirks.len())] {
            if let Some(item) = section.strip_prefix(own).and_then(|rest| rest.strip_prefix('.')) {
                let item: usize = item.parse().ok()?;
                return (1..=items).contains(&item).then(|| section.to_owned());
            }
        }
        let mut prefix = section;
        loop {
            if self.sections.iter().any(|(number, _)| *number == prefix) {
                return Some(prefix.to_owned());
            }
            prefix = prefix.rsplit_once('.')?.0;
        }
    }
}

fn tests(proofs: Option<&Vec<&Proof>>, none: &str) -> String {
    let Some(proofs) = proofs else { return none.to_owned() };
    let mut shown: Vec<String> =
        proofs.iter().map(|proof| format!("{}: `{}`", proof.shows.replace('|', "\\|"), proof.test)).collect();
    shown.sort();
    shown.join("<br>")
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
        if inner.starts_with("tests/cases/parity_document") {
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
    let (spec, rest) = line.strip_prefix("/// parity ")?.split_once(" §")?;
    let document = DOCUMENTS.into_iter().find(|document| document.spec == spec)?;
    let (section, shows) = rest.split_once(':')?;
    let (section, shows) = (section.trim().to_owned(), shows.trim().to_owned());
    document.row(&section)?;
    let signature = below.iter().position(|line| !line.starts_with("///") && !line.starts_with("#["))?;
    let named = below[signature].trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    // A case of `both!` is no test by itself; it takes the mode of the engine.
    let is_test = below[..signature].iter().any(|line| line.starts_with("#[") && line.contains("test"))
        || named.contains("(mode: Mode");
    let name: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let place = file.trim_start_matches("tests/cases/").trim_end_matches(".rs");
    (is_test && !shows.is_empty()).then(|| Proof {
        spec: document.spec,
        section,
        shows,
        test: format!("{place}::{name}"),
    })
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
    let row = |section| task_loop::DOCUMENT.row(section);
    assert_eq!(row("15.4").as_deref(), Some("15.4"));
    assert_eq!(row("10.8").as_deref(), Some("10"));
    assert_eq!(prompts::DOCUMENT.row("checklist.1").as_deref(), Some("checklist.1"));
    assert_eq!(prompts::DOCUMENT.row("checklist.99"), None);
}
