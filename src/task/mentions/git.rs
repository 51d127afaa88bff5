//! What the `git` program says of the workspace (spec 03 §16.3), run so that the repository's own settings start nothing: no
//! hooks, pagers, file watchers, external or text diffs, no checks of signatures.

use std::time::Duration;

use tokio::time::timeout;

use super::Place;
use crate::prompt::mentions::git::{self, COMMIT_FORMAT};
use crate::prompt::text::context;
use crate::terminal::{Piped, Program};

/// Time that one call of git may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Most bytes of output that one call is read for.
const OUTPUT_LIMIT: usize = 4 << 20;

/// Settings that could start a program.
const HARMLESS: [&str; 7] = [
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "diff.external=",
    "log.showSignature=false",
    "color.ui=false",
    "submodule.recurse=false",
];
/// Options of every command that shows a diff.
const PLAIN_DIFF: [&str; 2] = ["--no-ext-diff", "--no-textconv"];

/// Why git said nothing.
enum Failed {
    /// It could not be started.
    NoProgram,
    /// It ended with this message.
    Said(String),
    /// It took too long.
    TimedOut,
}

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

fn words(place: &Place<'_>, failed: Failed) -> String {
    match failed {
        Failed::NoProgram => place.texts.get("mention.git.no_program"),
        Failed::Said(message) => message,
        Failed::TimedOut => place.texts.get("mention.git.timed_out"),
    }
}

/// Runs git; what it printed, at most [`OUTPUT_LIMIT`].
async fn run(place: &Place<'_>, command: &[&str], operands: &[&str]) -> Result<String, Failed> {
    let mut arguments = vec!["--no-pager".to_owned()];
    arguments.extend(HARMLESS.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
    arguments.extend(command.iter().map(|part| (*part).to_owned()));
    if matches!(command.first(), Some(&("diff" | "show"))) {
        arguments.extend(PLAIN_DIFF.map(str::to_owned));
    }
    arguments.extend(operands.iter().map(|operand| (*operand).to_owned()));
    let mut environment = place.environment.to_vec();
    // Variables that start programs or point at another repository; locks would disturb the user's own git.
    environment.retain(|(name, _)| !name.to_str().is_some_and(|name| name.starts_with("GIT_")));
    // Nothing is fetched either, which could start the transport that a repository names.
    let quiet = [("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_NO_LAZY_FETCH", "1")];
    environment.extend(quiet.map(|(name, value)| (name.into(), value.into())));
    let program = Program {
        program: "git".into(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        cwd: place.cwd.to_owned(),
        environment,
        input: Vec::new(),
    };
    let mut git = Piped::start(program).map_err(|_| Failed::NoProgram)?;
    let finished = async {
        let (mut output, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        while let Ok(length @ 1..) = git.read(&mut buffer).await {
            output.extend(buffer.iter().take(length.min(OUTPUT_LIMIT - output.len())));
            if output.len() == OUTPUT_LIMIT {
                // Dropping it ends it: the rest is not wanted.
                return Ok(output);
            }
        }
        match git.end().await {
            (exit, _) if exit.code == 0 => Ok(output),
            (_, errors) => Err(Failed::Said(crate::ecma::trim(&errors).to_owned())),
        }
    };
    let output = timeout(TIME_LIMIT, finished).await.map_err(|_| Failed::TimedOut)??;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
