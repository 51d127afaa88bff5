//! Files of older versions in `settings/` of the engine's storage, under their present names (spec 04 §6.2).
//!
//! A file only goes where nothing is: it is linked to its new name, which fails when that is taken, and then loses the old one. Engines
//! that start at once, or are killed on the way, therefore neither lose a file nor write over one; the next start goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::stored;
use super::surroundings;
use crate::settings::modes::{file, yaml};
use crate::workspace::write::write_atomic;

/// Old and present names.
const RENAMED: [(&str, &str); 2] =
    [("cline_custom_modes.json", MODES_JSON), ("cline_mcp_settings.json", "mcp_settings.json")];
/// The user's modes before they were YAML. It stays where it is.
const MODES_JSON: &str = "custom_modes.json";

/// A file that stays as it is.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}; the file stays where it is", file.display())]
pub struct Left {
    file: PathBuf,
    message: String,
}

/// Gives files of older versions their present names. What could not be used is left alone and named.
pub fn rename(storage: &Path) -> Vec<Left> {
    let folder = storage.join("settings");
    if !folder.is_dir() {
        return Vec::new();
    }
    let mut left = Vec::new();
    let mut note =
        |file: PathBuf, done: Result<(), String>| left.extend(done.err().map(|message| Left { file, message }));
    for (old, new) in RENAMED.map(|(old, new)| (folder.join(old), folder.join(new))) {
        let done = rename_one(&old, &new);
        note(old, done);
    }
    let json = folder.join(MODES_JSON);
    let done = modes_as_yaml(&json, &file::global_file(storage));
    note(json, done);
    left
}

