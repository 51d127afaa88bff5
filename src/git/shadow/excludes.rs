//! What no checkpoint holds: the exclude list (spec 02 §15.3), the work tree's `.gitignore` files, and files kept by Git LFS.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::folder::Folder;
use super::{native, stored};

/// The fixed part of the list, in its order.
const LIST: &str = include_str!("excludes.txt");
/// Longest `.gitignore` or `.gitattributes` that is looked at, in bytes; what stands behind is not.
const LONGEST: u64 = 1 << 20;

/// The patterns of `.git/info/exclude`.
pub(super) struct Excludes {
    /// One pattern a line.
    pub(super) text: String,
    matcher: Gitignore,
    /// The engine's own storage, when it lies in the work tree.
    storage: Option<Vec<u8>>,
}

impl Excludes {
    /// The list for a work tree: fixed patterns, then those that `.gitattributes` gives to Git LFS.
    pub(super) fn of(work_tree: &Folder, storage: Option<PathBuf>) -> Excludes {
        let mut text = String::from(LIST);
        let attributes = work_tree.read_head(b".gitattributes", LONGEST).unwrap_or_default();
        for line in String::from_utf8_lossy(&attributes).lines().filter(|line| line.contains("filter=lfs")) {
            text.push_str(line.trim_start().split(' ').next().unwrap_or(""));
            text.push('\n');
        }
        let matcher = patterns(&text);
        Excludes { text, matcher, storage: storage.map(|path| stored(&path)) }
    }

    pub(super) fn is_storage(&self, path: &[u8]) -> bool {
        self.storage.as_deref() == Some(path)
    }
}

/// The rules in force at some depth of a walk: those of the folders above first.
pub(super) struct Rules<'a> {
    excludes: &'a Excludes,
    /// The patterns of a `.gitignore`, and the length of the path of the folder it stands in, final `/` included.
    levels: Vec<(usize, Gitignore)>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(excludes: &'a Excludes) -> Rules<'a> {
        Rules { excludes, levels: Vec::new() }
    }

    /// Adds the `.gitignore` of `folder`, whose path (with a final `/`, or empty) has `depth` bytes.
    pub(super) fn enter(&mut self, folder: &Folder, depth: usize) {
        let text = folder.read_head(b".gitignore", LONGEST).unwrap_or_default();
        let matcher = patterns(&String::from_utf8_lossy(&text));
        if !matcher.is_empty() {
            self.levels.push((depth, matcher));
        }
    }

    /// Takes away the rules of the folders whose path is `depth` bytes or longer.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.levels.last().is_some_and(|(level, _)| *level >= depth) {
            self.levels.pop();
        }
    }

    /// Whether a path of the work tree is ignored: the innermost rule that says anything decides, the exclude list comes last.
    pub(super) fn ignore(&self, path: &[u8], is_folder: bool) -> bool {
        let inner = self.levels.iter().rev().map(|(depth, rules)| (path.get(*depth..).unwrap_or(path), rules));
        for (path, rules) in inner.chain([(path, &self.excludes.matcher)]) {
            match rules.matched(native(path), is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

/// Patterns, one a line; those that are none are left out.
fn patterns(text: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new(Path::new(""));
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        // A line that is no pattern excludes nothing, as with git.
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}
