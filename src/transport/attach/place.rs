//! Where the socket lies: a folder of ours alone, and in it a socket of ours alone.

use rustix::process::geteuid;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A place that cannot be used for the socket.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Somebody else could be behind it, or get in.
    #[error("{}: {problem}", path.display())]
    Unsafe {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operating system refused.
    #[error("{what} {}: {source}", path.display())]
    System {
        /// What was asked of it.
        what: &'static str,
        /// About which path.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

pub(super) fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> PlaceError + 'a {
    move |source| PlaceError::System { what, path: path.to_owned(), source }
}

fn wrong(path: &Path, problem: &'static str) -> PlaceError {
    PlaceError::Unsafe { path: path.to_owned(), problem }
}

/// The folder of `path`, which must have one.
pub(super) fn folder_of(path: &Path) -> Result<&Path, PlaceError> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).ok_or_else(|| wrong(path, "must be in a folder"))
}

/// Creates the folder, with 0700, where it is missing, and checks it.
pub(super) fn make_folder(folder: &Path) -> Result<(), PlaceError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("creating", folder))?;
    check_folder(folder)
}

/// Whether a folder is one, not by a link, ours, and closed to all others.
pub(super) fn check_folder(folder: &Path) -> Result<(), PlaceError> {
    let found = fs::symlink_metadata(folder).map_err(failed("looking at", folder))?;
    if !found.is_dir() {
        return Err(wrong(folder, "is not a folder"));
    }
    check_ours(folder, &found)
}

/// Whether a socket is one, not by a link, ours, and closed to all others.
pub(super) fn check_socket(path: &Path) -> Result<Metadata, PlaceError> {
    let found = fs::symlink_metadata(path).map_err(failed("looking at", path))?;
    if !found.file_type().is_socket() {
        return Err(wrong(path, "is not a socket"));
    }
    check_ours(path, &found)?;
    Ok(found)
}

pub(super) fn check_ours(path: &Path, found: &Metadata) -> Result<(), PlaceError> {
    if found.uid() != geteuid().as_raw() {
        Err(wrong(path, "belongs to another user"))
    } else if found.mode() & 0o077 != 0 {
        Err(wrong(path, "is open to other users"))
    } else {
        Ok(())
    }
}
