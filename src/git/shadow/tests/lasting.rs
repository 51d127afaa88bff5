//! What a repository survives: other engines, killed ones, moved workspaces, a broken index.

use std::fs;

use super::{Lab, Place, Shadow, ShadowError};
use crate::git::Commit;

/// Nothing of a repository that nobody waits for any more is taken for a whole one.
#[test]
fn an_opening_that_is_given_up_leaves_one_that_can_be_opened() {
    let lab = Lab::new();
    lab.write("a.txt", "a");
    lab.write("b.txt", "b");
    let asked = std::cell::Cell::new(0);
    let stopped = || asked.replace(asked.get() + 1) == 1;
    assert!(matches!(Shadow::open_unless(lab.place(), &stopped), Err(ShadowError::Stopped)));
    let shadow = lab.open();
    assert_eq!(shadow.save("m", false).unwrap(), None);
    assert!(shadow.diff(&shadow.base(), None).unwrap().is_empty());
}

/// parity 02 §15.1: personal folders are refused
#[test]
fn personal_folders_are_refused() {
    let lab = Lab::new();
    let home = lab.folder.path().join("home");
    for name in ["", "Desktop", "Documents", "Downloads"] {
        let work_tree = home.join(name);
        fs::create_dir_all(&work_tree).unwrap();
        let refused = Shadow::open(Place { work_tree, ..lab.place() });
        assert!(matches!(refused, Err(ShadowError::PersonalFolder(_))), "{name}");
    }
    let deeper = home.join("Documents/project");
    fs::create_dir_all(&deeper).unwrap();
    assert!(Shadow::open(Place { work_tree: deeper, ..lab.place() }).is_ok());
    assert!(!lab.git_dir().parent().unwrap().join("leftover").exists());
}

#[cfg(unix)]
#[test]
fn home_behind_a_link_is_home() {
    let lab = Lab::new();
    std::os::unix::fs::symlink(lab.folder.path().join("home"), lab.folder.path().join("alias")).unwrap();
    let refused = Shadow::open(Place { work_tree: lab.folder.path().join("alias"), ..lab.place() });
    assert!(matches!(refused, Err(ShadowError::PersonalFolder(_))));
}

/// parity 02 §15.2: an existing repository must be that of this workspace; its base is `HEAD`
#[test]
fn a_repository_is_opened_again_for_its_own_work_tree_only() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    let shadow = lab.open();
    lab.write("a.rs", "2");
    let last = shadow.save("two", false).unwrap().unwrap();
    drop(shadow);
    assert_eq!(lab.open().base(), last);

    let moved = lab.folder.path().join("moved \"here\"");
    fs::rename(lab.workspace(), &moved).unwrap();
    let error = Shadow::open(Place { work_tree: moved.clone(), ..lab.place() }).err().unwrap();
    assert!(matches!(&error, ShadowError::OtherWorkTree { .. }), "{error}");
    for path in [lab.workspace(), moved] {
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn odd_paths_are_remembered_exactly() {
    let lab = Lab::new();
    let work_tree = lab.folder.path().join("a \"b\" \\c ; # \t");
    fs::create_dir(&work_tree).unwrap();
    let place = || Place { work_tree: work_tree.clone(), ..lab.place() };
    let base = Shadow::open(place()).unwrap().base();
    assert_eq!(Shadow::open(place()).unwrap().base(), base);
}

/// What a killed engine can leave: half-written temporary files, git's lock files, an index cut off, none at all.
#[test]
fn what_a_killed_engine_leaves_behind_is_no_hindrance() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    let shadow = lab.open();
    let git = lab.git_dir();
    let index = fs::read(git.join("index")).unwrap();
    for (round, index) in
        [&index[..], &index[..index.len() / 2], b"", b"DIRC\0\0\0\x02\xff\xff\xff\xff"].iter().enumerate()
    {
        for name in [
            "index.lock",
            "HEAD.lock",
            "refs/heads/master.lock",
            "lapce-ai.tmp",
            "lapce-ai.index",
            "lapce-ai.index.lock",
            "objects/tmp_obj_lapce-ai",
        ] {
            fs::write(git.join(name), "half").unwrap();
        }
        fs::write(git.join("index"), index).unwrap();
        lab.write("a.rs", format!("changed {round}"));
        let saved = shadow.save("again", false).unwrap().unwrap();
        assert_eq!(lab.open().base(), saved);
        fs::remove_file(git.join("index")).unwrap();
        assert_eq!(shadow.save("no index", false).unwrap(), None);
    }
    assert_eq!(shadow.diff(&shadow.base(), None).unwrap().len(), 1);
}

/// Killed between the first object and the first commit: the repository is made as if it were new.
#[test]
fn a_repository_without_a_commit_gets_one() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    drop(lab.open());
    let git = lab.git_dir();
    fs::remove_file(git.join("refs/heads/master")).unwrap();
    let shadow = lab.open();
    lab.write("a.rs", "2");
    assert_eq!(shadow.diff(&shadow.base(), None).unwrap().len(), 1);
}

#[test]
fn a_damaged_repository_is_an_error_and_touches_nothing() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    let shadow = lab.open();
    lab.write("a.rs", "2");
    let present = lab.picture();
    let blob = super::super::objects::hash(b"1").unwrap().to_string();
    fs::remove_file(lab.git_dir().join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    assert!(shadow.restore(&shadow.base()).is_err());
    assert_eq!(lab.picture(), present);
    fs::write(lab.git_dir().join("refs/heads/master"), "no id\n").unwrap();
    assert!(matches!(lab.try_open(), Err(ShadowError::Damaged { .. })));
}

/// parity 02 §15.4: abbreviated ids stand for their commit
#[test]
fn abbreviated_ids_are_accepted() {
    let lab = Lab::new();
    lab.write("a.rs", "1");
    let shadow = lab.open();
    let short = Commit::parse(&shadow.base().as_str()[..7]).unwrap();
    assert_eq!(shadow.resolve(&short).unwrap(), shadow.base());
    lab.write("a.rs", "2");
    shadow.restore(&short).unwrap();
    assert_eq!(lab.read("a.rs"), "1");
    let blob = super::super::objects::hash(b"1").unwrap().to_string();
    for id in ["0000000", blob.as_str()] {
        let unknown = shadow.restore(&Commit::parse(id).unwrap());
        assert!(matches!(unknown, Err(ShadowError::UnknownCommit(_))), "{id}");
    }
    for text in ["", "abc", "xyzw", "--help", &"a".repeat(41)] {
        assert!(matches!(Commit::parse(text), Err(ShadowError::InvalidId(_))), "{text}");
    }
}

/// Two engines on one repository: each operation is whole, none is lost.
#[test]
fn engines_exclude_each_other() {
    let lab = Lab::new();
    lab.write("a.rs", "0");
    drop(lab.open());
    std::thread::scope(|scope| {
        for engine in 0..4 {
            let lab = &lab;
            scope.spawn(move || {
                let shadow = lab.open();
                for round in 0..5 {
                    lab.write(format!("{engine}.rs"), format!("{round}"));
                    shadow.save(&format!("{engine} {round}"), true).unwrap().unwrap();
                }
            });
        }
    });
    assert_eq!(lab.open().log().unwrap().len(), 21);
    assert_eq!(lab.open().save("nothing new", false).unwrap(), None);
}
