//! The repository on the disk: configuration, lock, `HEAD`, branches and their log (spec 02 §15.2). The format is git's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use git2::{Config, ErrorCode, ObjectType, Oid};

use super::commit::{CommitText, USER};
use super::excludes::Excludes;
use super::objects::Objects;
use super::{Commit, LogEntry, Place, ShadowError, native, stored};

/// The message of the first commit (spec 02 §15.2).
pub(super) const INITIAL_MESSAGE: &str = "initial commit";

/// The branch of a new repository.
const BRANCH: &str = "refs/heads/master";
/// How long another process may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(super) struct Repository {
    pub git_dir: PathBuf,
    pub objects: Objects,
}

/// The right to change the repository and its work tree; the system takes it back when its holder dies.
pub(super) struct Locked {
    _file: File,
    /// When it was taken by the clock of the repository's file system, in seconds and nanoseconds since 1970.
    pub since: (i64, u32),
}

impl Repository {
    /// Opens or creates the repository, and writes its exclude list. The commit is `HEAD`'s; `None`: there is none yet.
    pub(super) fn open(place: &Place, excludes: &Excludes) -> Result<(Repository, Option<Oid>), ShadowError> {
        let git_dir = &place.git_dir;
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "logs"] {
            let path = git_dir.join(folder);
            fs::create_dir_all(&path).map_err(ShadowError::io("create", &path))?;
        }
        let objects = Objects::open(git_dir.join("objects"))?;
        let repository = Repository { git_dir: git_dir.clone(), objects };
        let _locked = repository.lock()?;
        if git_dir.join("HEAD").is_file() {
            repository.check_configuration(place)?;
        } else {
            repository.replace("config", &configuration(place))?;
            repository.replace("HEAD", format!("ref: {BRANCH}\n").as_bytes())?;
        }
        repository.replace("info/exclude", excludes.text.as_bytes())?;
        let head = repository.head()?;
        if let Some(head) = head {
            repository
                .commit(head)
                .map_err(|_| repository.damaged(&format!("HEAD names {head}, which is no commit")))?;
        }
        Ok((repository, head))
    }

    /// Waits until no other process works on the repository.
    pub(super) fn lock(&self) -> Result<Locked, ShadowError> {
        let path = self.git_dir.join("lapce-ai.lock");
        let failed = |e| ShadowError::io("lock", &path)(e);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited >= PATIENCE => {
                    return Err(ShadowError::Busy(self.git_dir.clone()));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
                // A file system without locks: nothing better is to be had.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => break,
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
            waited += LOOK_AGAIN;
        }
        file.write_all(b"\n").map_err(failed)?;
        let modified = file.metadata().and_then(|m| m.modified()).map_err(failed)?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Locked { _file: file, since: (since.as_secs() as i64, since.subsec_nanos()) })
    }

    /// The commit of the current branch.
    pub(super) fn head(&self) -> Result<Option<Oid>, ShadowError> {
        match self.branch()? {
            Head::Detached(id) => Ok(Some(id)),
            Head::Branch(name) => match self.text(&name)? {
                Some(text) => self.id(&text).map(Some),
                None => self.packed(&name),
            },
        }
    }

    /// Moves the current branch, and notes it in its log.
    pub(super) fn set_head(&self, old: Option<Oid>, new: Oid, time: i64, what: &str) -> Result<(), ShadowError> {
        let old = old.map_or_else(|| "0".repeat(40), |id| id.to_string());
        let what = what.lines().next().unwrap_or("");
        let line = format!("{old} {new} {} <{}> {time} +0000\t{what}\n", USER.0, USER.1);
        let id = format!("{new}\n");
        // The log comes first: a commit that is noted and not yet reached is found by it.
        match self.branch()? {
            Head::Detached(_) => {
                self.append("logs/HEAD", &line)?;
                self.replace("HEAD", id.as_bytes())
            }
            Head::Branch(name) => {
                self.append("logs/HEAD", &line)?;
                self.append(&format!("logs/{name}"), &line)?;
                self.replace(&name, id.as_bytes())
            }
        }
    }

    pub(super) fn commit(&self, id: Oid) -> Result<CommitText, ShadowError> {
        let text = self.objects.read(id, ObjectType::Commit)?;
        CommitText::decode(&text).ok_or_else(|| self.damaged(&format!("{id} is no commit")))
    }

    /// The commit that an id, whole or abbreviated, stands for.
    pub(super) fn resolve(&self, commit: &Commit) -> Result<Oid, ShadowError> {
        let unknown = || ShadowError::UnknownCommit(commit.to_string());
        match self.objects.complete(commit.as_str()) {
            Ok(Some(id)) => self.commit(id).map(|_| id).map_err(|_| unknown()),
            Ok(None) => Err(unknown()),
            // Some object has the same beginning; among the commits it may be the only one.
            Err(e) if e.code() == ErrorCode::Ambiguous => {
                let log = self.log()?;
                let mut ids =
                    log.iter().map(|entry| entry.commit.as_str()).filter(|id| id.starts_with(commit.as_str()));
                match (ids.next(), ids.next()) {
                    (Some(id), None) => Ok(Oid::from_str(id)?),
                    (None, _) => Err(unknown()),
                    _ => Err(ShadowError::AmbiguousCommit(commit.to_string())),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The commits that `HEAD` or its log reaches, newest first.
    pub(super) fn log(&self) -> Result<Vec<LogEntry>, ShadowError> {
        let noted = self.text("logs/HEAD")?.unwrap_or_default();
        let mut pending: Vec<Oid> = noted.lines().filter_map(|l| l.split(' ').nth(1)?.parse().ok()).collect();
        pending.extend(self.head()?);
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        // From the newest noted one back, each with its ancestors that were not noted.
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            // What a collection of garbage took is no longer there.
            let Ok(commit) = self.commit(id) else { continue };
            found.push((
                LogEntry { commit: Commit::of(id), message: commit.message, time: commit.time },
                commit.parents,
            ));
            let parents = found.last().map(|(_, parents)| parents.clone()).unwrap_or_default();
            pending.extend(parents.into_iter().filter(|id| !seen.contains(id)));
        }
        let mut entries: Vec<LogEntry> = found.into_iter().map(|(entry, _)| entry).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        Ok(entries)
    }

    pub(super) fn damaged(&self, what: &str) -> ShadowError {
        ShadowError::Damaged { git_dir: self.git_dir.clone(), what: what.to_owned() }
    }

    fn check_configuration(&self, place: &Place) -> Result<(), ShadowError> {
        let unusable = |e: git2::Error| self.damaged(e.message());
        let config = Config::open(&self.git_dir.join("config")).and_then(|mut c| c.snapshot()).map_err(unusable)?;
        let value = |name: &str| config.get_bytes(name).unwrap_or_default();
        let found = value("core.worktree");
        if found != stored(&place.work_tree) {
            let (git_dir, expected) = (self.git_dir.clone(), place.work_tree.clone());
            return Err(ShadowError::OtherWorkTree { git_dir, found: native(found), expected });
        }
        match value("extensions.objectformat") {
            b"" | b"sha1" => Ok(()),
            _ => Err(self.damaged("its object format is not sha1")),
        }
    }

    fn branch(&self) -> Result<Head, ShadowError> {
        let text = self.text("HEAD")?.ok_or_else(|| self.damaged("no HEAD"))?;
        match text.strip_prefix("ref:").map(str::trim) {
            None => Ok(Head::Detached(self.id(&text)?)),
            Some(name) if name.starts_with("refs/") && name.split('/').all(|part| !matches!(part, "" | "." | "..")) => {
                Ok(Head::Branch(name.to_owned()))
            }
            Some(_) => Err(self.damaged("HEAD names no branch")),
        }
    }

    fn packed(&self, name: &str) -> Result<Option<Oid>, ShadowError> {
        let text = self.text("packed-refs")?.unwrap_or_default();
        let line = text.lines().find_map(|line| line.split_once(' ').filter(|(_, ref_name)| *ref_name == name));
        line.map(|(id, _)| self.id(id)).transpose()
    }

    fn id(&self, text: &str) -> Result<Oid, ShadowError> {
        let text = text.trim();
        let id = if text.len() == 40 { Oid::from_str(text).ok() } else { None };
        id.ok_or_else(|| self.damaged("a branch names no commit"))
    }

    /// A text file of the repository, if it is there.
    fn text(&self, name: &str) -> Result<Option<String>, ShadowError> {
        let path = self.git_dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ShadowError::io("read", &path)(e)),
        }
    }

    /// Writes a file of the repository so that it is the old one or the new one at any moment. Git's own lock files are not
    /// used: nobody could tell whether the one who made such a file is still alive.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), ShadowError> {
        let (temporary, path) = (self.git_dir.join("lapce-ai.tmp"), self.git_dir.join(name));
        let written = fs::write(&temporary, content).and_then(|()| {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            fs::rename(&temporary, &path)
        });
        written.map_err(ShadowError::io("write", &path))
    }

    fn append(&self, name: &str, line: &str) -> Result<(), ShadowError> {
        let path = self.git_dir.join(name);
        let appended = fs::create_dir_all(path.parent().unwrap_or(Path::new("")))
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
            .and_then(|mut file| file.write_all(line.as_bytes()));
        appended.map_err(ShadowError::io("write", &path))
    }
}

enum Head {
    Branch(String),
    Detached(Oid),
}

/// The configuration of a new repository.
fn configuration(place: &Place) -> Vec<u8> {
    let mut text = format!("[core]\n\trepositoryformatversion = 0\n\tfilemode = {}\n\tbare = false\n", cfg!(unix));
    text.push_str("\tlogallrefupdates = true\n\tworktree = \"");
    let mut text = text.into_bytes();
    for byte in stored(&place.work_tree) {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\t' => text.extend_from_slice(b"\\t"),
            _ => text.push(byte),
        }
    }
    let (name, email) = USER;
    let rest = format!("\"\n[commit]\n\tgpgSign = false\n[user]\n\tname = {name}\n\temail = {email}\n");
    text.extend_from_slice(rest.as_bytes());
    text
}
