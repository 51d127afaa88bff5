//! Which workspaces the user trusts (the setting `trustedFolders`).

use std::path::Path;

/// Whether `cwd` is one of these absolute folders or stands below one, links resolved.
pub fn is_trusted(cwd: &Path, trusted: &[String]) -> bool {
    let Ok(cwd) = cwd.canonicalize() else { return false };
    let folders = trusted.iter().map(Path::new).filter(|folder| folder.is_absolute());
    folders.filter_map(|folder| folder.canonicalize().ok()).any(|folder| cwd.starts_with(folder))
}
