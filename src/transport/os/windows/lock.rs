//! One engine at a time: a file lock, which the system takes back when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Locks a file of our profile, made where it is missing; `None` when another process holds it.
pub(super) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    // Not truncated: its holder's process id stands in it.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    // `LockFileEx` over the whole file, failing at once.
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.lock");
        let held = try_lock(&path).unwrap().unwrap();
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }
}
