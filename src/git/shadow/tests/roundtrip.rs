//! What was saved comes back, byte for byte.

use std::fs;

use super::Lab;

/// parity 02 §15.5: a restore brings back changed and deleted files and removes those that came since
#[test]
fn restore_brings_back_what_was_saved() {
    let lab = Lab::new();
    lab.write("kept.txt", "same");
    lab.write("src/main.rs", "before");
    lab.write("src/gone.rs", "was here");
    let shadow = lab.open();
    let saved = lab.picture();

    lab.write("src/main.rs", "after");
    fs::remove_file(lab.path("src/gone.rs")).unwrap();
    lab.write("new/deep/untracked.txt", "new");
    let restored = shadow.restore(&shadow.base()).unwrap();

    assert_eq!(lab.picture(), saved);
    assert_eq!(restored.written, ["src/gone.rs", "src/main.rs"].map(std::path::PathBuf::from));
    assert_eq!(restored.removed, ["new/deep/untracked.txt"].map(std::path::PathBuf::from));
    assert_eq!(restored.skipped, []);
}

/// parity 02 §15.4: without a change there is no commit, unless one is asked for
#[test]
fn a_save_without_change_makes_a_commit_only_when_forced() {
    let lab = Lab::new();
    lab.write("a.txt", "a");
    let shadow = lab.open();
    assert_eq!(shadow.save("nothing", false).unwrap(), None);
    let forced = shadow.save("forced", true).unwrap().unwrap();
    assert_ne!(forced, shadow.base());
    lab.write("a.txt", "b");
    let changed = shadow.save("changed", false).unwrap().unwrap();
    assert_ne!(changed, forced);
    assert_eq!(
        shadow.log().unwrap().iter().map(|e| e.message.as_str()).collect::<std::collections::BTreeSet<_>>(),
        ["initial commit", "forced", "changed"].into()
    );
}

/// A second save in the same tick of the clock, same size: the stamp alone would not tell.
#[test]
fn a_change_of_the_same_size_at_the_same_moment_is_seen() {
    let lab = Lab::new();
    lab.write("a.txt", "0");
    let shadow = lab.open();
    for digit in 1..9 {
        lab.write("a.txt", digit.to_string());
        assert!(shadow.save("step", false).unwrap().is_some(), "change to {digit}");
    }
}
