//! The `git` program reads our repositories, and we read those it makes (spec 02 §15.2).

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Lab;

/// Runs git on a shadow repository, away from the configuration of whoever runs the tests. `None`: there is no git.
fn git(lab: &Lab, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg(format!("--git-dir={}", lab.git_dir().display()))
        .args(arguments)
        .current_dir(lab.workspace())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .map_err(|_| eprintln!("skipped: no `git` program"))
        .ok()?;
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

/// parity 02 §15.2: the repository is one that git reads
#[test]
fn git_reads_what_we_write() {
    let lab = Lab::new();
    lab.write("a.rs", "1\n");
    lab.write("sub/b.rs", "1\n");
    lab.write("sub.rs", "sorts before sub/\n");
    lab.write("big", "large enough to be streamed\n".repeat(100_000));
    let shadow = lab.open();
    lab.write("a.rs", "2\n");
    let saved = shadow.save("Task: t1, Time: 1", false).unwrap().unwrap();
    if git(&lab, &["fsck", "--strict"]).is_none() {
        return;
    }
    assert_eq!(git(&lab, &["rev-parse", "HEAD"]).unwrap(), saved.as_str());
    assert_eq!(
        git(&lab, &["log", "--format=%an <%ae> %s"]).unwrap(),
        "Kilo Code <noreply@example.com> Task: t1, Time: 1\nKilo Code <noreply@example.com> initial commit"
    );
    assert_eq!(git(&lab, &["show", "HEAD:a.rs"]).unwrap(), "2");
    assert_eq!(git(&lab, &["status", "--porcelain"]).unwrap(), "");
    assert_eq!(git(&lab, &["config", "core.worktree"]).unwrap(), lab.workspace().to_str().unwrap());
    assert_eq!(git(&lab, &["config", "commit.gpgSign"]).unwrap(), "false");
    lab.write("c.log", "excluded\n");
    lab.write("d.rs", "3\n");
    assert_eq!(git(&lab, &["status", "--porcelain"]).unwrap(), "?? d.rs");
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(git(&lab, &["rev-parse", "HEAD"]).unwrap(), shadow.base().as_str());
    assert_eq!(git(&lab, &["status", "--porcelain"]).unwrap(), "");
    assert_eq!(git(&lab, &["reflog"]).unwrap().lines().count(), 3);
}

/// parity 02 §15.2: a repository made with git, as the reference makes it, opens
#[test]
fn we_read_what_git_writes() {
    let lab = Lab::new();
    lab.write("a.rs", "1\n");
    lab.write("sub/b.rs", "1\n");
    lab.write("sub/c.rs", "1\n");
    fs::create_dir_all(lab.git_dir()).unwrap();
    if git(&lab, &["init", "-q", "-b", "trunk"]).is_none() {
        return;
    }
    let work_tree = lab.workspace();
    let work_tree = work_tree.to_str().unwrap();
    for (name, value) in [
        ("core.worktree", work_tree),
        ("commit.gpgSign", "false"),
        ("user.name", "Kilo Code"),
        ("user.email", "noreply@example.com"),
    ] {
        git(&lab, &["config", name, value]);
    }
    git(&lab, &["add", "."]);
    git(&lab, &["commit", "-q", "--allow-empty", "-m", "initial commit"]);
    let initial = git(&lab, &["rev-parse", "HEAD"]).unwrap();
    let saved = lab.picture();
    // Packs, packed branches, an index in the compressed format.
    git(&lab, &["gc", "-q"]);
    git(&lab, &["pack-refs", "--all"]);
    git(&lab, &["update-index", "--index-version", "4"]);

    let shadow = lab.open();
    assert_eq!(shadow.base().as_str(), initial);
    assert_eq!(shadow.save("nothing", false).unwrap(), None);
    lab.write("sub/b.rs", "2\n");
    fs::remove_file(lab.path("sub/c.rs")).unwrap();
    let changed = shadow.save("changed", false).unwrap().unwrap();
    assert_eq!(git(&lab, &["rev-parse", "trunk"]).unwrap(), changed.as_str());
    git(&lab, &["fsck", "--strict"]);
    shadow.restore(&shadow.base()).unwrap();
    assert_eq!(lab.picture(), saved);

    lab.write("a.rs", "by git\n");
    git(&lab, &["add", "."]);
    git(&lab, &["commit", "-q", "-m", "by git"]);
    assert_eq!(shadow.save("nothing", false).unwrap(), None);
    assert!(shadow.log().unwrap().iter().any(|entry| entry.message == "by git"));
}

/// Hooks, file-system monitors and filters of a repository or a workspace never run.
#[cfg(unix)]
#[test]
fn nothing_of_the_repository_is_run() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    lab.write("a.rs", "1");
    lab.write(".gitattributes", "*.rs filter=evil\n");
    let shadow = lab.open();
    let ran = lab.folder.path().join("ran");
    let script = lab.folder.path().join("evil");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\ncat\n", ran.display())).unwrap();
    let executable = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    executable(&script);
    let hooks = lab.git_dir().join("hooks");
    fs::create_dir_all(&hooks).unwrap();
    for name in ["pre-commit", "post-commit", "post-checkout", "reference-transaction", "post-index-change"] {
        fs::copy(&script, hooks.join(name)).unwrap();
        executable(&hooks.join(name));
    }
    let mut config = fs::read_to_string(lab.git_dir().join("config")).unwrap();
    let script = script.display();
    config.push_str(&format!(
        "[core]\n\tfsmonitor = {script}\n[filter \"evil\"]\n\tclean = {script}\n\tsmudge = {script}\n"
    ));
    fs::write(lab.git_dir().join("config"), config).unwrap();
    let shadow = {
        drop(shadow);
        lab.open()
    };
    lab.write("a.rs", "2");
    shadow.save("two", false).unwrap().unwrap();
    lab.write("a.rs", "3");
    shadow.restore(&shadow.base()).unwrap();
    assert!(!ran.exists());
}