fn rename_one(old: &Path, new: &Path) -> Result<(), String> {
    if !is_usable(old)? {
        return Ok(());
    }
    match link(old, new) {
        Ok(()) => remove(old),
        // An engine that was killed here left both names.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if is_same(old, new) {
                remove(old)
            } else {
                Ok(())
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether there is a file that can be opened; a path with nothing is none.
fn is_usable(file: &Path) -> Result<bool, String> {
    let opened = match fs::metadata(file) {
        Ok(metadata) if !metadata.is_file() => return Err("this is not a file".to_owned()),
        found => found.and_then(|_| fs::File::open(file)),
    };
    match opened {
        Ok(_) => Ok(true),
        // Another engine may take it away between the two.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// A second name for a file, if that is free.
fn link(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        // On file systems without links two engines may still meet between these lines; both would write the same.
        Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            if name.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(file, name)
        }
        other => other,
    }
}

fn remove(file: &Path) -> Result<(), String> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| path.symlink_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(not(unix))]
fn is_same(_: &Path, _: &Path) -> bool {
    false
}

/// Writes the modes of the JSON file as YAML, all of them, also those that are faulty.
fn modes_as_yaml(json: &Path, yaml_file: &Path) -> Result<(), String> {
    if yaml_file.symlink_metadata().is_ok() || !is_usable(json)? {
        return Ok(());
    }
    let text = stored::read_text(json).map_err(|error| error.to_string())?;
    if text.len() > file::MAX_FILE {
        return Err(format!("the file is larger than {} bytes", file::MAX_FILE));
    }
    let document = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    // A whole file, which then gets its name in one step.
    let whole = yaml_file.with_extension(format!("yaml.{}.tmp", surroundings::random_name()));
    let written = write_atomic(&whole, yaml::document(&document).as_bytes()).and_then(|()| link(&whole, yaml_file));
    let removed = remove(&whole);
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.to_string()),
        _ => removed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn storage(files: &[(&str, &str)]) -> tempfile::TempDir {
        let storage = tempfile::tempdir().unwrap();
        fs::create_dir(storage.path().join("settings")).unwrap();
        files.iter().for_each(|(name, text)| fs::write(storage.path().join("settings").join(name), text).unwrap());
        storage
    }

    fn names(storage: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(storage.join("settings"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn text(storage: &Path, name: &str) -> String {
        fs::read_to_string(storage.join("settings").join(name)).unwrap()
    }

    fn left(storage: &Path) -> Vec<String> {
        rename(storage).iter().map(Left::to_string).collect()
    }

    /// parity 04 §6.2: old names become the present ones, and the user's modes YAML; a second start changes nothing
    #[test]
    fn old_files_get_their_present_names_once() {
        let modes = json!({"customModes": [{"slug": "a", "name": "A"}, {"slug": 5, "more": "x: y"}], "other": null});
        let old = storage(&[("cline_custom_modes.json", &modes.to_string()), ("cline_mcp_settings.json", "{\"mcp")]);
        for _ in 0..2 {
            assert!(rename(old.path()).is_empty());
            assert_eq!(names(old.path()), ["custom_modes.json", "custom_modes.yaml", "mcp_settings.json"]);
            assert_eq!(text(old.path(), "custom_modes.json"), modes.to_string());
            assert_eq!(text(old.path(), "mcp_settings.json"), "{\"mcp");
            let yaml: Value = serde_saphyr::from_str(&text(old.path(), "custom_modes.yaml")).unwrap();
            assert_eq!(yaml, modes);
        }
        let nothing = tempfile::tempdir().unwrap();
        assert!(rename(nothing.path()).is_empty() && fs::read_dir(nothing.path()).unwrap().next().is_none());
    }

    /// parity 04 §6.2: no file is written over
    #[test]
    fn files_that_are_there_stay() {
        let files = [
            ("cline_custom_modes.json", "{\"customModes\": 1}"),
            ("cline_mcp_settings.json", "old"),
            ("custom_modes.json", "{\"customModes\": 2}"),
            ("custom_modes.yaml", "customModes: []\n"),
            ("mcp_settings.json", "new"),
        ];
        let old = storage(&files);
        assert!(rename(old.path()).is_empty());
        files.iter().for_each(|(name, before)| assert_eq!(text(old.path(), name), *before));
        assert_eq!(names(old.path()).len(), files.len());
    }

    /// parity 04 §6.2: what cannot be read stays where it is and is named
    #[test]
    fn what_cannot_be_read_is_left_and_named() {
        for broken in ["{\"customModes\":\n ", "[]", "customModes: []", ""] {
            let old = storage(&[("custom_modes.json", broken)]);
            let told = left(old.path());
            assert!(told.len() == 1 && told[0].contains("custom_modes.json: "), "{told:?}");
            assert_eq!((names(old.path()).len(), text(old.path(), "custom_modes.json").as_str()), (1, broken));
        }
        let old = storage(&[]);
        fs::create_dir(old.path().join("settings/cline_mcp_settings.json")).unwrap();
        fs::write(old.path().join("settings/custom_modes.json"), b"\xff").unwrap();
        assert_eq!(left(old.path()).len(), 2);
        assert_eq!(names(old.path()), ["cline_mcp_settings.json", "custom_modes.json"]);
        fs::write(old.path().join("settings/custom_modes.json"), vec![b' '; file::MAX_FILE + 1]).unwrap();
        assert!(left(old.path())[1].contains("larger than"));
    }

    #[cfg(unix)]
    #[test]
    fn an_engine_that_was_killed_on_the_way_is_taken_up() {
        let old = storage(&[("cline_mcp_settings.json", "{}")]);
        let folder = old.path().join("settings");
        fs::hard_link(folder.join("cline_mcp_settings.json"), folder.join("mcp_settings.json")).unwrap();
        assert!(rename(old.path()).is_empty());
        assert_eq!(names(old.path()), ["mcp_settings.json"]);
    }

    #[test]
    fn engines_that_start_at_once_agree() {
        for _ in 0..20 {
            let old =
                storage(&[("cline_custom_modes.json", "{\"customModes\": []}"), ("cline_mcp_settings.json", "{}")]);
            std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| left(old.path()))).collect();
                starts.into_iter().for_each(|start| assert_eq!(start.join().unwrap(), [""; 0]));
            });
            assert!(rename(old.path()).is_empty());
            assert_eq!(names(old.path()), ["custom_modes.json", "custom_modes.yaml", "mcp_settings.json"]);
        }
    }
}
