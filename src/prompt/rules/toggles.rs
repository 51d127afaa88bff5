//! Which rule and workflow files the user has switched on or off (spec 03 §6.7, spec 04 §2.4).
//!
//! The maps of a user and of each workspace stand in one file of the engine's data folder; a host may also give them as settings
//! (`localRulesToggles` …), which count more. The file is read at use.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::settings::Settings;
use crate::workspace::reading;

/// Switches by absolute path, in the order in which they were made.
pub type Switches = Map<String, Value>;

/// Largest file of switches, in bytes.
const MAX_STORE: u64 = 16 << 20;
/// Holds the maps of each workspace, by its absolute path.
const WORKSPACES: &str = "workspaces";

/// A map of switches, by the key it is stored under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rule files of the workspace.
    LocalRules,
    /// Rule files of the user.
    GlobalRules,
    /// Workflow files of the workspace.
    LocalWorkflows,
    /// Workflow files of the user.
    GlobalWorkflows,
}

impl Kind {
    /// The key of the map, in the file and in settings.
    pub fn key(self) -> &'static str {
        match self {
            Kind::LocalRules => "localRulesToggles",
            Kind::GlobalRules => "globalRulesToggles",
            Kind::LocalWorkflows => "localWorkflowToggles",
            Kind::GlobalWorkflows => "globalWorkflowToggles",
        }
    }

    fn is_local(self) -> bool {
        matches!(self, Kind::LocalRules | Kind::LocalWorkflows)
    }
}

/// The four maps in force in a workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toggles {
    /// Rule files of the workspace.
    pub local_rules: Switches,
    /// Rule files of the user.
    pub global_rules: Switches,
    /// Workflow files of the workspace.
    pub local_workflows: Switches,
    /// Workflow files of the user.
    pub global_workflows: Switches,
}

impl Toggles {
    /// Those of the file below `storage` for the workspace at `cwd`. A file that cannot be read counts as empty; who writes it
    /// reports that.
    pub fn stored(storage: &Path, cwd: &Path) -> Toggles {
        let stored = read_store(storage).unwrap_or_default();
        Toggles::by_kind(|kind| stored_map(&stored, kind, cwd))
    }

    /// Those that a host gives as settings.
    pub fn given(settings: &Settings) -> Toggles {
        Toggles::by_kind(|kind| settings.other.get(kind.key())?.as_object())
    }

    /// Those in force: what a host gives counts more than what is stored.
    pub fn load(storage: &Path, cwd: &Path, settings: &Settings) -> Toggles {
        Toggles::given(settings).over(Toggles::stored(storage, cwd))
    }

    /// These, and those of `others` for files that have none here.
    pub fn over(self, mut others: Toggles) -> Toggles {
        others.local_rules.extend(self.local_rules);
        others.global_rules.extend(self.global_rules);
        others.local_workflows.extend(self.local_workflows);
        others.global_workflows.extend(self.global_workflows);
        others
    }

    fn by_kind<'a>(map: impl Fn(Kind) -> Option<&'a Switches>) -> Toggles {
        let map = |kind| map(kind).cloned().unwrap_or_default();
        Toggles {
            local_rules: map(Kind::LocalRules),
            global_rules: map(Kind::GlobalRules),
            local_workflows: map(Kind::LocalWorkflows),
            global_workflows: map(Kind::GlobalWorkflows),
        }
    }

    /// Whether any rule file was ever switched, which changes how generic rules are read (spec 03 §6.4).
    pub fn any_rule(&self) -> bool {
        !self.local_rules.is_empty() || !self.global_rules.is_empty()
    }
}

/// Whether a file is switched off. Anything but `false` is on.
pub fn is_off(switches: &Switches, path: &Path) -> bool {
    path.to_str().and_then(|path| switches.get(path)) == Some(&Value::Bool(false))
}

/// The file of all switches.
pub fn store_file(storage: &Path) -> PathBuf {
    storage.join("rule_toggles.json")
}

