//! Settings that are kept: the files of `stored` in force, and the requests that change them (spec 04 §5, §6).

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::core::Core;
use super::modes;
use super::old_files;
use super::router::{Outcome, object, setting_refused, stale};
use super::rules;
use super::settings::public_view;
use super::stored::{self, StoredError};
use crate::protocol::event::{Event, Log, LogLevel, RequestFailed, SettingsChanged};
use crate::protocol::failure::ErrorKind;
use crate::protocol::request;
use crate::providers::catalogue;
use crate::settings::profiles::store::{ProfileError, ProfileStore, Reading, Which};
use crate::settings::schema::{self, Scope, is_of_profile};
use crate::settings::secrets::{blot, is_secret, shown};
use crate::settings::setters;
use crate::settings::transfer;
use crate::task::host::SettingsSource;

/// Settings that the store of profiles keeps; they are changed by requests of their own.
const OF_THE_STORE: [&str; 3] = ["apiConfigs", "modeApiConfigs", "listApiConfigMeta"];
/// A workspace's own settings.
const PROJECT_FILE: &str = ".kilocode/settings.json";
/// Names the profile in force.
const IN_FORCE: &str = "currentApiConfigName";

/// Something to know about settings.
#[derive(Debug, thiserror::Error)]
enum Notice {
    #[error("`{0}` is no known setting; it is kept, without effect")]
    Unknown(String),
    #[error("{1}: `{0}` is no setting that a workspace may bring; it is left out")]
    NotForWorkspaces(String, String),
    #[error("imported {0}")]
    Imported(String),
    #[error("{0} was not imported: {1}")]
    NotImported(String, String),
    #[error("the secret `{0}` is still in the keyring: {1}")]
    SecretLeft(String, String),
    #[error("modes that could not be read are kept in {0}")]
    ModesKept(String),
}

/// `settings.get`: values in force, of the engine or of a session.
pub fn get(core: &Core, client: &Attachment, get: &request::SettingsGet) -> Outcome {
    let current = match get.session {
        None => core.settings.current(),
        Some(id) => core.session(id, client).ok_or_else(|| stale("session"))?.settings.current(),
    };
    Ok(json!({"values": public_view(&current, &get.keys)}))
}

/// `settings.set` without `save`: values that count until the engine or the session ends.
pub fn set(core: &Core, client: &Attachment, set: &request::SettingsSet) -> Outcome {
    let mut values = object(Some(&set.values), "settings.set.values")?;
    setters::put_right(&mut values);
    let names: Vec<String> = values.keys().cloned().collect();
    let values = values.into();
    match set.session {
        None => core.settings.set(values).inspect(|()| announce_changed(core, names.clone())),
        Some(id) => {
            let session = core.session(id, client).ok_or_else(|| stale("session"))?;
            session.settings.set(values)
        }
    }
    .map_err(|error| setting_refused(&error, "settings.set.values"))?;
    tell_unknown(core, names);
    Ok(Value::Null)
}

/// Puts the files in force when the engine opens: those of older versions under their present names, then what is to be imported at
/// every start.
pub fn open(core: &Core) {
    for left in old_files::rename(&core.storage) {
        tell_once(core, left.to_string());
    }
    drop(put_in_force(core));
    let setting = core.settings.current().option_str("autoImportSettingsPath").map(str::to_owned);
    let path = setting.and_then(|setting| transfer::auto_import_path(&setting, core.home()));
    let Some(path) = path.filter(|path| path.exists()) else { return };
    let named = path.display().to_string();
    let outcome = stored::read_text(&path).map_err(io_failed).and_then(|text| import(core, &text));
    match outcome {
        Ok(_) => tell(core, LogLevel::Info, &Notice::Imported(named)),
        Err(failed) => tell(core, LogLevel::Warning, &Notice::NotImported(named, failed.message)),
    }
}

