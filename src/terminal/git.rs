//! The program `git`, run so that a repository's own settings start nothing: no hooks, pagers, file watchers, external or text
//! diffs, no checks of signatures. Filters of contents are the user's own and run.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::{Piped, Program};

/// Time that one call may take.
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
const PLAIN_DIFF: [&str; 3] = ["--no-ext-diff", "--no-textconv", "--no-color"];

/// Why git said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("the program git cannot be started")]
    NoProgram,
    /// It ended with this message.
    #[error("{0}")]
    Said(String),
    /// It took too long.
    #[error("git took longer than {} s", TIME_LIMIT.as_secs())]
    TimedOut,
}

/// Runs git in a folder; what it printed, at most 4 MiB. `command` are the command and its options, `operands` what it is about;
/// paths among them are meant literally. Needs a tokio runtime.
///
/// # Errors
/// It could not be started, failed, or took longer than twenty seconds.
pub async fn git(
    cwd: &Path,
    environment: &[(OsString, OsString)],
    command: &[&str],
    operands: &[&str],
) -> Result<String, GitError> {
    let mut arguments = vec!["--no-pager", "--literal-pathspecs"];
    arguments.extend(HARMLESS.iter().flat_map(|setting| ["-c", setting]));
    arguments.extend(command);
    if matches!(command.first(), Some(&("diff" | "show"))) {
        arguments.extend(PLAIN_DIFF);
    }
    arguments.extend(operands);
    let mut environment = environment.to_vec();
    // Variables that start programs or point at another repository; locks would disturb the user's own git.
    environment.retain(|(name, _)| !name.to_str().is_some_and(|name| name.starts_with("GIT_")));
    // Nothing is fetched either, which could start the transport that a repository names.
    let quiet = [("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_NO_LAZY_FETCH", "1")];
    environment.extend(quiet.map(|(name, value)| (name.into(), value.into())));
    let program = Program {
        program: "git".into(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        cwd: cwd.to_owned(),
        environment,
        input: Vec::new(),
    };
    let mut git = Piped::start(program).map_err(|_| GitError::NoProgram)?;
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
            (_, errors) => Err(GitError::Said(crate::ecma::trim(&errors).to_owned())),
        }
    };
    let output = timeout(TIME_LIMIT, finished).await.map_err(|_| GitError::TimedOut)??;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
