//! One file of modes, read again when its stamp has changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::settings::modes::file::{self, Fault, MAX_FILE, Origin};
use crate::workspace::reading;
use crate::workspace::stamp::Stamp;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its modes; of a file that is not usable those of the time when it was.
    pub modes: Vec<Value>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// It could be parsed.
    pub usable: bool,
}

/// A file of modes.
pub struct Source {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Whose it is.
    pub origin: Origin,
    last: Mutex<Option<(Stamp, Arc<Loaded>)>>,
}

impl Source {
    /// A file that nobody has read yet.
    pub fn new(path: PathBuf, origin: Origin) -> Source {
        Source { path, origin, last: Mutex::default() }
    }

    /// The file as it is now.
    pub fn read(&self) -> Arc<Loaded> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = fs::metadata(&self.path).ok();
        let stamp = Stamp::of(metadata.as_ref());
        if let Some((known, loaded)) = &*last
            && *known == stamp
        {
            return loaded.clone();
        }
        let before = last.take().map(|(_, loaded)| loaded);
        let loaded = Arc::new(self.load(before.as_deref()));
        *last = Some((stamp, loaded.clone()));
        loaded
    }

    fn load(&self, before: Option<&Loaded>) -> Loaded {
        let path = self.path.clone();
        let read = text(&self.path).and_then(|bytes| match bytes {
            None => Ok(file::ModesFile::default()),
            Some(bytes) => file::read(&String::from_utf8_lossy(&bytes), self.origin),
        });
        match read {
            Ok(read) => Loaded { path, modes: read.modes, faults: read.faults, usable: true },
            // A half-written file must not take its modes away from tasks that work in them.
            Err(fault) => {
                let modes = before.map(|before| before.modes.clone()).unwrap_or_default();
                Loaded { path, modes, faults: vec![fault], usable: false }
            }
        }
    }
}

/// All bytes of a file of modes; `None` when there is none.
///
/// # Errors
/// It is no file, too large, or cannot be read.
pub fn text(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let fault = |issue: String| Fault { line: None, slug: None, place: file::KEY.into(), issue };
    match reading::read_at_most(path, MAX_FILE as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(fault(cause.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(slug: &str) -> String {
        format!("customModes:\n  - {{slug: {slug}, name: N, roleDefinition: R, groups: []}}\n")
    }

    /// parity 03 §10.4: a change is seen, a file that cannot be parsed keeps what was known
    #[test]
    fn a_file_is_read_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::new(folder.path().join("modes"), Origin::Project);
        let slugs = || -> Vec<String> {
            source.read().modes.iter().filter_map(|mode| mode["slug"].as_str().map(str::to_owned)).collect()
        };
        assert!(slugs().is_empty());
        for (text, expected, usable) in [
            (file("a"), vec!["a"], true),
            (file("bee"), vec!["bee"], true),
            ("customModes: [".to_owned(), vec!["bee"], false),
            ("customModes: []".to_owned(), vec![], true),
        ] {
            fs::write(&source.path, &text).unwrap();
            assert_eq!((slugs(), source.read().usable), (expected.into_iter().map(str::to_owned).collect(), usable));
            assert!(Arc::ptr_eq(&source.read(), &source.read()), "an unchanged file is not read again");
        }
        fs::write(&source.path, file("a")).unwrap();
        assert_eq!(slugs(), ["a"]);
        fs::remove_file(&source.path).unwrap();
        assert!(slugs().is_empty());
    }

    #[test]
    fn what_is_no_small_file_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modes");
        fs::create_dir(&path).unwrap();
        assert!(!Source::new(path.clone(), Origin::Global).read().usable);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b'#'; MAX_FILE + 1]).unwrap();
        assert!(!Source::new(path.clone(), Origin::Global).read().usable);
        fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        Source::new(path, Origin::Global).read();
    }
}
