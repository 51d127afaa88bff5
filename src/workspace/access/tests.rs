//! What the rules let through, by tables and by files as they change.

use super::*;

/// parity 03 §17: read again when it was changed, made or deleted
/// parity 03 §17.1: the block of the prompt
/// parity 03 §quirks.17: an empty file hides nothing, another one hides itself
#[test]
fn rules_follow_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let access = Access::load(folder.path());
    assert!(access.accessible("a.log"));
    fs::write(folder.path().join(IGNORE_FILE), "*.log\n").expect("written");
    assert!(!access.accessible("a.log"));
    assert!(!access.accessible(IGNORE_FILE));
    assert_eq!(
        access.instructions("prose").as_deref(),
        Some("# .kilocodeignore\n\n(prose)\n\n*.log\n\n.kilocodeignore")
    );
    fs::write(folder.path().join(IGNORE_FILE), "").expect("written");
    assert!(access.accessible("a.log"));
    fs::write(folder.path().join(IGNORE_FILE), "a*\n").expect("written");
    assert!(!access.accessible("a.log"));
    fs::remove_file(folder.path().join(IGNORE_FILE)).expect("removed");
    assert!(access.accessible("a.log"));
}

/// parity 03 §17: the rules are for where a link leads
#[cfg(unix)]
#[test]
fn links_are_followed_before_the_rules_apply() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fs::create_dir(root.join("secret")).expect("made");
    fs::write(root.join("secret/key"), "k").expect("written");
    fs::write(root.join(IGNORE_FILE), "secret/\n").expect("written");
    std::os::unix::fs::symlink("secret", root.join("open")).expect("linked");
    std::os::unix::fs::symlink("/etc/passwd", root.join("out")).expect("linked");
    std::os::unix::fs::symlink(root, root.join("secret/self")).expect("linked");
    let access = Access::load(root);
    assert!(!access.accessible("open/key"));
    assert!(access.accessible("out"));
    assert!(access.accessible("secret"));
    let through = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(root, through.path().join("ws")).expect("linked");
    assert!(!Access::load(&through.path().join("ws")).accessible("secret/key"));
}

#[cfg(unix)]
#[test]
fn links_out_of_the_workspace_are_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let workspace = folder.path().join("ws");
    fs::create_dir_all(workspace.join("d")).expect("made");
    fs::write(workspace.join("d/f"), "").expect("written");
    for (target, link) in [("/etc", "out"), ("/none/x", "nowhere"), ("d", "in"), (".", "self")] {
        std::os::unix::fs::symlink(target, workspace.join(link)).expect("linked");
    }
    std::os::unix::fs::symlink("ws", folder.path().join("alias")).expect("linked");
    for (path, outside) in [
        ("d/f", false),
        ("d/new/deep", false),
        ("in/f", false),
        ("self/self/d", false),
        ("", false),
        ("out", true),
        ("out/passwd", true),
        ("out/new", true),
        ("nowhere", true),
        ("../ws2", true),
    ] {
        let through = folder.path().join("alias");
        assert_eq!(leads_outside(std::slice::from_ref(&workspace), &workspace.join(path)), outside, "{path}");
        assert_eq!(leads_outside(std::slice::from_ref(&through), &through.join(path)), outside, "{path}");
    }
    assert!(!leads_outside(&["/nowhere/ws".into()], Path::new("/nowhere/ws/a")));
    assert!(leads_outside(&[], &workspace));
}

#[cfg(unix)]
#[test]
fn a_pipe_as_ignore_file_does_not_block() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join(IGNORE_FILE);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("a program").success());
    assert!(!Access::load(folder.path()).accessible("a"));
}

/// parity 03 §17: a file that cannot be read opens nothing (D30)
#[test]
fn an_ignore_file_that_cannot_be_read_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(IGNORE_FILE);
    let write = |bytes: &[u8]| fs::write(&file, bytes).expect("written");
    let large = vec![b'#'; MAX_IGNORE_FILE as usize + 1];
    write(&large);
    let access = Access::load(folder.path());
    let closed = |access: &Access| {
        assert!(matches!(access.problems()[..], [Problem::Unreadable(_)]));
        assert!(!access.accessible("a.txt") && access.filter(vec!["a.txt"]).is_empty());
        assert!(access.accessible("../a.txt"), "what lies outside is not the file's business");
        assert_eq!(access.blocked_by_command("cat a.txt").as_deref(), Some("a.txt"));
        assert_eq!(access.instructions("prose"), None);
    };
    closed(&access);
    // Once it was readable its patterns stay until it is so again.
    write(b"*.log\n");
    assert!(access.accessible("a.txt") && !access.accessible("a.log") && access.problems().is_empty());
    write(&large);
    assert!(access.accessible("a.txt") && !access.accessible("a.log") && access.problems().len() == 1);
    assert!(access.ignore_content().is_some());
    // An empty file had no patterns that could stay.
    write(b"");
    assert!(access.accessible("a.log"));
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("made");
    closed(&Access::load(folder.path()));
    assert!(!access.accessible("a.txt"));
    fs::remove_dir(&file).expect("removed");
    assert!(access.accessible("a.txt") && access.accessible("a.log") && access.problems().is_empty());
    write(b"caf\xe9*\n*.log\n");
    assert!(!access.accessible("a.log") && access.accessible("a.txt"), "bytes that are no text spoil one line");
}

