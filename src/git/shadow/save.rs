//! Saving: the work tree as a commit (spec 02 §15.4).

use std::io;

use git2::{ObjectType, Oid};

use super::cache::{Cache, Known};
use super::commit::CommitText;
use super::folder::{Chain, Folder, Stamp};
use super::objects::Objects;
use super::scan::{Found, SkipReason, scan};
use super::tree::{self, FileKind, TreeFile};
use super::{Inner, ShadowError};

/// Commits the work tree. `None`: the tree is that of `HEAD`, and `force` is false. `stopped` is asked before each content that
/// is stored.
pub(super) fn save(
    inner: &mut Inner,
    work_tree: &Folder,
    message: &str,
    force: bool,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Oid>, ShadowError> {
    let repository = &inner.repository;
    let locked = repository.lock()?;
    let head = repository.head()?;
    let cache = Cache::load(repository, head)?;
    let (known, skipped) = store_files(&repository.objects, work_tree, inner, &cache, stopped)?;
    let files: Vec<TreeFile> =
        known.iter().map(|k| TreeFile { path: k.path.clone(), kind: k.kind, id: k.id }).collect();
    let tree = tree::write(&repository.objects, &files)?;
    let unchanged = match head {
        Some(head) => repository.commit(head)?.tree == tree,
        None => false,
    };
    let commit = if unchanged && !force {
        None
    } else {
        let parents = head.into_iter().collect();
        let text = CommitText { tree, parents, time: locked.since.0, message: message.to_owned() };
        let id = repository.objects.write(ObjectType::Commit, &text.encode())?;
        repository.set_head(head, id, locked.since.0, &format!("commit: {message}"))?;
        Some(id)
    };
    // Without it the next save reads more files, and no more than that.
    let _ = cache.store(repository, &locked, &known);
    inner.skipped = skipped;
    Ok(commit)
}

/// Stores the content of every file that is not surely as it was. Answers all files, sorted by path, and those left out.
fn store_files(
    objects: &Objects,
    work_tree: &Folder,
    inner: &Inner,
    cache: &Cache,
    stopped: &dyn Fn() -> bool,
) -> Result<(Vec<Known>, Vec<super::Skipped>), ShadowError> {
    let mut scan = scan(work_tree, &inner.excludes, cache)?;
    let mut chain = Chain::new(work_tree);
    let mut files = Vec::with_capacity(scan.files.len());
    for found in std::mem::take(&mut scan.files) {
        if let Some(id) = cache.id_of(&found.path, found.kind, &found.stat) {
            files.push(Known { path: found.path, kind: found.kind, id, stamp: found.stat.stamp });
            continue;
        }
        if stopped() {
            return Err(ShadowError::Stopped);
        }
        match store_file(objects, &mut chain, &found)? {
            Ok(stored) => files.extend(stored),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                scan.skip(&found.path, SkipReason::Unreadable);
                scan.unread.push(found.path);
            }
        }
    }
    if !scan.unread.is_empty() {
        let hidden = cache.known().iter().filter(|known| scan.may_hide(&known.path));
        files.extend(hidden.map(|known| Known { stamp: Stamp::default(), ..known.clone() }));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
    }
    Ok((files, scan.skipped))
}

/// Stores one content. The inner error is that of reading the file.
fn store_file(
    objects: &Objects,
    chain: &mut Chain<'_>,
    found: &Found,
) -> Result<io::Result<Option<Known>>, ShadowError> {
    let (folder, name) = match chain.parent(&found.path, false) {
        Ok(parent) => parent,
        Err(e) => return Ok(Err(e)),
    };
    let known = |kind, id, stamp| Known { path: found.path.clone(), kind, id, stamp };
    if found.kind == FileKind::Link {
        let target = match folder.link_target(name) {
            Ok(target) => target,
            Err(e) => return Ok(Err(e)),
        };
        let id = objects.write(ObjectType::Blob, &target)?;
        return Ok(Ok(Some(known(FileKind::Link, id, found.stat.stamp))));
    }
    let (mut file, stat) = match folder.open_file(name) {
        Ok(opened) => opened,
        Err(e) => return Ok(Err(e)),
    };
    let id = match objects.write_from(&mut file, stat.size)? {
        Ok(id) => id,
        Err(e) => return Ok(Err(e)),
    };
    Ok(Ok(FileKind::of(stat.kind).map(|kind| known(kind, id, stat.stamp))))
}
