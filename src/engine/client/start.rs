//! Starting a serving engine from a host: a process of its own, which outlives the host.

use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, absolute};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::options::Start;
use crate::engine::surroundings;

/// What a serving engine writes to its ready descriptor once it can be connected to.
pub const READY: u8 = 1;
/// What it writes when another engine serves this folder already. Anything else is a text: why it could not start.
pub const ALREADY_RUNNING: u8 = 2;
/// Longest such text, bytes.
const REASON_LIMIT: u64 = 4096;

/// How a start ended.
#[derive(Debug)]
pub(super) enum Started {
    /// It can be connected to.
    Ready,
    /// Another engine serves, or is about to.
    AlreadyRunning,
    /// It said why it cannot.
    Failed(String),
    /// It has said nothing yet.
    TimedOut,
}

/// Engines this process has started and not yet seen the end of.
static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Lets the system forget children that have ended. Never waits.
pub(super) fn reap() {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    // One that cannot be asked any more was reaped by the host.
    children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

impl Start {
    /// Starts an engine that serves `runtime_dir`, and waits until it is ready or `deadline` is past.
    ///
    /// # Errors
    /// The system refuses the process.
    pub(super) fn run(&self, runtime_dir: &Path, deadline: Instant) -> std::io::Result<Started> {
        reap();
        let (ready, ready_writer) = pipe()?;
        // A socket: writing to one that nobody reads is an error and never a signal.
        let (mut settings, stdin) = UnixStream::pair()?;
        let program = self.program.clone().unwrap_or_else(surroundings::program);
        // A bare name is looked up on the search path; any other is made independent of the folder.
        let program = if program.components().count() > 1 { absolute(program)? } else { program };
        let mut command = Command::new(program);
        command.arg("serve").arg("--resume").arg("--runtime-dir").arg(absolute(runtime_dir)?);
        for (option, folder) in [("--storage", &self.storage), ("--home", &self.home)] {
            if let Some(folder) = folder {
                command.arg(option).arg(absolute(folder)?);
            }
        }
        command.args(["--settings-stdin", "--ready-fd", "1"]).args(&self.arguments);
        command.stdin(OwnedFd::from(stdin)).stdout(ready_writer).stderr(Stdio::null());
        // Signals for the host's terminal are none of its business, and the host's folder may go away.
        command.process_group(0).current_dir("/");
        let child = command.spawn()?;
        // Our copies of its ends are closed with this, so that its end is seen.
        drop(command);
        CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        settings.set_write_timeout(Some(left(deadline).max(Duration::from_millis(1))))?;
        // One that does not read them says why below.
        let _ = serde_json::to_vec(&self.settings).map(|json| settings.write_all(&json));
        drop(settings);
        answer(ready, deadline)
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Reads what a started engine says.
fn answer(mut ready: PipeReader, deadline: Instant) -> std::io::Result<Started> {
    let timeout = Timespec::try_from(left(deadline)).ok();
    loop {
        match poll(&mut [PollFd::new(&ready, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(Started::TimedOut),
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut first = [0];
    if ready.read(&mut first)? == 0 {
        return Ok(Started::Failed("it ended without a word".into()));
    }
    match first {
        [READY] => Ok(Started::Ready),
        [ALREADY_RUNNING] => Ok(Started::AlreadyRunning),
        first => {
            // It writes this in one piece and ends.
            let mut reason = first.to_vec();
            ready.take(REASON_LIMIT).read_to_end(&mut reason)?;
            Ok(Started::Failed(String::from_utf8_lossy(&reason).trim().to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that does what the script says, started in a folder of its own.
    fn run(script: &str, home: &Path) -> Started {
        let settings = serde_json::json!({"openAiApiKey": "secret"}).as_object().unwrap().clone();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/serve/stub.sh");
        let (program, home, arguments) = (Some(program), Some(home.to_owned()), vec!["--spare".into(), script.into()]);
        let start = Start { program, home, settings, arguments, ..Start::default() };
        start.run(Path::new("/run/x"), Instant::now() + Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_started_engine_gets_its_options_and_settings_and_says_that_it_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let started = run(r#"cat > "$6/stdin"; echo "$@" > "$6/argv"; printf '\001'"#, folder.path());
        assert!(matches!(started, Started::Ready), "{started:?}");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("stdin"), r#"{"openAiApiKey":"secret"}"#);
        let argv = read("argv");
        let expected = format!(
            "serve --resume --runtime-dir /run/x --home {} --settings-stdin --ready-fd 1 --spare ",
            folder.path().display()
        );
        assert!(argv.starts_with(&expected), "{argv}");
        assert!(!argv.contains("secret"));
    }

    #[test]
    fn one_that_cannot_start_says_why() {
        let home = Path::new("/");
        assert!(matches!(run(r"printf '\002'; exit 3", home), Started::AlreadyRunning));
        assert!(matches!(run("exit 1", home), Started::Failed(reason) if reason == "it ended without a word"));
        assert!(matches!(run("echo settings: no", home), Started::Failed(reason) if reason == "settings: no"));
        let missing = Start { program: Some("/missing/lapce-ai".into()), ..Start::default() };
        assert!(missing.run(home, Instant::now()).is_err());
    }

    #[test]
    fn one_that_says_nothing_is_waited_for_until_the_deadline() {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/serve/stub.sh");
        // It ends when its standard input does.
        let start = Start { program: Some(program), arguments: vec!["cat >/dev/null".into()], ..Start::default() };
        let started = start.run(Path::new("/"), Instant::now()).unwrap();
        assert!(matches!(started, Started::TimedOut | Started::Failed(_)), "{started:?}");
    }
}
