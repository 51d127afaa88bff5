//! Workflow files of the workspace and of the user (spec 03 §15.4).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::prompt::mentions::slash::Workflow;
use crate::prompt::rules::toggles::Toggles;
use crate::workspace::reading;

/// Where workflows stand below a workspace or home folder.
const FOLDER: &str = ".kilocode/workflows";
/// Files that systems leave behind.
const LITTER: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// Most files that are looked at in one folder, and how deep.
const MOST_FILES: usize = 1_000;
const DEEPEST: usize = 16;

/// The workflows of the workspace, then those of the user, with what the user has said of them; blocking.
pub fn known(cwd: &Path, home: &Path, toggles: &Toggles) -> Vec<Workflow> {
    let mut workflows = synchronised(&toggles.local_workflows, &cwd.join(FOLDER));
    workflows.extend(synchronised(&toggles.global_workflows, &home.join(FOLDER)));
    workflows
}

/// The switches as they are after a look at the folder: files that are gone lose theirs, new ones are on. What cannot be read
/// changes nothing. `folder` may be a file, which is then the only workflow.
pub fn synchronised(toggles: &Map<String, Value>, folder: &Path) -> Vec<Workflow> {
    let known = toggles.iter().map(|(path, on)| Workflow { path: path.into(), enabled: *on == Value::Bool(true) });
    let found = match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => {
            let mut files = BTreeSet::new();
            if collect(folder, DEEPEST, &mut files).is_err() {
                return known.collect();
            }
            files
        }
        Ok(_) => BTreeSet::from([folder.to_owned()]),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
        Err(_) => return known.collect(),
    };
    let mut workflows: Vec<Workflow> = known.filter(|workflow| found.contains(&workflow.path)).collect();
    let new = found.into_iter().filter(|path| !path.to_str().is_some_and(|path| toggles.contains_key(path)));
    workflows.extend(new.map(|path| Workflow { path, enabled: true }));
    workflows
}

/// The text of a workflow; blocking.
///
/// # Errors
/// It is no regular file, has more than 1 MiB, or the system refuses.
pub fn read(path: &Path) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&reading::read_at_most(path, LARGEST_FILE)?).into_owned())
}

/// Regular files below a folder; links are not followed.
fn collect(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && !LITTER.iter().any(|name| entry.file_name() == *name) && files.len() < MOST_FILES {
            files.insert(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// parity 03 §15.4: switches of workflows follow the folder
    #[test]
    fn new_files_are_on_and_gone_ones_forgotten() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |name: &str| root.path().join(FOLDER).join(name);
        std::fs::create_dir_all(at("deep")).expect("made");
        for name in ["b.md", "a.md", "deep/c.md", ".DS_Store"] {
            std::fs::write(at(name), name).expect("written");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), at("loop")).expect("linked");
        let key = |name: &str| at(name).to_string_lossy().into_owned();
        let toggles = json!({key("gone.md"): true, key("deep/c.md"): false});
        let local_workflows = toggles.as_object().cloned().expect("a map");
        let known = known(root.path(), Path::new("/nowhere"), &Toggles { local_workflows, ..Toggles::default() });
        let rows: Vec<(PathBuf, bool)> = known.into_iter().map(|workflow| (workflow.path, workflow.enabled)).collect();
        assert_eq!(rows, [(at("deep/c.md"), false), (at("a.md"), true), (at("b.md"), true)]);
        let file = synchronised(&Map::new(), &at("a.md"));
        assert_eq!(file, [Workflow { path: at("a.md"), enabled: true }]);
        assert_eq!(synchronised(toggles.as_object().expect("a map"), Path::new("/nowhere")), []);
        assert_eq!(read(&at("b.md")).expect("read"), "b.md");
        assert!(read(root.path()).is_err());
        std::fs::write(at("large.md"), vec![b'x'; LARGEST_FILE as usize + 1]).expect("written");
        assert!(read(&at("large.md")).is_err());
    }
}
