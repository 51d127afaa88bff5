//! The work tree as a checkpoint sees it: every file and link that is not ignored, with what the system says about it.

use std::io;
use std::path::PathBuf;

use super::ShadowError;
use super::cache::Cache;
use super::excludes::{Excludes, Rules};
use super::folder::{Folder, Kind, Stat};
use super::native;
use super::tree::{DEEPEST, FileKind, is_allowed};

/// Most files in a work tree.
const MOST_FILES: usize = 1_000_000;

/// A path that an operation left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the work tree.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a path was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It could not be read, or changed while it was.
    Unreadable,
    /// A pipe, socket or device.
    Special,
    /// Folders are nested deeper than 256 times there.
    TooDeep,
    /// It could not be written or removed.
    Unwritable,
    /// Something ignored stands in the way, which no checkpoint holds.
    InTheWay,
}

/// A file or link found.
pub(super) struct Found {
    pub path: Vec<u8>,
    pub kind: FileKind,
    pub stat: Stat,
}

/// What a walk through the work tree found.
#[derive(Default)]
pub(super) struct Scan {
    /// Sorted by path.
    pub files: Vec<Found>,
    /// The folders that are not ignored, parents before what they hold.
    pub folders: Vec<Vec<u8>>,
    pub skipped: Vec<Skipped>,
    /// Files, and folders with final `/`, of which nothing is known.
    pub unread: Vec<Vec<u8>>,
}

/// Walks through the work tree. Files of the cache are found even when they are ignored, as git does it.
pub(super) fn scan(root: &Folder, excludes: &Excludes, cache: &Cache) -> Result<Scan, ShadowError> {
    let mut walk = Walk { rules: Rules::new(excludes), excludes, cache, scan: Scan::default(), path: Vec::new() };
    walk.folder(root, false, 0)?;
    let Walk { mut scan, .. } = walk;
    scan.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Scan {
    pub(super) fn skip(&mut self, path: &[u8], reason: SkipReason) {
        self.skipped.push(Skipped { path: native(path), reason });
    }

    /// Whether nothing is known about a path that was not found: it, or a folder above it, could not be read.
    pub(super) fn may_hide(&self, path: &[u8]) -> bool {
        self.unread.iter().any(|unread| path == unread || (unread.ends_with(b"/") && path.starts_with(unread)))
    }
}

struct Walk<'a> {
    rules: Rules<'a>,
    excludes: &'a Excludes,
    cache: &'a Cache,
    scan: Scan,
    /// Of the folder at hand, with final `/`; empty at the root.
    path: Vec<u8>,
}

impl Walk<'_> {
    /// `ignored`: only files of the cache count below.
    fn folder(&mut self, folder: &Folder, ignored: bool, depth: usize) -> Result<(), ShadowError> {
        let names = match folder.names() {
            Ok(names) => names,
            Err(_) => {
                self.unreadable_folder(SkipReason::Unreadable);
                return Ok(());
            }
        };
        let here = self.path.len();
        if !ignored && names.iter().any(|name| name == b".gitignore") {
            self.rules.enter(folder, here);
        }
        for name in names.iter().filter(|name| is_allowed(name)) {
            self.path.extend_from_slice(name);
            self.entry(folder, name, ignored, depth)?;
            self.path.truncate(here);
        }
        self.rules.leave(here);
        Ok(())
    }

    fn entry(&mut self, folder: &Folder, name: &[u8], ignored: bool, depth: usize) -> Result<(), ShadowError> {
        let stat = match folder.stat(name) {
            Ok(stat) => stat,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {
                self.scan.skip(&self.path, SkipReason::Unreadable);
                self.scan.unread.push(self.path.clone());
                self.scan.unread.push([&self.path[..], b"/"].concat());
                return Ok(());
            }
        };
        if let Some(kind) = FileKind::of(stat.kind) {
            if self.cache.get(&self.path).is_some() || !(ignored || self.rules.ignore(&self.path, false)) {
                if self.scan.files.len() == MOST_FILES {
                    return Err(ShadowError::TooManyFiles(MOST_FILES));
                }
                self.scan.files.push(Found { path: self.path.clone(), kind, stat });
            }
            return Ok(());
        }
        if stat.kind == Kind::Special {
            if !ignored && !self.rules.ignore(&self.path, false) {
                self.scan.skip(&self.path, SkipReason::Special);
            }
            return Ok(());
        }
        if self.excludes.is_storage(&self.path) {
            return Ok(());
        }
        let ignored = ignored || self.rules.ignore(&self.path, true);
        if !ignored {
            self.scan.folders.push(self.path.clone());
        }
        self.path.push(b'/');
        if ignored && !self.cache.has_below(&self.path) {
            return Ok(());
        }
        if depth == DEEPEST {
            self.unreadable_folder(SkipReason::TooDeep);
            return Ok(());
        }
        match folder.child(name) {
            Ok(child) => self.folder(&child, ignored, depth + 1),
            Err(_) => {
                self.unreadable_folder(SkipReason::Unreadable);
                Ok(())
            }
        }
    }

    /// The folder at hand stays as it was last.
    fn unreadable_folder(&mut self, reason: SkipReason) {
        let path = self.path.strip_suffix(b"/").unwrap_or(&self.path).to_vec();
        self.scan.skip(&path, reason);
        self.scan.unread.push(self.path.clone());
    }
}
