//! [`Folder`] by paths, where there are no calls relative to an open folder. Each step looks for links before it is taken, which
//! leaves a moment in which one can be put there.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::super::{native, stored};
use super::{Kind, Stamp, Stat};

/// A folder by its path.
pub(in super::super) struct Folder(PathBuf);

impl Folder {
    /// Opens the root of a work tree; this path may lead over links, it is the user's own.
    pub(in super::super) fn open(path: &Path) -> io::Result<Folder> {
        if fs::metadata(path)?.is_dir() {
            Ok(Folder(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Folder> {
        match self.stat(name)?.kind {
            Kind::Folder => Ok(Folder(self.at(name)?)),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The names in the folder, in no order. A name that is no Unicode text is left out.
    pub(in super::super) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name.into_bytes());
            }
        }
        Ok(names)
    }

    pub(in super::super) fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        Ok(stat(&fs::symlink_metadata(self.at(name)?)?))
    }

    /// Opens a regular file for reading.
    pub(in super::super) fn open_file(&self, name: &[u8]) -> io::Result<(File, Stat)> {
        match self.stat(name)?.kind {
            Kind::File { .. } => {
                let file = File::open(self.at(name)?)?;
                let stat = stat(&file.metadata()?);
                Ok((file, stat))
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(in super::super) fn link_target(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(stored(&fs::read_link(self.at(name)?)?))
    }

    pub(in super::super) fn make_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        let at = self.at(name)?;
        let target = native(target);
        #[cfg(windows)]
        return std::os::windows::fs::symlink_file(target, at);
        #[cfg(not(windows))]
        {
            let _ = (at, target);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(in super::super) fn make_child(&self, name: &[u8]) -> io::Result<()> {
        fs::create_dir(self.at(name)?)
    }

    /// Creates a file that is not there yet.
    pub(in super::super) fn create(&self, name: &[u8], _executable: bool) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(self.at(name)?)
    }

    /// Nothing to take: who may execute a file is not kept by such systems.
    pub(in super::super) fn take_permissions(&self, _from: &[u8], _to: &File, _executable: bool) -> io::Result<()> {
        Ok(())
    }

    /// Moves a file or link to a name, in the place of whatever file or link has it, at once.
    pub(in super::super) fn replace(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        fs::rename(self.at(from)?, self.at(to)?)
    }

    /// Removes a file or link.
    pub(in super::super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        fs::remove_file(self.at(name)?)
    }

    /// Removes an empty folder.
    pub(in super::super) fn remove_child(&self, name: &[u8]) -> io::Result<()> {
        fs::remove_dir(self.at(name)?)
    }

    /// The path of a name, unless it would be more than a name.
    fn at(&self, name: &[u8]) -> io::Result<PathBuf> {
        let name = std::str::from_utf8(name).map_err(|_| io::ErrorKind::InvalidInput)?;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.0.join(name))
    }
}

fn stat(metadata: &Metadata) -> Stat {
    let kind = match metadata.file_type() {
        t if t.is_symlink() => Kind::Link,
        t if t.is_dir() => Kind::Folder,
        t if t.is_file() => Kind::File { executable: false },
        _ => Kind::Special,
    };
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let modified = (since.as_secs() as i32, since.subsec_nanos());
    Stat { kind, size: metadata.len(), stamp: Stamp { modified, size: metadata.len() as u32, ..Stamp::default() } }
}
