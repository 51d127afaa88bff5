//! Listing a directory (spec 06 §B): which entries are shown, in which order, up to which number.
//!
//! The order is that of names, so that the same tree always gives the same list. Links to directories are followed for files,
//! each directory once only; the number of entries looked at is bounded whatever the tree looks like.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::access::Access;
use super::gitignore::Patterns;
use super::paths;
use crate::ecma::{self, collate};

/// Directories that are not entered; `.*` stands for every hidden one (spec 06 §B.1).
pub const IGNORED_DIRECTORIES: [&str; 17] = [
    "node_modules",
    "__pycache__",
    "env",
    "venv",
    "target/dependency",
    "build/dependencies",
    "dist",
    "out",
    "bundle",
    "vendor",
    "tmp",
    "temp",
    "deps",
    "pkg",
    "Pods",
    ".git",
    ".*",
];

/// Those that are not entered even when a hidden directory is listed.
const CRITICAL: [&str; 5] = ["node_modules", ".git", "__pycache__", "venv", "env"];

/// Entries looked at before a listing ends with what it has; about the work of ten seconds on a slow disk.
const MAX_VISITED: usize = 200_000;

/// Entries of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Absolute paths; directories end with `/` and stand first.
    pub paths: Vec<String>,
    /// The limit was reached, so there may be more.
    pub limit_reached: bool,
}

/// Lists a directory, or the whole tree below it, up to `limit` entries. The root of the file system and the home directory
/// are never listed: they stand for themselves.
pub fn list(directory: &Path, home: &Path, recursive: bool, limit: usize) -> Listing {
    let directory = paths::resolve(Path::new("/"), directory);
    if limit == 0 {
        return Listing { paths: Vec::new(), limit_reached: false };
    }
    if directory.parent().is_none() || directory == paths::normalise(home) {
        return Listing { paths: vec![directory.to_string_lossy().into_owned()], limit_reached: false };
    }
    let mut budget = MAX_VISITED;
    let files = files(&directory, recursive, limit, &mut budget);
    let scan = Scan::of(&directory, recursive);
    let mut directories = Vec::new();
    scan.directories(&directory, scan.hidden_target, limit.saturating_sub(files.len()), &mut budget, &mut directories);
    let mut seen = HashSet::new();
    let mut sorted = |mut entries: Vec<String>| {
        entries.retain(|entry| seen.insert(entry.clone()));
        entries.sort_by(|a, b| collate::compare_locale(a, b));
        entries
    };
    let mut all = sorted(directories);
    all.extend(sorted(files));
    all.truncate(limit);
    let limit_reached = all.len() >= limit;
    if recursive && limit_reached {
        all = scan.with_first_level(&directory, all, limit);
    }
    Listing { paths: all, limit_reached }
}

/// Adds files that are not on the disk to the paths of a listing of `directory`; one that is not recursive gets the
/// directory that holds them.
pub fn add(directory: &Path, recursive: bool, files: impl Iterator<Item = PathBuf>, paths: &mut Vec<String>) {
    let mut known: HashSet<String> = paths.iter().cloned().collect();
    for file in files {
        let Ok(rest) = file.strip_prefix(directory) else { continue };
        let Some(first) = rest.components().next() else { continue };
        let is_direct = first.as_os_str() == rest.as_os_str();
        let path = match recursive || is_direct {
            true => file.to_string_lossy().into_owned(),
            false => format!("{}/", directory.join(first).to_string_lossy()),
        };
        if known.insert(path.clone()) {
            paths.push(path);
        }
    }
}

/// Whether a path lies in a directory that indexing leaves out (spec 06 §B.1).
pub fn is_in_ignored_directory(path: &str) -> bool {
    let path = path.replace('\\', "/");
    let listed = |component: &str| component != ".*" && IGNORED_DIRECTORIES.contains(&component);
    path.split('/').any(|component| component.starts_with('.') && component != "." || listed(component))
        || IGNORED_DIRECTORIES.iter().any(|name| path.contains(&format!("/{name}/")))
}

/// Lines of a file list as model and user read them (spec 06 §B.7), sorted; ignored entries are left out or marked, protected
/// ones marked, when `access` is given.
pub fn lines(
    base: &Path,
    files: &[String],
    access: Option<&Access>,
    show_ignored: bool,
    mark_protected: bool,
) -> Vec<String> {
    let entries: Vec<String> = files.iter().map(|file| paths::relative(base, file)).collect();
    let entries = ecma::sort::sort(entries, |a, b| compare_paths(a, b));
    let Some(access) = access else {
        return entries;
    };
    let mark = |relative: String| {
        if !access.accessible(paths::resolve(base, &relative)) {
            show_ignored.then(|| format!("🔒 {relative}"))
        } else if mark_protected && access.is_protected(paths::resolve(base, &relative)) {
            Some(format!("🛡\u{fe0f} {relative}"))
        } else {
            Some(relative)
        }
    };
    entries.into_iter().filter_map(mark).collect()
}

