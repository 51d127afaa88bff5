//! Differences between checkpoints, and between one and the work tree.

use std::fs;

use super::Lab;
use crate::git::{ChangeStatus, FileKind};

/// parity 02 §15.7: paths and contents of what differs, untracked files included
#[test]
fn diff_tells_what_changed() {
    let lab = Lab::new();
    lab.write("deleted", "d");
    lab.write("kept", "k");
    lab.write("modified", "old\n");
    let shadow = lab.open();
    fs::remove_file(lab.path("deleted")).unwrap();
    lab.write("modified", "new\n");
    lab.write("sub/added", "a");
    let rows = |changes: Vec<crate::git::FileChange>| -> Vec<_> {
        changes
            .into_iter()
            .map(|c| {
                assert_eq!(c.absolute, lab.path(&c.relative));
                let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
                (c.relative.to_str().unwrap().replace('\\', "/"), c.status, text(c.before), text(c.after))
            })
            .collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let expected = vec![
        ("deleted".to_owned(), ChangeStatus::Deleted, some("d"), None),
        ("modified".to_owned(), ChangeStatus::Modified, some("old\n"), some("new\n")),
        ("sub/added".to_owned(), ChangeStatus::Added, None, some("a")),
    ];
    assert_eq!(rows(shadow.diff(&shadow.base(), None).unwrap()), expected);
    let saved = shadow.save("changed", false).unwrap().unwrap();
    lab.write("kept", "changed later");
    assert_eq!(rows(shadow.diff(&shadow.base(), Some(&saved)).unwrap()), expected);
    assert_eq!(shadow.diff(&saved, Some(&saved)).unwrap(), []);
    assert_eq!(rows(shadow.diff(&saved, None).unwrap()).len(), 1);
    assert_eq!(shadow.diff(&saved, Some(&shadow.base())).unwrap().len(), 3);
}

#[test]
fn binary_and_large_contents_are_left_out_with_their_sizes() {
    let lab = Lab::new();
    lab.write("binary", b"a\0b");
    lab.write("large", "x".repeat(1 << 20));
    let shadow = lab.open();
    lab.write("binary", b"a\0bc");
    lab.write("large", "x".repeat((1 << 20) + 1));
    let saved = shadow.save("changed", false).unwrap().unwrap();
    for to in [None, Some(&saved)] {
        let changes = shadow.diff(&shadow.base(), to).unwrap();
        let [binary, large] = &changes[..] else { panic!("{changes:?}") };
        assert!(binary.binary && binary.before.is_none() && binary.after.is_none());
        assert_eq!((binary.before_size, binary.after_size), (Some(3), Some(4)));
        assert!(!large.binary && large.before.as_ref().is_some_and(|b| b.len() == 1 << 20) && large.after.is_none());
        assert_eq!((large.before_size, large.after_size), (Some(1 << 20), Some((1 << 20) + 1)));
    }
}

#[cfg(unix)]
#[test]
fn diff_tells_kinds() {
    let lab = Lab::new();
    lab.write("tool", "#!/bin/sh\n");
    lab.write("file", "f");
    let shadow = lab.open();
    lab.permissions("tool", 0o755);
    fs::remove_file(lab.path("file")).unwrap();
    lab.link("file", "tool");
    let changes = shadow.diff(&shadow.base(), None).unwrap();
    let kinds: Vec<_> = changes.iter().map(|c| (c.status, c.before_kind.unwrap(), c.after_kind.unwrap())).collect();
    assert_eq!(
        kinds,
        [
            (ChangeStatus::TypeChanged, FileKind::File, FileKind::Link),
            (ChangeStatus::Modified, FileKind::File, FileKind::Executable),
        ]
    );
    assert_eq!(changes[0].after.as_deref(), Some(&b"tool"[..]));
}
