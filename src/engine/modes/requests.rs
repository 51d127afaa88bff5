//! `mode.list`, `mode.get`, `mode.set`, `mode.delete`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::PROJECT_FILE;
use super::change::{self, ChangeError, Changed};
use super::rules::RulesFolder;
use super::source::{Loaded, Source};
use crate::engine::core::Core;
use crate::engine::router::{Outcome, no_mode, workspace_folder};
use crate::prompt::folders;
use crate::prompt::modes as words;
use crate::prompt::text::{Texts, context};
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::{ModeDelete, ModeGet, ModeList, ModeSet, ModeSource};
use crate::settings::Settings;
use crate::settings::modes::edit::has_slug;
use crate::settings::modes::file::{self, Origin};
use crate::settings::modes::{self, Mode, package};

/// All modes of a workspace, and what is wrong in the files.
pub fn list(core: &Core, request: &ModeList) -> Outcome {
    let workspace = folder(&request.workspace, "mode.list")?;
    let (modes, texts) = (core.modes.of(workspace), core.texts_in(workspace));
    let settings = modes.join(core.settings.current());
    let shown: Vec<Value> =
        modes::all(&settings.custom_modes).iter().map(|mode| shown(&texts, mode, &settings)).collect();
    let problems = modes.files().into_iter().flat_map(|file| problems(&file));
    Ok(json!({"modes": shown, "problems": problems.collect::<Vec<_>>()}))
}

/// One mode; with `export` also as a text to give away.
pub fn get(core: &Core, request: &ModeGet) -> Outcome {
    let workspace = folder(&request.workspace, "mode.get")?;
    let modes = core.modes.of(workspace);
    let settings = modes.join(core.settings.current());
    let mode = modes::find(&request.mode, &settings.custom_modes);
    let mode = mode.ok_or_else(|| no_mode(&request.mode, "mode.get.mode"))?;
    let shown = shown(&core.texts_in(workspace), &mode, &settings);
    let mut result = json!({"mode": shown});
    let file = modes.files().into_iter().find(|file| file.modes.iter().any(|known| has_slug(known, &mode.slug)));
    if let Some(file) = file {
        result["file"] = file.path.to_string_lossy().into();
    }
    if request.export {
        let rules = match workspace {
            Some(workspace) if shown["source"] != "global" => of_project(workspace, &mode.slug),
            _ => RulesFolder::of_user(&folders::global(core.home()), &mode.slug),
        };
        let fields = shown.as_object().cloned().unwrap_or_default();
        // The slug of a mode in settings is not checked, and is no part of a path before it is.
        let files = if file::is_slug(&mode.slug) { rules.files() } else { Vec::new() };
        result["text"] = package::pack(fields, &files).into();
        result["name"] = format!("{}.yaml", mode.slug).into();
    }
    Ok(result)
}

/// Writes a mode into a file, or takes in the modes of an export.
pub fn set(core: &Core, request: &ModeSet) -> Outcome {
    let workspace = folder(&request.workspace, "mode.set")?;
    let mode = request.mode.as_ref().map(|mode| mode.value());
    let of_mode = mode.as_ref().map(|mode| match mode["source"].as_str() {
        Some("project") => Origin::Project,
        _ => Origin::Global,
    });
    // An import is for the project unless it says something else.
    let origin = request.source.map(origin).or(of_mode).unwrap_or(Origin::Project);
    let target = Target::new(core, workspace, origin)?;
    let _turn = core.modes.change();
    let done = match (mode, &request.import) {
        (Some(mode), _) => target.update(core, &mode).map(|done| vec![done]),
        (None, Some(text)) => target.import(core, text),
        // Refused by the limits of the request.
        (None, None) => Ok(Vec::new()),
    };
    core.modes_changed();
    let done = done?;
    let slugs: Vec<&str> = done.iter().map(|(slug, _)| slug.as_str()).collect();
    let copies = done.iter().filter_map(|(_, changed)| changed.copy.as_deref());
    Ok(json!({"modes": slugs, "file": target.source.path, "copies": copies.collect::<Vec<_>>()}))
}

