//! The committed corpora of the fuzz targets, replayed: what `tests/fuzz/run` once found interesting must still hold.
//!
//! `tests/data/corpus/<target>/` holds one input a file; a `crash-…` among them is an input that once broke its property.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use lapce_ai::engine::journal::fuzzing as journal;
use lapce_ai::prompt::fuzzing as prompt;
use lapce_ai::protocol::fuzzing as protocol;
use lapce_ai::providers::frames::fuzzing as frames;
use lapce_ai::providers::fuzzing as providers;
use lapce_ai::transport::fuzzing as transport;

#[path = "corpus/seeds.rs"]
mod seeds;

/// A fuzz target: folder, property, and how many inputs there must be, so that an emptied folder is noticed.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: &[Target] = &[
    ("array", frames::array, 4),
    ("decode", providers::decode, 24),
    ("event", protocol::event, 32),
    ("event_stream", frames::event_stream, 4),
    ("front_matter", prompt::front_matter, 6),
    ("hello", protocol::hello, 8),
    ("journal", journal::journal, 6),
    ("lines", frames::lines, 4),
    ("mentions", prompt::mentioned, 8),
    ("request", protocol::request, 40),
    ("ring", transport::ring, 12),
    #[cfg(unix)]
    ("socket", transport::socket, 8),
    ("sse", frames::sse, 5),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(target)
}

#[test]
fn what_was_found_once_still_holds() {
    for (target, property, least) in TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(folder(target)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            assert!(catch_unwind(|| property(&input)).is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count >= *least, "{target}: {count} inputs, at least {least} were committed");
    }
}

/// Every target has a corpus, a program and an entry in the package, and nothing else has.
#[test]
fn targets_folders_and_programs_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = |folder: PathBuf| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let targets: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names(root.join("data/corpus")), targets);
    assert_eq!(names(root.join("fuzz/targets")), targets);
    let package = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for target in targets {
        assert!(package.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
    }
}

fn remove_seeds(folder: &Path) {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_seed = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-"));
    paths.filter(is_seed).for_each(|path| fs::remove_file(path).unwrap());
}

/// What fuzzing starts from: real messages of every kind. `LAPCE_AI_BLESS=1` writes them into the corpora, and removes those of
/// earlier versions.
#[test]
fn seeds_hold() {
    let write = std::env::var_os("LAPCE_AI_BLESS").is_some();
    for (target, property, _) in TARGETS {
        let seeds = seeds::of(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        if write {
            fs::create_dir_all(folder(target)).unwrap();
            remove_seeds(&folder(target));
        }
        for (name, input) in seeds {
            assert!(catch_unwind(|| property(&input)).is_ok(), "{target}: {name}");
            if write {
                fs::write(folder(target).join(format!("seed-{name}")), input).unwrap();
            }
        }
    }
}
