//! A repository beside the user's own, whose work tree is the workspace: every checkpoint is a commit in it (spec 02 §15).
//!
//! Its format is git's, so that the `git` program and other agents read it and it reads theirs. Contents are stored byte for
//! byte: no line-end conversion, no filters. Links are stored as links and never followed; a `.git`, wherever it lies, is
//! neither read nor written, so that a nested repository is its files (deviation D28).
//!
//! What a killed engine leaves behind: `HEAD` names a whole commit at any time, because objects are renamed into place before
//! the branch is; the index is a cache of file stamps and made anew when it is missing or broken. Two engines exclude each
//! other by a lock that the system takes back from the dead.

mod cache;
mod commit;
mod diff;
mod error;
mod excludes;
mod folder;
mod objects;
mod place;
mod repository;
mod restore;
mod save;
mod scan;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use commit::{Commit, LogEntry};
pub use diff::{ChangeStatus, FileChange};
pub use error::ShadowError;
pub use place::Place;
pub use restore::Restored;
pub use scan::{SkipReason, Skipped};
pub use tree::FileKind;

use excludes::Excludes;
use folder::Folder;
use repository::Repository;

/// The checkpoints of one work tree. Its functions block and may be called from any thread; each waits for the one before it.
pub struct Shadow {
    work_tree: PathBuf,
    base: Commit,
    inner: Mutex<Inner>,
}

/// What one operation at a time works with.
struct Inner {
    repository: Repository,
    excludes: Excludes,
    /// What the last operation left out.
    skipped: Vec<Skipped>,
}

impl Shadow {
    /// Opens the repository in `place.git_dir`, or creates it with an initial commit of the work tree (spec 02 §15.1–15.3).
    ///
    /// # Errors
    /// Refused folders, a repository of another work tree, a damaged one, and what reading and writing can meet.
    pub fn open(place: Place) -> Result<Shadow, ShadowError> {
        Shadow::open_unless(place, &|| false)
    }

    /// As [`open`](Self::open), but an initial commit, which takes as long as its work tree is large, is given up when `stopped`
    /// says so.
    ///
    /// # Errors
    /// [`ShadowError::Stopped`], and those of `open`.
    pub fn open_unless(place: Place, stopped: &dyn Fn() -> bool) -> Result<Shadow, ShadowError> {
        place.check()?;
        let work_tree = Folder::open(&place.work_tree).map_err(ShadowError::io("open", &place.work_tree))?;
        let excludes = Excludes::of(&work_tree, place.storage_below_work_tree());
        let (repository, head) = Repository::open(&place, &excludes)?;
        let mut inner = Inner { repository, excludes, skipped: Vec::new() };
        let base = match head {
            Some(head) => head,
            None => save::save(&mut inner, &work_tree, repository::INITIAL_MESSAGE, true, stopped)?
                .ok_or_else(|| inner.repository.damaged("no initial commit"))?,
        };
        Ok(Shadow { work_tree: place.work_tree, base: Commit::of(base), inner: Mutex::new(inner) })
    }

    /// What `HEAD` was when the repository was opened, or its initial commit (spec 02 §15.2).
    pub fn base(&self) -> Commit {
        self.base.clone()
    }

    /// Commits the state of the work tree (spec 02 §15.4). `None`: nothing has changed and `force` is false.
    ///
    /// A file that cannot be read stays in the commit as it was last, if it ever was; [`skipped`](Self::skipped) names it.
    pub fn save(&self, message: &str, force: bool) -> Result<Option<Commit>, ShadowError> {
        let (mut inner, work_tree) = self.begin()?;
        Ok(save::save(&mut inner, &work_tree, message, force, &|| false)?.map(Commit::of))
    }

    /// Makes the work tree that of `commit` and moves `HEAD` to it: files changed since are rewritten, files and empty folders
    /// that came since are removed, ignored and excluded files stay (spec 02 §15.5: `clean -f -d -f`, `reset --hard`).
    ///
    /// Nothing is touched before every content to be written is known to be there. What cannot be written without losing
    /// something that no checkpoint holds is left and named in the answer. Interrupted, it can be done again.
    pub fn restore(&self, commit: &Commit) -> Result<Restored, ShadowError> {
        let (mut inner, work_tree) = self.begin()?;
        restore::restore(&mut inner, &work_tree, commit)
    }

    /// The files that differ between two commits, or between a commit and the work tree as it is now, untracked files included
    /// (spec 02 §15.7). Sorted by path.
    pub fn diff(&self, from: &Commit, to: Option<&Commit>) -> Result<Vec<FileChange>, ShadowError> {
        let (mut inner, work_tree) = self.begin()?;
        diff::diff(&mut inner, &work_tree, &self.work_tree, from, to)
    }

    /// Every commit made in this repository, newest first, those included that a restore has left behind.
    pub fn log(&self) -> Result<Vec<LogEntry>, ShadowError> {
        self.lock().repository.log()
    }

    /// The whole id of a commit given by a unique abbreviation (spec 02 §15.4).
    pub fn resolve(&self, commit: &Commit) -> Result<Commit, ShadowError> {
        self.lock().repository.resolve(commit).map(Commit::of)
    }

    /// What the last save, restore or diff left out, and why.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.lock().skipped.clone()
    }

    fn begin(&self) -> Result<(MutexGuard<'_, Inner>, Folder), ShadowError> {
        let mut inner = self.lock();
        inner.skipped.clear();
        let work_tree = Folder::open(&self.work_tree).map_err(ShadowError::io("open", &self.work_tree))?;
        Ok((inner, work_tree))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path of the repository (bytes, `/` between names) as one of the system.
fn native(path: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(path)).to_owned()
    }
    #[cfg(not(unix))]
    {
        Path::new(&*String::from_utf8_lossy(path)).components().collect()
    }
}

/// The bytes by which a repository stores a path of the system.
fn stored(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().to_vec()
    }
    #[cfg(not(unix))]
    {
        path.to_string_lossy().into_owned().into_bytes()
    }
}