/// Files of a level before its directories, else by name; `a/` has an empty last component.
fn compare_paths(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('/').collect(), b.split('/').collect());
    for (i, (x, y)) in a.iter().zip(&b).enumerate() {
        if x == y {
            continue;
        }
        match (i + 1 == a.len(), i + 1 == b.len()) {
            (true, false) => return std::cmp::Ordering::Less,
            (false, true) => return std::cmp::Ordering::Greater,
            // Names that differ in case or accents only are equal here, whatever follows them.
            _ => return collate::compare_base_numeric(x, y),
        }
    }
    a.len().cmp(&b.len())
}

/// Files of the directory by the rules of spec 06 §B.3, at most `limit`.
fn files(directory: &Path, recursive: bool, limit: usize, budget: &mut usize) -> Vec<String> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hidden_target =
        directory.components().any(|component| component.as_os_str().to_string_lossy().starts_with('.'));
    let everything = !recursive || hidden_target || IGNORED_DIRECTORIES.contains(&name.as_str());
    let mut walk = WalkBuilder::new(directory);
    walk.hidden(false)
        .follow_links(true)
        .git_ignore(!everything)
        .git_exclude(!everything)
        .git_global(false)
        .ignore(!everything)
        .parents(!everything)
        .max_depth(if recursive { None } else { Some(1) })
        .sort_by_file_name(std::ffi::OsStr::cmp);
    let root = directory.to_owned();
    walk.filter_entry(move |entry| {
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if entry.depth() == 0 || !is_directory {
            return true;
        }
        let Ok(relative) = entry.path().strip_prefix(&root) else {
            return true;
        };
        let relative = format!("/{}", relative.to_string_lossy());
        !IGNORED_DIRECTORIES.iter().any(|ignored| match *ignored {
            ".*" => !hidden_target && entry.file_name().to_string_lossy().starts_with('.'),
            ignored if ignored == name => false,
            ignored => relative.ends_with(&format!("/{ignored}")),
        })
    });
    let mut files = Vec::new();
    for entry in walk.build() {
        if files.len() >= limit || *budget == 0 {
            break;
        }
        *budget -= 1;
        // Loops and unreadable directories are errors of their entries.
        let Ok(entry) = entry else { continue };
        // In one level the names of directories are left out whatever bears them, in trees only as directories.
        let is_left_out =
            !recursive && entry.file_name().to_str().is_some_and(|name| IGNORED_DIRECTORIES.contains(&name));
        if entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_file()) && !is_left_out {
            files.push(entry.path().to_string_lossy().into_owned());
        }
    }
    files
}

/// The rules for directories (spec 06 §B.4, §B.5).
struct Scan {
    root: PathBuf,
    recursive: bool,
    hidden_target: bool,
    ignore: Patterns,
}

impl Scan {
    fn of(directory: &Path, recursive: bool) -> Scan {
        let hidden_target = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let mut patterns = String::new();
        let ancestors: Vec<&Path> = directory.ancestors().collect();
        for ancestor in ancestors.into_iter().rev() {
            if let Ok(text) = super::reading::read_all(&ancestor.join(".gitignore")) {
                patterns.push_str(&String::from_utf8_lossy(&text));
                patterns.push('\n');
            }
        }
        patterns.push_str(".gitignore");
        Scan { root: directory.to_owned(), recursive, hidden_target, ignore: Patterns::parse(&patterns) }
    }

    /// Adds the directories below `at`, depth first, until there are `limit`.
    fn directories(&self, at: &Path, inside: bool, limit: usize, budget: &mut usize, found: &mut Vec<String>) {
        let mut pending: Vec<PathBuf> = Self::children(at, budget).into_iter().rev().collect();
        while let Some(path) = pending.pop() {
            if found.len() >= limit || *budget == 0 {
                return;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.includes(&path, &name, inside) {
                found.push(format!("{}/", path.to_string_lossy()));
            }
            let enters = match inside {
                true => !CRITICAL.contains(&name.as_str()),
                false => !is_listed(&name) && !name.starts_with('.'),
            };
            if self.recursive && enters {
                pending.extend(Self::children(&path, budget).into_iter().rev());
            }
        }
    }

    /// Directories in a directory by name, without links; none when it cannot be read.
    fn children(at: &Path, budget: &mut usize) -> Vec<PathBuf> {
        let mut children = Vec::new();
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            if *budget == 0 {
                break;
            }
            *budget -= 1;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                children.push(entry.path());
            }
        }
        children.sort();
        children
    }

    fn includes(&self, path: &Path, name: &str, inside: bool) -> bool {
        let listed = if inside { CRITICAL.contains(&name) } else { is_listed(name) };
        let relative = paths::posix(&paths::relative_to(&self.root, path).to_string_lossy());
        !listed && !self.ignore.excludes(&relative) && !self.ignore.excludes(&format!("{relative}/"))
    }

    /// Makes sure that a cut list has all directories of the first level: they take the places of its last entries.
    fn with_first_level(&self, directory: &Path, mut all: Vec<String>, limit: usize) -> Vec<String> {
        let present: HashSet<&String> = all.iter().collect();
        let missing: Vec<String> = Self::children(directory, &mut MAX_VISITED.clone())
            .into_iter()
            .filter(|path| self.includes(path, &path.file_name().unwrap_or_default().to_string_lossy(), false))
            .map(|path| format!("{}/", path.to_string_lossy()))
            .filter(|path| !present.contains(path))
            .collect();
        if missing.is_empty() {
            return all;
        }
        all.truncate(limit.saturating_sub(missing.len()));
        let is_first = |path: &String| Path::new(path).parent() == Some(directory);
        let (first, rest): (Vec<String>, Vec<String>) = all.into_iter().partition(is_first);
        let mut all: Vec<String> = first.into_iter().chain(missing).chain(rest).collect();
        all.truncate(limit);
        all
    }
}

