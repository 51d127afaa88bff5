//! Rules folders of modes: `rules-<slug>` in a folder of configuration (spec 03 §10.5, §10.6).
//!
//! Slugs are letters, digits and dashes here, so that they are safe in a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ecma;
use crate::settings::modes::package::RulesFile;
use crate::workspace::paths;
use crate::workspace::write::write_atomic;

/// The largest file that is packed, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Files that are packed at most.
const MAX_FILES: usize = 256;

/// The rules folder of a mode in a folder of configuration.
#[derive(Clone, Debug)]
pub struct RulesFolder {
    path: PathBuf,
    /// Links must not lead out of this folder.
    within: Option<PathBuf>,
}

impl RulesFolder {
    /// In the user's configuration, which is the user's to link as they like.
    pub fn of_user(configuration: &Path, slug: &str) -> RulesFolder {
        RulesFolder { path: configuration.join(format!("rules-{slug}")), within: None }
    }

    /// In the configuration of a workspace.
    pub fn of_project(workspace: &Path, configuration: &Path, slug: &str) -> RulesFolder {
        RulesFolder { within: Some(workspace.to_owned()), ..RulesFolder::of_user(configuration, slug) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files, without those that are blank, large or links, in order of their names.
    pub fn files(&self) -> Vec<RulesFile> {
        let mut files = Vec::new();
        if self.leads_out() {
            return files;
        }
        let mut entries: Vec<_> = fs::read_dir(&self.path).into_iter().flatten().flatten().take(MAX_FILES).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let small = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE);
            let (true, Ok(text)) = (small, fs::read_to_string(entry.path())) else { continue };
            let content = ecma::trim(&text).to_owned();
            if !content.is_empty() {
                files.push(RulesFile { path: entry.file_name().into(), content });
            }
        }
        files
    }

    /// Deletes the folder; false when there is none.
    ///
    /// # Errors
    /// It leads out of the workspace, or the operating system refused.
    pub fn delete(&self) -> io::Result<bool> {
        let metadata = match self.path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.path.parent().is_none_or(|folder| self.is_outside(folder)) {
            return Err(outside(&self.path));
        }
        // A link goes; what it leads to stays.
        if metadata.is_dir() {
            fs::remove_dir_all(&self.path)?
        } else {
            fs::remove_file(&self.path)?
        }
        Ok(true)
    }

    /// Deletes what is there and writes these files.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); some files may then be written already.
    pub fn replace(&self, files: &[RulesFile]) -> io::Result<()> {
        self.delete()?;
        if !files.is_empty() && self.leads_out() {
            return Err(outside(&self.path));
        }
        for file in files {
            let path = self.path.join(&file.path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            write_atomic(&path, file.content.as_bytes())?;
        }
        Ok(())
    }

    fn leads_out(&self) -> bool {
        self.is_outside(&self.path)
    }

    fn is_outside(&self, path: &Path) -> bool {
        let Some(within) = self.within.as_deref() else { return false };
        let real = paths::real(within);
        !real.is_some_and(|within| paths::real(path).is_some_and(|path| path.starts_with(within)))
    }
}

fn outside(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} leads out of the workspace", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> RulesFile {
        RulesFile { path: path.into(), content: content.into() }
    }

    #[test]
    fn files_are_replaced_and_packed() {
        let root = tempfile::tempdir().unwrap();
        let folder = RulesFolder::of_project(root.path(), &root.path().join(".kilocode"), "w");
        assert!(folder.files().is_empty() && !folder.delete().unwrap());
        folder
            .replace(&[file("b.md", " B \n"), file("a.md", "A"), file("deep/c.md", "C"), file("blank", " ")])
            .unwrap();
        assert_eq!(folder.files(), [file("a.md", "A"), file("b.md", "B")]);
        folder.replace(&[file("d.md", "D")]).unwrap();
        assert_eq!(folder.files(), [file("d.md", "D")]);
        assert!(folder.delete().unwrap() && !folder.path().exists());
    }

    /// parity 03 §10.6: a workspace whose folders lead out of it
    #[cfg(unix)]
    #[test]
    fn nothing_outside_is_read_written_or_deleted() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let (workspace, outside) = (root.path().join("w"), root.path().join("out"));
        fs::create_dir_all(outside.join("rules-w")).unwrap();
        fs::create_dir(&workspace).unwrap();
        fs::write(outside.join("rules-w/secret"), "s").unwrap();
        let configuration = workspace.join(".kilocode");
        symlink(&outside, &configuration).unwrap();
        let folder = RulesFolder::of_project(&workspace, &configuration, "w");
        assert!(folder.files().is_empty());
        assert!(folder.delete().is_err() && folder.replace(&[file("a", "x")]).is_err());
        fs::remove_file(&configuration).unwrap();
        fs::create_dir(&configuration).unwrap();
        symlink(outside.join("rules-w"), folder.path()).unwrap();
        assert!(folder.files().is_empty());
        folder.replace(&[file("a", "x")]).unwrap();
        assert_eq!(fs::read_dir(outside.join("rules-w")).unwrap().count(), 1);
        symlink(outside.join("rules-w/secret"), folder.path().join("link")).unwrap();
        assert_eq!(folder.files(), [file("a", "x")]);
    }
}
