//! What the `git` program says of the workspace (spec 03 §16.3), run so that the repository's own settings start nothing: no
//! hooks, pagers, file watchers, external or text diffs, no checks of signatures.

use super::Place;
use crate::prompt::mentions::git::{self, COMMIT_FORMAT};
use crate::prompt::text::context;
use crate::terminal::{self, GitError};

/// The working tree: its status and its difference from the last commit.
pub(super) async fn changes(place: &Place<'_>) -> String {
    let texts = place.texts;
    if let Err(note) = repository(place).await {
        return note;
    }
    let read = async {
        let status = run(place, &["status", "--short"], &[]).await?;
        if crate::ecma::trim(&status).is_empty() {
            return Ok(texts.get("mention.git.clean"));
        }
        let diff = run(place, &["diff"], &["HEAD"]).await?;
        Ok(git::changes(&texts.get("mention.git.changes_heading"), &status, &diff))
    };
    read.await.unwrap_or_else(|failed| texts.render("mention.git.failed", context! { cause => words(place, failed) }))
}

/// One commit. A hash is hexadecimal digits, so that it cannot be an option.
pub(super) async fn commit(hash: &str, place: &Place<'_>) -> String {
    if let Err(note) = repository(place).await {
        return note;
    }
    let read = async {
        let facts = run(place, &["show", COMMIT_FORMAT, "--no-patch"], &[hash]).await?;
        let statistics = run(place, &["show", "--stat", "--format="], &[hash]).await?;
        let diff = run(place, &["show", "--format="], &[hash]).await?;
        Ok(git::commit(&facts, &statistics, &diff))
    };
    let failed = |failed| place.texts.render("mention.git.commit_failed", context! { cause => words(place, failed) });
    read.await.unwrap_or_else(failed)
}

/// Whether git is there and the workspace in a repository; if not, the note that says so.
async fn repository(place: &Place<'_>) -> Result<(), String> {
    run(place, &["--version"], &[]).await.map_err(|_| place.texts.get("mention.git.no_program"))?;
    let inside = run(place, &["rev-parse", "--git-dir"], &[]).await;
    inside.map(drop).map_err(|_| place.texts.get("mention.git.no_repository"))
}

fn words(place: &Place<'_>, failed: GitError) -> String {
    match failed {
        GitError::NoProgram => place.texts.get("mention.git.no_program"),
        GitError::Said(message) => message,
        GitError::TimedOut => place.texts.get("mention.git.timed_out"),
    }
}

async fn run(place: &Place<'_>, command: &[&str], operands: &[&str]) -> Result<String, GitError> {
    terminal::git(place.cwd, place.environment, command, operands).await
}
