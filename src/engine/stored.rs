//! Settings on disk, in `settings/` of the engine's storage: `settings.json`, an object of settings, and `profiles.json`, the store of
//! profiles. Both may hold keys and are for the user alone. What cannot be read is told and never written over.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use super::surroundings;
use crate::settings::profiles::store::{ProfileStore, Reading, StoreError, new_id};
use crate::settings::reference::Reference;
use crate::settings::schema::{self, Problem, line_of};
use crate::settings::transfer;
use crate::workspace::reading;
use crate::workspace::write::write_atomic;

/// Problems of a file that are told one by one: each looks for its line in all of the text.
const MOST_TOLD: usize = 32;
/// Largest file that is read.
const SIZE_LIMIT: u64 = 16 << 20;
/// The user's settings.
const SETTINGS_FILE: &str = "settings.json";
/// The store of profiles.
const PROFILES_FILE: &str = "profiles.json";

/// The files of one engine. Changes are made one after the other, each on what the file then holds.
pub struct StoredSettings {
    folder: PathBuf,
    changing: Mutex<()>,
    watched: AtomicBool,
}

/// What the files hold that can be used.
pub struct Found {
    /// Settings.
    pub settings: Map<String, Value>,
    /// Profiles; `None`: there is no store yet, or it cannot be read.
    pub profiles: Option<ProfileStore>,
    /// What is wrong, with file and line.
    pub problems: Vec<String>,
}

/// Files that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// By its content.
    #[error("{file}: {error}")]
    Damaged {
        /// Which.
        file: String,
        /// Where and what.
        error: StoreError,
    },
    /// By the system.
    #[error("{file}: {cause}")]
    System {
        /// Which.
        file: String,
        /// What it said.
        cause: io::Error,
    },
}

impl StoredSettings {
    /// The files below this storage folder.
    pub fn new(storage: &Path) -> StoredSettings {
        StoredSettings { folder: storage.join("settings"), changing: Mutex::default(), watched: AtomicBool::new(false) }
    }

    /// Whether the folder is there to be watched, and nobody does. From then on somebody does.
    pub fn begins_watch(&self) -> bool {
        self.folder.is_dir() && !self.watched.swap(true, Ordering::AcqRel)
    }

    /// The file of settings.
    pub fn settings_file(&self) -> PathBuf {
        self.folder.join(SETTINGS_FILE)
    }

    /// The file of profiles.
    pub fn profiles_file(&self) -> PathBuf {
        self.folder.join(PROFILES_FILE)
    }