/// Whether a directory of this name is listed as ignored; of a listed path its first component counts.
fn is_listed(name: &str) -> bool {
    IGNORED_DIRECTORIES.iter().any(|ignored| *ignored != ".*" && ignored.split('/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix("list").tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "").expect("written");
        }
        folder
    }

    fn listed(folder: &Path, recursive: bool, limit: usize) -> Vec<String> {
        let listing = list(folder, Path::new("/nobody"), recursive, limit);
        lines(folder, &listing.paths, None, false, false)
    }

    #[test]
    fn one_level_and_whole_trees() {
        let folder =
            tree(&["b.txt", "a/x", "node_modules/m/i.js", ".git/HEAD", ".hid/f", "target/o", ".gitignore", "gi/x"]);
        fs::write(folder.path().join(".gitignore"), "gi/\n").expect("written");
        assert_eq!(listed(folder.path(), false, 200), [".gitignore", "b.txt", ".hid/", "a/"]);
        assert_eq!(listed(folder.path(), true, 200), [".gitignore", "b.txt", ".hid/", "a/", "a/x", "target/o"]);
        assert_eq!(listed(&folder.path().join(".hid"), true, 200), ["f"]);
    }

    #[test]
    fn limits_and_special_directories() {
        let folder = tree(&["a", "b", "c"]);
        assert!(list(folder.path(), Path::new("/h"), false, 3).limit_reached);
        assert!(!list(folder.path(), Path::new("/h"), false, 4).limit_reached);
        assert_eq!(list(Path::new("/"), Path::new("/h"), true, 9).paths, ["/"]);
        assert_eq!(list(folder.path(), folder.path(), true, 9).paths.len(), 1);
        assert_eq!(list(&folder.path().join("none"), Path::new("/h"), true, 9).paths, Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn loops_of_links_end() {
        let folder = tree(&["d/f"]);
        std::os::unix::fs::symlink("..", folder.path().join("d/up")).expect("linked");
        std::os::unix::fs::symlink("self", folder.path().join("self")).expect("linked");
        assert_eq!(listed(folder.path(), true, 200), ["d/", "d/f"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_neither_file_nor_directory_is_not_listed() {
        let folder = tree(&["d/f", "real"]);
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("d", path("link")).expect("linked");
        std::os::unix::fs::symlink("real", path("other")).expect("linked");
        std::os::unix::fs::symlink("none", path("broken")).expect("linked");
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("a program").success());
        assert_eq!(listed(folder.path(), false, 200), ["other", "real", "d/"]);
        assert_eq!(listed(folder.path(), true, 200), ["other", "real", "d/", "d/f", "link/f"]);
    }

    #[test]
    fn files_named_as_ignored_directories() {
        let folder = tree(&["dist", "tmp", "src/out", "a"]);
        assert_eq!(listed(folder.path(), false, 200), ["a", "src/"]);
        assert_eq!(listed(folder.path(), true, 200), ["a", "dist", "tmp", "src/", "src/out"]);
    }

    #[test]
    fn large_directories_are_cut_in_the_order_of_names() {
        let folder = tree(&["sub/x"]);
        for number in 0..20_000 {
            fs::File::create(folder.path().join(format!("f{number:05}"))).expect("made");
        }
        let shown = listed(folder.path(), true, 200);
        assert_eq!(
            (shown.len(), shown[0].as_str(), shown[198].as_str(), shown[199].as_str()),
            (200, "f00000", "f00198", "sub/")
        );
    }

    #[cfg(unix)]
    #[test]
    fn unreadable_directories_are_named_but_not_entered() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tree(&["closed/x", "open/y"]);
        fs::set_permissions(folder.path().join("closed"), fs::Permissions::from_mode(0o000)).expect("closed");
        // Nothing is closed to root.
        let entered = fs::read_dir(folder.path().join("closed")).is_ok();
        let expected: &[&str] =
            if entered { &["closed/", "closed/x", "open/", "open/y"] } else { &["closed/", "open/", "open/y"] };
        assert_eq!(listed(folder.path(), true, 200), expected);
        fs::set_permissions(folder.path().join("closed"), fs::Permissions::from_mode(0o700)).expect("opened");
    }

    #[test]
    fn ignored_directories() {
        for (path, ignored) in
            [("src/a.ts", false), ("a/node_modules/b", true), (".git/config", true), ("./a/b", false)]
        {
            assert_eq!(is_in_ignored_directory(path), ignored, "{path}");
        }
    }
}