/// Puts the modes of a settings file into the user's file, all of them or none. They are valid.
///
/// # Errors
/// The file cannot be read or written.
pub fn import(core: &Core, mut modes: Vec<Map<String, Value>>) -> Result<(), RequestFailed> {
    modes.iter_mut().for_each(|mode| drop(mode.insert("source".into(), Origin::Global.as_str().into())));
    let modes: Vec<Value> = modes.into_iter().map(Value::Object).collect();
    let by_slug = modes.iter().filter_map(|mode| Some((mode["slug"].as_str()?, mode)));
    let target = Target::new(core, None, Origin::Global)?;
    let _turn = core.modes.change();
    change::put_all(&target.source, by_slug).map_err(|error| refused(core, &error))?;
    core.modes_changed();
    Ok(())
}

/// Leaves no mode in the user's file. What cannot be read is kept beside it, under the name that is given.
///
/// # Errors
/// The file cannot be written.
pub fn reset(core: &Core) -> Result<Option<PathBuf>, RequestFailed> {
    let target = Target::new(core, None, Origin::Global)?;
    let _turn = core.modes.change();
    change::clear(&target.source).map_err(|error| refused(core, &error))
}

/// Takes a mode out of its files, and deletes its older rules folder.
pub fn delete(core: &Core, request: &ModeDelete) -> Outcome {
    let workspace = folder(&request.workspace, "mode.delete")?;
    let slug = &request.mode;
    let origins = match (request.source, workspace) {
        (Some(source), _) => vec![origin(source)],
        (None, Some(_)) => vec![Origin::Project, Origin::Global],
        (None, None) => vec![Origin::Global],
    };
    let _turn = core.modes.change();
    let mut changed: Vec<(Origin, Changed)> = Vec::new();
    for origin in origins {
        let target = Target::new(core, workspace, origin)?;
        let removed = change::remove(&target.source, slug).map_err(|error| refused(core, &error))?;
        changed.extend(removed.map(|removed| (origin, removed)));
    }
    core.modes_changed();
    let Some((first, _)) = changed.first() else {
        let message = core.texts().render("custom_modes.not_found", context! { slug });
        return Err(at(RequestFailed::new(ErrorKind::NotFound, message), "mode.delete.mode"));
    };
    // `.roo`, although rules are read from `.kilocode`: those survive the mode (kept from the reference).
    let rules = match (first, workspace) {
        (Origin::Project, Some(workspace)) => RulesFolder::of_project(workspace, &workspace.join(".roo"), slug),
        _ => RulesFolder::of_user(&core.home().join(".roo"), slug),
    };
    let deleted = if file::is_slug(slug) { rules.delete().map_err(|error| io(rules.path(), &error))? } else { false };
    let files: Vec<&Path> = changed.iter().map(|(_, changed)| changed.file.as_path()).collect();
    let copies: Vec<&PathBuf> = changed.iter().filter_map(|(_, changed)| changed.copy.as_ref()).collect();
    Ok(json!({"files": files, "copies": copies, "rules": deleted.then(|| rules.path())}))
}

/// The file that a change is for.
struct Target<'a> {
    source: Source,
    workspace: Option<&'a Path>,
}

