//! What was saved comes back, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{Lab, Thing};

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
    assert_eq!(restored.written, ["src/gone.rs", "src/main.rs"].map(PathBuf::from));
    assert_eq!(restored.removed, ["new/deep/untracked.txt"].map(PathBuf::from));
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
    let log = shadow.log().unwrap();
    let messages: BTreeSet<_> = log.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(messages, ["initial commit", "forced", "changed"].into());
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

/// What a restore has left behind can be restored: a commit is not lost when `HEAD` moves away from it.
#[test]
fn a_restore_can_be_undone() {
    let lab = Lab::new();
    lab.write("a.txt", "old");
    let shadow = lab.open();
    lab.write("a.txt", "new");
    lab.write("b.txt", "new too");
    let present = lab.picture();
    let saved = shadow.save("present", true).unwrap().unwrap();
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.read("a.txt"), "old");
    assert!(shadow.log().unwrap().iter().any(|entry| entry.commit == saved));
    shadow.restore(&saved).unwrap();
    assert_eq!(lab.picture(), present);
    let again = shadow.restore(&saved).unwrap();
    assert_eq!((again.written, again.removed), (vec![], vec![]));
}

/// A file where a folder was, a folder where a file was, links instead of either, and back.
#[cfg(unix)]
#[test]
fn files_folders_and_links_take_each_others_place() {
    type Make = fn(&Lab);
    let kinds: [(&str, Make); 6] = [
        ("nothing", |_| {}),
        ("file", |lab| lab.write("x", "a file")),
        ("executable", |lab| {
            lab.write("x", "a file");
            lab.permissions("x", 0o755);
        }),
        ("folder", |lab| {
            lab.write("x/y/one", "1");
            lab.write("x/two", "2");
        }),
        ("link", |lab| lab.link("x", "target.txt")),
        ("link to a folder", |lab| lab.link("x", "other")),
    ];
    for (before, make_before) in &kinds {
        for (after, make_after) in &kinds {
            let lab = Lab::new();
            lab.write("target.txt", "target");
            lab.write("other/y/one", "not to be touched");
            make_before(&lab);
            let shadow = lab.open();
            let saved = lab.picture();
            if lab.path("x").is_dir() && !lab.path("x").is_symlink() {
                fs::remove_dir_all(lab.path("x")).unwrap();
            } else {
                let _ = fs::remove_file(lab.path("x"));
            }
            make_after(&lab);
            let present = lab.picture();
            let checkpoint = shadow.save("after", true).unwrap().unwrap();
            shadow.restore(&shadow.base()).unwrap();
            assert_eq!(lab.picture(), saved, "{after} back to {before}");
            shadow.restore(&checkpoint).unwrap();
            assert_eq!(lab.picture(), present, "{before} on to {after}");
        }
    }
}

#[test]
fn contents_come_back_byte_for_byte() {
    let binary: Vec<u8> = (0..3 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let contents: [(&str, &[u8]); 8] = [
        ("empty", b""),
        ("no-final-newline", b"a"),
        ("crlf", b"a\r\nb\r\n"),
        ("mixed", b"a\r\nb\nc\r"),
        ("bom", b"\xef\xbb\xbfa\n"),
        ("keyword", b"$Id$ $Id: x $\n"),
        ("invalid-utf8", b"\xff\xfe\0\x80"),
        ("large-binary", &binary),
    ];
    let lab = Lab::new();
    // Git would change contents by these.
    lab.write(".gitattributes", "* text=auto eol=crlf ident\n");
    for (name, content) in contents {
        lab.write(name, content);
    }
    let shadow = lab.open();
    let saved = lab.picture();
    for (name, _) in contents {
        fs::remove_file(lab.path(name)).unwrap();
    }
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture(), saved);
}

#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    for name in [&b"not \xff utf-8"[..], b"line\nbreak", b"tab\tquote\"back\\slash", b" spaces ", b"-dash", b"git~1"] {
        lab.write(std::ffi::OsStr::from_bytes(name), name);
    }
    let shadow = lab.open();
    let saved = lab.picture();
    assert_eq!(saved.len(), 6);
    for path in saved.keys() {
        fs::remove_file(lab.path(path)).unwrap();
    }
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture(), saved);
    assert_eq!(shadow.save("same", false).unwrap(), None);
}

/// parity 02 §15.5: empty folders are not kept, as with `git clean -d`
#[test]
fn empty_folders_are_removed_and_others_made() {
    let lab = Lab::new();
    lab.write("full/of/files", "1");
    let shadow = lab.open();
    fs::remove_dir_all(lab.path("full")).unwrap();
    fs::create_dir_all(lab.path("empty/inside/inside")).unwrap();
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture().into_iter().collect::<Vec<_>>(), [("full/of/files".into(), Thing::File(b"1".to_vec()))]);
}

#[cfg(unix)]
#[test]
fn the_permissions_of_a_rewritten_file_stay() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    lab.write("private", "1");
    lab.permissions("private", 0o600);
    lab.write("tool", "1");
    lab.permissions("tool", 0o750);
    let shadow = lab.open();
    lab.write("private", "2");
    lab.permissions("tool", 0o640);
    shadow.restore(&shadow.base()).unwrap();
    let mode = |name: &str| lab.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("private"), mode("tool")), (0o600, 0o750));
}