#[cfg(unix)]
#[test]
fn an_ignore_file_behind_links() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(IGNORE_FILE);
    std::os::unix::fs::symlink("rules", &file).expect("linked");
    let access = Access::load(folder.path());
    assert!(access.accessible("a.log"), "a link that leads nowhere is no file");
    fs::write(folder.path().join("rules"), "*.log").expect("written");
    assert!(!access.accessible("a.log"));
    fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(IGNORE_FILE, &file).expect("linked");
    assert!(!access.accessible("a.log"), "a link to itself cannot be read");
    assert!(!Access::load(folder.path()).accessible("a"));
}

#[test]
fn patterns_without_effect_are_named_by_line() {
    let text = "# fine\n[open\nok\n!\n\n/\n[]\nlast\n";
    let access = Access::from_text(Path::new("/ws"), Some(text));
    assert_eq!(access.problems(), [2, 4, 6, 7].map(Problem::Pattern));
    assert!(!access.accessible("ok") && !access.accessible("last"));
    let many = Access::from_text(Path::new("/ws"), Some(&"[\n".repeat(1000)));
    assert_eq!(many.problems().len(), MOST_NAMED);
}

/// parity 03 §checklist.29: words of file-printing commands, as they stand
#[test]
fn commands_that_print_ignored_files() {
    let access = Access::from_text(Path::new("/ws"), Some(".env\nsecret/\n*.key\n"));
    for (command, blocked) in [
        ("cat .env", Some(".env")),
        ("CAT  .ENV", Some(".ENV")),
        (" head -n 5 a.txt secret/x b.key", Some("secret/x")),
        ("grep -r x ./sub/../.env", Some("./sub/../.env")),
        ("sls x a.key", Some("a.key")),
        ("get-content .env", Some(".env")),
        ("cat\u{a0}.env", Some(".env")),
        ("cat /abs/.env", None),
        ("sudo cat .env", None),
        ("cat \".env\"", None),
        ("cat C:.env", None),
        ("cat -.env", None),
        ("cat ../.env", None),
        ("cat a.txt | cat", None),
        ("echo .env", None),
        ("cat", None),
        ("", None),
    ] {
        assert_eq!(access.blocked_by_command(command).as_deref(), blocked, "{command}");
    }
    assert_eq!(Access::from_text(Path::new("/ws"), Some("")).blocked_by_command("cat .env"), None);
}

/// parity 03 §quirks.18: ignore and protect rules do not tell upper from lower case
#[test]
fn letters_of_any_case_and_form() {
    let access = Access::from_text(Path::new("/ws"), Some("Caf\u{e9}.TXT\n"));
    for path in ["caf\u{e9}.txt", "CAF\u{c9}.txt", "cafe\u{301}.txt", "CAFE\u{301}.TXT"] {
        assert!(!access.accessible(path), "{path}");
    }
    assert!(access.accessible("cafe.txt"));
    assert!(access.is_protected("agents.MD") && access.is_protected(".VSCode/x"));
}

#[test]
fn only_paths_inside_the_workspace_are_subject_to_the_rules() {
    let access = Access::from_text(Path::new("/nowhere"), Some("*.log\n"));
    assert!(access.accessible(""));
    assert!(access.accessible("../a.log"));
    assert!(!access.accessible("./x/../a.log"));
}

/// parity 03 §checklist.30: every pattern, at any depth or at the root alone
/// parity 03 §18: as patterns of `.gitignore`, links not followed
#[test]
fn protected_files() {
    let access = Access::from_text(Path::new("/ws"), None);
    for path in [
        ".kilocodeignore",
        "deep/.kilocodeignore",
        ".kilocodemodes",
        ".kilocoderules",
        ".kilocode/rules/a.md",
        ".kilocodeprotected",
        ".rooignore",
        ".roomodes",
        ".roorules",
        ".roorules.md",
        ".roorules-code",
        ".clinerules",
        ".clinerules/x",
        "deep/.clinerules-code/x/y",
        ".roo/commands/a.md",
        ".vscode/settings.json",
        "x.code-workspace",
        "deep/x.code-workspace",
        ".rooprotected",
        "AGENTS.md",
        "nested/AGENTS.md",
        "a/b/AGENT.md",
        "/ws/.kilocodeignore",
        "./x/../AGENTS.md",
    ] {
        assert!(access.is_protected(path), "{path}");
    }
    for path in [
        "nested/.kilocode/x",
        "nested/.roo/x",
        "nested/.vscode/x",
        ".kilocoderules-code",
        "../AGENTS.md",
        ".kilocode",
        "AGENTS.md.bak",
        "MYAGENTS.md",
        "a.txt",
        "",
        "/elsewhere/AGENTS.md",
    ] {
        assert!(!access.is_protected(path), "{path}");
    }
}

proptest::proptest! {
    /// Whatever an ignore file says, and whatever is asked: no panic, and paths outside are not its business.
    #[test]
    fn any_ignore_file_is_read(text in "([-a-z0-9*?!#/\\[\\]{}\\\\ \r\n]|\\PC)*", path in "([a-z.*]|/|\\.\\./|\\PC)*") {
        let access = Access::from_text(Path::new("/nowhere/ws"), Some(&text));
        access.problems();
        access.blocked_by_command(&format!("cat {path}"));
        access.accessible(&path);
        access.is_protected(&path);
        let outside = format!("/nowhere/else/{}", path.replace('.', ""));
        proptest::prop_assert!(access.accessible(outside));
    }
}