    /// What the files hold. Values that are wrong are left out and told. `providers` are those of the user's own tables.
    pub fn load(&self, providers: &[String]) -> Found {
        let _changing = self.changing();
        let mut problems = Vec::new();
        let file = self.settings_file();
        let mut settings = match migrated(&file).and_then(|()| read_usable(&file, &mut problems)) {
            Ok(settings) => settings,
            Err(error) => {
                problems.push(error.to_string());
                Map::new()
            }
        };
        if !settings.is_empty() {
            transfer::migrate(&mut settings);
        }
        let file = self.profiles_file();
        let profiles = match read_text(&file) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => match read_store(&file, &text, providers) {
                Ok((mut store, wrong)) => {
                    problems.extend(wrong);
                    if store.migrate(&settings) {
                        // It is made again the next time, if it cannot be kept.
                        let _ = write(&file, &store.to_value());
                    }
                    Some(store)
                }
                Err(error) => {
                    problems.push(error.to_string());
                    None
                }
            },
            Err(error) => {
                problems.push(error.to_string());
                None
            }
        };
        Found { settings, profiles, problems }
    }

    /// Changes the settings on disk.
    ///
    /// # Errors
    /// The file cannot be read or written; it is as it was.
    pub fn change_settings(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), StoredError> {
        let _changing = self.changing();
        let file = self.settings_file();
        let (mut settings, _) = read_object(&file)?;
        transfer::migrate(&mut settings);
        change(&mut settings);
        write(&file, &Value::Object(settings))
    }

    /// The store of profiles; a fresh one when there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn profiles(&self, providers: &[String]) -> Result<(ProfileStore, Vec<String>), StoredError> {
        let _changing = self.changing();
        let file = self.profiles_file();
        read_store(&file, &read_text(&file)?, providers)
    }

    /// Changes the store of profiles. A change that is refused leaves it as it was.
    ///
    /// # Errors
    /// The file cannot be read or written. Inside: what the change says.
    pub fn change_profiles<T, E>(
        &self,
        providers: &[String],
        change: impl FnOnce(&mut ProfileStore, Reading<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoredError> {
        let _changing = self.changing();
        let file = self.profiles_file();
        let (mut store, _) = read_store(&file, &read_text(&file)?, providers)?;
        let done = change(&mut store, Reading { providers, new_id: &fresh_id });
        if done.is_ok() {
            write(&file, &store.to_value())?;
        }
        Ok(done)
    }

    /// Whether both files can be changed.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn changeable(&self, providers: &[String]) -> Result<(), StoredError> {
        let _changing = self.changing();
        read_object(&self.settings_file())?;
        read_store(&self.profiles_file(), &read_text(&self.profiles_file())?, providers).map(drop)
    }

    /// Entries of the keyring that the files refer to; none of a file that cannot be read.
    pub fn keyring_entries(&self) -> BTreeSet<String> {
        let _changing = self.changing();
        let mut entries = BTreeSet::new();
        for file in [self.settings_file(), self.profiles_file()] {
            if let Ok((values, _)) = read_object(&file) {
                values.values().for_each(|value| gather_entries(value, &mut entries));
            }
        }
        entries
    }

    /// Empties both.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn reset(&self) -> Result<(), StoredError> {
        let _changing = self.changing();
        for file in [self.settings_file(), self.profiles_file()] {
            match fs::remove_file(&file) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(system(&file, cause)),
                _ => {}
            }
        }
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gather_entries(value: &Value, entries: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(Reference::Keyring(entry)) = Reference::parse(text) {
                entries.insert(entry.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather_entries(item, entries)),
        Value::Object(fields) => fields.values().for_each(|field| gather_entries(field, entries)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An id for a profile.
pub fn fresh_id() -> String {
    new_id(surroundings::random())
}

/// Brings a file of old settings into its new form.
fn migrated(file: &Path) -> Result<(), StoredError> {
    let (mut settings, _) = read_object(file)?;
    if transfer::migrate(&mut settings) {
        // It is done again the next time, if it cannot be kept.
        let _ = write(file, &Value::Object(settings));
    }
    Ok(())
}

/// The settings of a file that are what they should be; none of a file that is not there. `problems` gets what is wrong.
///
/// # Errors
/// The file cannot be read.
pub fn read_usable(file: &Path, problems: &mut Vec<String>) -> Result<Map<String, Value>, StoredError> {
    let (settings, text) = read_object(file)?;
    Ok(usable(file, settings, &text, problems))
}

/// The settings of a file that are what they should be; the others are told.
fn usable(file: &Path, mut settings: Map<String, Value>, text: &str, problems: &mut Vec<String>) -> Map<String, Value> {
    let found = schema::check(&settings);
    problems.extend(told(file, text, &found, ""));
    for name in found.iter().filter_map(|problem| problem.path.first()) {
        settings.shift_remove(name);
    }
    settings
}

/// Problems of a file in words, with their lines; of very many the first.
fn told(file: &Path, text: &str, problems: &[Problem], what_becomes: &str) -> Vec<String> {
    let file = file.display();
    let one = |problem: &Problem| format!("{file}:{}: {problem}{what_becomes}", line_of(text, &problem.path));
    let mut told: Vec<String> = problems.iter().take(MOST_TOLD).map(one).collect();
    if problems.len() > MOST_TOLD {
        told.push(format!("{file}: {} more of the kind", problems.len() - MOST_TOLD));
    }
    told
}

fn read_store(file: &Path, text: &str, providers: &[String]) -> Result<(ProfileStore, Vec<String>), StoredError> {
    let (store, problems) = ProfileStore::read(text, Reading { providers, new_id: &fresh_id })
        .map_err(|error| StoredError::Damaged { file: file.display().to_string(), error })?;
    Ok((store, told(file, text, &problems, "; this is left out")))
}

/// A JSON object, with its text. An absent or empty file is an empty one.
fn read_object(file: &Path) -> Result<(Map<String, Value>, String), StoredError> {
    let text = read_text(file)?;
    if text.trim().is_empty() {
        return Ok((Map::new(), text));
    }
    let damaged =
        |line, message| StoredError::Damaged { file: file.display().to_string(), error: StoreError { line, message } };
    match serde_json::from_str(&text) {
        Ok(Value::Object(settings)) => Ok((settings, text)),
        Ok(_) => Err(damaged(1, "must be an object".to_owned())),
        Err(error) => {
            let message = error.to_string();
            Err(damaged(error.line(), message.split(" at line ").next().unwrap_or_default().to_owned()))
        }
    }
}

/// A text; empty for a file that is not there.
///
/// # Errors
/// It is no file, larger than 16 MiB, or cannot be read.
pub fn read_text(file: &Path) -> Result<String, StoredError> {
    let bytes = match reading::read_at_most(file, SIZE_LIMIT) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(cause) => return Err(system(file, cause)),
    };
    String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(before).filter(|byte| **byte == b'\n').count();
        StoredError::Damaged {
            file: file.display().to_string(),
            error: StoreError { line, message: "is not UTF-8".into() },
        }
    })
}