/// Puts files that somebody else changes in force, from now on. Nothing is watched before there is a folder to watch.
pub fn watch(core: &Arc<Core>) {
    if !core.stored.begins_watch() {
        return;
    }
    let files = core.open_watch();
    files.add(&core.stored.settings_file());
    files.add(&core.stored.profiles_file());
    let weak = Arc::downgrade(core);
    core.runtime.spawn(async move {
        loop {
            files.stirred().await;
            let changed = files.changed(false).await;
            let Some(core) = weak.upgrade().filter(|core| !core.is_closed()) else { return };
            if !changed.is_empty() {
                // A panic would be a bug of ours; the next change is looked at all the same.
                let _ = core.runtime.clone().spawn_blocking(move || load(&core)).await;
            }
        }
    });
}

/// What a workspace's own settings file may say (`.kilocode/settings.json`). It is not trusted: what is not for workspaces to
/// say, wrong or unknown, is left out and told.
pub fn of_workspace(core: &Core, cwd: &Path) -> Map<String, Value> {
    let file = cwd.join(PROJECT_FILE);
    let mut problems = Vec::new();
    let settings = match stored::read_usable(&file, &mut problems) {
        Ok(settings) => settings,
        Err(error) => {
            tell_once(core, error.to_string());
            return Map::new();
        }
    };
    problems.into_iter().for_each(|problem| tell_once(core, problem));
    let may = |name: &str| schema::schema().key(name).is_some_and(|key| key.project);
    let (allowed, others): (Map<_, _>, Map<_, _>) = settings.into_iter().partition(|(name, _)| may(name));
    for (name, _) in others {
        tell_once(core, Notice::NotForWorkspaces(name, file.display().to_string()).to_string());
    }
    allowed
}

/// Puts what the files hold in force; hosts are told which settings changed, and once what is wrong.
pub fn load(core: &Core) {
    announce_changed(core, put_in_force(core));
}

/// Puts what the files hold in force and gives the settings that are others now.
fn put_in_force(core: &Core) -> Vec<String> {
    let found = core.stored.load(&own_providers(core));
    let names: Vec<String> = found.settings.keys().cloned().collect();
    for problem in found.problems {
        tell_once(core, problem);
    }
    let mut values = found.settings;
    OF_THE_STORE.iter().for_each(|name| drop(values.shift_remove(*name)));
    if let Some(store) = &found.profiles {
        values.insert("apiConfigs".into(), store.profiles().clone().into());
        let modes = store.modes().iter().filter(|(_, id)| id.is_string());
        values.insert("modeApiConfigs".into(), modes.map(|(mode, id)| (mode.clone(), id.clone())).collect());
        values.insert("listApiConfigMeta".into(), store.list().into());
        // One that says nothing would only take other settings away.
        let current = store.in_force();
        let provider = current.and_then(|name| store.profiles().get(name)).map(|profile| &profile["apiProvider"]);
        if let (Some(name), Some(Value::String(_))) = (current, provider) {
            values.insert(IN_FORCE.into(), name.into());
        }
    }
    tell_unknown(core, names);
    // What the table of settings lets through and is wrong all the same takes nothing else with it.
    loop {
        let error = match core.settings.set_stored(values.clone().into()) {
            Ok(changed) => return changed,
            Err(error) => error,
        };
        let key = error.place.split('.').next().unwrap_or_default();
        let was_there = values.shift_remove(key).is_some();
        tell_once(core, error.to_string());
        if !was_there {
            return Vec::new();
        }
    }
}

/// Tells hosts which settings are others now.
pub fn announce_changed(core: &Core, keys: Vec<String>) {
    if !keys.is_empty() {
        core.announce(Event::SettingsChanged(SettingsChanged { keys }));
    }
}

/// Tells once of each setting that nobody knows.
pub fn tell_unknown(core: &Core, names: impl IntoIterator<Item = String>) {
    let unknown: Vec<String> =
        names.into_iter().filter(|name| schema::schema().key(name).is_none() && !core.told(name)).collect();
    if unknown.is_empty() {
        return;
    }
    let (facts, _) = catalogue::of_user(core.provider_surroundings());
    for name in unknown {
        let of_table = facts.iter().any(|facts| {
            [&facts.key, &facts.address_setting, &facts.model].into_iter().flatten().any(|setting| *setting == name)
        });
        if !of_table && core.tell_once(&name) {
            tell(core, LogLevel::Warning, &Notice::Unknown(name));
        }
    }
}

