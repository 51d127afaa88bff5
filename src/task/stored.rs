//! Reading what is stored of a task, ours or the reference's (spec 01 §2, spec 02 §13, spec 04 §9.1). Nothing that cannot be read is
//! written over.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::conversation::Conversation;
use super::store::{Found, Place, changes_name, read_list, write_atomic};
use crate::protocol::message::ApiMessage;
use crate::settings::Settings;

/// UI conversation.
pub const UI_FILE: &str = "ui_messages.json";
/// API conversation.
pub const API_FILE: &str = "api_conversation_history.json";
/// API conversation of old versions.
const LEGACY_API_FILE: &str = "claude_messages.json";

/// What the files of a task hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub ui: Conversation,
    pub api: Vec<ApiMessage>,
    /// Some of the changes beside the files could not be read.
    pub unread: bool,
    /// The files may not hold all of it yet.
    pub ahead: bool,
}

/// Why a stored task cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It has no API conversation.
    #[error("the task's files are gone")]
    Missing,
    /// A file is there and cannot be read, or is no conversation.
    #[error("`{}` cannot be read: {cause}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
}

/// Where `tasks/` is: the folder of the setting `customStoragePath` if it is usable, else `storage`. Creates the folder.
///
/// # Errors
/// The custom folder cannot be used; `storage` takes its place.
pub fn base<'a>(settings: &'a Settings, storage: &'a Path) -> Result<&'a Path, &'a Path> {
    let Some(custom) = settings.option_str("customStoragePath").map(Path::new) else { return Ok(storage) };
    if custom.is_absolute() && std::fs::create_dir_all(custom).is_ok() && is_usable(custom) {
        Ok(custom)
    } else {
        Err(custom)
    }
}

/// The folder of this task; see [`base`].
pub fn folder(settings: &Settings, storage: &Path, task: &str) -> PathBuf {
    base(settings, storage).unwrap_or(storage).join("tasks").join(task)
}

