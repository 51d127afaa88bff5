//! The files of a case below a temporary folder: `/ws` and `/h` of the recorded outputs are folders in it.

use std::fs;
use std::path::{Path, PathBuf};

use lapce_ai::prompt::rules::toggles::{Switches, Toggles};
use serde_json::Value;

/// The world's files; gone when it is dropped.
pub struct Disk {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Disk {
    /// Makes `files`, `dirs` and `links` of a case.
    pub fn of(input: &Value) -> Disk {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a real path");
        fill(&root, input);
        Disk { _folder: folder, root }
    }

    /// The working directory of a case.
    pub fn cwd(&self, input: &Value) -> PathBuf {
        self.at(input["cwd"].as_str().unwrap_or("/ws"))
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.at("/h")
    }

    /// Where a path of a case stands.
    pub fn at(&self, path: &str) -> PathBuf {
        at(&self.root, path)
    }

    /// A text with paths as a case has them.
    pub fn shown(&self, text: &str) -> String {
        text.replace(&*self.root.to_string_lossy(), "")
    }

    /// The switches of a case.
    pub fn toggles(&self, input: &Value) -> Toggles {
        let map = |key: &str| -> Switches {
            let switches = input[key].as_object().into_iter().flatten();
            switches.map(|(path, on)| (self.at(path).to_string_lossy().into_owned(), on.clone())).collect()
        };
        Toggles {
            local_rules: map("local_rules_toggles"),
            global_rules: map("global_rules_toggles"),
            local_workflows: map("local_workflow_toggles"),
            global_workflows: map("global_workflow_toggles"),
        }
    }
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Makes `files`, `dirs` and `links` of a case below `root`, and the folders that are always there.
pub fn fill(root: &Path, input: &Value) {
    let make = |path: &Path| fs::create_dir_all(path).expect("a folder");
    make(&at(root, input["cwd"].as_str().unwrap_or("/ws")));
    make(&at(root, "/h"));
    for path in input["dirs"].as_array().into_iter().flatten() {
        make(&at(root, path.as_str().expect("a path")));
    }
    for (path, content) in input["files"].as_object().into_iter().flatten() {
        let bytes = match content {
            Value::String(text) => text.clone().into_bytes(),
            bytes => serde_json::from_value(bytes.clone()).expect("text or bytes"),
        };
        let file = at(root, path);
        make(file.parent().expect("a folder"));
        fs::write(file, bytes).expect("a file");
    }
    for (path, target) in input["links"].as_object().into_iter().flatten() {
        let target = target.as_str().expect("a path");
        let target = if target.starts_with('/') { at(root, target) } else { target.into() };
        let link = at(root, path);
        make(link.parent().expect("a folder"));
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, link).expect("a link");
        #[cfg(windows)]
        drop((target, link));
    }
}