fn tell_once(core: &Core, problem: String) {
    if core.tell_once(&problem) {
        core.announce(Event::Log(Log { level: LogLevel::Warning, target: "settings".into(), message: problem }));
    }
}

fn tell(core: &Core, level: LogLevel, notice: &Notice) {
    core.announce(Event::Log(Log { level, target: "settings".into(), message: notice.to_string() }));
}

/// Names of the providers of the user's own tables.
fn own_providers(core: &Core) -> Vec<String> {
    let (facts, _) = catalogue::of_user(core.provider_surroundings());
    facts.iter().map(|facts| facts.name.to_string()).collect()
}

/// Sets values and keeps them: what belongs to a profile in the profile in force, the rest in the settings file.
pub fn save(core: &Core, mut values: Map<String, Value>) -> Outcome {
    setters::put_right(&mut values);
    if let Some(problem) = schema::check(&values).into_iter().next() {
        return Err(at(&format!("settings.set.values.{}", problem.place()), ErrorKind::Settings, problem.message));
    }
    if let Some(name) = OF_THE_STORE.iter().find(|name| values.contains_key(**name)) {
        let message = "is kept with the profiles: use profile.set".to_owned();
        return Err(at(&format!("settings.set.values.{name}"), ErrorKind::Settings, message));
    }
    let names: Vec<String> = values.keys().cloned().collect();
    let of_profile = |name: &String| {
        is_of_profile(name, None) || name == IN_FORCE || is_secret(name) && schema::schema().key(name).is_none()
    };
    let (of_profile, others): (Map<_, _>, Map<_, _>) = values.into_iter().partition(|(name, _)| of_profile(name));
    if !of_profile.is_empty() {
        change_profiles(core, "settings.set.values", |store, with| change_current(store, of_profile, with))?;
    }
    if !others.is_empty() {
        core.stored.change_settings(|settings| setters::overlay(settings, others)).map_err(io_failed)?;
    }
    core.settings.forget(&names);
    changed(core);
    tell_unknown(core, names);
    Ok(Value::Null)
}

