//! The index as a cache: by the stamp of an unchanged file its content's id is known without reading it.
//!
//! Nothing depends on it. When it is missing, broken or of another time, files are read again; only which ignored files are
//! tracked (were in a commit before they were ignored) is told by it, and then by `HEAD`.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use git2::{Index, IndexEntry, IndexTime, Oid};

use super::ShadowError;
use super::folder::{Stamp, Stat};
use super::repository::{Locked, Repository};
use super::tree::{self, FileKind};

/// What was known about a file when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub path: Vec<u8>,
    pub kind: FileKind,
    pub id: Oid,
    /// Zeros match no file.
    pub stamp: Stamp,
}

pub(super) struct Cache {
    /// Sorted by path.
    known: Vec<Known>,
    /// When the index was written. A file changed at that time or later may have changed after it was looked at.
    written: (i32, u32),
    /// Whether the index file was read, so that it can be changed instead of made anew.
    from_file: bool,
}

impl Cache {
    /// Reads the index, or, without a usable one, the tree of `HEAD`.
    pub(super) fn load(repository: &Repository, head: Option<Oid>) -> Result<Cache, ShadowError> {
        if let Some(cache) = Cache::read(&repository.git_dir.join("index")) {
            return Ok(cache);
        }
        let files = match head {
            Some(head) => tree::files(&repository.objects, repository.commit(head)?.tree)?,
            None => Vec::new(),
        };
        let known = files.into_iter().map(|f| Known { path: f.path, kind: f.kind, id: f.id, stamp: Stamp::default() });
        Ok(Cache { known: known.collect(), written: (0, 0), from_file: false })
    }

    fn read(path: &Path) -> Option<Cache> {
        let modified = fs::metadata(path).and_then(|m| m.modified()).ok()?.duration_since(UNIX_EPOCH).ok()?;
        let index = Index::open(path).ok()?;
        let mut known: Vec<Known> = index.iter().filter_map(known).collect();
        known.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        known.dedup_by(|a, b| a.path == b.path);
        Some(Cache { known, written: (modified.as_secs() as i32, modified.subsec_nanos()), from_file: true })
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Known> {
        let at = self.known.binary_search_by(|known| known.path.as_slice().cmp(path)).ok()?;
        self.known.get(at)
    }

    /// Whether a file is known below a folder, given with its final `/`.
    pub(super) fn has_below(&self, folder: &[u8]) -> bool {
        let at = self.known.partition_point(|known| known.path.as_slice() < folder);
        self.known.get(at).is_some_and(|known| known.path.starts_with(folder))
    }

    pub(super) fn known(&self) -> &[Known] {
        &self.known
    }

    /// The id of a file's content, if it is surely as it was.
    pub(super) fn id_of(&self, path: &[u8], kind: FileKind, stat: &Stat) -> Option<Oid> {
        let known = self.get(path)?;
        let same = known.stamp == stat.stamp && (known.kind == FileKind::Link) == (kind == FileKind::Link);
        (same && stat.stamp.modified < self.written).then_some(known.id)
    }

    /// Writes what is known now, sorted by path. Fails without harm: what is known is then only what was known before.
    pub(super) fn store(&self, repository: &Repository, locked: &Locked, now: &[Known]) -> Result<(), ShadowError> {
        let now: Vec<Known> = now.iter().map(|known| distrust_recent(known, locked)).collect();
        let path = repository.git_dir.join("index");
        let temporary = repository.git_dir.join("lapce-ai.index");
        // Left behind by one who was killed: this process holds the lock.
        let _ = fs::remove_file(&temporary);
        let _ = fs::remove_file(repository.git_dir.join("lapce-ai.index.lock"));
        let changed = self.from_file && fs::copy(&path, &temporary).is_ok();
        let mut index = Index::open(&temporary)?;
        let (gone, new) = if changed { difference(&self.known, &now) } else { (Vec::new(), now.iter().collect()) };
        if changed && gone.is_empty() && new.is_empty() {
            let _ = fs::remove_file(&temporary);
            return Ok(());
        }
        for known in gone {
            index.remove(&super::native(&known.path), 0)?;
        }
        for known in new {
            // A name libgit2 will not have is not cached.
            let _ = index.add(&entry(known));
        }
        index.write()?;
        fs::rename(&temporary, &path).map_err(ShadowError::io("write", &path))
    }
}

/// A file changed just before the repository was locked may change again within the same tick of the file system's clock,
/// without a trace in its stamp. Its stamp is not kept, so that it is read again next time.
fn distrust_recent(known: &Known, locked: &Locked) -> Known {
    let (seconds, nanoseconds) = known.stamp.modified;
    // File systems that keep whole or even seconds only; and the kernel's clock ticks, with something to spare.
    let tick = if nanoseconds == 0 { 2_000_000_000 } else { 20_000_000 };
    let modified = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let since = i128::from(locked.since.0) * 1_000_000_000 + i128::from(locked.since.1);
    let stamp = if modified + tick >= since { Stamp::default() } else { known.stamp };
    Known { stamp, ..known.clone() }
}

/// What is only in `old`, by path, and what is new or different in `new`. Both sorted by path.
fn difference<'a>(old: &'a [Known], new: &'a [Known]) -> (Vec<&'a Known>, Vec<&'a Known>) {
    let (mut gone, mut fresh) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if a.path == b.path => {
                if a != b {
                    fresh.extend(new.next());
                } else {
                    new.next();
                }
                old.next();
            }
            (Some(a), Some(b)) if a.path < b.path => gone.extend(old.next()),
            (_, Some(_)) => fresh.extend(new.next()),
            (Some(_), None) => gone.extend(old.next()),
            (None, None) => return (gone, fresh),
        }
    }
}

/// `None`: no file, or one side of a conflict.
fn known(entry: IndexEntry) -> Option<Known> {
    const STAGE: u16 = 0x3000;
    if entry.flags & STAGE != 0 {
        return None;
    }
    let stamp = Stamp {
        modified: (entry.mtime.seconds(), entry.mtime.nanoseconds()),
        changed: (entry.ctime.seconds(), entry.ctime.nanoseconds()),
        inode: entry.ino,
        user: entry.uid,
        group: entry.gid,
        size: entry.file_size,
    };
    Some(Known { kind: FileKind::from_mode(entry.mode)?, path: entry.path, id: entry.id, stamp })
}

fn entry(known: &Known) -> IndexEntry {
    let stamp = &known.stamp;
    IndexEntry {
        ctime: IndexTime::new(stamp.changed.0, stamp.changed.1),
        mtime: IndexTime::new(stamp.modified.0, stamp.modified.1),
        dev: 0,
        ino: stamp.inode,
        mode: known.kind.mode(),
        uid: stamp.user,
        gid: stamp.group,
        file_size: stamp.size,
        id: known.id,
        flags: 0,
        flags_extended: 0,
        path: known.path.clone(),
    }
}
