//! Workspaces made to harm: links out, pipes, folders that change under the walk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::Lab;
use crate::git::shadow::{SkipReason, Skipped};

/// A folder outside the workspace that nothing may touch.
fn outside(lab: &Lab) -> PathBuf {
    let outside = lab.folder.path().join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::write(outside.join("sub/file"), "untouched").unwrap();
    outside
}

#[test]
fn links_are_saved_as_links() {
    let lab = Lab::new();
    let outside = outside(&lab);
    lab.link("out", &outside);
    lab.link("loop", "loop");
    lab.link("dangling", "nowhere");
    let shadow = lab.open();
    let saved = lab.picture();
    for name in ["out", "loop", "dangling"] {
        fs::remove_file(lab.path(name)).unwrap();
    }
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture(), saved);
    assert_eq!(fs::read_to_string(outside.join("sub/file")).unwrap(), "untouched");
}

/// Between save and restore a folder became a link out of the workspace: nothing is written or removed behind it.
#[test]
fn a_folder_replaced_by_a_link_is_not_followed() {
    let lab = Lab::new();
    let outside = outside(&lab);
    lab.write("sub/file", "inside");
    let shadow = lab.open();
    let saved = lab.picture();
    fs::remove_dir_all(lab.path("sub")).unwrap();
    symlink(outside.join("sub"), lab.path("sub")).unwrap();
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture(), saved);
    assert_eq!(fs::read_to_string(outside.join("sub/file")).unwrap(), "untouched");
}

/// The same with a link that is ignored, and so is neither saved nor removed.
#[test]
fn an_ignored_link_in_the_way_is_not_followed() {
    let lab = Lab::new();
    let outside = outside(&lab);
    lab.write("sub/other", "inside");
    let shadow = lab.open();
    fs::remove_dir_all(lab.path("sub")).unwrap();
    lab.write(".gitignore", "/sub\n");
    shadow.save("gone", false).unwrap();
    symlink(outside.join("sub"), lab.path("sub")).unwrap();
    let restored = shadow.restore(&shadow.base()).unwrap();
    assert_eq!(restored.skipped, [Skipped { path: "sub/other".into(), reason: SkipReason::InTheWay }]);
    assert_eq!(fs::read_dir(outside.join("sub")).unwrap().count(), 1);
    assert!(lab.path("sub").is_symlink());
}

/// A link where a file was: the link is replaced, not what it points to.
#[test]
fn a_file_replaced_by_a_link_is_not_written_through() {
    let lab = Lab::new();
    let outside = outside(&lab);
    lab.write("file", "inside");
    let shadow = lab.open();
    fs::remove_file(lab.path("file")).unwrap();
    symlink(outside.join("sub/file"), lab.path("file")).unwrap();
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.read("file"), "inside");
    assert!(!lab.path("file").is_symlink());
    assert_eq!(fs::read_to_string(outside.join("sub/file")).unwrap(), "untouched");
}

#[test]
fn ignore_files_behind_links_are_not_read() {
    let lab = Lab::new();
    fs::write(lab.folder.path().join("rules"), "*.rs\n").unwrap();
    lab.link(".gitignore", lab.folder.path().join("rules"));
    lab.write("a.rs", "1");
    let shadow = lab.open();
    lab.write("a.rs", "2");
    assert_eq!(shadow.diff(&shadow.base(), None).unwrap().len(), 1);
}

#[test]
fn pipes_and_sockets_are_named_and_left() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        lab.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(lab.path("socket")).unwrap();
    let shadow = lab.open();
    lab.write("a.rs", "2");
    shadow.save("pipe", false).unwrap();
    let mut skipped = shadow.skipped();
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    let special = |path: &str| Skipped { path: path.into(), reason: SkipReason::Special };
    assert_eq!(skipped, [special("pipe"), special("socket")]);
    shadow.restore(&shadow.base()).unwrap();
    assert!(lab.exists("pipe") && lab.exists("socket"));
}

/// Unreadable is not deleted: the file and the folder stay as they were last, in the checkpoint and on the disk.
#[test]
fn what_cannot_be_read_is_named_and_kept() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root reads everything");
        return;
    }
    let lab = Lab::new();
    lab.write("file", "1");
    lab.write("folder/inner", "1");
    let shadow = lab.open();
    lab.permissions("file", 0o000);
    lab.permissions("folder", 0o000);
    lab.write("changed", "2");
    shadow.save("unreadable", false).unwrap().unwrap();
    let named: Vec<_> = shadow.skipped().into_iter().map(|skipped| skipped.path).collect();
    assert_eq!(named.len(), 2);
    lab.write("new", "secret");
    lab.permissions("new", 0o000);
    let restored = shadow.restore(&shadow.base()).unwrap();
    assert_eq!(restored.removed, [PathBuf::from("changed")]);
    assert!(restored.skipped.iter().any(|skipped| skipped.path.as_os_str() == "new"));
    for (name, mode) in [("file", 0o644), ("new", 0o644), ("folder", 0o755)] {
        lab.permissions(name, mode);
    }
    assert_eq!(
        (lab.read("file"), lab.read("folder/inner"), lab.read("new")),
        ("1".into(), "1".into(), "secret".into())
    );
    assert_eq!(shadow.diff(&shadow.base(), None).unwrap().len(), 1);
}

/// A commit written by someone else may name anything.
#[test]
fn a_commit_cannot_reach_out_of_the_work_tree() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    let shadow = lab.open();
    let evil = {
        let inner = shadow.lock();
        let objects = &inner.repository.objects;
        let blob = objects.write(git2::ObjectType::Blob, b"evil").unwrap();
        let mut tree = Vec::new();
        for name in ["..", ".git", ".GIT", "../evil", "/evil", "fine"] {
            tree.extend_from_slice(format!("100644 {name}\0").as_bytes());
            tree.extend_from_slice(blob.as_bytes());
        }
        let tree = objects.write(git2::ObjectType::Tree, &tree).unwrap();
        let text = format!("tree {tree}\nauthor a <b> 0 +0000\ncommitter a <b> 0 +0000\n\nevil\n");
        objects.write(git2::ObjectType::Commit, text.as_bytes()).unwrap()
    };
    let restored = shadow.restore(&crate::git::Commit::parse(&evil.to_string()).unwrap()).unwrap();
    assert_eq!(restored.written, [PathBuf::from("fine")]);
    assert!(!lab.exists(".git") && !lab.folder.path().join("evil").exists());
}
