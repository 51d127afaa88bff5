//! Text packs in force: the user's (the setting `textPack`), and over it that of a workspace, if the user trusts it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::prompt::text::folder::{Folder, Loaded};
use crate::prompt::text::{Texts, context};
use crate::providers::Wording;
use crate::settings::Settings;
use crate::settings::transfer::auto_import_path;
use crate::workspace::trust::is_trusted;

/// Where a workspace's pack stands.
const WORKSPACE_FOLDER: &str = ".kilocode/texts";

/// The folders of packs that somebody uses, each read once for all.
pub struct Packs {
    home: PathBuf,
    folders: Mutex<HashMap<PathBuf, Arc<Folder>>>,
    tell: Box<dyn Fn(String) + Send + Sync>,
}

impl Packs {
    /// Packs of the user with this home folder. `tell` is told in words what is wrong with one, more than once too.
    pub fn new(home: PathBuf, tell: impl Fn(String) + Send + Sync + 'static) -> Arc<Packs> {
        Arc::new(Packs { home, folders: Mutex::default(), tell: Box::new(tell) })
    }

    /// Texts for a workspace, or without one those of the engine itself. No pack is in force before the first refresh.
    pub fn texts(self: &Arc<Packs>, cwd: Option<&Path>) -> PackedTexts {
        PackedTexts { texts: Texts::own(), packs: self.clone(), cwd: cwd.map(Path::to_owned), seen: Mutex::default() }
    }

    fn folder(&self, path: PathBuf) -> Arc<Folder> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.retain(|known, folder| *known == path || Arc::strong_count(folder) > 1);
        folders.entry(path.clone()).or_insert_with(|| Arc::new(Folder::new(path))).clone()
    }
}

/// Texts with the packs that are in force for them.
pub struct PackedTexts {
    texts: Arc<Texts>,
    packs: Arc<Packs>,
    cwd: Option<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    folders: Vec<(PathBuf, Arc<Folder>)>,
    loaded: Vec<Arc<Loaded>>,
}

impl PackedTexts {
    /// The texts; they stay the same ones when packs change.
    pub fn texts(&self) -> &Arc<Texts> {
        &self.texts
    }

