//! Differences between two commits, or a commit and the work tree (spec 02 §15.7).

use std::io::Read;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};

use super::cache::Cache;
use super::folder::{Chain, Folder};
use super::objects::Objects;
use super::restore::content_id;
use super::scan::{SkipReason, scan};
use super::tree::{self, FileKind, TreeFile};
use super::{Commit, Inner, ShadowError, native};

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Its path in the work tree.
    pub relative: PathBuf,
    /// Its path.
    pub absolute: PathBuf,
    /// What happened to it.
    pub status: ChangeStatus,
    /// What it was: `None` if it was not there.
    pub before_kind: Option<FileKind>,
    /// What it is: `None` if it is not there.
    pub after_kind: Option<FileKind>,
    /// Size of the old content in bytes; `None` if it was not there.
    pub before_size: Option<u64>,
    /// Size of the new content in bytes; `None` if it is not there.
    pub after_size: Option<u64>,
    /// The old content (a link's is its target); `None` if there was none, or when contents are left out: those of binary
    /// files, those of over 1 MiB, and all after the first 64 MiB of one answer.
    pub before: Option<Vec<u8>>,
    /// The new content, likewise.
    pub after: Option<Vec<u8>>,
    /// Whether either content has a zero byte among its first 8,000 (git's rule).
    pub binary: bool,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeStatus {
    /// It was not there.
    Added,
    /// It is not there any more.
    Deleted,
    /// Its content differs, or who may execute it.
    Modified,
    /// A link became a file, or a file a link.
    TypeChanged,
}

/// Largest content in an answer, in bytes.
const LARGEST: u64 = 1 << 20;
/// All contents of an answer, in bytes.
const ALL: u64 = 64 << 20;
/// How far git looks for a zero byte.
const BINARY_HEAD: u64 = 8000;

pub(super) fn diff(
    inner: &mut Inner,
    work_tree: &Folder,
    root: &Path,
    from: &Commit,
    to: Option<&Commit>,
) -> Result<Vec<FileChange>, ShadowError> {
    let repository = &inner.repository;
    let objects = &repository.objects;
    let tree_of = |commit: &Commit| repository.resolve(commit).and_then(|id| Ok(repository.commit(id)?.tree));
    let mut contents = Contents { objects, chain: Chain::new(work_tree), root, left: ALL };
    let from = tree_of(from)?;
    if let Some(to) = to {
        let to = tree_of(to)?;
        if from == to {
            return Ok(Vec::new());
        }
        let (before, after) = (tree::files(objects, from)?, tree::files(objects, to)?);
        return pairs(&before, &after).map(|(before, after)| contents.change(before, after, false)).collect();
    }
    let before = tree::files(objects, from)?;
    let head = repository.head()?;
    let cache = Cache::load(repository, head)?;
    let (after, skipped) = present(work_tree, inner, &cache)?;
    let changes = pairs(&before, &after).map(|(before, after)| contents.change(before, after, true)).collect();
    inner.skipped = skipped;
    changes
}

/// The files of the work tree with the ids of their contents, whether these are stored or not.
fn present(
    work_tree: &Folder,
    inner: &Inner,
    cache: &Cache,
) -> Result<(Vec<TreeFile>, Vec<super::Skipped>), ShadowError> {
    let mut scan = scan(work_tree, &inner.excludes, cache)?;
    let mut chain = Chain::new(work_tree);
    let mut files = Vec::with_capacity(scan.files.len());
    for found in std::mem::take(&mut scan.files) {
        let id = match cache.id_of(&found.path, found.kind, &found.stat) {
            Some(id) => Ok(id),
            None => content_id(&mut chain, &found)?,
        };
        match id {
            Ok(id) => files.push(TreeFile { path: found.path, kind: found.kind, id }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => {
                scan.skip(&found.path, SkipReason::Unreadable);
                scan.unread.push(found.path);
            }
        }
    }
    if !scan.unread.is_empty() {
        let hidden = cache.known().iter().filter(|known| scan.may_hide(&known.path));
        files.extend(hidden.map(|known| TreeFile { path: known.path.clone(), kind: known.kind, id: known.id }));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
    }
    Ok((files, scan.skipped))
}

/// The paths at which two lists, both sorted by path, differ.
fn pairs<'a>(
    before: &'a [TreeFile],
    after: &'a [TreeFile],
) -> impl Iterator<Item = (Option<&'a TreeFile>, Option<&'a TreeFile>)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let pair = match (before.peek(), after.peek()) {
                (Some(b), Some(a)) if b.path == a.path => (before.next(), after.next()),
                (Some(b), Some(a)) if b.path < a.path => (before.next(), None),
                (Some(_), None) => (before.next(), None),
                (_, Some(_)) => (None, after.next()),
                (None, None) => return None,
            };
            if pair.0 != pair.1 {
                return Some(pair);
            }
        }
    })
}

