use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::{SystemWatch, Watch, WatchedFiles};

/// Far more than any change takes; only a failing test waits that long.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the system reports a change.
async fn changed(files: &dyn WatchedFiles) -> Vec<PathBuf> {
    let reported = async {
        loop {
            files.stirred().await;
            let changed = files.changed(false).await;
            if !changed.is_empty() {
                return changed;
            }
        }
    };
    tokio::time::timeout(LIMIT, reported).await.expect("the change is reported")
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("a real path");
    (folder, path)
}

fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).expect("written");
    fs::rename(&next, path).expect("renamed");
}

/// parity 02 §14: each way of saving a file is one change
#[tokio::test]
async fn every_way_of_saving_counts_once() {
    let (_keep, root) = folder();
    let (file, other) = (root.join("a.txt"), root.join("b.txt"));
    fs::write(&file, "0").expect("written");
    let files = SystemWatch::default().open();
    assert!(files.add(&file));
    assert!(files.add(&file), "once a path");
    let ways: [(&str, &dyn Fn()); 4] = [
        ("written in place", &|| fs::write(&file, "one").expect("written")),
        ("replaced", &|| replace(&file, "two, longer")),
        ("removed and made anew", &|| {
            fs::remove_file(&file).expect("removed");
            fs::write(&file, "three").expect("written");
        }),
        ("written in steps", &|| {
            for step in 0..3 {
                fs::write(&file, "x".repeat(step)).expect("written");
            }
        }),
    ];
    for (way, save) in ways {
        fs::write(&other, way).expect("written");
        save();
        assert_eq!(changed(files.as_ref()).await, std::slice::from_ref(&file), "{way}");
        assert!(files.changed(true).await.is_empty(), "{way}");
    }
}

/// parity 02 §14: what the engine writes itself is no news, what follows is
#[tokio::test]
async fn the_engines_own_edit_is_accounted_for() {
    let (_keep, root) = folder();
    let file = root.join("a.txt");
    let files = SystemWatch::default().open();
    assert!(files.add(&file), "it need not exist");
    files.hold(&file);
    fs::write(&file, "engine").expect("written");
    assert!(files.changed(true).await.is_empty(), "held");
    assert!(files.release(&file));
    assert!(files.changed(true).await.is_empty());
    replace(&file, "user");
    assert_eq!(changed(files.as_ref()).await, std::slice::from_ref(&file));
    fs::remove_file(&file).expect("removed");
    assert!(files.changed(true).await.is_empty(), "a removal alone is none");
    fs::write(&file, "back").expect("written");
    assert_eq!(files.changed(true).await, std::slice::from_ref(&file));
    let now = fs::metadata(&file).and_then(|found| found.modified()).expect("a time");
    let ms = now.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    assert!(
        files.newer_than(&file, ms - 1) && !files.newer_than(&file, ms) && !files.newer_than(&root.join("none"), 0)
    );
}

/// parity 02 §14: without a watch a file is compared when it is asked for
#[tokio::test]
async fn a_file_that_cannot_be_watched_is_compared() {
    let (_keep, root) = folder();
    let file = root.join("not/yet/there.txt");
    let files = SystemWatch::default().open();
    assert!(files.add(&file), "a folder that is missing is no shortage of watches");
    fs::create_dir_all(root.join("not/yet")).expect("made");
    fs::write(&file, "new").expect("written");
    assert_eq!(files.changed(true).await, std::slice::from_ref(&file));
    assert!(files.changed(true).await.is_empty());
    fs::write(&file, "old").expect("written");
    assert_eq!(files.changed(true).await, [file]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_and_sets_are_apart() {
    let (_keep, root) = folder();
    let (target, link) = (root.join("deep/target"), root.join("link"));
    fs::create_dir(root.join("deep")).expect("made");
    fs::write(&target, "0").expect("written");
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    let watch = SystemWatch::default();
    let (by_link, direct) = (watch.open(), watch.open());
    assert!(by_link.add(&link) && direct.add(&target));
    fs::write(&target, "changed").expect("written");
    assert_eq!(changed(by_link.as_ref()).await, [link]);
    drop(by_link);
    assert_eq!(changed(direct.as_ref()).await, std::slice::from_ref(&target));
    replace(&target, "again");
    assert_eq!(changed(direct.as_ref()).await, [target]);
    assert!(!watch.is_at_rest());
    drop(direct);
    assert!(watch.is_at_rest());
}

#[tokio::test]
async fn a_refused_watch_leaves_no_watcher() {
    let (_keep, root) = folder();
    let watch = SystemWatch::default();
    let files = watch.open();
    assert!(files.add(&root.join("none/file")));
    drop(files);
    assert!(watch.is_at_rest());
}
