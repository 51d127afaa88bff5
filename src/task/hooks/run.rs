//! Running one hook.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;
use tokio::time::timeout;

use super::answer::{Failure, Said, of_host, of_program};
use crate::settings::hooks::{Hook, HookAction};
use crate::task::host::{HostRequestError, TaskHost};
use crate::terminal::Piped;

/// Most bytes read of what a hook prints.
pub(super) const OUTPUT_LIMIT: usize = 64 << 10;

/// Runs `hook` with `input`; a program in `cwd` with these variables. Dropping it kills the program with all it started.
pub(super) async fn run(
    hook: &Hook,
    input: Value,
    cwd: PathBuf,
    environment: Vec<(OsString, OsString)>,
    host: &dyn TaskHost,
) -> Result<Said, Failure> {
    let running = async {
        match &hook.action {
            HookAction::Command(line) => program(hook, line, input, cwd, environment).await,
            HookAction::Host => match host.request("hook.run", input).await {
                Ok(answer) => of_host(hook.event, answer),
                Err(HostRequestError::Unsupported(_)) => Ok(Said::default()),
                Err(error) => Err(Failure::Host(error.to_string())),
            },
        }
    };
    timeout(hook.timeout, running).await.unwrap_or(Err(Failure::TimedOut { ms: hook.timeout.as_millis() }))
}

async fn program(
    hook: &Hook,
    line: &str,
    input: Value,
    cwd: PathBuf,
    environment: Vec<(OsString, OsString)>,
) -> Result<Said, Failure> {
    let failed = |error: std::io::Error| Failure::NotStarted(error.to_string());
    let mut program = Piped::shell(line, cwd, environment, input.to_string().into_bytes()).map_err(failed)?;
    let (mut output, mut buffer) = (Vec::new(), vec![0; 8 << 10]);
    loop {
        let length = program.read(&mut buffer).await.map_err(failed)?;
        if length == 0 {
            break;
        }
        if output.len() + length > OUTPUT_LIMIT {
            return Err(Failure::TooMuch);
        }
        output.extend(buffer.iter().take(length));
    }
    let (exit, errors) = program.end().await;
    of_program(hook.event, exit, &output, &errors)
}
