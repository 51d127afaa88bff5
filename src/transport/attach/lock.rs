//! One engine at a time: a file lock, which the system takes back when its holder dies.

use super::place;
use rustix::fs::{FlockOperation, flock, ftruncate};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What stands in the file of a lock whose holder ended in order.
const RETIRED: &[u8] = b"ended\n";

/// The right to be the engine of a folder. Held until it is dropped or its process ends, however it ends.
///
/// The file stays: it says by its lock, not by its existence, whether an engine runs. The process id in it is for people.
#[derive(Debug)]
pub struct InstanceLock {
    file: File,
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

    /// Takes the lock, waiting until it is free: for an engine in reserve. `None` when whoever was waited for
    /// [retired](Self::retire): nobody is to take its place. Blocks its thread, without limit.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn acquire(path: &Path) -> io::Result<Option<InstanceLock>> {
        if let Some(lock) = Self::try_acquire(path)? {
            return Ok(Some(lock));
        }
        let mut file = open(path)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut said = Vec::new();
        (&mut file).take(RETIRED.len() as u64).read_to_end(&mut said)?;
        if said == RETIRED { Ok(None) } else { signed(file).map(Some) }
    }

    /// Its holder ends in order: who waits for the lock need not take over.
    ///
    /// # Errors
    /// The system's refusal to write.
    pub fn retire(&self) -> io::Result<()> {
        write(&self.file, RETIRED)
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

fn signed(file: File) -> io::Result<InstanceLock> {
    write(&file, format!("{}\n", std::process::id()).as_bytes())?;
    Ok(InstanceLock { file })
}

fn write(mut file: &File, text: &[u8]) -> io::Result<()> {
    file.rewind()?;
    ftruncate(file, 0)?;
    file.write_all(text)
}
