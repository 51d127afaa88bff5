//! Where a shadow repository lies, and the work trees for which there is none (spec 02 §15.1).

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::ShadowError;

/// Where the repository and its work tree are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The repository's own folder: `<storage>/tasks/<task id>/checkpoints/.git`. Its path must be UTF-8.
    pub git_dir: PathBuf,
    /// The workspace, absolute. Compared textually with what the repository remembers.
    pub work_tree: PathBuf,
    /// The user's home folder.
    pub home: PathBuf,
}

/// Folders of the home folder that are no workspace.
const PERSONAL: [&str; 3] = ["Desktop", "Documents", "Downloads"];

impl Place {
    /// Refuses personal folders, by whatever path they are reached, and the engine's own storage.
    pub(super) fn check(&self) -> Result<(), ShadowError> {
        let work_tree = real(&self.work_tree);
        if real(&self.home) == work_tree || PERSONAL.iter().any(|name| real(self.home.join(name)) == work_tree) {
            return Err(ShadowError::PersonalFolder(self.work_tree.clone()));
        }
        if work_tree.starts_with(real(self.storage())) {
            return Err(ShadowError::OwnStorage(self.work_tree.clone()));
        }
        Ok(())
    }

    /// The engine's storage relative to the work tree, when it lies in it: no checkpoint may hold or rewind it.
    pub(super) fn storage_below_work_tree(&self) -> Option<PathBuf> {
        let below = real(self.storage()).strip_prefix(real(&self.work_tree)).ok()?.to_owned();
        (!below.as_os_str().is_empty()).then_some(below)
    }

    /// `<storage>` of `<storage>/tasks/<id>/checkpoints/.git`; of any other path the folder that holds the repository.
    fn storage(&self) -> &Path {
        let around = |levels: usize| self.git_dir.ancestors().nth(levels);
        let named = |levels: usize, name: &str| around(levels).and_then(Path::file_name).is_some_and(|n| n == name);
        let levels = if named(1, "checkpoints") && named(3, "tasks") { 4 } else { 1 };
        around(levels).unwrap_or(&self.git_dir)
    }
}

/// The path without links, as far as it exists.
fn real(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    let existing = path.ancestors().find_map(|a| fs::canonicalize(a).ok().map(|real| (a, real)));
    match existing {
        Some((ancestor, real)) => {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            rest.components().filter(|c| matches!(c, Component::Normal(_))).fold(real, |path, name| path.join(name))
        }
        None => path.to_owned(),
    }
}
