//! Restoring: a commit as the work tree (spec 02 §15.5).

use std::io;
use std::path::PathBuf;

use git2::{ObjectType, Oid};

use super::cache::{Cache, Known};
use super::folder::{Chain, Folder, Kind, Stamp};
use super::objects::{self, Objects};
use super::scan::{Found, Scan, SkipReason, Skipped, scan};
use super::tree::{self, FileKind, TreeFile};
use super::{Commit, Inner, ShadowError, native};

/// What a restore did; paths are relative to the work tree and sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files and links written, or made executable or not.
    pub written: Vec<PathBuf>,
    /// Files and links removed.
    pub removed: Vec<PathBuf>,
    /// What was left as it is, and why.
    pub skipped: Vec<Skipped>,
}

/// The name under which a file is written before it takes the place of the old one.
const TEMPORARY: &[u8] = b".lapce-ai-restore.tmp";

pub(super) fn restore(inner: &mut Inner, work_tree: &Folder, commit: &Commit) -> Result<Restored, ShadowError> {
    let repository = &inner.repository;
    let locked = repository.lock()?;
    let head = repository.head()?;
    let id = repository.resolve(commit)?;
    let target = tree::files(&repository.objects, repository.commit(id)?.tree)?;
    let cache = Cache::load(repository, head)?;
    let scan = scan(work_tree, &inner.excludes, &cache)?;
    let mut plan = plan(&repository.objects, work_tree, &cache, &scan, &target)?;
    for file in &plan.write {
        repository.objects.size(file.id)?;
    }

    let done = Restored { skipped: std::mem::take(&mut plan.skipped), ..Restored::default() };
    let mut work = Work { chain: Chain::new(work_tree), objects: &repository.objects, done };
    for path in &plan.remove {
        work.remove(path);
    }
    // Innermost first; a folder that still holds something, ignored files for example, stays.
    let needed = |folder: &[u8]| {
        let at = target.partition_point(|file| file.path.as_slice() < folder);
        target.get(at).is_some_and(|file| file.path.starts_with(folder))
    };
    for folder in scan.folders.iter().rev().filter(|folder| !needed(&[folder.as_slice(), b"/"].concat())) {
        work.remove_folder(folder);
    }
    let mut known = plan.same;
    for file in plan.write {
        known.extend(work.write(file)?);
    }
    let mut done = work.done;
    done.skipped.splice(0..0, scan.skipped);
    repository.set_head(head, id, locked.since.0, &format!("reset: moving to {id}"))?;
    known.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    // Without it the next save reads more files, and no more than that.
    let _ = cache.store(repository, &locked, &known);
    inner.skipped.clone_from(&done.skipped);
    Ok(done)
}

/// What has to be done.
#[derive(Default)]
struct Plan<'a> {
    remove: Vec<&'a [u8]>,
    write: Vec<&'a TreeFile>,
    same: Vec<Known>,
    skipped: Vec<Skipped>,
}

/// Compares the work tree with the target; both are sorted by path. A file that cannot be read is left alone: no checkpoint of
/// the present state can hold it.
fn plan<'a>(
    objects: &Objects,
    work_tree: &Folder,
    cache: &Cache,
    scan: &'a Scan,
    target: &'a [TreeFile],
) -> Result<Plan<'a>, ShadowError> {
    let mut chain = Chain::new(work_tree);
    let mut plan = Plan::default();
    let mut found = scan.files.iter().peekable();
    for file in target {
        while let Some(extra) = found.next_if(|found| found.path < file.path) {
            plan.remove(&mut chain, extra);
        }
        let Some(present) = found.next_if(|found| found.path == file.path) else {
            plan.write.push(file);
            continue;
        };
        match compare(objects, &mut chain, cache, present, file)? {
            Comparison::Same => {
                let stamp = present.stat.stamp;
                plan.same.push(Known { path: file.path.clone(), kind: file.kind, id: file.id, stamp });
            }
            Comparison::Differs => plan.write.push(file),
            Comparison::Unreadable => plan.skip(present),
        }
    }
    found.for_each(|extra| plan.remove(&mut chain, extra));
    Ok(plan)
}

impl<'a> Plan<'a> {
    fn remove(&mut self, chain: &mut Chain<'_>, found: &'a Found) {
        if is_readable(chain, found) { self.remove.push(&found.path) } else { self.skip(found) }
    }

    fn skip(&mut self, found: &Found) {
        self.skipped.push(Skipped { path: native(&found.path), reason: SkipReason::Unreadable });
    }
}

/// How a file of the work tree is to what the target wants.
enum Comparison {
    Same,
    Differs,
    Unreadable,
}

