use std::fs;
use std::path::Path;

use super::blobs::Content;
use super::dry_run::DryRun;
use super::originals::Originals;

fn bytes(text: &str) -> Content {
    Content::Bytes(text.as_bytes().to_vec())
}

#[test]
fn the_first_original_stays_and_outlives_the_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("there");
    let (task, file) = (root.join("task"), root.join("w/a.txt"));
    fs::create_dir(root.join("w")).expect("made");
    fs::write(&file, "one\ntwo\n").expect("written");
    let originals = Originals::of(&task);
    originals.record(&file, &bytes("one\n"));
    originals.record(&file, &bytes("never\n"));
    originals.record(&root.join("w/gone"), &bytes("x"));
    originals.record(&root.join("w/never"), &Content::Absent);
    drop(originals);
    let originals = Originals::of(&task);
    let changes: Vec<_> = originals.changes(&root.join("w")).collect();
    assert_eq!((changes[0].path.as_str(), &changes[0].before), ("a.txt", &bytes("one\n")));
    assert_eq!((changes[1].path.as_str(), &changes[1].after), ("gone", &Content::Absent));
    assert_eq!(changes.len(), 2, "a file that came and went has not changed");
    let counts = originals.counts(&root.join("w"), &file);
    assert_eq!(
        counts.iter().map(|(path, c)| (path.as_str(), c.added, c.removed)).collect::<Vec<_>>(),
        [("a.txt", 1, 0), ("gone", 0, 1)]
    );
}

#[test]
fn what_is_damaged_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = folder.path().join("originals/index.json");
    fs::create_dir_all(folder.path().join("originals")).expect("made");
    fs::write(&index, "{").expect("written");
    Originals::of(folder.path()).record(Path::new("/a"), &bytes("a"));
    assert_eq!(fs::read(&index).expect("there"), b"{");

    let index = folder.path().join("dry_run/index.json");
    DryRun::begin(folder.path(), None).expect("begun");
    fs::write(&index, "{").expect("written");
    assert_eq!(DryRun::begun_by(folder.path()).as_deref(), Some(folder.path()));
    let dry_run = DryRun::of(folder.path());
    let refused = dry_run.put(Path::new("/a"), &Content::Absent, "x").expect_err("refused");
    assert!(refused.contains("index.json"), "{refused}");
    assert!(dry_run.report(Path::new("/"), &[]).is_err());
    assert_eq!(fs::read(&index).expect("there"), b"{");
}

#[test]
fn collected_texts_are_kept_by_file_and_those_that_change_nothing_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("there");
    let file = root.join("a.rs");
    fs::write(&file, "one\n").expect("written");
    DryRun::begin(&root, None).expect("begun");
    let dry_run = DryRun::of(&root);
    dry_run.put(&file, &bytes("one\n"), "two\n").expect("collected");
    dry_run.put(&file, &bytes("ignored"), "three\n").expect("collected");
    let copy = dry_run.copy(&file).expect("collected");
    assert_eq!(copy.extension().and_then(|kind| kind.to_str()), Some("rs"));
    assert_eq!(fs::read(&copy).expect("there"), b"three\n");
    assert_eq!(fs::read_dir(root.join("dry_run/files")).expect("listed").count(), 2, "old copies are gone");
    // A new engine has the same.
    assert_eq!(DryRun::of(&root).copy(&file), Some(copy));
    dry_run.put(&file, &Content::Unknown, "one\n").expect("collected");
    assert_eq!(dry_run.copy(&file), None);
    assert_eq!(fs::read(&file).expect("there"), b"one\n");
}

#[cfg(unix)]
#[test]
fn a_file_is_one_whatever_link_leads_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("there");
    fs::write(root.join("real"), "x").expect("written");
    std::os::unix::fs::symlink("real", root.join("link")).expect("linked");
    DryRun::begin(&root, None).expect("begun");
    let dry_run = DryRun::of(&root);
    dry_run.put(&root.join("link"), &bytes("x"), "y").expect("collected");
    assert!(dry_run.copy(&root.join("real")).is_some());
    assert_eq!(dry_run.below(&root).len(), 1);
}

#[test]
fn subtasks_share_the_dry_run_of_the_task_that_began_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, child) = (folder.path().join("root"), folder.path().join("child"));
    assert_eq!(DryRun::begun_by(&root), None);
    DryRun::begin(&root, None).expect("begun");
    DryRun::begin(&child, DryRun::of(&root).task()).expect("begun");
    assert_eq!(DryRun::begun_by(&child), Some(root.clone()));
    fs::remove_dir_all(&root).expect("removed");
    assert_eq!(DryRun::begun_by(&child), Some(child.clone()));
    DryRun::begin(&child, Some("../x")).expect("begun");
    assert_eq!(DryRun::begun_by(&child), Some(child.clone()));
}
