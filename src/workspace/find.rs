//! Files and folders of a workspace by a few typed characters (spec 06 §C.2).

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;

use super::fuzzy::{Query, Tables};
use super::paths;

/// Most files that are looked at.
pub const MAX_FILES: usize = 5000;
/// Most entries of folders that are looked at on the way: links may lead anywhere.
const MAX_ENTRIES: usize = 200_000;
/// Folders that are left out wherever they are.
const LEFT_OUT: [&str; 4] = ["!**/node_modules/**", "!**/.git/**", "!**/out/**", "!**/dist/**"];

/// A file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Path below the workspace, with forward slashes.
    pub path: String,
    /// Its last part.
    pub label: String,
    /// It is a folder.
    pub is_folder: bool,
}

/// The `limit` best fits of a query among the first [`MAX_FILES`] files of a workspace, in the order of their names, and the
/// folders they are in; for a blank query the first of them. Blocking.
pub fn find(workspace: &Path, query: &str, limit: usize) -> Vec<Found> {
    let mut all = list(workspace);
    if !query.trim().is_empty() {
        all = best(all, query, limit);
    }
    all.truncate(limit);
    for found in &mut all {
        // A link shows what it leads to.
        if let Ok(metadata) = fs::metadata(workspace.join(&found.path)) {
            found.is_folder = metadata.is_dir();
        }
    }
    all
}

fn best(all: Vec<Found>, query: &str, limit: usize) -> Vec<Found> {
    let (query, mut tables) = (Query::new(query), Tables::default());
    let mut scored: Vec<(i32, usize, Found)> = Vec::new();
    for found in all {
        let text = format!("{} {}", found.path, found.label);
        if let Some(score) = query.score(&text, &mut tables) {
            scored.push((score, text.encode_utf16().count(), found));
        }
    }
    scored.sort_by_key(|(score, len, _)| (-score, *len));
    scored.into_iter().take(limit).map(|(_, _, found)| found).collect()
}

/// Files in the order of their names, then the folders they are in.
fn list(workspace: &Path) -> Vec<Found> {
    let mut left_out = OverrideBuilder::new(workspace);
    LEFT_OUT.iter().for_each(|glob| drop(left_out.add(glob)));
    let Ok(left_out) = left_out.build() else { return Vec::new() };
    let walk = WalkBuilder::new(workspace)
        .hidden(false)
        .follow_links(true)
        .overrides(left_out)
        .add_custom_ignore_filename(".rgignore")
        .git_global(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .build();
    let files = walk
        .take(MAX_ENTRIES)
        .flatten()
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter_map(|entry| found(workspace, entry.path(), false))
        .take(MAX_FILES);
    let mut all: Vec<Found> = files.collect();
    let (mut folders, mut known) = (Vec::new(), HashSet::new());
    for file in &all {
        let mut rest = file.path.as_str();
        let mut above = Vec::new();
        while let Some((folder, _)) = rest.rsplit_once('/') {
            above.push(folder);
            rest = folder;
        }
        for folder in above.into_iter().rev().filter(|folder| known.insert(folder.to_string())) {
            let label = folder.rsplit('/').next().unwrap_or(folder).to_owned();
            folders.push(Found { path: folder.to_owned(), label, is_folder: true });
        }
    }
    all.extend(folders);
    all
}

fn found(workspace: &Path, path: &Path, is_folder: bool) -> Option<Found> {
    let path = paths::posix(&path.strip_prefix(workspace).ok()?.to_string_lossy());
    let label = path.rsplit('/').next()?.to_owned();
    Some(Found { path, label, is_folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn shown(found: &[Found]) -> Vec<String> {
        found.iter().map(|found| format!("{}{}", found.path, if found.is_folder { "/" } else { "" })).collect()
    }

    #[test]
    fn files_come_before_the_folders_they_are_in() {
        let folder = workspace(&[
            "b/c/d.rs",
            "a.rs",
            ".hidden",
            "node_modules/x.js",
            "b/out/y",
            "dist/z",
            ".git/config",
            "b/e.rs",
        ]);
        assert_eq!(shown(&find(folder.path(), " ", 20)), [".hidden", "a.rs", "b/c/d.rs", "b/e.rs", "b/", "b/c/"]);
        assert_eq!(shown(&find(folder.path(), "", 2)), [".hidden", "a.rs"]);
        assert!(find(&folder.path().join("none"), "", 20).is_empty());
    }

    #[test]
    fn the_best_fit_comes_first_and_of_equals_the_shortest() {
        let folder =
            workspace(&["src/main.rs", "tests/main.rs", "src/domain.rs", "notes/Main Page.md", "src/x/main.rs"]);
        let of = |query: &str| shown(&find(folder.path(), query, 20));
        assert_eq!(of("main")[..3], ["src/main.rs", "src/x/main.rs", "tests/main.rs"]);
        assert_eq!(of("Main Page"), ["notes/Main Page.md"]);
        assert_eq!(of("srcx"), ["src/x/", "src/x/main.rs"]);
        assert_eq!(of("zzz"), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_show_what_they_lead_to() {
        let folder = workspace(&["real/a.rs"]);
        std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("real/loop")).unwrap();
        assert_eq!(shown(&find(folder.path(), "", 20)), ["link/a.rs", "real/a.rs", "link/", "real/"]);
    }
}
