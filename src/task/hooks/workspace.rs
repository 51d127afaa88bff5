//! Hooks that a workspace brings, in `.kilocode/hooks.json`. Whoever made the workspace could run anything with them: they
//! run only in folders that the user trusts.

use std::fs;
use std::path::Path;

use crate::settings::hooks::Hooks;
use crate::workspace::reading;
use crate::workspace::trust::is_trusted;

/// Where they stand in a workspace.
pub(in crate::task) const FILE: &str = ".kilocode/hooks.json";
/// Largest file that is read.
const FILE_LIMIT: u64 = 256 << 10;

/// What a workspace brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::task) enum WorkspaceHooks {
    /// No hooks.
    None,
    /// Hooks that run.
    Trusted(Hooks),
    /// A file that nobody looks into, as the folder is not trusted.
    Untrusted,
    /// A file of a trusted folder that cannot be used, and why.
    Unusable(String),
}

impl WorkspaceHooks {
    /// What the workspace `cwd` brings when the user trusts these folders and all below them.
    pub fn load(cwd: &Path, trusted: &[String]) -> WorkspaceHooks {
        let file = cwd.join(FILE);
        if !fs::metadata(&file).is_ok_and(|data| data.is_file()) {
            return WorkspaceHooks::None;
        }
        if !is_trusted(cwd, trusted) {
            return WorkspaceHooks::Untrusted;
        }
        match read(&file) {
            Ok(hooks) => WorkspaceHooks::Trusted(hooks),
            Err(cause) => WorkspaceHooks::Unusable(cause),
        }
    }

    /// Those that run.
    pub fn hooks(&self) -> Option<&Hooks> {
        match self {
            WorkspaceHooks::Trusted(hooks) => Some(hooks),
            _ => None,
        }
    }
}

fn read(file: &Path) -> Result<Hooks, String> {
    let bytes = reading::read_at_most(file, FILE_LIMIT).map_err(|cause| cause.to_string())?;
    let value = serde_json::from_slice(&bytes).map_err(|cause| cause.to_string())?;
    Hooks::read(&value).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_folder_brings_hooks() {
        let root = tempfile::tempdir().expect("a folder");
        let cwd = root.path().join("project/part");
        fs::create_dir_all(cwd.join(".kilocode")).expect("a folder");
        let name = |path: &Path| path.to_string_lossy().into_owned();
        let project = name(&root.path().join("project"));
        assert_eq!(WorkspaceHooks::load(&cwd, std::slice::from_ref(&project)), WorkspaceHooks::None);
        fs::write(cwd.join(FILE), r#"[{"event": "Stop", "command": "x"}]"#).expect("a file");
        for (trusted, expected) in [
            (vec![], false),
            (vec![String::new()], false),
            (vec!["project".into()], false),
            (vec![name(&root.path().join("proj"))], false),
            (vec![name(&cwd.join("below"))], false),
            (vec![project.clone()], true),
            (vec![format!("{project}/../project/")], true),
            (vec![name(&cwd)], true),
        ] {
            let loaded = WorkspaceHooks::load(&cwd, &trusted);
            assert_eq!(loaded.hooks().is_some(), expected, "{trusted:?}");
            assert_eq!(loaded == WorkspaceHooks::Untrusted, !expected, "{trusted:?}");
        }
        let trusted = [project];
        for broken in ["", "{", "[5]", r#"[{"event": "Stop"}]"#, &format!("[{}]", " ".repeat(300_000))] {
            fs::write(cwd.join(FILE), broken).expect("a file");
            assert!(matches!(WorkspaceHooks::load(&cwd, &trusted), WorkspaceHooks::Unusable(_)), "{broken:.9}");
        }
        fs::remove_file(cwd.join(FILE)).expect("a file");
        fs::create_dir(cwd.join(FILE)).expect("a folder");
        assert_eq!(WorkspaceHooks::load(&cwd, &trusted), WorkspaceHooks::None);
    }
}
