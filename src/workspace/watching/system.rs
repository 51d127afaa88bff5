//! Watching the disk with what the system offers (inotify, FSEvents, kqueue, ReadDirectoryChangesW).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::stamp::Stamp;
use super::{Watch, WatchedFiles};

/// How long a file must be left alone before it is looked at: a save has several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// A file that is never left alone is looked at after so long.
const LONGEST: Duration = Duration::from_secs(1);
/// Most files of one set; further ones are looked at when asked for only.
const MOST_FILES: usize = 10_000;

/// The watcher of an engine. Its thread lives while anything is watched.
#[derive(Clone, Default)]
pub struct SystemWatch {
    shared: Arc<Shared>,
}

/// The handler of events runs in the watcher's thread, which also answers calls to the watcher: it takes `places` only, and nobody
/// holds `places` while calling the watcher.
#[derive(Default)]
struct Shared {
    places: Mutex<HashMap<PathBuf, Vec<Weak<Set>>>>,
    watcher: Mutex<Folders>,
}

/// The system's watcher and how many files are watched in each folder.
#[derive(Default)]
struct Folders {
    watcher: Option<RecommendedWatcher>,
    counts: HashMap<PathBuf, usize>,
    refused: bool,
}

#[derive(Default)]
struct Set {
    files: Mutex<Vec<Watched>>,
    events: Notify,
}

struct Watched {
    path: PathBuf,
    /// Names under which the system reports it: its own, and that of the file it is a link to.
    places: Vec<PathBuf>,
    stamp: Option<Stamp>,
    held: bool,
    /// The system reports its changes.
    reported: bool,
}

struct Files {
    shared: Arc<Shared>,
    set: Arc<Set>,
}

#[cfg(test)]
impl SystemWatch {
    /// Nothing is watched, and no thread waits.
    pub(super) fn is_at_rest(&self) -> bool {
        self.shared.places().is_empty() && self.shared.folders().watcher.is_none()
    }
}

impl Watch for SystemWatch {
    fn open(&self) -> Box<dyn WatchedFiles> {
        Box::new(Files { shared: self.shared.clone(), set: Arc::default() })
    }
}

#[async_trait]
impl WatchedFiles for Files {
    fn add(&self, path: &Path) -> bool {
        let count = {
            let files = self.set.files();
            if files.iter().any(|file| file.path == path) {
                return true;
            }
            files.len()
        };
        let places = places(path);
        // Known before it is watched, so that no event is missed in between.
        let mut refused = false;
        let reported = count < MOST_FILES && {
            self.shared.expect(&places, &self.set);
            let watched = self.shared.watch(&places);
            refused = watched == Err(true);
            watched.is_ok()
        };
        let stamp = Stamp::of(path, !reported);
        self.set.files().push(Watched { path: path.to_owned(), places, stamp, held: false, reported });
        !refused
    }

    fn hold(&self, path: &Path) {
        self.set.each(path, |file| file.held = true);
    }

    fn release(&self, path: &Path) -> bool {
        self.set.each(path, |file| {
            file.stamp = Stamp::of(&file.path, !file.reported);
            file.held = false;
        });
        true
    }

    fn newer_than(&self, path: &Path, ms: i64) -> bool {
        let modified = std::fs::metadata(path).and_then(|found| found.modified()).ok();
        let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|at| at > ms))
    }

    async fn stirred(&self) {
        self.set.events.notified().await;
        let settled = async { while tokio::time::timeout(SETTLE, self.set.events.notified()).await.is_ok() {} };
        // Never left alone: looked at all the same.
        let _ = tokio::time::timeout(LONGEST, settled).await;
    }

    async fn changed(&self, all: bool) -> Vec<PathBuf> {
        let set = self.set.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let mut files = set.files();
            let looked_at = files.iter_mut().filter(|file| !file.held && (all || file.reported));
            let changed = looked_at.filter_map(|file| {
                let now = Stamp::of(&file.path, !file.reported);
                let changed = now != file.stamp && now.is_some();
                file.stamp = now;
                changed.then(|| file.path.clone())
            });
            changed.collect()
        });
        looked.await.unwrap_or_default()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let files = std::mem::take(&mut *self.set.files());
        let places: Vec<&PathBuf> = files.iter().flat_map(|file| &file.places).collect();
        self.shared.forget(&places, &self.set);
        for file in files.iter().filter(|file| file.reported) {
            self.shared.unwatch(&file.places);
        }
    }
}

