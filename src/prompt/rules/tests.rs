//! What is read of real folders. Paths in results are shown without the folder that holds the test's world.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::*;

/// A workspace `/ws` and a home `/h` below a temporary folder.
struct World {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl World {
    fn new(files: &[(&str, &str)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let world = World { _folder: folder, root };
        for name in ["/ws", "/h"] {
            fs::create_dir(world.at(name)).unwrap();
        }
        for (path, text) in files {
            world.write(path, text.as_bytes());
        }
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, path: &str, target: &str) {
        let target = if target.starts_with('/') { self.at(target) } else { target.into() };
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, self.at(path)).unwrap();
    }

    fn try_read(&self, mode: &str, toggles: Option<&Toggles>) -> Result<Rules, RulesError> {
        read(&Sources {
            cwd: &self.at("/ws"),
            home: &self.at("/h"),
            mode,
            agent_rules: true,
            ignore: Some("# ignore block"),
            toggles,
        })
    }

    /// The blocks but for that of the ignore file, and the notices.
    fn rules(&self, mode: &str) -> (Vec<String>, Vec<Notice>) {
        self.shown(self.try_read(mode, None).unwrap())
    }

    fn shown(&self, rules: Rules) -> (Vec<String>, Vec<Notice>) {
        let root = self.root.to_string_lossy().into_owned();
        let blocks = rules.blocks.iter().filter(|block| *block != "# ignore block");
        (blocks.map(|block| block.replace(&root, "")).collect(), rules.notices)
    }

