//! One engine at a time: a file lock, which the system takes back when its holder dies.

use super::place;
use rustix::fs::{FlockOperation, flock, ftruncate};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The right to be the engine of a folder. Held until it is dropped or its process ends, however it ends.
///
/// The file stays: it says by its lock, not by its existence, whether an engine runs. The process id in it is for people.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock when nobody holds it. The folder is made (0700) and checked as for the socket.
    ///
    /// # Errors
    /// A folder or file that is not ours alone, or the system's refusal.
    pub fn try_acquire(path: &Path) -> io::Result<Option<InstanceLock>> {
        let file = open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => signed(file).map(Some),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the lock is free and takes it: for an engine in reserve. Blocks its thread, without limit.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn acquire(path: &Path) -> io::Result<InstanceLock> {
        let file = open(path)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return signed(file),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let checked = |error: place::PlaceError| io::Error::new(io::ErrorKind::PermissionDenied, error);
    place::make_folder(place::folder_of(path).map_err(checked)?).map_err(checked)?;
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the lock is not a plain file"));
    }
    place::check_ours(path, &found).map_err(checked)?;
    Ok(file)
}

fn signed(mut file: File) -> io::Result<InstanceLock> {
    ftruncate(&file, 0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(InstanceLock { _file: file })
}
