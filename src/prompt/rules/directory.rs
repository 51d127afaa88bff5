//! Reading a rules directory (spec 03 §6.6): every text file below it, links followed, in the order of base names.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{MAX_FILE, Notice};
use crate::ecma;
use crate::ecma::collate::compare_locale;
use crate::workspace::{paths, reading};

/// Entries of directories that are looked at for one request. Links to directories with links multiply them.
pub(super) const MOST_ENTRIES: usize = 10_000;
/// Bytes of all rule texts of one request.
const MOST_BYTES: u64 = 4 << 20;
/// Following a link counts one, entering a linked directory one more; deeper is ignored (guards against cycles).
const DEEPEST: usize = 5;

/// Ends of the names of files that are no rules.
const CACHES: [&str; 20] = [
    ".DS_Store",
    ".bak",
    ".cache",
    ".crdownload",
    ".db",
    ".dmp",
    ".dump",
    ".eslintcache",
    ".lock",
    ".log",
    ".old",
    ".part",
    ".partial",
    ".pyc",
    ".pyo",
    ".stackdump",
    ".swo",
    ".swp",
    ".temp",
    ".tmp",
];

/// What may still be read for one request, and what had to be left out.
#[derive(Debug)]
pub struct Budget {
    entries: usize,
    bytes: u64,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { entries: MOST_ENTRIES, bytes: MOST_BYTES, notices: Vec::new() }
    }
}

impl Budget {
    /// Notes it once.
    pub fn note(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The trimmed text of a file; `None` when it is left out.
    pub fn text(&mut self, path: &Path) -> Option<String> {
        let left_out = match reading::size(path) {
            Ok(size) if size > MAX_FILE => Notice::TooLarge(path.to_owned()),
            Ok(size) if size > self.bytes => Notice::NoRoom(path.to_owned()),
            Ok(size) => match reading::read_all(path) {
                Ok(bytes) => {
                    self.bytes -= size;
                    return Some(ecma::trim(&String::from_utf8_lossy(&bytes)).to_owned());
                }
                Err(_) => Notice::Unreadable(path.to_owned()),
            },
            Err(_) => Notice::Unreadable(path.to_owned()),
        };
        self.note(left_out);
        None
    }
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Absolute path of its text: where the link leads, if it was found as a link.
    pub path: PathBuf,
    /// Trimmed text; may be empty.
    pub text: String,
}

/// The text files below `directory` (absolute), sorted. Empty when it is no directory, or cannot be listed.
pub fn read(directory: &Path, budget: &mut Budget) -> Vec<RuleFile> {
    let mut files = Vec::new();
    for found in found(directory, budget) {
        let name = found.path.file_name().unwrap_or_default().to_string_lossy();
        let is_file = fs::metadata(&found.path).is_ok_and(|metadata| metadata.is_file());
        if !is_file || is_cache(&name) || reading::is_binary(&found.path).unwrap_or(false) {
            continue;
        }
        if let Some(text) = budget.text(&found.path) {
            files.push(RuleFile { path: found.path, text });
        }
    }
    files
}

/// The first file that a link leads to, itself or by directories (spec 03 §6.5).
pub fn first_linked(link: &Path, budget: &mut Budget) -> Option<PathBuf> {
    let mut walk = Walk { budget, found: Vec::new() };
    walk.link(link.to_owned(), 0);
    walk.found.into_iter().next().map(|found| found.path)
}

/// A file of the directory, before it is read.
struct Found {
    /// As it was found, which decides about the order.
    original: PathBuf,
    /// Where the link leads.
    path: PathBuf,
}

fn found(directory: &Path, budget: &mut Budget) -> Vec<Found> {
    if !directory.is_dir() {
        return Vec::new();
    }
    let mut walk = Walk { budget, found: Vec::new() };
    match walk.list(directory) {
        Ok(listing) => walk.process(listing, 0),
        Err(_) => walk.budget.note(Notice::Unreadable(directory.to_owned())),
    }
    let mut found = walk.found;
    found.sort_by(by_name);
    found
}

/// Lower-cased base names in the order of people; equal ones stay as they were found.
fn by_name(a: &Found, b: &Found) -> Ordering {
    let name = |found: &Found| found.original.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    compare_locale(&name(a), &name(b))
}

/// Whether the name is that of a cache or a system's litter.
fn is_cache(name: &str) -> bool {
    name == "Thumbs.db" || CACHES.iter().any(|end| name.ends_with(end))
}

/// Entries of a directory and of those below it.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    links: Vec<PathBuf>,
}

struct Walk<'a> {
    budget: &'a mut Budget,
    found: Vec<Found>,
}

impl Walk<'_> {
    /// Lists without following links: each directory in the byte order of names, then the directory found last.
    fn list(&mut self, directory: &Path) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut waiting = vec![directory.to_owned()];
        while let Some(folder) = waiting.pop() {
            let mut entries: Vec<fs::DirEntry> =
                fs::read_dir(&folder)?.take(self.budget.entries + 1).collect::<io::Result<_>>()?;
            if entries.len() > self.budget.entries {
                entries.truncate(self.budget.entries);
                self.budget.note(Notice::TooMany(directory.to_owned()));
            }
            self.budget.entries -= entries.len();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    listing.files.push(entry.path());
                } else if kind.is_symlink() {
                    listing.links.push(entry.path());
                }
            }
        }
        Ok(listing)
    }

    fn process(&mut self, listing: Listing, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        self.found.extend(listing.files.into_iter().map(|path| Found { original: path.clone(), path }));
        for link in listing.links {
            self.link(link, depth + 1);
        }
    }

    /// A link that leads nowhere, or where nothing can be read, is skipped.
    fn link(&mut self, link: PathBuf, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let Ok(target) = fs::read_link(&link) else { return };
        let path = paths::resolve(link.parent().unwrap_or(&link), target);
        let Ok(metadata) = fs::metadata(&path) else { return };
        if metadata.is_file() {
            self.found.push(Found { original: link, path });
        } else if metadata.is_dir()
            && let Ok(listing) = self.list(&path)
        {
            self.process(listing, depth + 1);
        }
    }
}