/// What the file holds; empty without one.
///
/// # Errors
/// It is there and cannot be read, or holds no JSON object.
pub fn read_store(storage: &Path) -> io::Result<Map<String, Value>> {
    let file = store_file(storage);
    match reading::read_at_most(&file, MAX_STORE) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(cause) => Err(cause),
    }
}

/// Puts a switch into what the file holds; `workspace` is that of a local one.
pub fn set(store: &mut Map<String, Value>, kind: Kind, workspace: &str, path: &str, enabled: bool) {
    let switch = |holder: &mut Map<String, Value>| {
        within(holder, kind.key(), |switches| drop(switches.insert(path.to_owned(), enabled.into())));
    };
    match kind.is_local() {
        true => within(store, WORKSPACES, |workspaces| within(workspaces, workspace, switch)),
        false => switch(store),
    }
}

/// Changes the object under `key`, a new one if there is none.
fn within(holder: &mut Map<String, Value>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut inner = match holder.get_mut(key) {
        Some(Value::Object(inner)) => std::mem::take(inner),
        _ => Map::new(),
    };
    change(&mut inner);
    holder.insert(key.to_owned(), inner.into());
}

fn stored_map<'a>(store: &'a Map<String, Value>, kind: Kind, cwd: &Path) -> Option<&'a Map<String, Value>> {
    let holder = match kind.is_local() {
        true => store.get(WORKSPACES)?.get(cwd.to_str()?)?.as_object()?,
        false => store,
    };
    holder.get(kind.key())?.as_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 04 §quirks.13: switches of a workspace's files are kept for it, the user's for all
    #[test]
    fn switches_are_kept_by_workspace_and_settings_count_more() {
        let storage = tempfile::tempdir().unwrap();
        let mut store = read_store(storage.path()).unwrap();
        store.insert("other".into(), 5.into());
        set(&mut store, Kind::LocalRules, "/ws", "/ws/.kilocode/rules/a.md", false);
        set(&mut store, Kind::LocalRules, "/ws", "/ws/.kilocode/rules/b.md", false);
        set(&mut store, Kind::LocalWorkflows, "/other", "/other/.kilocode/workflows/a.md", true);
        set(&mut store, Kind::GlobalRules, "/h", "/h/.kilocode/rules/g.md", false);
        std::fs::write(store_file(storage.path()), serde_json::to_vec(&store).unwrap()).unwrap();
        assert_eq!(read_store(storage.path()).unwrap()["other"], 5);

        let settings: Settings = serde_json::from_value(json!({
            "localRulesToggles": {"/ws/.kilocode/rules/b.md": true}, "globalWorkflowToggles": "nonsense",
        }))
        .unwrap();
        let toggles = Toggles::load(storage.path(), Path::new("/ws"), &settings);
        assert!(is_off(&toggles.local_rules, Path::new("/ws/.kilocode/rules/a.md")));
        assert!(!is_off(&toggles.local_rules, Path::new("/ws/.kilocode/rules/b.md")));
        assert!(is_off(&toggles.global_rules, Path::new("/h/.kilocode/rules/g.md")));
        assert!(toggles.local_workflows.is_empty() && toggles.global_workflows.is_empty() && toggles.any_rule());
        let elsewhere = Toggles::load(storage.path(), Path::new("/other"), &Settings::default());
        assert!(elsewhere.local_rules.is_empty() && elsewhere.local_workflows.len() == 1);
    }

    #[test]
    fn what_is_no_store_is_an_error_for_who_writes_and_empty_for_who_reads() {
        let storage = tempfile::tempdir().unwrap();
        for bad in ["{", "[]", "5", ""] {
            std::fs::write(store_file(storage.path()), bad).unwrap();
            assert!(read_store(storage.path()).is_err(), "{bad}");
            assert_eq!(Toggles::load(storage.path(), Path::new("/ws"), &Settings::default()), Toggles::default());
        }
        for odd in [json!({"workspaces": 5}), json!({"workspaces": {"/ws": []}}), json!({"globalRulesToggles": null})] {
            std::fs::write(store_file(storage.path()), odd.to_string()).unwrap();
            assert!(!Toggles::load(storage.path(), Path::new("/ws"), &Settings::default()).any_rule());
        }
    }
}
