//! The map holds: rooms use only what stands to their right, `unsafe` stays in its rooms, module files say what they are for.

use std::fs;
use std::path::{Path, PathBuf};

/// Levels from the host inwards, as in ARCHITECTURE.md.
const LEVELS: &[&[&str]] = &[
    &["cli", "ffi"],
    &["transport", "engine"],
    &["task"],
    &["prompt", "tools", "providers"],
    &["edit", "terminal", "git", "code"],
    &["workspace"],
    &["settings"],
    &["protocol"],
    &["ecma"],
];
/// Allowed between neighbours of one level.
const NEIGHBOURS: &[(&str, &str)] = &[("engine", "transport"), ("tools", "prompt")];

fn level(room: &str) -> usize {
    LEVELS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("`{room}` is not on the map"))
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

/// Every source file below `src/<room>/` with its room.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .filter_map(|file| {
            let inner = file.strip_prefix(&root).unwrap().to_owned();
            let room = inner.components().next()?.as_os_str().to_str()?.to_owned();
            (inner.components().count() > 1).then(|| (room, inner, fs::read_to_string(&file).unwrap()))
        })
        .collect()
}

#[test]
fn rooms_use_only_what_stands_to_their_right() {
    let mut faults = Vec::new();
    for (room, file, text) in rooms() {
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (at, _) in code.match_indices("crate::") {
            let line_start = code[..at].rfind('\n').map_or(0, |n| n + 1);
            let line = code[line_start..].lines().next().unwrap_or("");
            if line.trim_start().starts_with("//") || code[..at].ends_with('$') {
                continue;
            }
            let used: String = code[at + 7..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if used == room || !LEVELS.iter().any(|rooms| rooms.contains(&used.as_str())) {
                continue;
            }
            let allowed = level(&used) > level(&room) || NEIGHBOURS.contains(&(room.as_str(), used.as_str()));
            if !allowed {
                faults.push(format!("src/{}: {line}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "against the direction of use:\n{}", faults.join("\n"));
}

#[test]
fn unsafe_stays_in_its_rooms() {
    for (room, file, text) in rooms() {
        let uses = text.lines().any(|l| {
            !l.trim_start().starts_with("//")
                && (l.contains("unsafe {") || l.contains("unsafe fn") || l.contains("unsafe impl"))
        });
        assert!(!uses || ["transport", "ffi"].contains(&room.as_str()), "unsafe in src/{}", file.display());
    }
}

#[test]
fn every_room_says_what_it_is_for() {
    for (_, file, text) in rooms() {
        if file.file_name().is_some_and(|name| name == "mod.rs") {
            assert!(text.starts_with("//!"), "src/{} has no header", file.display());
        }
    }
}

#[test]
fn every_text_has_one_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/prompt/text");
    let mut seen = std::collections::HashMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for id in text.lines().filter_map(|line| line.strip_prefix("[[")?.strip_suffix("]]")) {
            let before = seen.insert(id.to_owned(), path.clone());
            assert!(before.is_none(), "`{id}` stands in {} and in {}", before.unwrap().display(), path.display());
        }
    }
}
