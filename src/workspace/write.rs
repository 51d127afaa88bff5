//! Writing files so that a failure or a crash leaves either the old or the new content, never a part (deviation D07).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces the content of `path`: a temporary file beside it is written, synced and renamed over it.
///
/// A symbolic link is followed, so that the link stays and its target changes. Permissions are kept. The folder must exist.
///
/// # Errors
/// The old content is intact. Files that are read-only or no regular files (devices, pipes, folders) are refused.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = follow(path)?;
    let permissions = match fs::metadata(&target) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        // A rename would succeed; the user's wish that it stays as it is counts more.
        Ok(metadata) if metadata.permissions().readonly() => {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
        }
        Ok(metadata) => Some(metadata.permissions()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(cause),
    };
    let (temporary, mut file) = Temporary::beside(&target)?;
    // First, so that nobody reads on the way what they may not read in place.
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    temporary.rename(&target)?;
    sync_folder(&target);
    Ok(())
}

/// Where writing goes: the end of a chain of links, also of one whose target does not exist yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    match fs::read_link(path) {
        Ok(target) => Ok(path.parent().unwrap_or(Path::new("")).join(target)),
        Err(_) => Ok(path.to_owned()),
    }
}

/// A file that is removed again unless it is renamed into place.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(target: &Path) -> io::Result<(Temporary, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // Long names leave no room for a suffix; the folder makes the path unique, the number the name.
        let short: String = name.chars().take(40).collect();
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!(".{short}.{}-{number}.tmp", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Temporary(path), file)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Temporary {
    /// Puts the file into place.
    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.0, target)?;
        // Nothing is left to remove.
        self.0 = PathBuf::new();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() {
            return;
        }
        // Best effort: the write has already failed.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the rename durable where folders can be synced; the content is safe either way.
fn sync_folder(target: &Path) {
    if cfg!(unix)
        && let Some(folder) = target.parent().and_then(|folder| File::open(folder).ok())
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 04 §9.3: a file is replaced whole (D07)
    /// parity 04 §checklist.11: a file is replaced whole, an error leaves the old one, nothing temporary stays (D07)
    #[test]
    fn content_is_replaced_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        for content in [&b"one"[..], b"", b"two"] {
            write_atomic(&path, content).expect("written");
            assert_eq!(fs::read(&path).expect("there"), content);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
        assert!(write_atomic(folder.path(), b"x").is_err());
        assert!(write_atomic(&folder.path().join("no/such"), b"x").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_read_only_files_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("script"), folder.path().join("link"));
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        symlink("script", &link).expect("linked");
        write_atomic(&link, b"new").expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read(&file).expect("there"), b"new");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o755);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("set");
        assert!(write_atomic(&file, b"newer").is_err());
        assert_eq!(fs::read(&file).expect("there"), b"new");
        let dangling = folder.path().join("dangling");
        symlink("later", &dangling).expect("linked");
        write_atomic(&dangling, b"x").expect("written");
        assert_eq!(fs::read(folder.path().join("later")).expect("there"), b"x");
    }
}
