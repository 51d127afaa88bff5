//! Checkpoints of real folders, compared file by file.

mod comparing;
mod excluding;
#[cfg(unix)]
mod hostile;
mod lasting;
mod program;
mod random;
mod roundtrip;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Place, Shadow, ShadowError};

/// A workspace with a shadow repository beside it.
struct Lab {
    folder: TempDir,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    File(Vec<u8>),
    Executable(Vec<u8>),
    Link(PathBuf),
    EmptyFolder,
}

/// A folder with everything in it, by relative path.
type Picture = BTreeMap<PathBuf, Thing>;

impl Lab {
    fn new() -> Lab {
        let lab = Lab { folder: tempfile::tempdir().unwrap() };
        for name in ["workspace", "home"] {
            fs::create_dir(lab.folder.path().join(name)).unwrap();
        }
        lab
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn git_dir(&self) -> PathBuf {
        self.folder.path().join("storage/tasks/t1/checkpoints/.git")
    }

    fn place(&self) -> Place {
        Place { git_dir: self.git_dir(), work_tree: self.workspace(), home: self.folder.path().join("home") }
    }

    fn open(&self) -> Shadow {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Shadow, ShadowError> {
        Shadow::open(self.place())
    }

    fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.workspace().join(relative)
    }

    fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, relative: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.path(relative)).unwrap();
    }

    #[cfg(unix)]
    fn permissions(&self, relative: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, relative: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    fn exists(&self, relative: impl AsRef<Path>) -> bool {
        self.path(relative).symlink_metadata().is_ok()
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        look(&self.workspace(), Path::new(""), &mut picture);
        picture
    }
}

/// Everything below a folder; a folder has an entry only when it is empty.
fn look(folder: &Path, relative: &Path, picture: &mut Picture) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, relative) = (entry.path(), relative.join(entry.file_name()));
        let metadata = path.symlink_metadata().unwrap();
        let thing = if metadata.is_symlink() {
            Thing::Link(fs::read_link(&path).unwrap())
        } else if metadata.is_dir() {
            if fs::read_dir(&path).unwrap().next().is_some() {
                look(&path, &relative, picture);
                continue;
            }
            Thing::EmptyFolder
        } else if is_executable(&metadata) {
            Thing::Executable(fs::read(&path).unwrap())
        } else {
            Thing::File(fs::read(&path).unwrap())
        };
        picture.insert(relative, thing);
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