/// Reads contents until the answer is full.
struct Contents<'a> {
    objects: &'a Objects,
    chain: Chain<'a>,
    root: &'a Path,
    left: u64,
}

/// One side of a difference.
#[derive(Default)]
struct Side {
    size: Option<u64>,
    content: Option<Vec<u8>>,
    binary: bool,
}

impl Contents<'_> {
    /// `on_disk`: the new content is that of the work tree.
    fn change(
        &mut self,
        before: Option<&TreeFile>,
        after: Option<&TreeFile>,
        on_disk: bool,
    ) -> Result<FileChange, ShadowError> {
        let path = before.or(after).map_or(&b""[..], |file| &file.path);
        let (before_kind, after_kind) = (before.map(|file| file.kind), after.map(|file| file.kind));
        let is_link = |kind| kind == FileKind::Link;
        let status = match (before_kind, after_kind) {
            (None, _) => ChangeStatus::Added,
            (_, None) => ChangeStatus::Deleted,
            (Some(b), Some(a)) if is_link(b) != is_link(a) => ChangeStatus::TypeChanged,
            _ => ChangeStatus::Modified,
        };
        let mut old = before.map_or(Ok(Side::default()), |file| self.stored(file.id))?;
        let mut new = match after {
            None => Side::default(),
            Some(file) if on_disk => match self.on_disk(file) {
                Some(side) => side,
                None => self.stored(file.id).unwrap_or_default(),
            },
            Some(file) => self.stored(file.id)?,
        };
        let binary = old.binary || new.binary;
        let held = [&old, &new].iter().filter_map(|side| side.content.as_ref()).map(|c| c.len() as u64).sum::<u64>();
        if binary || held > self.left {
            (old.content, new.content) = (None, None);
        } else {
            self.left -= held;
        }
        Ok(FileChange {
            relative: native(path),
            absolute: self.root.join(native(path)),
            status,
            before_kind,
            after_kind,
            before_size: old.size,
            after_size: new.size,
            before: old.content.take(),
            after: new.content.take(),
            binary,
        })
    }

    fn stored(&self, id: Oid) -> Result<Side, ShadowError> {
        let size = self.objects.size(id)?;
        if size > LARGEST {
            let head = self.objects.head(id, BINARY_HEAD)?;
            return Ok(Side { size: Some(size), content: None, binary: is_binary(&head) });
        }
        Ok(Side::of(self.objects.read(id, ObjectType::Blob)?))
    }

    /// `None`: it is not there any more.
    fn on_disk(&mut self, file: &TreeFile) -> Option<Side> {
        let (folder, name) = self.chain.parent(&file.path, false).ok()?;
        if file.kind == FileKind::Link {
            return Some(Side::of(folder.link_target(name).ok()?));
        }
        let (opened, stat) = folder.open_file(name).ok()?;
        let mut content = Vec::new();
        let limit = if stat.size > LARGEST { BINARY_HEAD } else { LARGEST };
        opened.take(limit).read_to_end(&mut content).ok()?;
        if stat.size > LARGEST {
            return Some(Side { size: Some(stat.size), content: None, binary: is_binary(&content) });
        }
        Some(Side::of(content))
    }
}

impl Side {
    fn of(content: Vec<u8>) -> Side {
        Side { size: Some(content.len() as u64), binary: is_binary(&content), content: Some(content) }
    }
}

fn is_binary(content: &[u8]) -> bool {
    content.iter().take(BINARY_HEAD as usize).any(|byte| *byte == 0)
}
