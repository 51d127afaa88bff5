//! Requests about rule, workflow and command files: `rules.list`, `rules.toggle`, `command.list`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::core::Core;
use super::router::{Outcome, workspace_folder};
use crate::prompt::commands::Folders;
use crate::prompt::rules::listing;
use crate::prompt::rules::toggles::{self, Kind, Toggles};
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::{CommandList, RulesList, RulesToggle};
use crate::task::stored::set_aside;
use crate::workspace::paths;
use crate::workspace::write::write_atomic;

/// Held while the file of switches is changed.
static CHANGING: Mutex<()> = Mutex::new(());

/// Rule and workflow files of the user and of a workspace.
pub fn list(core: &Core, list: &RulesList) -> Outcome {
    let cwd = workspace_folder(&list.workspace, "rules.list")?;
    let toggles = Toggles::load(&core.storage, cwd, &core.settings.current());
    let files = listing::list(cwd, &core.prompt.home, list.mode.as_deref(), &toggles);
    Ok(json!({ "files": files }))
}

/// Switches a rule or workflow file on or off, for every request from now on. A file of switches that cannot be read is set aside
/// before another takes its place.
pub fn toggle(core: &Core, toggle: &RulesToggle) -> Outcome {
    let at = |kind, message: String| RequestFailed {
        place: Some("rules.toggle.path".into()),
        ..RequestFailed::new(kind, message)
    };
    let path = paths::normalise(Path::new(&toggle.path));
    let Some((kind, owner)) = listing::switch_of(&path, &core.prompt.home) else {
        let message =
            format!("`{}` does not stand in a folder `.kilocode/rules` or `.kilocode/workflows`", toggle.path);
        return Err(at(ErrorKind::InvalidRequest, message));
    };
    if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
        return Err(at(ErrorKind::NotFound, format!("there is no file `{}`", toggle.path)));
    }
    let (Some(owner), Some(path)) = (owner.to_str(), path.to_str()) else {
        return Err(at(ErrorKind::InvalidRequest, "the path is not UTF-8".into()));
    };
    let _one_at_a_time = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = toggles::store_file(&core.storage);
    let mut store = match toggles::read_store(&core.storage) {
        Ok(store) => store,
        Err(cause) => {
            set_aside(&file).ok_or_else(|| failed(&file, &cause))?;
            serde_json::Map::new()
        }
    };
    toggles::set(&mut store, kind, owner, path, toggle.enabled);
    std::fs::create_dir_all(&core.storage).map_err(|cause| failed(&file, &cause))?;
    write_atomic(&file, Value::Object(store).to_string().as_bytes()).map_err(|cause| failed(&file, &cause))?;
    Ok(Value::Null)
}

/// Forgets the switches of the user's own files; those of workspaces stay.
///
/// # Errors
/// Their file cannot be written.
pub fn forget_switches(core: &Core) -> Result<(), RequestFailed> {
    let _one_at_a_time = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = toggles::store_file(&core.storage);
    // A file that cannot be read switches nothing.
    let Ok(mut store) = toggles::read_store(&core.storage) else { return Ok(()) };
    let before = store.len();
    store.retain(|key, _| ![Kind::GlobalRules.key(), Kind::GlobalWorkflows.key()].contains(&key.as_str()));
    if store.len() == before {
        return Ok(());
    }
    write_atomic(&file, Value::Object(store).to_string().as_bytes()).map_err(|cause| failed(&file, &cause))
}

/// The commands that can be called by `/name` in a workspace.
pub fn commands(core: &Core, list: &CommandList) -> Outcome {
    let cwd = workspace_folder(&list.workspace, "command.list")?;
    let texts = core.texts_in(cwd);
    let (commands, problems) = Folders::of(cwd, &core.prompt.home).list_with_problems(&texts);
    let commands: Vec<Value> = commands
        .into_iter()
        .map(|command| {
            let mut row = json!({"name": command.name, "source": command.source.as_str(), "path": command.file});
            for (key, value) in [("description", command.description), ("argument_hint", command.argument_hint)] {
                if let Some(value) = value {
                    row[key] = value.into();
                }
            }
            row
        })
        .collect();
    let problems: Vec<Value> =
        problems.iter().map(|problem| json!({"file": problem.file, "message": problem.text(&texts)})).collect();
    Ok(json!({"commands": commands, "problems": problems}))
}

fn failed(file: &Path, cause: &std::io::Error) -> RequestFailed {
    RequestFailed::new(ErrorKind::Io, format!("`{}`: {cause}", file.display()))
}
