//! Rule and workflow files as a host shows them (spec 03 §6.7).

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::toggles::{Kind, Switches, Toggles, is_off};
use super::{directory, is_file_name};
use crate::prompt::folders;

/// Files of one folder that are shown at most, the first in the order of names.
const MOST_FILES: usize = 1000;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Rules for all modes.
    Rule,
    /// Rules for one mode.
    ModeRule,
    /// A workflow.
    Workflow,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The user's, for all projects.
    Global,
    /// The project's.
    Project,
}

/// A file that can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is for.
    pub kind: Purpose,
    /// Whose it is.
    pub scope: Scope,
    /// Absolute path.
    pub path: PathBuf,
    /// It is not switched off. Rules of a mode cannot be.
    pub enabled: bool,
    /// Its size.
    pub bytes: u64,
}

/// Rule and workflow files of the user and of the workspace: direct children of their folders that end in `.md` or `.txt`; with
/// a `mode` also that mode's rules.
pub fn list(cwd: &Path, home: &Path, mode: Option<&str>, toggles: &Toggles) -> Vec<Listed> {
    use Purpose::{ModeRule, Rule, Workflow};
    let (user, project) = (home.join(".kilocode"), cwd.join(".kilocode"));
    let mut listed = Vec::new();
    let mut add = |kind, scope, folder: PathBuf, switches: Option<&Switches>| {
        listed.extend(files(&folder).into_iter().map(|(path, bytes)| {
            let enabled = !switches.is_some_and(|switches| is_off(switches, &path));
            Listed { kind, scope, path, enabled, bytes }
        }));
    };
    add(Rule, Scope::Global, user.join("rules"), Some(&toggles.global_rules));
    add(Rule, Scope::Project, project.join("rules"), Some(&toggles.local_rules));
    if let Some(mode) = mode.filter(|mode| is_file_name(mode)) {
        let folder = format!("rules-{mode}");
        add(ModeRule, Scope::Global, user.join(&folder), None);
        add(ModeRule, Scope::Project, folders::project(cwd).join(&folder), None);
    }
    add(Workflow, Scope::Global, user.join("workflows"), Some(&toggles.global_workflows));
    add(Workflow, Scope::Project, project.join("workflows"), Some(&toggles.local_workflows));
    listed
}

/// Which switch a file has, and the workspace (or home) it belongs to: it stands in `.kilocode/rules` or `.kilocode/workflows`
/// of one of them. `None` for any other path.
pub fn switch_of(path: &Path, home: &Path) -> Option<(Kind, PathBuf)> {
    let mut folders = path.ancestors().skip(1);
    folders.find_map(|folder| {
        let (parent, owner) = (folder.parent()?, folder.parent()?.parent()?);
        let is_workflow = match folder.file_name()?.to_str()? {
            "rules" => false,
            "workflows" => true,
            _ => return None,
        };
        if parent.file_name()? != ".kilocode" {
            return None;
        }
        let kind = match (is_workflow, owner == home) {
            (false, true) => Kind::GlobalRules,
            (false, false) => Kind::LocalRules,
            (true, true) => Kind::GlobalWorkflows,
            (true, false) => Kind::LocalWorkflows,
        };
        Some((kind, owner.to_owned()))
    })
}

/// Regular files of a folder with their sizes, by name.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(directory::MOST_ENTRIES);
    let mut files: Vec<(PathBuf, u64)> = entries
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
            (name.ends_with(".md") || name.ends_with(".txt")) && entry.file_type().is_ok_and(|kind| kind.is_file())
        })
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    files.sort();
    files.truncate(MOST_FILES);
    files
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 03 §6.7: only direct children that end in .md or .txt, each with its switch or true
    #[test]
    fn direct_children_that_are_texts() {
        let root = tempfile::tempdir().unwrap();
        let (cwd, home) = (root.path().join("ws"), root.path().join("home"));
        for (folder, name) in [
            (&cwd, "rules/b.md"),
            (&cwd, "rules/A.TXT"),
            (&cwd, "rules/c.rs"),
            (&cwd, "rules/deep/d.md"),
            (&cwd, "rules-code/m.md"),
            (&cwd, "workflows/w.md"),
            (&home, "rules/g.md"),
        ] {
            let file = folder.join(".kilocode").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "text").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path().join("none"), cwd.join(".kilocode/rules/link.md")).unwrap();
        let off = cwd.join(".kilocode/rules/b.md").to_string_lossy().into_owned();
        let switches = json!({off: false}).as_object().cloned().unwrap();
        let toggles = Toggles { local_rules: switches, ..Toggles::default() };
        let shown = |mode| -> Vec<(Purpose, Scope, String, bool)> {
            let listed = list(&cwd, &home, mode, &toggles);
            listed
                .into_iter()
                .map(|file| {
                    assert_eq!(file.bytes, 4);
                    (file.kind, file.scope, file.path.file_name().unwrap().to_string_lossy().into(), file.enabled)
                })
                .collect()
        };
        let file = |kind, scope, name: &str, enabled| (kind, scope, name.to_owned(), enabled);
        let mut expected = vec![
            file(Purpose::Rule, Scope::Global, "g.md", true),
            file(Purpose::Rule, Scope::Project, "A.TXT", true),
            file(Purpose::Rule, Scope::Project, "b.md", false),
            file(Purpose::Workflow, Scope::Project, "w.md", true),
        ];
        assert_eq!(shown(None), expected);
        assert_eq!(shown(Some("../code")), expected);
        expected.insert(3, file(Purpose::ModeRule, Scope::Project, "m.md", true));
        assert_eq!(shown(Some("code")), expected);
    }

    #[test]
    fn a_switch_belongs_to_the_folder_of_its_file() {
        let of = |path: &str| switch_of(Path::new(path), Path::new("/h"));
        assert_eq!(of("/ws/.kilocode/rules/deep/a.md"), Some((Kind::LocalRules, "/ws".into())));
        assert_eq!(of("/ws/.kilocode/workflows/a.md"), Some((Kind::LocalWorkflows, "/ws".into())));
        assert_eq!(of("/h/.kilocode/rules/a.md"), Some((Kind::GlobalRules, "/h".into())));
        assert_eq!(of("/h/.kilocode/workflows/a.md"), Some((Kind::GlobalWorkflows, "/h".into())));
        for other in ["/ws/.kilocode/rules", "/ws/rules/a.md", "/ws/.kilocode/commands/a.md", "/", "rules/a.md"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