#[cfg(unix)]
fn is_usable(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_usable(folder: &Path) -> bool {
    std::fs::metadata(folder).is_ok_and(|metadata| metadata.is_dir() && !metadata.permissions().readonly())
}

/// Both conversations. An API conversation under its old name gets the new one.
///
/// # Errors
/// As [`StoreError`] says.
pub(super) async fn read(folder: PathBuf) -> Result<Stored, StoreError> {
    tokio::task::spawn_blocking(move || {
        adopt_legacy(&folder);
        let (api, unread) = read_api(&folder)?.ok_or(StoreError::Missing)?;
        let (ui, unread_ui) = read_ui(&folder)?;
        Ok(Stored { ui, api, unread: unread || unread_ui, ahead: false })
    })
    .await
    .unwrap_or(Err(StoreError::Missing))
}

/// Both conversations as they are stored, for whoever only shows them: UI, API. Blocks on the disk.
///
/// # Errors
/// As [`StoreError`] says.
pub fn read_as_stored(folder: &Path) -> Result<(Vec<Value>, Vec<Value>), StoreError> {
    adopt_legacy(folder);
    let (api, _) = listed(folder, API_FILE)?.ok_or(StoreError::Missing)?;
    Ok((listed(folder, UI_FILE)?.unwrap_or_default().0, api))
}

/// What there is of both conversations: of a task that was just begun, only one may be there. A damaged file is set aside, since
/// the session that goes on writes its own.
pub(super) async fn read_begun(folder: PathBuf) -> Stored {
    let read = move || {
        let damaged = |name: &str| {
            set_aside(&folder.join(name));
            set_aside(&folder.join(changes_name(name)));
        };
        let (ui, unread) = read_ui(&folder).inspect_err(|_| damaged(UI_FILE)).unwrap_or_default();
        let api = read_api(&folder).inspect_err(|_| damaged(API_FILE)).ok().flatten();
        let (api, unread_api) = api.unwrap_or_default();
        Stored { ui, api, unread: unread || unread_api, ahead: false }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// Gives a file that cannot be read another name, `<name>.damaged-<n>`; `None` when that fails too.
pub fn set_aside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let free = (1..1000).map(|n| file.with_file_name(format!("{name}.damaged-{n}"))).find(|path| !path.exists())?;
    std::fs::rename(file, &free).ok().map(|()| free)
}

/// The UI conversation, empty without its file, and whether some of its changes could not be read.
pub(super) fn read_ui(folder: &Path) -> Result<(Conversation, bool), StoreError> {
    let mut ui = Conversation::default();
    let found = list(folder, UI_FILE, |index, json, place| {
        serde_json::from_slice(json).is_ok_and(|message| ui.place(index, message, place))
    })?;
    Ok((ui, found == Some(Found::Unread)))
}

/// The API conversation and whether some of its changes could not be read; `None` without its file.
pub(super) fn read_api(folder: &Path) -> Result<Option<(Vec<ApiMessage>, bool)>, StoreError> {
    listed(folder, API_FILE)
}

/// A list as its file would hold it, were the changes beside it taken in, and whether some of these could not be read; `None`
/// without the file.
fn listed<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<(Vec<T>, bool)>, StoreError> {
    let mut all: Vec<T> = Vec::new();
    let found = list(folder, name, |index, json, _| {
        let Ok(element) = serde_json::from_slice(json) else { return false };
        match all.get_mut(index) {
            Some(older) => *older = element,
            None => all.push(element),
        }
        true
    })?;
    Ok(found.map(|found| (all, found == Found::Unread)))
}

/// [`read_list`]; `None` without the file.
fn list(folder: &Path, name: &str, take: impl FnMut(usize, &[u8], Place) -> bool) -> Result<Option<Found>, StoreError> {
    match read_list(folder, name, take) {
        Ok(found) => Ok(Some(found)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(StoreError::Damaged { file: folder.join(name), cause: cause.to_string() }),
    }
}

/// Gives an API conversation of an old version its present name.
fn adopt_legacy(folder: &Path) {
    let legacy = folder.join(LEGACY_API_FILE);
    if folder.join(API_FILE).exists() {
        return;
    }
    let Ok(bytes) = std::fs::read(&legacy) else { return };
    // The old file goes once the new one is there, and stays if it holds no conversation.
    let sound = serde_json::from_slice::<Vec<Value>>(&bytes).is_ok();
    if sound && write_atomic(folder, API_FILE, &bytes, "legacy").is_ok() {
        let _ = std::fs::remove_file(legacy);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(custom: &Path) -> Settings {
        serde_json::from_value(json!({ "customStoragePath": custom })).expect("settings")
    }

    /// parity 04 §9.1: a folder that cannot be used leaves the usual one
    /// parity 04 §checklist.12: a folder that cannot be used leaves the usual one
    #[test]
    fn a_custom_folder_is_used_if_it_is_usable() {
        let root = tempfile::tempdir().expect("a folder");
        let (global, custom, file) = (root.path().join("global"), root.path().join("a/b"), root.path().join("file"));
        std::fs::write(&file, "").expect("written");
        assert_eq!(folder(&Settings::default(), &global, "t"), global.join("tasks/t"));
        assert_eq!(folder(&settings(&custom), &global, "t"), custom.join("tasks/t"));
        assert!(custom.is_dir());
        for unusable in [file.join("below"), file, PathBuf::from("relative")] {
            assert_eq!(base(&settings(&unusable), &global), Err(unusable.as_path()));
            assert_eq!(folder(&settings(&unusable), &global, "t"), global.join("tasks/t"));
        }
    }

    #[tokio::test]
    async fn damage_is_named_and_stays_as_it_is() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().to_owned();
        assert!(matches!(read(folder.clone()).await, Err(StoreError::Missing)));
        for (damaged, sound) in [(API_FILE, UI_FILE), (UI_FILE, API_FILE), (LEGACY_API_FILE, UI_FILE)] {
            let _ = std::fs::remove_file(folder.join(API_FILE));
            std::fs::write(folder.join(damaged), "[{").expect("written");
            std::fs::write(folder.join(sound), "[]").expect("written");
            match read(folder.clone()).await {
                Err(StoreError::Damaged { file, .. }) => assert_eq!(file, folder.join(damaged)),
                Err(StoreError::Missing) => assert_eq!(damaged, LEGACY_API_FILE),
                Ok(_) => panic!("{damaged} was read"),
            }
            assert_eq!(std::fs::read(folder.join(damaged)).expect("there"), b"[{");
        }
    }

    #[tokio::test]
    async fn a_session_that_goes_on_sets_damage_aside() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join(UI_FILE), "[{").expect("written");
        let stored = read_begun(root.path().to_owned()).await;
        assert_eq!((stored.ui.len(), stored.api.len()), (0, 0));
        assert_eq!(std::fs::read(root.path().join("ui_messages.json.damaged-1")).expect("there"), b"[{");
        assert!(!root.path().join(UI_FILE).exists());
    }
}
