//! Files of the index: stored relative to the workspace, used absolute (spec 09 §4.3).

use std::path::{Path, PathBuf};

use crate::workspace::paths;

/// The absolute path of an entry; one that is absolute already stays.
pub fn absolute(root: &Path, path: &str) -> PathBuf {
    paths::resolve(root, path)
}

/// The path of an entry; files outside the workspace begin with `..`.
pub fn relative(root: &Path, path: &Path) -> PathBuf {
    paths::relative_to(&paths::normalise(root), &paths::resolve(root, path))
}