fn compare(
    objects: &Objects,
    chain: &mut Chain<'_>,
    cache: &Cache,
    found: &Found,
    wanted: &TreeFile,
) -> Result<Comparison, ShadowError> {
    let same = |is_same: bool| if is_same { Comparison::Same } else { Comparison::Differs };
    if let Some(id) = cache.id_of(&found.path, found.kind, &found.stat) {
        return Ok(same(found.kind == wanted.kind && id == wanted.id));
    }
    if !is_readable(chain, found) {
        return Ok(Comparison::Unreadable);
    }
    if found.kind != wanted.kind || objects.size(wanted.id)? != found.stat.size {
        return Ok(Comparison::Differs);
    }
    Ok(match content_id(chain, found)? {
        Ok(id) => same(id == wanted.id),
        Err(_) => Comparison::Unreadable,
    })
}

fn is_readable(chain: &mut Chain<'_>, found: &Found) -> bool {
    let opened = match chain.parent(&found.path, false) {
        Ok(_) if found.kind == FileKind::Link => return true,
        Ok((folder, name)) => folder.open_file(name).map(drop),
        Err(e) => Err(e),
    };
    opened.is_ok()
}

/// The id of the content that a file found in the work tree has now. The inner error is that of reading it.
pub(super) fn content_id(chain: &mut Chain<'_>, found: &Found) -> Result<io::Result<Oid>, ShadowError> {
    let (folder, name) = match chain.parent(&found.path, false) {
        Ok(parent) => parent,
        Err(e) => return Ok(Err(e)),
    };
    if found.kind == FileKind::Link {
        return match folder.link_target(name) {
            Ok(target) => objects::hash(&target).map(Ok),
            Err(e) => Ok(Err(e)),
        };
    }
    match folder.open_file(name) {
        Ok((mut file, stat)) => objects::hash_from(&mut file, stat.size),
        Err(e) => Ok(Err(e)),
    }
}

struct Work<'a> {
    chain: Chain<'a>,
    objects: &'a Objects,
    done: Restored,
}

impl Work<'_> {
    fn remove(&mut self, path: &[u8]) {
        let removed = self.chain.parent(path, false).and_then(|(folder, name)| folder.remove(name));
        match removed {
            Ok(()) => self.done.removed.push(native(path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.skip(path, SkipReason::Unwritable),
        }
    }

    /// An error is no loss: the folder stays.
    fn remove_folder(&mut self, path: &[u8]) {
        // An open folder below would be found again under its old path after it is gone.
        self.chain.forget();
        let _ = self.chain.parent(path, false).and_then(|(folder, name)| folder.remove_child(name));
    }

    /// Writes one file; the answer is what to remember of it.
    fn write(&mut self, file: &TreeFile) -> Result<Option<Known>, ShadowError> {
        let (folder, name) = match self.chain.parent(&file.path, true) {
            Ok(parent) => parent,
            Err(e) => {
                // A file or link where a folder has to be is an ignored one: any other has been removed.
                let in_the_way = e.kind() == io::ErrorKind::NotADirectory;
                self.skip(&file.path, if in_the_way { SkipReason::InTheWay } else { SkipReason::Unwritable });
                return Ok(None);
            }
        };
        let reason = match folder.stat(name).map(|stat| stat.kind) {
            Ok(Kind::Folder | Kind::Special) => Some(SkipReason::InTheWay),
            _ => match put(self.objects, folder, name, file)? {
                Ok(()) => None,
                Err(_) => Some(SkipReason::Unwritable),
            },
        };
        if let Some(reason) = reason {
            self.skip(&file.path, reason);
            return Ok(None);
        }
        let stamp = folder.stat(name).map_or(Stamp::default(), |stat| stat.stamp);
        self.done.written.push(native(&file.path));
        Ok(Some(Known { path: file.path.clone(), kind: file.kind, id: file.id, stamp }))
    }

    fn skip(&mut self, path: &[u8], reason: SkipReason) {
        self.done.skipped.push(Skipped { path: native(path), reason });
    }
}

/// Puts a file or link in the place of whatever file or link has the name. The inner error is that of the work tree.
fn put(objects: &Objects, folder: &Folder, name: &[u8], file: &TreeFile) -> Result<io::Result<()>, ShadowError> {
    // One left behind by a restore that was killed.
    let _ = folder.remove(TEMPORARY);
    let made = match file.kind {
        FileKind::Link => folder.make_link(&objects.read(file.id, ObjectType::Blob)?, TEMPORARY),
        FileKind::File | FileKind::Executable => {
            let executable = file.kind == FileKind::Executable;
            match folder.create(TEMPORARY, executable) {
                Ok(mut new) => {
                    // Best effort: a file that was private stays so.
                    let _ = folder.take_permissions(name, &new, executable);
                    objects.copy(file.id, &mut new)?
                }
                Err(e) => Err(e),
            }
        }
    };
    let placed = made.and_then(|()| folder.replace(TEMPORARY, name));
    if placed.is_err() {
        let _ = folder.remove(TEMPORARY);
    }
    Ok(placed)
}
