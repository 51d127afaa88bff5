//! Changing a file of modes on the disk: atomically, and never so that something that stood there is lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::source::{self, Source};
use crate::settings::modes::edit::{self, Edited};
use crate::settings::modes::file::{Fault, KEY, Origin};
use crate::workspace::paths;
use crate::workspace::write::write_atomic;

/// Copies of a file that are kept at most.
const MAX_COPIES: u32 = 100;

/// A file without modes.
const EMPTY: &[u8] = b"customModes: []\n";

/// A file that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The file.
    pub file: PathBuf,
    /// The file as it was, when it had to be written anew without its comments.
    pub copy: Option<PathBuf>,
}

/// A file that was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What stands in it cannot be read, and would be lost.
    #[error("{}: {fault}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It is a link that leads out of the workspace.
    #[error("{} leads out of the workspace", .0.display())]
    Outside(PathBuf),
    /// The operating system refused.
    #[error("{}: {error}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Puts a mode into the file, in place of those of its slug.
///
/// # Errors
/// The file is as it was.
pub fn put(source: &Source, slug: &str, mode: &Value) -> Result<Changed, ChangeError> {
    put_all(source, [(slug, mode)])
}

/// Puts several modes into the file at once.
///
/// # Errors
/// The file is as it was.
pub fn put_all<'a>(
    source: &Source,
    modes: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<Changed, ChangeError> {
    let before = read(source)?;
    let mut edited = Edited { text: before.clone(), anew: false };
    for (slug, mode) in modes {
        let next = edit::put(&edited.text, slug, mode).map_err(|fault| unreadable(source, fault))?;
        edited = Edited { anew: edited.anew || next.anew, ..next };
    }
    write(source, &before, &edited)
}

/// Leaves no mode in the file. What cannot be read is kept under another name, which is given; a file that is not there is not made.
///
/// # Errors
/// The file is as it was.
pub fn clear(source: &Source) -> Result<Option<PathBuf>, ChangeError> {
    let file = &source.path;
    let failed = |error| ChangeError::Io { file: file.clone(), error };
    let copy = match read(source).and_then(|text| edit::check(&text).map_err(|fault| unreadable(source, fault))) {
        Ok(()) => None,
        Err(ChangeError::Unreadable { .. }) => {
            let copy = copy_of(file).ok_or_else(too_many_copies).map_err(failed)?;
            fs::rename(file, &copy).map_err(failed)?;
            Some(copy)
        }
        Err(error) => return Err(error),
    };
    // The older file would come back at the next start.
    if copy.is_some() || file.exists() || file.with_extension("json").exists() {
        write_atomic(file, EMPTY).map_err(failed)?;
    }
    Ok(copy)
}

/// Takes a mode out of the file; `None` when it is not there.
///
/// # Errors
/// The file is as it was.
pub fn remove(source: &Source, slug: &str) -> Result<Option<Changed>, ChangeError> {
    let before = read(source)?;
    let edited = edit::remove(&before, slug).map_err(|fault| unreadable(source, fault))?;
    edited.map(|edited| write(source, &before, &edited)).transpose()
}

fn read(source: &Source) -> Result<String, ChangeError> {
    let path = &source.path;
    let leads_out = |folder: &Path| {
        let inside = |file: PathBuf| paths::real(folder).is_some_and(|folder| file.starts_with(folder));
        !paths::real(path).is_some_and(inside)
    };
    if source.origin == Origin::Project && path.parent().is_none_or(leads_out) {
        return Err(ChangeError::Outside(path.clone()));
    }
    let bytes = source::text(path).map_err(|fault| unreadable(source, fault))?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| {
        let issue = "the file is not UTF-8".to_owned();
        unreadable(source, Fault { line: None, slug: None, place: KEY.into(), issue })
    })
}

fn unreadable(source: &Source, fault: Fault) -> ChangeError {
    ChangeError::Unreadable { file: source.path.clone(), fault }
}

fn write(source: &Source, before: &str, edited: &Edited) -> Result<Changed, ChangeError> {
    let file = source.path.clone();
    if edited.text == before && !before.is_empty() {
        return Ok(Changed { file, copy: None });
    }
    let copy = edited.anew.then(|| copy_of(&file)).flatten();
    let written = || {
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        if let Some(copy) = &copy {
            write_atomic(copy, before.as_bytes())?;
        } else if edited.anew {
            return Err(too_many_copies());
        }
        write_atomic(&file, edited.text.as_bytes())
    };
    match written() {
        Ok(()) => Ok(Changed { file, copy }),
        Err(error) => Err(ChangeError::Io { file, error }),
    }
}