/// Writes a file for the user alone, whole.
pub fn write(file: &Path, value: &Value) -> Result<(), StoredError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| system(file, error.into()))? + "\n";
    write_private(file, text.as_bytes()).map_err(|cause| system(file, cause))
}

/// Replaces a file whole; only the user may read it, from its first byte on.
pub fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let existing = options.open(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        existing.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    drop(existing);
    // What replaces the file has its permissions from the beginning.
    write_atomic(file, content)
}

fn system(file: &Path, cause: io::Error) -> StoredError {
    StoredError::System { file: file.display().to_string(), cause }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::profiles::store::{ProfileError, Which};

    fn stored() -> (tempfile::TempDir, StoredSettings) {
        let folder = tempfile::tempdir().unwrap();
        let stored = StoredSettings::new(folder.path());
        (folder, stored)
    }

    /// parity 04 §9: what the files are, and that nobody else reads them
    #[test]
    fn what_is_written_is_for_the_user_alone_and_read_again() {
        let (_folder, stored) = stored();
        stored.change_settings(|settings| drop(settings.insert("mode".into(), "ask".into()))).unwrap();
        let saved = stored.change_profiles(&[], |store, with| {
            let profile = json!({"apiProvider": "xai", "xaiApiKey": "sk-1"});
            store.save("work", profile.as_object().cloned().unwrap_or_default(), with)
        });
        let id = saved.unwrap().unwrap();
        let found = stored.load(&[]);
        assert_eq!((found.settings["mode"].as_str(), found.problems), (Some("ask"), vec![]));
        let profiles = found.profiles.unwrap();
        assert_eq!(profiles.get(Which::Id(&id)).map(|(name, _)| name), Ok("work"));
        #[cfg(unix)]
        for file in [stored.settings_file(), stored.profiles_file()] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        assert_eq!(fs::read_dir(stored.settings_file().parent().unwrap()).unwrap().count(), 2);
        stored.reset().unwrap();
        assert!(stored.load(&[]).profiles.is_none());
    }

    /// parity 04 §9.4: files that cannot be read are told with their line and not written over
    #[test]
    fn damaged_files_are_told_and_left_alone() {
        let (_folder, stored) = stored();
        fs::create_dir_all(stored.settings_file().parent().unwrap()).unwrap();
        for (content, line) in [("{\"mode\":\n nonsense", "line 2"), ("[]", "line 1"), ("\u{feff}{}", "line 1")] {
            fs::write(stored.settings_file(), content).unwrap();
            fs::write(stored.profiles_file(), content).unwrap();
            let found = stored.load(&[]);
            assert!(found.settings.get("mode").is_none() && found.profiles.is_none(), "{content}");
            assert!(
                found.problems.len() == 2 && found.problems.iter().all(|problem| problem.contains(line)),
                "{:?}",
                found.problems
            );
            assert!(stored.change_settings(Map::clear).is_err());
            assert!(stored.change_profiles(&[], |store, _| store.activate("default", None)).is_err());
            assert_eq!(fs::read_to_string(stored.settings_file()).unwrap(), content);
            assert_eq!(fs::read_to_string(stored.profiles_file()).unwrap(), content);
        }
        fs::write(stored.settings_file(), b"{\n\"mode\": \"\xff\xfe").unwrap();
        let told = stored.load(&[]).problems;
        assert!(told.len() == 2 && told[0].ends_with("settings.json: line 2: is not UTF-8"), "{told:?}");
        fs::write(stored.settings_file(), vec![b' '; SIZE_LIMIT as usize + 1]).unwrap();
        let told = stored.load(&[]).problems;
        assert!(told[0].ends_with("larger than 16777216 bytes"), "{told:?}");
        fs::remove_file(stored.settings_file()).unwrap();
        fs::create_dir(stored.settings_file()).unwrap();
        assert!(stored.load(&[]).problems[0].ends_with("is a directory"));
    }

    /// parity 04 §6.2: old settings are brought into their new form once, in the file too
    #[test]
    fn old_settings_are_brought_forward_once() {
        let (_folder, stored) = stored();
        fs::create_dir_all(stored.settings_file().parent().unwrap()).unwrap();
        let on_disk =
            || -> Value { serde_json::from_str(&fs::read_to_string(stored.settings_file()).unwrap()).unwrap() };
        fs::write(stored.settings_file(), "{\"mode\":\n5}").unwrap();
        stored.load(&[]);
        assert_eq!(on_disk(), json!({"mode": 5}), "nothing to bring forward");
        fs::write(stored.settings_file(), "{\"allowedCommands\": [\"tsc\", \"ls\"],\n\"mode\": 5}").unwrap();
        let found = stored.load(&[]);
        assert_eq!(found.settings["allowedCommands"], json!(["ls"]));
        assert!(
            found.problems[0].contains("settings.json:5: mode"),
            "the line of the file as it is now: {:?}",
            found.problems
        );
        let kept = json!({"allowedCommands": ["ls"], "mode": 5, "defaultCommandsMigrationCompleted": true});
        assert_eq!(on_disk(), kept);
        stored.change_settings(|settings| drop(settings.insert("allowedCommands".into(), json!(["tsc"])))).unwrap();
        assert_eq!(stored.load(&[]).settings["allowedCommands"], json!(["tsc"]));
    }

    #[test]
    fn a_wrong_value_is_left_out_told_and_kept() {
        let (_folder, stored) = stored();
        fs::create_dir_all(stored.settings_file().parent().unwrap()).unwrap();
        fs::write(stored.settings_file(), "{\n\"mode\": 5,\n\"language\": \"de\",\n\"unheardOf\": [1]}").unwrap();
        let found = stored.load(&[]);
        assert!(found.settings.get("mode").is_none() && found.settings["language"] == "de");
        assert!(found.problems[0].ends_with("settings.json:2: mode: must be a text"), "{:?}", found.problems);
        stored.change_settings(|settings| drop(settings.insert("language".into(), "fr".into()))).unwrap();
        let kept: Value = serde_json::from_str(&fs::read_to_string(stored.settings_file()).unwrap()).unwrap();
        assert_eq!((&kept["mode"], &kept["language"], &kept["unheardOf"]), (&json!(5), &json!("fr"), &json!([1])));
    }

    /// parity 04 §quirks.17: each operation reads the file anew; engines that take turns see what the other wrote
    #[test]
    fn engines_that_take_turns_lose_nothing() {
        let (folder, one) = stored();
        let other = StoredSettings::new(folder.path());
        for (at, stored) in [&one, &other, &one, &other].into_iter().enumerate() {
            stored.change_settings(|settings| drop(settings.insert(format!("k{at}"), at.into()))).unwrap();
            let profile = json!({"apiProvider": "xai"}).as_object().cloned().unwrap();
            stored.change_profiles(&[], |store, with| store.save(&format!("p{at}"), profile, with)).unwrap().unwrap();
        }
        let found = one.load(&[]);
        assert!((0..4).all(|at| found.settings[&format!("k{at}")] == at));
        assert_eq!(found.profiles.unwrap().profiles().len(), 5);
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let (_folder, stored) = stored();
        let refused = stored.change_profiles(&[], |store, _| store.delete("default", None)).unwrap();
        assert_eq!(refused, Err(ProfileError::Last));
        assert!(!stored.profiles_file().exists());
    }
}
