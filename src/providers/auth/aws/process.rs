//! A command that prints keys (`credential_process`).

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::fetch::{Members, from_json};
use super::{AwsError, Credentials};

/// How long the command may take; it may ask its user something.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes it may print.
const OUTPUT_LIMIT: u64 = 64 << 10;

const MEMBERS: Members =
    Members { access: "AccessKeyId", secret: "SecretAccessKey", token: "SessionToken", expires: "Expiration" };

/// Runs the command in the system's shell, as AWS's tools do.
///
/// # Errors
/// A command that cannot be started, fails, takes longer than a minute, or prints no keys that last.
pub async fn run(command: &str, now: SystemTime) -> Result<Credentials, AwsError> {
    let failed = |error: std::io::Error| AwsError::Process { cause: error.to_string() };
    let mut shell = shell(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = shell.spawn().map_err(failed)?;
    let output = async {
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(OUTPUT_LIMIT).read_to_end(&mut printed).await?;
        }
        Ok((child.wait().await?, printed))
    };
    let timed_out = |_| AwsError::Process { cause: std::io::Error::from(std::io::ErrorKind::TimedOut).to_string() };
    let (status, printed) = tokio::time::timeout(TIMEOUT, output).await.map_err(timed_out)?.map_err(failed)?;
    if !status.success() {
        return Err(AwsError::Process { cause: status.to_string() });
    }
    let document: Option<Value> = serde_json::from_slice(&printed).ok();
    let document = document.filter(|document| document["Version"] == 1);
    let keys = document.and_then(|document| from_json(&document, MEMBERS));
    keys.filter(|keys| keys.expires.is_none_or(|end| end > now))
        .ok_or(AwsError::Unusable { service: "credential_process" })
}

#[cfg(not(windows))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd.exe");
    shell.args(["/C", command]);
    shell
}
