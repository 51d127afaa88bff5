//! Files that are replaced whole: a temporary file of its own, flushed and renamed over the target (D07).

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes `folder/name` whole.
///
/// # Errors
/// What the file system reports; the temporary file is removed then and the old content is untouched.
pub fn write_atomic(folder: &Path, name: &str, bytes: &[u8], tag: &str) -> io::Result<()> {
    replace(folder, name, tag, |mut file| file.write_all(bytes), |()| Ok(())).map(drop)
}

/// As [`write_atomic`], with what `write` puts into the file; `settle` comes when that is on disk and the name is still the
/// old file's. Gives the new file and what `write` gave.
pub fn replace<T>(
    folder: &Path,
    name: &str,
    tag: &str,
    write: impl FnOnce(&File) -> io::Result<T>,
    settle: impl FnOnce(&T) -> io::Result<()>,
) -> io::Result<(File, T)> {
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{name}.new_{tag}.tmp"));
    let written =
        File::options().read(true).write(true).create(true).truncate(true).open(&temporary).and_then(|file| {
            let result = write(&file)?;
            file.sync_data()?;
            settle(&result)?;
            Ok((file, result))
        });
    let renamed = written.and_then(|written| std::fs::rename(&temporary, folder.join(name)).map(|()| written));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("tasks/x");
        write_atomic(&inner, "a.json", b"one", "1").expect("written");
        write_atomic(&inner, "a.json", b"two", "2").expect("written");
        assert_eq!(std::fs::read(inner.join("a.json")).expect("readable"), b"two");
        assert_eq!(std::fs::read_dir(&inner).expect("listable").count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a.json")).expect("a directory in the way");
        assert!(write_atomic(folder.path(), "a.json", b"x", "1").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("listable").count(), 1);
    }
}
