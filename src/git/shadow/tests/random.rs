//! Any sequence of edits: what was saved is what is restored.

use std::fs;

use proptest::prelude::*;

use super::{Lab, Thing};

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    #[cfg_attr(not(unix), allow(dead_code, reason = "links are made on Unix only"))]
    Link(usize, usize),
    Executable(usize),
    Remove(usize),
    Rename(usize, usize),
}

/// Few paths, so that they meet: each is a folder of others.
const PATHS: [&str; 9] = ["a", "a/b", "a/b/c", "a.b", "a/b.c", "d/e", "d", "a-b/c", "a/B"];

fn edit() -> impl Strategy<Value = Edit> {
    let path = 0..PATHS.len();
    prop_oneof![
        4 => (path.clone(), proptest::collection::vec(any::<u8>(), 0..6)).prop_map(|(p, c)| Edit::Write(p, c)),
        1 => (path.clone(), path.clone()).prop_map(|(p, t)| Edit::Link(p, t)),
        1 => path.clone().prop_map(Edit::Executable),
        2 => path.clone().prop_map(Edit::Remove),
        1 => (path.clone(), path).prop_map(|(a, b)| Edit::Rename(a, b)),
    ]
}

fn remove(lab: &Lab, path: &str) {
    let path = lab.path(path);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).unwrap();
    } else {
        let _ = fs::remove_file(path);
    }
}

/// Makes room for a path: what stands on the way to it as a file or link goes, and what stands there.
fn clear(lab: &Lab, path: &str) {
    for (end, _) in path.match_indices('/') {
        let above = lab.path(&path[..end]);
        if above.is_symlink() || above.is_file() {
            fs::remove_file(above).unwrap();
        }
    }
    remove(lab, path);
    fs::create_dir_all(lab.path(path).parent().unwrap()).unwrap();
}

/// Whether a link stands on the way to a path, so that it is another's.
fn behind_link(lab: &Lab, path: &str) -> bool {
    path.match_indices('/').any(|(end, _)| lab.path(&path[..end]).is_symlink())
}

fn apply(lab: &Lab, edit: &Edit) {
    match edit {
        Edit::Write(path, content) => {
            clear(lab, PATHS[*path]);
            lab.write(PATHS[*path], content);
        }
        Edit::Link(path, target) => {
            clear(lab, PATHS[*path]);
            #[cfg(unix)]
            lab.link(PATHS[*path], PATHS[*target]);
            #[cfg(not(unix))]
            let _ = target;
        }
        Edit::Executable(path) => {
            #[cfg(unix)]
            if lab.path(PATHS[*path]).symlink_metadata().is_ok_and(|m| m.is_file()) && !behind_link(lab, PATHS[*path]) {
                lab.permissions(PATHS[*path], 0o755);
            }
            #[cfg(not(unix))]
            let _ = path;
        }
        Edit::Remove(path) if !behind_link(lab, PATHS[*path]) => remove(lab, PATHS[*path]),
        Edit::Rename(from, to) => {
            let (from, to) = (PATHS[*from], PATHS[*to]);
            if lab.exists(from) && !behind_link(lab, from) && !from.starts_with(to) && !to.starts_with(from) {
                clear(lab, to);
                // Making room may have taken it.
                let _ = fs::rename(lab.path(from), lab.path(to));
            }
        }
        Edit::Remove(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn restore_gives_the_saved_tree(
        rounds in proptest::collection::vec(proptest::collection::vec(edit(), 0..6), 1..5),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let lab = Lab::new();
        let shadow = lab.open();
        let files = || {
            let mut picture = lab.picture();
            picture.retain(|_, thing| *thing != Thing::EmptyFolder);
            picture
        };
        let mut saved = vec![(shadow.base(), files())];
        for edits in &rounds {
            edits.iter().for_each(|edit| apply(&lab, edit));
            let differs = files() != saved.last().unwrap().1;
            prop_assert_eq!(!shadow.diff(&saved.last().unwrap().0, None).unwrap().is_empty(), differs);
            let commit = shadow.save("round", true).unwrap().unwrap();
            prop_assert_eq!(shadow.skipped(), vec![]);
            prop_assert_eq!(shadow.save("same", false).unwrap(), None);
            saved.push((commit, files()));
        }
        for at in order {
            let (commit, expected) = at.get(&saved);
            let restored = shadow.restore(commit).unwrap();
            prop_assert_eq!(restored.skipped, vec![]);
            prop_assert_eq!(&lab.picture(), expected);
            prop_assert_eq!(shadow.diff(commit, None).unwrap(), vec![]);
        }
    }
}