fn change_current(
    store: &mut ProfileStore,
    mut changes: Map<String, Value>,
    with: Reading<'_>,
) -> Result<(), ProfileError> {
    if let Some(name) = changes.shift_remove(IN_FORCE).as_ref().and_then(Value::as_str) {
        // Settings of a profile that is not there yet make it (spec 04 §6.5).
        match store.activate(name, None) {
            Err(ProfileError::NotFound(_)) if changes.contains_key("apiProvider") => {
                store.save(name, Map::new(), with)?;
                store.activate(name, None)?;
            }
            done => done?,
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let current = store.current.clone();
    let mut profile = store.get(Which::Name(&current))?.1.clone();
    let names: Vec<String> = changes.keys().cloned().collect();
    setters::overlay(&mut profile, changes);
    let wrong =
        |name: &str, message: String| ProfileError::Invalid(schema::Problem { path: vec![name.to_owned()], message });
    let Some(provider) = profile.get("apiProvider").and_then(Value::as_str).map(str::to_owned) else {
        return Err(wrong("apiProvider", "must be set first: it says which settings a profile has".into()));
    };
    let foreign = |name: &&String| schema::schema().key(name).is_some() && !is_of_profile(name, Some(&provider));
    if let Some(name) = names.iter().find(foreign) {
        return Err(wrong(name, format!("is no setting of the provider `{provider}`")));
    }
    store.save(&current, profile, with)?;
    Ok(())
}

/// The files were written here.
fn changed(core: &Core) {
    load(core);
    core.me().iter().for_each(watch);
}

/// `settings.export`.
pub fn export(core: &Core, request: &request::SettingsExport) -> Outcome {
    let own = own_providers(core);
    let (store, _) = core.stored.profiles(&own).map_err(io_failed)?;
    let mut settings = core.settings.everything();
    let modes = core.modes.of(None).join(core.settings.current()).custom_modes.clone();
    if !modes.is_empty() {
        settings.insert("customModes".into(), modes.into());
    }
    let file = transfer::export(&settings, &store, &own, request.secrets);
    match &request.path {
        None => Ok(json!({"settings": file})),
        Some(path) => {
            let failed = |message: String| at("settings.export.path", ErrorKind::Io, message);
            stored::write_private(Path::new(path), file.to_string().as_bytes())
                .map_err(|cause| failed(format!("{path}: {cause}")))?;
            Ok(json!({"path": path}))
        }
    }
}

/// `settings.import`.
pub fn import_request(core: &Core, request: &request::SettingsImport) -> Outcome {
    match (&request.path, &request.settings) {
        (Some(path), _) if !Path::new(path).is_file() => {
            Err(at("settings.import.path", ErrorKind::NotFound, format!("`{path}` is not a file")))
        }
        (Some(path), _) => import(core, &stored::read_text(Path::new(path)).map_err(io_failed)?),
        (None, settings) => import(core, settings.as_ref().map_or("", |settings| settings.as_str())),
    }
}

/// Imports a settings file (spec 04 §6.3): all of it or nothing.
fn import(core: &Core, text: &str) -> Outcome {
    let own = own_providers(core);
    let new_id = stored::fresh_id;
    let mut imported = transfer::read(text, Reading { providers: &own, new_id: &new_id })
        .map_err(|error| RequestFailed::new(ErrorKind::Settings, error.to_string()))?;
    // What is the host's to configure does nothing in an imported file (spec 04, quirk 14).
    imported.global.retain(|name, _| schema::schema().key(name).is_none_or(|key| key.scope != Scope::Host));
    let profiles: Vec<String> = imported.profiles.profiles().keys().cloned().collect();
    let settings: Vec<String> = imported.global.keys().cloned().collect();
    let current = imported.profiles.current.clone();
    // The modes first: their file is the likeliest that cannot be changed.
    core.stored.changeable(&own).map_err(io_failed)?;
    if !imported.modes.is_empty() {
        modes::import(core, imported.modes)?;
    }
    change_profiles(core, "settings.import", |store, _| {
        store.import(imported.profiles);
        Ok(())
    })?;
    core.stored.change_settings(|settings| setters::overlay(settings, imported.global)).map_err(io_failed)?;
    core.settings.forget(&settings);
    core.settings.forget_profile();
    changed(core);
    Ok(json!({"profiles": profiles, "current": current, "settings": settings}))
}

/// `settings.reset`: nothing is kept any more (spec 04 §6.4): settings, profiles, the secrets that they name, the user's modes and the
/// user's switches of rule files. Tasks are no settings: their list stays.
pub fn reset(core: &Core) -> Outcome {
    let secrets = core.stored.keyring_entries();
    if let Some(copy) = modes::reset(core)? {
        tell(core, LogLevel::Warning, &Notice::ModesKept(copy.display().to_string()));
    }
    rules::forget_switches(core)?;
    core.stored.reset().map_err(io_failed)?;
    core.keyring.forget_file().map_err(|cause| RequestFailed::new(ErrorKind::Io, cause.to_string()))?;
    for entry in secrets {
        if let Err(error) = core.runtime.block_on(core.keyring.delete(&entry)) {
            tell(core, LogLevel::Warning, &Notice::SecretLeft(entry, error.to_string()));
            break;
        }
    }
    changed(core);
    core.modes_changed();
    Ok(Value::Null)
}

/// `profile.list`.
pub fn profile_list(core: &Core) -> Outcome {
    let (store, problems) = core.stored.profiles(&own_providers(core)).map_err(io_failed)?;
    let left_out: Vec<&str> = store.left_out().collect();
    Ok(json!({
        "profiles": store.list(), "current": store.current, "modes": store.modes(), "left_out": left_out, "problems": problems,
    }))
}

/// `profile.get`.
pub fn profile_get(core: &Core, get: &request::ProfileGet) -> Outcome {
    let (store, _) = core.stored.profiles(&own_providers(core)).map_err(io_failed)?;
    let which = match (&get.name, &get.id) {
        (Some(name), _) => Which::Name(name),
        (None, id) => Which::Id(id.as_deref().unwrap_or_default()),
    };
    let (name, profile) = store.get(which).map_err(|error| refused(&error, "profile.get"))?;
    let mut settings = profile.clone();
    let id = settings.shift_remove("id");
    settings.iter_mut().for_each(|(key, value)| blot(key, value, &shown));
    Ok(json!({"name": name, "id": id, "settings": settings}))
}

/// `profile.set`.
pub fn profile_set(core: &Core, set: &request::ProfileSet) -> Outcome {
    let Value::Object(profile) = set.settings.value() else {
        return Err(at("profile.set.settings", ErrorKind::InvalidRequest, "must be an object".into()));
    };
    let mode = core.settings.current().mode.clone();
    let id = change_profiles(core, "profile.set.settings", |store, with| {
        if let Some(former) = &set.former {
            store.rename(former, &set.name, Some(&mode))?;
        }
        let id = store.save(&set.name, profile, with)?;
        if set.activate {
            store.activate(&set.name, Some(&mode))?;
        }
        Ok(id)
    });
    // Only the former name can be one that is not there.
    let id = id.map_err(|failed| match failed.kind.as_str() {
        "not_found" => RequestFailed { place: Some("profile.set.former".into()), ..failed },
        _ => failed,
    })?;
    if set.activate || set.former.is_some() {
        core.settings.forget_profile();
    }
    changed(core);
    Ok(json!({"id": id}))
}

/// `profile.delete`.
pub fn profile_delete(core: &Core, delete: &request::ProfileDelete) -> Outcome {
    let mode = core.settings.current().mode.clone();
    change_profiles(core, "profile.delete.name", |store, _| store.delete(&delete.name, Some(&mode)))?;
    changed(core);
    Ok(Value::Null)
}

/// `profile.activate`.
pub fn profile_activate(core: &Core, activate: &request::ProfileActivate) -> Outcome {
    let mode = activate.mode.clone().unwrap_or_else(|| core.settings.current().mode.clone());
    change_profiles(core, "profile.activate.name", |store, _| store.activate(&activate.name, Some(&mode)))?;
    core.settings.forget_profile();
    changed(core);
    Ok(Value::Null)
}

fn change_profiles<T>(
    core: &Core,
    place: &str,
    change: impl FnOnce(&mut ProfileStore, Reading<'_>) -> Result<T, ProfileError>,
) -> Result<T, RequestFailed> {
    let own = own_providers(core);
    let changed = core.stored.change_profiles(&own, change).map_err(io_failed)?;
    changed.map_err(|error| refused(&error, place))
}

fn refused(error: &ProfileError, place: &str) -> RequestFailed {
    match error {
        ProfileError::NotFound(_) => at(place, ErrorKind::NotFound, error.to_string()),
        ProfileError::Last => at(place, ErrorKind::InvalidRequest, error.to_string()),
        ProfileError::Taken(_) => at("profile.set.name", ErrorKind::InvalidRequest, error.to_string()),
        ProfileError::Invalid(problem) => {
            at(&format!("{place}.{}", problem.place()), ErrorKind::Settings, problem.message.clone())
        }
    }
}

fn io_failed(error: StoredError) -> RequestFailed {
    let kind = match &error {
        StoredError::Damaged { .. } => ErrorKind::Settings,
        StoredError::System { .. } => ErrorKind::Io,
    };
    RequestFailed::new(kind, error.to_string())
}

fn at(place: &str, kind: ErrorKind, message: String) -> RequestFailed {
    RequestFailed { place: Some(place.to_owned()), ..RequestFailed::new(kind, message) }
}