impl Set {
    fn files(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self, path: &Path, change: impl FnMut(&mut Watched)) {
        self.files().iter_mut().filter(|file| file.path == path).for_each(change);
    }
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<Weak<Set>>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folders(&self) -> MutexGuard<'_, Folders> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events of these places wake the set.
    fn expect(&self, places: &[PathBuf], set: &Arc<Set>) {
        let mut known = self.places();
        for place in places {
            known.entry(place.clone()).or_default().push(Arc::downgrade(set));
        }
    }

    fn forget(&self, places: &[&PathBuf], set: &Arc<Set>) {
        let mut known = self.places();
        for place in places {
            if let Some(sets) = known.get_mut(*place) {
                sets.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(set)));
                if sets.is_empty() {
                    known.remove(*place);
                }
            }
        }
    }

    /// Watches the folders of these places, or none; `Err(true)` the first time that the system refuses.
    fn watch(self: &Arc<Self>, places: &[PathBuf]) -> Result<(), bool> {
        let mut folders = self.folders();
        for (at, place) in places.iter().enumerate() {
            if let Err(error) = folders.add(place, self) {
                places.iter().take(at).for_each(|place| folders.remove(place));
                folders.rest();
                // A folder that is not there yet is no shortage.
                let missing = matches!(&error.kind, notify::ErrorKind::PathNotFound)
                    || matches!(&error.kind, notify::ErrorKind::Io(cause) if cause.kind() == std::io::ErrorKind::NotFound);
                return Err(!missing && !std::mem::replace(&mut folders.refused, true));
            }
        }
        Ok(())
    }

    fn unwatch(&self, places: &[PathBuf]) {
        let mut folders = self.folders();
        places.iter().for_each(|place| folders.remove(place));
    }

    /// In the watcher's thread: wakes whom an event concerns.
    fn report(&self, event: notify::Result<Event>) {
        let places = self.places();
        match event {
            Ok(event) if !event.need_rescan() => {
                let looks_only = !matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)));
                if event.kind.is_access() && looks_only {
                    return;
                }
                let concerned = event.paths.iter().filter_map(|path| places.get(path)).flatten();
                concerned.filter_map(Weak::upgrade).for_each(|set| set.events.notify_one());
            }
            // Events were lost: everybody looks.
            _ => places.values().flatten().filter_map(Weak::upgrade).for_each(|set| set.events.notify_one()),
        }
    }
}

impl Folders {
    fn add(&mut self, place: &Path, shared: &Arc<Shared>) -> notify::Result<()> {
        let folder = place.parent().ok_or_else(notify::Error::path_not_found)?;
        if let Some(count) = self.counts.get_mut(folder) {
            *count += 1;
            return Ok(());
        }
        if self.watcher.is_none() {
            let shared = Arc::downgrade(shared);
            let report = move |event| {
                if let Some(shared) = shared.upgrade() {
                    shared.report(event);
                }
            };
            self.watcher = Some(notify::recommended_watcher(report)?);
        }
        if let Some(watcher) = &mut self.watcher {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        self.counts.insert(folder.to_owned(), 1);
        Ok(())
    }

    fn remove(&mut self, place: &Path) {
        let Some(folder) = place.parent() else { return };
        let Some(count) = self.counts.get_mut(folder) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.counts.remove(folder);
        if let Some(watcher) = &mut self.watcher {
            // A folder that is gone is not watched any more.
            let _ = watcher.unwatch(folder);
        }
        self.rest();
    }

    /// Without folders to watch there is no watcher, nor its thread.
    fn rest(&mut self) {
        if self.counts.is_empty() {
            self.watcher = None;
        }
    }
}

/// Where the system reports a file: in its folder, links on the way resolved, and where it leads to when it is a link itself.
fn places(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let own = folder.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name));
    let target = path.canonicalize().ok().filter(|target| *target != own);
    [own].into_iter().chain(target).collect()
}
