//! The journal's files: where they are, who may read them, and how one takes the place of the other.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::file::{HEAD_BYTES, head, write_record};
use super::state::State;

/// Files that are set aside before the last of them is replaced.
const ASIDE_LIMIT: u32 = 8;

/// The journal in `folder`.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("journal")
}

/// Makes the folder, which nobody but its owner may enter.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(folder)?;
        // It may have been there before.
        let permissions = fs::metadata(folder)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    builder.create(folder)
}

/// Opens the journal for reading and writing; `None` when there is none.
pub fn open(path: &Path) -> io::Result<Option<File>> {
    let file = match private().read(true).write(true).open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(Some(file))
}

/// Renames the journal so that a new one can be made, and gives its new name.
pub fn set_aside(folder: &Path) -> io::Result<PathBuf> {
    let name = |n: u32| folder.join(format!("journal.damaged-{n}"));
    let free = (1..ASIDE_LIMIT).map(name).find(|path| fs::symlink_metadata(path).is_err());
    let aside = free.unwrap_or_else(|| name(ASIDE_LIMIT));
    fs::rename(path(folder), &aside)?;
    Ok(aside)
}

/// A new journal beside the one in use, until it takes its place. Dropped before, it is removed.
pub struct Image {
    file: File,
    /// Bytes of it.
    pub length: u64,
    temporary: Temporary,
}

/// A file that is removed again unless it is put into place.
struct Temporary(PathBuf);

impl Image {
    /// Writes what `state` needs and no more.
    pub fn write(folder: &Path, state: &State) -> io::Result<Image> {
        let path = folder.join("journal.new");
        // One that was not finished may have been left behind.
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let file = private().write(true).create_new(true).open(&path)?;
        let mut image = Image { file, length: HEAD_BYTES as u64, temporary: Temporary(path) };
        let mut writer = BufWriter::with_capacity(64 << 10, &image.file);
        writer.write_all(&head())?;
        let mut record = Vec::new();
        for entry in state.entries() {
            record.clear();
            // Only the sum of very many notes can be longer than each of them was.
            if !write_record(&entry, &mut record) {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            writer.write_all(&record)?;
            image.length += record.len() as u64;
        }
        writer.flush()?;
        drop(writer);
        Ok(image)
    }

    /// Sends it to the disk, which is slow. Some file systems would otherwise do that when it takes another's place.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Appends `bytes` of records as they are.
    pub fn carry_over(&mut self, records: impl Read, bytes: u64) -> io::Result<()> {
        let carried = io::copy(&mut records.take(bytes), &mut self.file)?;
        self.length += carried;
        if carried == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Makes it the journal, open for writing at its end.
    pub fn put_in_place(self, folder: &Path) -> io::Result<File> {
        fs::rename(&self.temporary.0, path(folder))?;
        Ok(self.file)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing is there when it was put into place; what cannot be removed, the next image replaces.
        let _ = fs::remove_file(&self.0);
    }
}

/// Files that only their owner may read, never reached through a link.
#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Files as private as the folder, which inherits from the user's profile.
#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}