    /// Puts the packs in force that these settings name, as their files are now.
    pub fn refresh(&self, settings: &Settings) {
        let wanted = self.wanted(settings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.folders.iter().map(|(path, _)| path).eq(&wanted) {
            seen.folders = wanted.into_iter().map(|path| (path.clone(), self.packs.folder(path))).collect();
        }
        let loaded: Vec<Arc<Loaded>> = seen.folders.iter().map(|(_, folder)| folder.read()).collect();
        if loaded.len() == seen.loaded.len()
            && loaded.iter().zip(&seen.loaded).all(|(now, then)| Arc::ptr_eq(now, then))
        {
            return;
        }
        self.texts.put(loaded.iter().map(|loaded| loaded.pack.clone()).collect());
        let before = std::mem::replace(&mut seen.loaded, loaded.clone());
        drop(seen);
        for loaded in loaded.iter().filter(|now| !before.iter().any(|then| Arc::ptr_eq(now, then))) {
            notice(loaded).into_iter().for_each(&self.packs.tell);
        }
    }

    /// The user's pack, as `engine.info` shows it: `null` when there is none.
    pub fn shown(&self) -> Value {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = seen.loaded.first().map(|loaded| {
            let faults: Vec<String> = loaded.faults.iter().map(ToString::to_string).collect();
            json!({"folder": loaded.path.to_string_lossy(), "texts": loaded.pack.ids().count(), "faults": faults})
        });
        shown.unwrap_or_default()
    }

    /// Folders of the packs, the strongest first.
    fn wanted(&self, settings: &Settings) -> Vec<PathBuf> {
        let mut wanted = Vec::new();
        if let Some(cwd) = &self.cwd {
            let folder = cwd.join(WORKSPACE_FOLDER);
            if folder.is_dir() {
                match is_trusted(cwd, &settings.trusted_folders) {
                    true => wanted.push(folder),
                    false => {
                        let folder = folder.display().to_string();
                        (self.packs.tell)(Texts::builtin().render("text_pack.untrusted", context! { folder }));
                    }
                }
            }
        }
        wanted.extend(auto_import_path(&settings.text_pack, &self.packs.home));
        wanted
    }
}

/// What the user reads about a pack with faults.
fn notice(loaded: &Loaded) -> Option<String> {
    let faults: Vec<String> = loaded.faults.iter().map(ToString::to_string).collect();
    (!faults.is_empty()).then(|| Texts::builtin().render("text_pack.faults", context! { faults }))
}

/// The words of these texts for providers.
pub fn wording(texts: Arc<Texts>) -> Wording {
    Arc::new(move |id, variables| {
        texts.render(id, variables.iter().copied().collect::<std::collections::BTreeMap<_, _>>())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct World {
        home: tempfile::TempDir,
        told: Arc<Mutex<Vec<String>>>,
        packs: Arc<Packs>,
    }

    impl World {
        fn new() -> World {
            let (home, told) = (tempfile::tempdir().unwrap(), Arc::<Mutex<Vec<String>>>::default());
            let ear = told.clone();
            let packs = Packs::new(home.path().to_owned(), move |words| ear.lock().unwrap().push(words));
            World { home, told, packs }
        }

        fn write(&self, file: &str, text: &str) {
            let file = self.home.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn told(&self) -> Vec<String> {
            std::mem::take(&mut self.told.lock().unwrap())
        }
    }

    #[test]
    fn a_workspaces_pack_speaks_over_the_users_only_where_it_is_trusted() {
        let world = World::new();
        world.write("mine/a.txt", "[[resp.denied]]\nuser\n[[resp.no_tool]]\nuser");
        world.write("project/.kilocode/texts/a.txt", "[[resp.denied]]\nworkspace");
        let cwd = world.home.path().join("project");
        let texts = world.packs.texts(Some(&cwd));
        let denied = || texts.texts().get("resp.denied");
        let builtin = Texts::builtin().get("resp.denied");
        assert_eq!(denied(), builtin);
        let mut settings = Settings { text_pack: "~/mine".into(), ..Settings::default() };
        texts.refresh(&settings);
        assert_eq!((denied(), world.told().len()), ("user".into(), 1));
        settings.trusted_folders = vec![world.home.path().to_string_lossy().into_owned()];
        texts.refresh(&settings);
        assert_eq!((denied(), texts.texts().get("resp.no_tool")), ("workspace".into(), "user".into()));
        world.write("project/.kilocode/texts/a.txt", "[[resp.denied]]\nchanged");
        texts.refresh(&settings);
        assert_eq!(denied(), "changed");
        texts.refresh(&Settings::default());
        assert_eq!(denied(), builtin);
        assert_eq!(world.packs.texts(None).shown(), Value::Null);
    }

    #[test]
    fn faults_are_told_when_a_pack_changes_and_shown() {
        let world = World::new();
        world.write("mine/a.txt", "[[resp.denied]]\n{{ secret }}\n[[resp.no_tool]]\nuser");
        let settings =
            Settings { text_pack: world.home.path().join("mine").to_string_lossy().into(), ..Settings::default() };
        let texts = world.packs.texts(None);
        texts.refresh(&settings);
        texts.refresh(&settings);
        let told = world.told();
        assert!(
            told.len() == 1 && told[0].contains("a.txt:2: `resp.denied`: there is no variable `secret`"),
            "{told:?}"
        );
        let shown = texts.shown();
        assert_eq!((&shown["texts"], shown["faults"].as_array().map(Vec::len)), (&json!(1), Some(1)));
        let other = world.packs.texts(None);
        other.refresh(&settings);
        assert!(Arc::ptr_eq(&texts.seen.lock().unwrap().loaded[0], &other.seen.lock().unwrap().loaded[0]), "shared");
    }
}