    fn toggled(&self, local: &[(&str, bool)], global: &[(&str, bool)]) -> Vec<String> {
        let map = |switches: &[(&str, bool)]| {
            let named = switches.iter().map(|(path, on)| (self.at(path).to_string_lossy().into_owned(), json!(on)));
            named.collect()
        };
        let toggles = Toggles { local_rules: map(local), global_rules: map(global), ..Toggles::default() };
        self.shown(self.try_read("code", Some(&toggles)).unwrap()).0
    }
}

/// The headings `# Rules from …` of a block.
fn headings(block: &str) -> Vec<&str> {
    block.lines().filter(|line| line.starts_with("# ")).collect()
}

/// parity 03 §checklist.16: mode rules, ignore block, agent rules, generic rules
/// parity 03 §6.1: rule blocks in their order
#[test]
fn blocks_stand_in_order() {
    let world = World::new(&[
        ("/ws/.kilocode/rules/g.md", "generic"),
        ("/ws/.kilocode/rules-code/m.md", "of the mode"),
        ("/ws/AGENTS.md", "\nagents\n"),
    ]);
    let blocks = world.try_read("code", Some(&Toggles::default())).unwrap().blocks;
    let firsts: Vec<&str> = blocks.iter().filter_map(|block| block.lines().next()).collect();
    let generic = format!("# Rules from {}:", world.at("/ws/.kilocode/rules/g.md").display());
    let expected =
        ["# Rules from rules-code directories:", "# ignore block", "# Agent Rules Standard (AGENTS.md):", &generic];
    assert_eq!(firsts, expected);
}

/// parity 03 §checklist.12: global rules precede project rules; `.roo` used only when `.kilocode` is absent
/// parity 03 §6.3: directories of the mode have a heading of their own, legacy file only without them
/// parity 03 §quirks.2: the label of the folders, then each file
/// parity 03 §quirks.4: an empty file is a heading
#[test]
fn rules_of_a_mode() {
    let world = World::new(&[
        ("/ws/.roo/rules-code/r.md", "roo"),
        ("/h/.kilocode/rules-code/h.md", "home"),
        ("/ws/.kilocoderules-code", " legacy "),
        ("/ws/.roorules-code", "never"),
    ]);
    let both = "# Rules from rules-code directories:\n\n# Rules from /h/.kilocode/rules-code/h.md:\nhome\n\n\
        # Rules from /ws/.roo/rules-code/r.md:\nroo";
    assert_eq!(world.rules("code").0, [both]);
    assert!(world.rules("ask").0.is_empty());
    world.write("/ws/.kilocode/rules-ask/a.md", b"");
    let home_only = "# Rules from rules-code directories:\n\n# Rules from /h/.kilocode/rules-code/h.md:\nhome";
    assert_eq!(world.rules("code").0, [home_only]);
    // An empty file keeps its heading (quirk 4).
    assert_eq!(
        world.rules("ask").0,
        ["# Rules from rules-ask directories:\n\n# Rules from /ws/.kilocode/rules-ask/a.md:\n"]
    );
    fs::remove_file(world.at("/h/.kilocode/rules-code/h.md")).unwrap();
    assert_eq!(world.rules("code").0, ["# Rules from .kilocoderules-code:\nlegacy"]);
    for slug in ["", "../rules", "a/b"] {
        assert!(world.rules(slug).0.is_empty());
    }
}

/// parity 03 §6.4: the first legacy file with text counts, only without rules in directories; two of them are told of
/// parity 03 §quirks.28: a folder of files that are left out counts as empty
#[test]
fn legacy_files() {
    let world = World::new(&[("/ws/.clinerules", "c"), ("/ws/.roorules", " \n")]);
    fs::create_dir(world.at("/ws/.kilocoderules")).unwrap();
    assert_eq!(
        world.rules("code"),
        (vec!["# Rules from .clinerules:\nc".into()], vec![Notice::LegacyFile(".clinerules")])
    );
    fs::remove_dir(world.at("/ws/.kilocoderules")).unwrap();
    world.write("/ws/.kilocoderules", b"k");
    assert_eq!(world.rules("code"), (vec!["# Rules from .kilocoderules:\nk".into()], vec![]));
    // Files that are filtered out leave the directory empty (quirk 28).
    world.write("/ws/.kilocode/rules/x.log", b"no");
    assert_eq!(world.rules("code").0, ["# Rules from .kilocoderules:\nk"]);
    world.write("/ws/.kilocode/rules/x.md", b"yes");
    assert_eq!(world.rules("code").0, ["# Rules from /ws/.kilocode/rules/x.md:\nyes"]);
}

/// parity 03 §checklist.15: AGENTS.md is preferred, an empty one falls to AGENT.md
/// parity 03 §6.5: the first with text, in the workspace alone
#[test]
fn agent_rules() {
    let world = World::new(&[("/ws/AGENTS.md", "many"), ("/ws/AGENT.md", "one")]);
    assert_eq!(world.rules("code").0, ["# Agent Rules Standard (AGENTS.md):\nmany"]);
    world.write("/ws/AGENTS.md", b" \xef\xbb\xbf\n");
    assert_eq!(world.rules("code").0, ["# Agent Rules Standard (AGENT.md):\none"]);
    let off = Sources {
        cwd: &world.at("/ws"),
        home: &world.at("/h"),
        mode: "code",
        agent_rules: false,
        ignore: None,
        toggles: None,
    };
    assert!(read(&off).unwrap().blocks.is_empty());
    fs::remove_file(world.at("/ws/AGENT.md")).unwrap();
    fs::create_dir(world.at("/ws/AGENT.md")).unwrap();
    assert_eq!(world.rules("code"), (vec![], vec![]));
}

/// parity 03 §checklist.15: a link is followed, also to the first file of a directory
#[cfg(unix)]
#[test]
fn agent_rules_by_links() {
    let world = World::new(&[("/out/b.txt", "linked"), ("/out/sub/a.txt", "below")]);
    world.link("/ws/AGENTS.md", "../out/b.txt");
    assert_eq!(world.rules("code").0, ["# Agent Rules Standard (AGENTS.md):\nlinked"]);
    fs::remove_file(world.at("/ws/AGENTS.md")).unwrap();
    world.link("/ws/AGENTS.md", "/out");
    assert_eq!(world.rules("code").0, ["# Agent Rules Standard (AGENTS.md):\nlinked"]);
    fs::remove_file(world.at("/ws/AGENTS.md")).unwrap();
    world.link("/ws/AGENTS.md", "AGENTS.md");
    world.link("/ws/AGENT.md", "/gone");
    assert_eq!(world.rules("code"), (vec![], vec![]));
}

/// parity 03 §checklist.13: sorted by case-folded base name; binary and cache files dropped; recursion works
#[test]
fn files_of_a_directory() {
    let world = World::new(&[
        ("/ws/.kilocode/rules/b.md", "\u{feff}one\r\ntwo\r\n"),
        ("/ws/.kilocode/rules/A.txt", "a"),
        ("/ws/.kilocode/rules/a10", "ten"),
        ("/ws/.kilocode/rules/a2", "two"),
        ("/ws/.kilocode/rules/_u", ""),
        ("/ws/.kilocode/rules/-d", ""),
        ("/ws/.kilocode/rules/sub/deep/C.md", "c"),
        ("/ws/.kilocode/rules/yarn.lock", "no"),
        ("/ws/.kilocode/rules/Thumbs.db", "no"),
        ("/ws/.kilocode/rules/log", "kept"),
        ("/ws/.kilocode/rules/x.LOG", "kept too"),
    ]);
    world.write("/ws/.kilocode/rules/pic.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let (blocks, notices) = world.rules("code");
    let names = ["_u", "-d", "A.txt", "a10", "a2", "b.md", "sub/deep/C.md", "log", "x.LOG"];
    let expected: Vec<String> = names.iter().map(|name| format!("# Rules from /ws/.kilocode/rules/{name}:")).collect();
    assert_eq!(headings(&blocks[0]), expected);
    assert!(blocks[0].contains("b.md:\none\r\ntwo\n\n"));
    assert!(notices.is_empty());
}

/// parity 03 §6.6: of equal names the root's comes first, then the directory found last, links after files
#[test]
fn equal_names_in_the_order_of_the_listing() {
    let world = World::new(&[
        ("/ws/.kilocode/rules/x/a.md", ""),
        ("/ws/.kilocode/rules/y/a.md", ""),
        ("/ws/.kilocode/rules/a.md", ""),
        ("/ws/.kilocode/rules/x/q/A.md", ""),
    ]);
    #[cfg(unix)]
    world.link("/ws/.kilocode/rules/0/a.md", "/h");
    let (blocks, _) = world.rules("code");
    let order = ["a.md", "y/a.md", "x/a.md", "x/q/A.md"];
    let expected: Vec<String> = order.iter().map(|name| format!("# Rules from /ws/.kilocode/rules/{name}:")).collect();
    assert_eq!(headings(&blocks[0]), expected);
}

/// parity 03 §checklist.13: links sorted by link name but shown by target path; cyclic links terminate
#[cfg(unix)]
#[test]
fn links_in_a_directory() {
    let world = World::new(&[("/ws/.kilocode/rules/m.md", "m"), ("/out/zz.md", "out"), ("/out/dir/n.md", "n")]);
    world.link("/ws/.kilocode/rules/a.md", "../../../out/zz.md");
    world.link("/ws/.kilocode/rules/dir", "/out/dir");
    world.link("/ws/.kilocode/rules/broken", "/none");
    world.link("/ws/.kilocode/rules/self", "self");
    let (blocks, notices) = world.rules("code");
    let expected =
        ["# Rules from /out/zz.md:", "# Rules from /ws/.kilocode/rules/m.md:", "# Rules from /out/dir/n.md:"];
    assert_eq!(headings(&blocks[0]), expected);
    assert!(notices.is_empty(), "{notices:?}");
    world.link("/ws/.kilocode/rules/loop", "/ws/.kilocode/rules");
    let (blocks, _) = world.rules("code");
    assert_eq!(blocks[0].matches("rules/m.md:").count(), 3);
}

/// parity 03 §checklist.14: any toggle entry switches to relative paths under `# Local Rules from <dir>:`
/// parity 03 §quirks.3: with any switch legacy rules do not count
/// parity 03 §quirks.28: also with one for a file that is gone
#[test]
fn toggles_bring_another_layout() {
    let world = World::new(&[
        ("/ws/.kilocode/rules/a.md", "rule a\n"),
        ("/ws/.kilocode/rules/sub/b.md", "rule b"),
        ("/ws/.kilocode/rules/e.md", ""),
        ("/h/.kilocode/rules/g.md", "home g"),
        ("/ws/.kilocoderules", "legacy"),
    ]);
    let global = "# Global Rules from /h/.kilocode/rules:\ng.md\nhome g";
    let local = "# Local Rules from /ws/.kilocode/rules:\nsub/b.md\nrule b\n\ne.md";
    let toggled = world.toggled(&[("/ws/.kilocode/rules/a.md", false), ("/ws/.kilocode/rules/sub/b.md", true)], &[]);
    assert_eq!(toggled, [format!("{global}\n\n{local}")]);
    let all_off = ["a.md", "sub/b.md", "e.md"].map(|name| format!("/ws/.kilocode/rules/{name}"));
    let all_off: Vec<(&str, bool)> = all_off.iter().map(|path| (path.as_str(), false)).collect();
    assert_eq!(world.toggled(&all_off, &[]), [global]);
    assert!(world.toggled(&all_off, &[("/h/.kilocode/rules/g.md", false)]).is_empty());
    // A stale entry hides the legacy file as well (quirk 28).
    fs::remove_dir_all(world.at("/ws/.kilocode")).unwrap();
    assert_eq!(world.toggled(&[("/gone", true)], &[]), [global]);
}

/// parity 03 §6.4: a toggle counts for the file that a link leads to, not for the link
#[cfg(unix)]
#[test]
fn toggles_and_links() {
    let world = World::new(&[("/out/shared.md", "shared"), ("/ws/.kilocode/rules/a.md", "a")]);
    world.link("/ws/.kilocode/rules/s.md", "/out/shared.md");
    let heading = "# Local Rules from /ws/.kilocode/rules:\na.md\na";
    assert_eq!(
        world.toggled(&[("/ws/.kilocode/rules/s.md", false)], &[]),
        [format!("{heading}\n\n../../../out/shared.md\nshared")]
    );
    assert_eq!(world.toggled(&[("/out/shared.md", false)], &[]), [heading]);
}

/// parity 03 §6.6: what is too large or too much is left out and named, the rest is read
#[test]
fn hostile_workspaces_are_bounded() {
    let world = World::new(&[("/ws/.kilocode/rules/z.md", "small"), ("/ws/.kilocode/rules-code/m.md", "mode")]);
    let large = vec![b'x'; MAX_FILE as usize + 1];
    world.write("/ws/.kilocode/rules/a.md", &large);
    world.write("/ws/AGENTS.md", &large);
    let (blocks, notices) = world.rules("code");
    assert_eq!(blocks.len(), 2);
    assert_eq!(headings(&blocks[1]), ["# Rules from /ws/.kilocode/rules/z.md:"]);
    let left_out = |name: &str| Notice::TooLarge(world.at(name));
    assert_eq!(notices, [left_out("/ws/AGENTS.md"), left_out("/ws/.kilocode/rules/a.md")]);
    assert!(notices[0].text(&Texts::builtin()).contains("AGENTS.md is left out: it is larger than 1024 KiB"));
    for number in 0..6 {
        world.write(&format!("/ws/.kilocode/rules/{number}.md"), &large[1..]);
    }
    let (blocks, notices) = world.rules("code");
    assert!(blocks[1].len() < 5 << 20);
    assert!(notices.contains(&Notice::NoRoom(world.at("/ws/.kilocode/rules/4.md"))), "{notices:?}");
    world.write("/ws/.kilocoderules-ask", &large);
    assert!(world.rules("ask").1.contains(&Notice::TooLarge(world.at("/ws/.kilocoderules-ask"))));
}

/// Thirty links to their own directory would lead to 27,000 listings.
#[cfg(unix)]
#[test]
fn links_that_multiply_are_bounded() {
    let world = World::new(&[("/ws/.kilocode/rules/m.md", "m")]);
    for number in 0..30 {
        world.link(&format!("/ws/.kilocode/rules/l{number}"), ".");
    }
    let (blocks, notices) = world.rules("code");
    assert!(blocks[0].matches("m.md:").count() <= directory::MOST_ENTRIES);
    assert!(matches!(notices[..], [Notice::TooMany(_)]), "{notices:?}");
}

#[cfg(unix)]
proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Folders of any shape, links among them and out of them: they are read in bounded work, and always in the same order.
    #[test]
    fn any_rules_folder_is_read(entries in proptest::collection::vec(
        ("[a-cA-C.é]{1,3}(/[a-c]{1,2})?(\\.md|\\.log)?", 0..5u8, "(\\.\\./){0,3}[a-c]{0,2}", proptest::collection::vec(proptest::num::u8::ANY, 0..40)),
        0..24,
    )) {
        let world = World::new(&[("/out/x.md", "outside")]);
        let folder = world.at("/ws/.kilocode/rules");
        fs::create_dir_all(&folder).unwrap();
        for (name, kind, target, bytes) in entries {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(&folder);
            // What is already there, and what stands in its way, stays.
            if fs::create_dir_all(parent).is_err() {
                continue;
            }
            let _ = match kind {
                0 => std::os::unix::fs::symlink(target, &path),
                1 => std::os::unix::fs::symlink(world.at("/out"), &path),
                2 => fs::create_dir(&path),
                _ => fs::write(&path, bytes),
            };
        }
        let (blocks, notices) = world.rules("code");
        proptest::prop_assert!(blocks.iter().map(String::len).sum::<usize>() < 8 << 20);
        proptest::prop_assert_eq!((blocks, notices), world.rules("code"));
        world.toggled(&[("/out/x.md", false)], &[]);
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_files_without_permission() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new(&[("/ws/.kilocode/rules/a.md", "a"), ("/ws/.kilocode/rules/b.md", "b")]);
    let pipe = world.at("/ws/.kilocode/rules/pipe.md");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    fs::set_permissions(world.at("/ws/.kilocode/rules/a.md"), fs::Permissions::from_mode(0o000)).unwrap();
    let (blocks, notices) = world.rules("code");
    // The superuser reads everything.
    if fs::read(world.at("/ws/.kilocode/rules/a.md")).is_err() {
        assert_eq!(headings(&blocks[0]), ["# Rules from /ws/.kilocode/rules/b.md:"]);
        assert_eq!(notices, [Notice::Unreadable(world.at("/ws/.kilocode/rules/a.md"))]);
    } else {
        assert_eq!(headings(&blocks[0]).len(), 2);
    }
}