impl<'a> Target<'a> {
    fn new(core: &Core, workspace: Option<&'a Path>, origin: Origin) -> Result<Target<'a>, RequestFailed> {
        let path = match (origin, workspace) {
            (Origin::Global, _) => super::global_file(&core.storage),
            (Origin::Project, Some(workspace)) => workspace.join(PROJECT_FILE),
            (Origin::Project, None) => {
                let message = core.texts().get("custom_modes.no_workspace");
                return Err(RequestFailed::new(ErrorKind::InvalidRequest, message));
            }
        };
        let workspace = workspace.filter(|_| origin == Origin::Project);
        Ok(Target { source: Source::new(path, origin), workspace })
    }

    fn update(&self, core: &Core, mode: &Value) -> Result<(String, Changed), RequestFailed> {
        let fields = file::validate(mode).map_err(|issues| {
            let (place, issue) = issues.into_iter().next().unwrap_or_default();
            at(
                not_saved(core, &format!("{}: {issue}", place.trim_start_matches('.'))),
                &format!("mode.set.mode{place}"),
            )
        })?;
        self.put(core, fields)
    }

    fn import(&self, core: &Core, text: &str) -> Result<Vec<(String, Changed)>, RequestFailed> {
        let wrong = |fault: file::Fault| at(not_saved(core, &fault.to_string()), "mode.set.import");
        let mut done = Vec::new();
        for packed in package::unpack(text).map_err(wrong)? {
            let packed = packed.map_err(wrong)?;
            let rules = match self.workspace {
                Some(workspace) => of_project(workspace, &packed.slug),
                None => RulesFolder::of_user(&folders::global(core.home()), &packed.slug),
            };
            done.push(self.put(core, packed.mode)?);
            rules.replace(&packed.files).map_err(|error| io(rules.path(), &error))?;
        }
        Ok(done)
    }

    fn put(&self, core: &Core, mut mode: Map<String, Value>) -> Result<(String, Changed), RequestFailed> {
        let slug = mode.get("slug").and_then(Value::as_str).unwrap_or_default().to_owned();
        mode.insert("source".into(), self.source.origin.as_str().into());
        let changed = change::put(&self.source, &slug, &Value::Object(mode)).map_err(|error| refused(core, &error))?;
        Ok((slug, changed))
    }
}

fn of_project(workspace: &Path, slug: &str) -> RulesFolder {
    RulesFolder::of_project(workspace, &folders::project(workspace), slug)
}

fn origin(source: ModeSource) -> Origin {
    match source {
        ModeSource::Global => Origin::Global,
        ModeSource::Project => Origin::Project,
    }
}

/// A mode for hosts: its own words, and the user's in their place (spec 03 §8.3).
fn shown(texts: &Texts, mode: &Mode, settings: &Settings) -> Value {
    let custom = settings.custom_modes.iter().find(|custom| has_slug(custom, &mode.slug));
    let overrides = words::overrides(settings);
    let words = words::details(texts, &mode.slug, &settings.custom_modes, &overrides);
    let words = words.map(|(_, words)| words).unwrap_or_default();
    let mut shown = Map::new();
    shown.insert("slug".into(), mode.slug.clone().into());
    shown.insert("name".into(), mode.name.clone().into());
    for (key, text) in [
        ("roleDefinition", words.role),
        ("whenToUse", words.when_to_use),
        ("description", words.description),
        ("customInstructions", words.instructions),
    ] {
        if !text.is_empty() {
            shown.insert(key.into(), text.into());
        }
    }
    let groups = mode.groups.iter().map(|entry| {
        let mut options = Map::new();
        options.extend(entry.file_regex.clone().map(|regex| ("fileRegex".into(), regex.into())));
        let note = || {
            (mode.builtin && entry.file_regex.is_some()).then(|| texts.get(&format!("mode.{}.edit_note", mode.slug)))
        };
        options.extend(entry.description.clone().or_else(note).map(|note| ("description".into(), note.into())));
        let name = entry.group.as_str();
        if options.is_empty() { name.into() } else { json!([name, options]) }
    });
    shown.insert("groups".into(), groups.collect::<Vec<Value>>().into());
    let icon = match custom {
        Some(custom) => custom["iconName"].as_str(),
        None => modes::builtin_icon(&mode.slug),
    };
    shown.extend(icon.map(|icon| ("iconName".into(), icon.into())));
    let source = match custom.map(|custom| custom["source"].as_str()) {
        Some(source) => source.unwrap_or("settings"),
        None => "built-in",
    };
    shown.insert("source".into(), source.into());
    Value::Object(shown)
}

fn problems(file: &Loaded) -> Vec<Value> {
    let problem = |fault: &file::Fault| {
        let mut problem = json!({"file": file.path, "place": fault.place, "message": fault.issue});
        fault.line.iter().for_each(|line| problem["line"] = (*line).into());
        fault.slug.iter().for_each(|slug| problem["mode"] = slug.as_str().into());
        problem
    };
    file.faults.iter().map(problem).collect()
}

fn folder<'a>(workspace: &'a Option<String>, place: &str) -> Result<Option<&'a Path>, RequestFailed> {
    workspace.as_deref().map(|workspace| workspace_folder(workspace, place)).transpose()
}

fn not_saved(core: &Core, error: &str) -> RequestFailed {
    RequestFailed::new(ErrorKind::Settings, core.texts().render("custom_modes.update_failed", context! { error }))
}

fn refused(core: &Core, error: &ChangeError) -> RequestFailed {
    let kind = match error {
        ChangeError::Unreadable { .. } => ErrorKind::Settings,
        ChangeError::Outside(_) | ChangeError::Io { .. } => ErrorKind::Io,
    };
    let message = core.texts().render("custom_modes.update_failed", context! { error => error.to_string() });
    RequestFailed::new(kind, message)
}

fn io(path: &Path, error: &std::io::Error) -> RequestFailed {
    RequestFailed::new(ErrorKind::Io, format!("{}: {error}", path.display()))
}

fn at(failed: RequestFailed, place: &str) -> RequestFailed {
    RequestFailed { place: Some(place.to_owned()), ..failed }
}