fn too_many_copies() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "too many copies of the file")
}

/// A name beside the file that nothing has.
fn copy_of(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_string_lossy();
    let copies = (1..=MAX_COPIES).map(|number| file.with_file_name(format!("{name}.before-{number}")));
    copies.into_iter().find(|copy| copy.symlink_metadata().is_err())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(folder: &Path, origin: Origin) -> Source {
        Source::new(folder.join("settings/modes"), origin)
    }

    /// parity 03 §10.5: a file that cannot be read is not written over; one in an unusual style is kept as a copy
    #[test]
    fn nothing_that_stood_there_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), Origin::Global);
        let mode = json!({"slug": "a", "name": "A"});
        let changed = put(&source, "a", &mode).unwrap();
        assert_eq!(changed, Changed { file: source.path.clone(), copy: None });
        for unreadable in [&b"customModes: ["[..], b"\xff\xfe", b"- list\n"] {
            fs::write(&source.path, unreadable).unwrap();
            assert!(put(&source, "a", &mode).is_err() && remove(&source, "a").is_err());
            assert_eq!(fs::read(&source.path).unwrap(), unreadable);
        }
        let flow = "customModes: [{slug: b}] # mine\n";
        fs::write(&source.path, flow).unwrap();
        for number in 1..=2 {
            fs::write(&source.path, flow).unwrap();
            let copy = put(&source, "a", &mode).unwrap().copy.unwrap();
            assert!(copy.ends_with(format!("modes.before-{number}")));
            assert_eq!(fs::read_to_string(copy).unwrap(), flow);
        }
        assert_eq!(remove(&source, "none").unwrap(), None);
    }

    /// parity 04 §6.4: no mode is left; a file that cannot be read is kept under another name
    #[test]
    fn a_cleared_file_has_no_modes() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), Origin::Global);
        assert_eq!(clear(&source).unwrap(), None);
        assert!(!source.path.exists());
        put_all(&source, [("a", &json!({"slug": "a"})), ("b", &json!({"slug": "b"}))]).unwrap();
        assert!(fs::read_to_string(&source.path).unwrap().contains("slug: b"));
        assert_eq!(clear(&source).unwrap(), None);
        assert_eq!(fs::read(&source.path).unwrap(), EMPTY);
        for unreadable in [&b"customModes: ["[..], b"\xff"] {
            fs::write(&source.path, unreadable).unwrap();
            let copy = clear(&source).unwrap().unwrap();
            assert_eq!(
                (fs::read(copy).unwrap().as_slice(), fs::read(&source.path).unwrap().as_slice()),
                (unreadable, EMPTY)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_projects_file_that_leads_out_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), Origin::Project);
        fs::create_dir(folder.path().join("settings")).unwrap();
        fs::write(folder.path().join("outside"), "x: 1\n").unwrap();
        std::os::unix::fs::symlink(folder.path().join("outside"), &source.path).unwrap();
        assert!(matches!(put(&source, "a", &json!({})), Err(ChangeError::Outside(_))));
        assert_eq!(fs::read_to_string(folder.path().join("outside")).unwrap(), "x: 1\n");
    }

    #[test]
    fn a_file_that_was_cut_anywhere_survives_or_stays() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), Origin::Global);
        fs::create_dir(folder.path().join("settings")).unwrap();
        let whole =
            "customModes:\n  - slug: é\n    name: 'N'\n    groups: [read, [edit, {fileRegex: \"x\"}]]\nother: {a: 1}\n";
        for cut in 0..whole.len() {
            let bytes = &whole.as_bytes()[..cut];
            fs::write(&source.path, bytes).unwrap();
            let faults = source.read().faults.len();
            assert_eq!(fs::read(&source.path).unwrap(), bytes);
            match put(&source, "b", &json!({"slug": "b"})) {
                Ok(_) => assert!(source.read().usable),
                Err(_) => assert!(faults > 0 && fs::read(&source.path).unwrap() == bytes, "{cut}"),
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_survive_or_stay(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let source = source(folder.path(), Origin::Global);
            fs::create_dir(folder.path().join("settings")).unwrap();
            fs::write(&source.path, &bytes).unwrap();
            source.read();
            match put(&source, "a", &json!({"slug": "a"})) {
                Ok(_) => proptest::prop_assert!(source.read().usable),
                Err(_) => proptest::prop_assert_eq!(fs::read(&source.path).unwrap(), bytes),
            }
        }
    }
}
