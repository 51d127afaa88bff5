//! Custom modes: the user's and the projects' files, as sessions and requests see them (spec 03 §10).
//!
//! What a file means is decided in `settings::modes`; here files are read when their stamp has changed, joined with the settings in
//! force, and changed for hosts.

mod change;
mod requests;
mod rules;
mod source;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

pub use self::requests::{delete, get, import, list, reset, set};
pub use self::source::Loaded;
use self::source::Source;
use crate::prompt::text::{Texts, context};
use crate::settings::Settings;
use crate::settings::modes::edit::has_slug;
use crate::settings::modes::file::{Origin, global_file, merge};

/// The project's file in a workspace.
const PROJECT_FILE: &str = ".kilocodemodes";

/// Custom modes of an engine.
pub struct Modes {
    global: Arc<Source>,
    /// One change at a time.
    changes: Mutex<()>,
}

impl Modes {
    /// Those of the engine with this storage. Nothing is read yet.
    pub fn new(storage: &Path) -> Modes {
        Modes { global: Arc::new(Source::new(global_file(storage), Origin::Global)), changes: Mutex::default() }
    }

    /// The modes that hold in a workspace, or without one, as their files are now.
    pub fn of(&self, workspace: Option<&Path>) -> WorkspaceModes {
        let project = workspace.map(|cwd| Source::new(cwd.join(PROJECT_FILE), Origin::Project));
        let modes =
            WorkspaceModes { global: self.global.clone(), project, seen: Mutex::default(), tell: OnceLock::new() };
        modes.refresh();
        modes
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The modes that hold in one workspace, as last read.
pub struct WorkspaceModes {
    global: Arc<Source>,
    project: Option<Source>,
    seen: Mutex<Seen>,
    tell: OnceLock<Tell>,
}

/// Is called when modes have changed, with the files that did.
type Tell = Box<dyn Fn(&[Arc<Loaded>]) + Send + Sync>;

#[derive(Clone, Default)]
struct Seen {
    global: Arc<Loaded>,
    project: Arc<Loaded>,
    /// Settings before and after these modes were added.
    joined: Option<(Arc<Settings>, Arc<Settings>)>,
}

impl WorkspaceModes {
    /// The files with faults, as last read.
    pub fn faulty(&self) -> Vec<Arc<Loaded>> {
        self.files().into_iter().filter(|file| !file.faults.is_empty()).collect()
    }

    /// `tell` is called at every change from now on, with the files that changed.
    pub fn tell_with(&self, tell: impl Fn(&[Arc<Loaded>]) + Send + Sync + 'static) {
        // Set once, when the session begins to run.
        let _ = self.tell.set(Box::new(tell));
    }

    /// Reads the files again that have changed.
    pub fn refresh(&self) {
        let global = self.global.read();
        let project = self.project.as_ref().map(Source::read).unwrap_or_default();
        let mut changed = Vec::new();
        {
            let mut seen = self.seen();
            for (before, now) in [(&seen.project, &project), (&seen.global, &global)] {
                if before != now {
                    changed.push(now.clone());
                }
            }
            if changed.is_empty() {
                return;
            }
            *seen = Seen { global, project, joined: None };
        }
        self.tell.get().inspect(|tell| tell(&changed));
    }

    /// The settings with these modes: the project's, the user's, then those that stand in the settings themselves, each slug once.
    pub fn join(&self, settings: Arc<Settings>) -> Arc<Settings> {
        let mut seen = self.seen();
        if seen.global.modes.is_empty() && seen.project.modes.is_empty() {
            return settings;
        }
        if let Some((before, joined)) = &seen.joined
            && Arc::ptr_eq(before, &settings)
        {
            return joined.clone();
        }
        let mut modes: Vec<Value> = merge(&seen.project.modes, &seen.global.modes).cloned().collect();
        let is_new =
            |mode: &&Value| mode["slug"].as_str().is_none_or(|slug| !modes.iter().any(|known| has_slug(known, slug)));
        let own: Vec<Value> = settings.custom_modes.iter().filter(is_new).cloned().collect();
        modes.extend(own);
        let joined = Arc::new(Settings { custom_modes: modes, ..(*settings).clone() });
        seen.joined = Some((settings, joined.clone()));
        joined
    }

    /// The files as last read: the project's, then the user's.
    fn files(&self) -> [Arc<Loaded>; 2] {
        let seen = self.seen();
        [seen.project.clone(), seen.global.clone()]
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the user reads about a file with faults; nothing when it has none.
pub fn notice(texts: &Texts, file: &Loaded) -> Option<String> {
    let path = file.path.display().to_string();
    let id = match (file.usable, file.modes.is_empty()) {
        (true, _) => "custom_modes.schema_error",
        (false, true) => "custom_modes.yaml_error",
        (false, false) => "custom_modes.invalid_format",
    };
    let faults: Vec<String> = file.faults.iter().map(ToString::to_string).collect();
    (!faults.is_empty()).then(|| texts.render(id, context! { path, faults }))
}
