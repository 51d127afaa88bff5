//! The same by the commands of the `git` program that the reference runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::measure::{figure, median};
use crate::workspace::Workspace;
use crate::{FIRST, milliseconds};

pub fn figures(folder: &Path, workspace: &mut Workspace) {
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("# no `git` program: not compared");
        return;
    }
    let mut rounds: Vec<f64> = (0..FIRST)
        .map(|round| milliseconds(|| drop(Git::create(folder, &format!("git-first-{round}"), workspace))))
        .collect();
    println!("figure git.first_save {:.3} ms", median(&mut rounds));
    let git = Git::create(folder, "git", workspace);
    figure("git.save", "ms", || {
        workspace.change();
        milliseconds(|| git.save())
    });
    figure("git.save_one", "ms", || {
        workspace.change_one();
        milliseconds(|| git.save())
    });
    workspace.change();
    git.save();
    // As the reference does it: the list of files, then both contents of each.
    figure("git.diff", "ms", || {
        milliseconds(|| {
            git.run(&["add", "."]);
            let names = git.run(&["diff", "--name-only", "HEAD~1", "HEAD"]);
            for name in names.lines() {
                git.run(&["show", &format!("HEAD~1:{name}")]);
                git.run(&["show", &format!("HEAD:{name}")]);
            }
        })
    });
    figure("git.diff_stat_only", "ms", || milliseconds(|| drop(git.run(&["diff", "--stat", "HEAD~1", "HEAD"]))));
    let (last, before) = (git.run(&["rev-parse", "HEAD"]), git.run(&["rev-parse", "HEAD~1"]));
    let mut at = 0;
    figure("git.restore", "ms", || {
        at += 1;
        let target = if at % 2 == 1 { &before } else { &last };
        milliseconds(|| {
            git.run(&["clean", "-f", "-d", "-f"]);
            git.run(&["reset", "--hard", target.trim()]);
        })
    });
}

struct Git {
    git_dir: String,
    work_tree: PathBuf,
}

impl Git {
    fn create(folder: &Path, name: &str, workspace: &Workspace) -> Git {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        let git = Git {
            git_dir: format!("--git-dir={}", folder.join(name).join(".git").display()),
            work_tree: workspace.root.clone(),
        };
        git.run(&["init", "-q"]);
        git.run(&["config", "core.worktree", &git.work_tree.display().to_string()]);
        git.run(&["config", "commit.gpgSign", "false"]);
        git.run(&["config", "user.name", "bench"]);
        git.run(&["config", "user.email", "bench@example.com"]);
        git.save();
        git
    }

    fn save(&self) {
        self.run(&["add", "."]);
        self.run(&["commit", "-q", "-m", "Task: bench, Time: 0", "--allow-empty"]);
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg(&self.git_dir)
            .args(arguments)
            .current_dir(&self.work_tree)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
