//! [`Folder`] by descriptors: each step is relative to an open folder and refuses links.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};

use super::{Kind, Stamp, Stat};

/// An open folder.
pub(in super::super) struct Folder(OwnedFd);

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the root of a work tree; this path may lead over links, it is the user's own.
    pub(in super::super) fn open(path: &Path) -> io::Result<Folder> {
        Ok(Folder(fs::open(path, FOLDER, Mode::empty())?))
    }

    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Folder> {
        Ok(Folder(fs::openat(&self.0, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?))
    }

    /// The names in the folder, in no order.
    pub(in super::super) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }

    pub(in super::super) fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(stat(&fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Opens a regular file for reading. A pipe put in its place neither blocks nor is read.
    pub(in super::super) fn open_file(&self, name: &[u8]) -> io::Result<(File, Stat)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&self.0, name, flags, Mode::empty())?;
        let stat = stat(&fs::fstat(&file)?);
        match stat.kind {
            Kind::File { .. } => Ok((File::from(file), stat)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(in super::super) fn link_target(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    pub(in super::super) fn make_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.0, name)?)
    }

    pub(in super::super) fn make_child(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
    }

    /// Creates a file that is not there yet, with the mode that the process's mask leaves of `0666` or `0777`.
    pub(in super::super) fn create(&self, name: &[u8], executable: bool) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o777 } else { 0o666 });
        Ok(File::from(fs::openat(&self.0, name, flags, mode)?))
    }

    /// Gives a file created here the permissions of the file it is to replace; who may execute it, `executable` decides.
    pub(in super::super) fn take_permissions(&self, from: &[u8], to: &File, executable: bool) -> io::Result<()> {
        let (from, _) = self.open_file(from)?;
        set_executable(to, fs::fstat(&from)?.st_mode, executable)
    }

    /// Moves a file or link to a name, in the place of whatever file or link has it, at once.
    pub(in super::super) fn replace(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        // Renaming over a file makes ext4 write the new one to the disk first: milliseconds a file. An exchange does not.
        #[cfg(target_os = "linux")]
        if self.exchange(from, to).is_ok() {
            return self.remove(from).inspect_err(|_| {
                // A folder has come to stand there in the meantime: it goes back.
                let _ = self.exchange(from, to);
            });
        }
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    #[cfg(target_os = "linux")]
    fn exchange(&self, one: &[u8], other: &[u8]) -> io::Result<()> {
        Ok(fs::renameat_with(&self.0, one, &self.0, other, fs::RenameFlags::EXCHANGE)?)
    }

    /// Removes a file or link.
    pub(in super::super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub(in super::super) fn remove_child(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }
}

/// Whoever may read an executable file may execute it, as git does it.
fn set_executable(file: &File, mode: fs::RawMode, executable: bool) -> io::Result<()> {
    let mode = mode & 0o777;
    let mode = if executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 };
    Ok(fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

// The width of these fields differs between systems; git's index has 32 bits for each.
#[allow(clippy::unnecessary_cast)]
fn stat(stat: &fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File { executable: stat.st_mode & 0o100 != 0 },
        FileType::Symlink => Kind::Link,
        FileType::Directory => Kind::Folder,
        _ => Kind::Special,
    };
    let stamp = Stamp {
        modified: (stat.st_mtime as i32, stat.st_mtime_nsec as u32),
        changed: (stat.st_ctime as i32, stat.st_ctime_nsec as u32),
        inode: stat.st_ino as u32,
        user: stat.st_uid as u32,
        group: stat.st_gid as u32,
        size: stat.st_size as u32,
    };
    Stat { kind, size: stat.st_size as u64, stamp }
}
