//! What can go wrong with a shadow repository.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on a shadow repository did not happen. Callers disable checkpoints and word it (spec 02 §15.1).
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The work tree is the home folder, or its desktop, documents or downloads (spec 02 §15.1).
    #[error("no checkpoints in `{}`: it is a personal folder", .0.display())]
    PersonalFolder(PathBuf),
    /// The work tree lies in the engine's own storage, which a restore would rewind.
    #[error("no checkpoints in `{}`: it lies in the storage of the engine", .0.display())]
    OwnStorage(PathBuf),
    /// The repository was made for another work tree, or the workspace has moved.
    #[error("the checkpoints in `{}` belong to `{}`, not to `{}`", git_dir.display(), found.display(), expected.display())]
    OtherWorkTree {
        /// The repository.
        git_dir: PathBuf,
        /// The work tree its configuration names.
        found: PathBuf,
        /// The work tree it was opened for.
        expected: PathBuf,
    },
    /// The repository cannot be used as it is.
    #[error("the repository `{}` is damaged: {what}", git_dir.display())]
    Damaged {
        /// The repository.
        git_dir: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another process has been working on the repository for too long.
    #[error("the repository `{}` is in use by another process", .0.display())]
    Busy(PathBuf),
    /// It was given up before it was finished, because nobody waits for it any more.
    #[error("given up")]
    Stopped,
    /// The text is no commit id.
    #[error("`{0}` is no commit id")]
    InvalidId(String),
    /// No commit has this id.
    #[error("no commit `{0}`")]
    UnknownCommit(String),
    /// The abbreviated id stands for several commits.
    #[error("`{0}` stands for more than one commit")]
    AmbiguousCommit(String),
    /// The work tree has more files than a checkpoint may hold.
    #[error("more than {0} files")]
    TooManyFiles(usize),
    /// A file or folder could not be worked with.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// libgit2 refused an object or the index.
    #[error("git: {0}")]
    Git(#[from] git2::Error),
}

impl ShadowError {
    /// For `map_err`: names what was tried on which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ShadowError {
        move |source| ShadowError::Io { action, path: path.to_owned(), source }
    }
}
