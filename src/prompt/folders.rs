//! Folders in which users keep rules, commands and workflows (spec 03 §6.2).

use std::path::{Path, PathBuf};

/// The user's: `<home>/.kilocode`.
pub fn global(home: &Path) -> PathBuf {
    home.join(".kilocode")
}

/// The project's: `<cwd>/.roo` if that exists and `<cwd>/.kilocode` does not, else `<cwd>/.kilocode`.
pub fn project(cwd: &Path) -> PathBuf {
    let (own, older) = (cwd.join(".kilocode"), cwd.join(".roo"));
    if !own.exists() && older.exists() { older } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §6.2: `.roo` counts only while there is no `.kilocode`
    #[test]
    fn an_older_folder_counts_when_there_is_no_other() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(project(root.path()), root.path().join(".kilocode"));
        std::fs::create_dir(root.path().join(".roo")).unwrap();
        assert_eq!(project(root.path()), root.path().join(".roo"));
        std::fs::write(root.path().join(".kilocode"), "a file").unwrap();
        assert_eq!(project(root.path()), root.path().join(".kilocode"));
    }
}
