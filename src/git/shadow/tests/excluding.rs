//! What no checkpoint holds, and what a restore therefore leaves alone.

use std::fs;
use std::path::PathBuf;

use super::Lab;
use crate::git::shadow::{SkipReason, Skipped};

/// The files of a checkpoint.
fn saved(lab: &Lab) -> Vec<String> {
    let shadow = lab.open();
    let present: Vec<_> = lab.picture().into_keys().collect();
    let mut files = Vec::new();
    for path in present {
        let before = fs::read(lab.path(&path)).unwrap_or_default();
        fs::write(lab.path(&path), [&before[..], b"+"].concat()).unwrap();
    }
    for change in shadow.diff(&shadow.base(), None).unwrap() {
        files.push(change.relative.to_str().unwrap().to_owned());
    }
    files
}

/// parity 02 §15.3: the exclude list, Git LFS and the workspace's own ignore rules
#[test]
fn excluded_and_ignored_files_are_not_saved() {
    let lab = Lab::new();
    lab.write(".gitignore", "*.secret\n/only-here\n!kept.log\n");
    lab.write(".gitattributes", "*.psb filter=lfs diff=lfs\n# comment\n");
    for name in [
        "a.rs",
        "a.secret",
        "only-here",
        "sub/only-here",
        "kept.log",
        "other.log",
        "image.png",
        ".env.local",
        "big.psb",
        "node_modules/x/index.js",
        "sub/node_modules/y.js",
        "target/dependency/z",
        "sub/target/dependency/z",
        "target/z",
        "sub/.gitignore",
        "sub/deep.tmp2",
        "sub/inner/b.rs",
        "yarn-debug.log.1",
        "x.shp.xml",
        ".vscode/settings.json",
    ] {
        let content = if name == "sub/.gitignore" { "*.tmp2\n!*.secret\n" } else { "1" };
        lab.write(name, content);
    }
    lab.write("sub/again.secret", "1");
    assert_eq!(
        saved(&lab),
        [
            ".gitattributes",
            ".gitignore",
            "a.rs",
            "kept.log",
            "sub/.gitignore",
            "sub/again.secret",
            "sub/inner/b.rs",
            "sub/only-here",
            "sub/target/dependency/z",
            "target/z",
        ]
    );
}

/// parity 02 §15.5: ignored files stay
#[test]
fn a_restore_leaves_ignored_files_alone() {
    let lab = Lab::new();
    lab.write(".gitignore", "ignored/\n*.secret\n");
    lab.write("folder/a.rs", "1");
    let shadow = lab.open();
    lab.write("folder/b.rs", "1");
    lab.write("folder/x.secret", "s");
    lab.write("new/x.secret", "s");
    lab.write("ignored/file", "i");
    lab.write("node_modules/m.js", "m");
    shadow.restore(&shadow.base()).unwrap();
    assert!(!lab.exists("folder/b.rs"));
    for path in ["folder/x.secret", "new/x.secret", "ignored/file", "node_modules/m.js"] {
        assert!(lab.exists(path), "{path}");
    }
}

/// As with git: what was in a commit before it was ignored goes on being saved.
#[test]
fn a_saved_file_that_is_ignored_later_is_still_saved() {
    let lab = Lab::new();
    lab.write("conf/data.txt", "1");
    let shadow = lab.open();
    lab.write(".gitignore", "conf/\n");
    lab.write("conf/data.txt", "22");
    lab.write("conf/other.txt", "not saved");
    shadow.save("ignored", false).unwrap().unwrap();
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.read("conf/data.txt"), "1");
    assert!(lab.exists("conf/other.txt") && !lab.exists(".gitignore"));
}

/// A checkpoint wants a file where a folder with ignored files stands now, which no checkpoint could bring back.
#[test]
fn ignored_files_in_the_way_are_left_and_named() {
    let lab = Lab::new();
    lab.write("x", "a file");
    lab.write("y/z", "in a folder");
    let shadow = lab.open();
    fs::remove_file(lab.path("x")).unwrap();
    fs::remove_dir_all(lab.path("y")).unwrap();
    lab.write("x/only.log", "precious");
    lab.write(".gitignore", "/y\n");
    shadow.save("gone", false).unwrap();
    lab.write("y", "precious");
    let restored = shadow.restore(&shadow.base()).unwrap();
    assert_eq!((lab.read("x/only.log"), lab.read("y")), ("precious".to_owned(), "precious".to_owned()));
    let in_the_way = |path: &str| Skipped { path: PathBuf::from(path), reason: SkipReason::InTheWay };
    assert_eq!(restored.skipped, [in_the_way("x"), in_the_way("y/z")]);
}

/// Deviation D28: a nested repository is saved and restored as its files; its `.git` is neither read nor written.
///
/// parity 02 §15.2: nested repositories
#[test]
fn a_nested_repository_is_its_files() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    lab.write("nested/.git/HEAD", "ref: refs/heads/main\n");
    lab.write("nested/.git/config", "[core]\n\tfsmonitor = touch owned\n");
    lab.write("nested/lib.rs", "1");
    lab.write("module/.git", "gitdir: ../elsewhere\n");
    lab.write("module/lib.rs", "1");
    let shadow = lab.open();
    let before = lab.picture();
    lab.write("nested/lib.rs", "2");
    lab.write("module/new.rs", "2");
    lab.write("cloned/.git/HEAD", "ref: refs/heads/main\n");
    lab.write("cloned/lib.rs", "2");
    let after = lab.picture();
    let present = shadow.save("changed", false).unwrap().unwrap();
    shadow.restore(&shadow.base()).unwrap();
    let mut expected = before;
    // What no checkpoint holds is not removed either.
    expected.insert("cloned/.git/HEAD".into(), super::Thing::File(b"ref: refs/heads/main\n".to_vec()));
    assert_eq!(lab.picture(), expected);
    shadow.restore(&present).unwrap();
    assert_eq!(lab.picture(), after);
}

/// The engine's own storage may lie in the workspace; no restore rewinds it.
#[test]
fn the_storage_of_the_engine_is_left_out() {
    let lab = Lab::new();
    let storage = lab.path("state/storage");
    let place = || super::Place { git_dir: storage.join("tasks/t1/checkpoints/.git"), ..lab.place() };
    lab.write("a.rs", "1");
    lab.write("state/storage/tasks/t2/history.json", "1");
    let shadow = super::Shadow::open(place()).unwrap();
    lab.write("state/storage/tasks/t2/history.json", "2");
    lab.write("state/storage/tasks/t3/history.json", "2");
    assert_eq!(shadow.save("none", false).unwrap(), None);
    lab.write("a.rs", "2");
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.read("state/storage/tasks/t2/history.json"), "2");
    assert!(lab.exists("state/storage/tasks/t3/history.json"));
}
