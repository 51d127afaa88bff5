//! What git says of the changes in a repository, as the prompt for a commit message needs it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::prompt::commit::{self, Changes, DIFF_LIMIT, is_lock_file};
use crate::prompt::text::Texts;
use crate::terminal::{self, GitError};
use crate::workspace::access::Access;

/// Most bytes of file names that one call of git is given.
const NAMES_LIMIT: usize = 64 << 10;

/// Git in one folder.
pub struct Git {
    /// The folder.
    pub folder: PathBuf,
    /// Variables of its environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Git {
    async fn run(&self, command: &[&str], operands: &[&str]) -> Result<String, GitError> {
        terminal::git(&self.folder, &self.environment, command, operands).await
    }

    /// The root of the repository that the folder lies in.
    ///
    /// # Errors
    /// There is none, it does not hold the folder, or git cannot be asked.
    pub async fn root(&self) -> Result<PathBuf, GitError> {
        let root = self.run(&["rev-parse", "--show-toplevel"], &[]).await?;
        let root = PathBuf::from(root.strip_suffix('\n').unwrap_or(&root));
        // A repository may name any folder as the one it keeps.
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        match root.canonicalize() {
            Ok(real) if folder.starts_with(&real) => Ok(root),
            _ => Err(GitError::Said(format!("`{}` does not hold the workspace", root.display()))),
        }
    }

    /// What is staged, else what is changed; `None` without either. Of files that `access` does not allow, and without it of all,
    /// the difference is left out.
    pub async fn changes(&self, texts: &Texts, access: Option<&Access>) -> Option<Changes> {
        let mut staged = true;
        let mut names = self.names(staged).await;
        if names.is_empty() {
            staged = false;
            names = self.names(staged).await;
        }
        if names.is_empty() {
            return None;
        }
        let allowed = |name: &&str| access.is_some_and(|access| access.accessible(name)) && !is_lock_file(name);
        let shown = names.split_terminator('\0').filter(allowed);
        let diff = self.diff(staged, &shown.collect::<Vec<_>>()).await;
        let statistics = diff_command(staged, &["--stat"]);
        let statistics = self.run(&statistics, &[]);
        let branch = self.run(&["branch", "--show-current"], &[]);
        let log = self.run(&["log", "--oneline", "--no-color", "-5"], &[]);
        let (statistics, branch, log) = tokio::join!(statistics, branch, log);
        Some(Changes {
            staged,
            diff: diff.ok().map(|diff| commit::joined(texts, &diff)),
            statistics: statistics.ok(),
            branch: branch.ok(),
            log: log.ok(),
        })
    }

    /// Names of changed files, each with a NUL behind it; what cannot be read counts as no changes.
    async fn names(&self, staged: bool) -> String {
        self.run(&diff_command(staged, &["--name-only", "-z"]), &[]).await.unwrap_or_default()
    }

    /// The diffs of these files, until they are longer than what is shown.
    async fn diff(&self, staged: bool, names: &[&str]) -> Result<String, GitError> {
        // Each file by itself: what was renamed is new under its name.
        let command = diff_command(staged, &["--no-renames"]);
        let (mut diff, mut rest) = (String::new(), names);
        while !rest.is_empty() && diff.len() <= DIFF_LIMIT {
            let mut bytes = 0;
            let fits = |name: &&&str| {
                bytes += name.len();
                bytes <= NAMES_LIMIT
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            diff.push_str(&self.run(&command, &[&["--"], now].concat()).await?);
            rest = later;
        }
        Ok(diff)
    }
}

/// `git diff` of what is staged or not. Submodules are not looked into: that would run git by their settings.
fn diff_command<'a>(staged: bool, options: &[&'a str]) -> Vec<&'a str> {
    let mut command = vec!["diff", "--ignore-submodules=dirty", "--submodule=short"];
    if staged {
        command.push("--cached");
    }
    command.extend(options);
    command
}
