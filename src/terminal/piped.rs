//! A program that is spoken to over pipes: it gets its whole input at once, its output is read as it comes, and it ends when
//! its reader is dropped.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::direct::{shell, until};
use super::exit::Exit;
use super::tree::{KillOnDrop, Tree};

/// Most bytes kept of what a program prints to its standard error.
const ERRORS_LIMIT: usize = 64 << 10;
/// Time for the pipes to end after the program has. What still holds its output then is killed.
const DRAIN: Duration = Duration::from_secs(1);

/// A program to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// A path, or a name that is looked up in `PATH` of `environment`.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// An existing directory.
    pub cwd: PathBuf,
    /// All its variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard input, which then ends.
    pub input: Vec<u8>,
}

/// A program that runs. Dropping it kills it with everything it started.
pub struct Piped {
    /// `None` only while this is dropped.
    child: Option<Child>,
    output: ChildStdout,
    /// Nothing holds the output any more.
    closed: bool,
    errors: Arc<Mutex<Vec<u8>>>,
    errors_reader: JoinHandle<()>,
    input_writer: JoinHandle<()>,
    exit: Option<Exit>,
    drained_at: Option<Instant>,
    pipe: u64,
}

impl Piped {
    /// Starts `program` as leader of its own process group. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system could not start it; `NotFound` also when the directory does not exist.
    pub fn start(program: Program) -> io::Result<Piped> {
        let mut command = Command::new(&program.program);
        command.args(&program.arguments);
        Piped::spawn(command, program.cwd, program.environment, program.input)
    }

    /// Starts a command line in the shell that [`Direct`](super::Direct) runs commands in. Needs a tokio runtime.
    ///
    /// # Errors
    /// As [`Piped::start`].
    pub fn shell(
        line: &str,
        cwd: PathBuf,
        environment: Vec<(OsString, OsString)>,
        input: Vec<u8>,
    ) -> io::Result<Piped> {
        Piped::spawn(shell(line), cwd, environment, input)
    }

    fn spawn(
        mut command: Command,
        cwd: PathBuf,
        environment: Vec<(OsString, OsString)>,
        input_bytes: Vec<u8>,
    ) -> io::Result<Piped> {
        command.current_dir(cwd).env_clear().envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let (Some(mut input), Some(output), Some(messages)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a pipe is missing"));
        };
        let errors = Arc::default();
        Ok(Piped {
            pipe: inode(&output),
            child: Some(child),
            output,
            closed: false,
            errors_reader: tokio::spawn(keep_errors(messages, Arc::clone(&errors))),
            errors,
            // A program that does not read its input says why in another way.
            input_writer: tokio::spawn(async move { drop(input.write_all(&input_bytes).await) }),
            exit: None,
            drained_at: None,
        })
    }

    /// Reads what the program prints; 0 bytes: it has ended, or closed its output. Can be cancelled.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            tokio::select! {
                biased;
                read = self.output.read(buffer) => {
                    self.closed = matches!(read, Ok(0));
                    return read;
                }
                exit = wait(&mut self.child), if self.exit.is_none() => {
                    self.exit = Some(exit);
                    self.drained_at = Some(Instant::now() + DRAIN);
                }
                () = until(self.drained_at) => return Ok(0),
            }
        }
    }

    /// Waits for the end of the program; how it ended, and the first 64 KiB of what it printed to its standard error. Can be
    /// cancelled.
    pub async fn end(&mut self) -> (Exit, String) {
        let exit = match self.exit {
            Some(exit) => exit,
            None => wait(&mut self.child).await,
        };
        self.exit = Some(exit);
        if !self.errors_reader.is_finished() {
            let _ = timeout(DRAIN, &mut self.errors_reader).await;
        }
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        (exit, String::from_utf8_lossy(&errors).into_owned())
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.input_writer.abort();
        self.errors_reader.abort();
        if self.exit.is_some() && self.closed {
            return;
        }
        let child = self.child.take();
        // Once it was waited for, its number may be another's.
        let shell = if self.exit.is_none() { child.as_ref().and_then(Child::id) } else { None };
        let guard = KillOnDrop(Some(Tree { shell, pipe: self.pipe }));
        // Killing looks through all processes: too long for a thread of the runtime. One that shuts down drops the guard
        // instead, which has the same effect. The child is kept until then, so that its number stays its own.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || {
                drop(guard);
                drop(child);
            });
        }
    }
}

async fn wait(child: &mut Option<Child>) -> Exit {
    match child {
        Some(child) => child.wait().await.map_or(Exit::FAILED, Exit::of),
        None => Exit::FAILED,
    }
}

/// Reads to the end, keeps the beginning.
async fn keep_errors(mut messages: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 4 << 10];
    while let Ok(length @ 1..) = messages.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = ERRORS_LIMIT - kept.len();
        kept.extend(buffer.iter().take(length.min(room)));
    }
}

#[cfg(unix)]
fn inode(output: &ChildStdout) -> u64 {
    rustix::fs::fstat(output).map_or(0, |stat| stat.st_ino)
}

#[cfg(windows)]
fn inode(_: &ChildStdout) -> u64 {
    0
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Piped {
        let program = Program {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            cwd: "/".into(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into()), ("WORD".into(), "set".into())],
            input: input.as_bytes().to_vec(),
        };
        Piped::start(program).expect("a shell")
    }

    async fn all(piped: &mut Piped) -> String {
        let (mut text, mut buffer) = (Vec::new(), [0; 7]);
        while let length @ 1.. = piped.read(&mut buffer).await.expect("output") {
            text.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(text).expect("UTF-8")
    }

    #[tokio::test]
    async fn input_goes_in_and_output_errors_and_code_come_out() {
        for (script, input, output, errors, code) in [
            ("cat; pwd; echo $WORD", "in\n", "in\n/\nset\n", "", 0),
            ("echo no >&2; exit 3", "unread", "", "no\n", 3),
            ("exec 1>&-; cat >&2", "late", "", "late", 0),
        ] {
            let mut piped = shell(script, input);
            assert_eq!(all(&mut piped).await, output, "{script}");
            let (exit, said) = piped.end().await;
            assert_eq!((exit.code, said.as_str()), (code, errors), "{script}");
        }
    }

    #[tokio::test]
    async fn long_input_and_errors_do_not_block_the_program() {
        let input = "x".repeat(1 << 20);
        let mut piped = shell("cat >&2; echo done", &input);
        assert_eq!(all(&mut piped).await, "done\n");
        let (_, errors) = piped.end().await;
        assert_eq!(errors.len(), ERRORS_LIMIT);
    }

    #[tokio::test]
    async fn what_the_program_leaves_behind_does_not_hold_its_reader_up() {
        let mut piped = shell("sleep 1000 & echo $!", "");
        let left: i32 = all(&mut piped).await.trim().parse().expect("a process id");
        assert_eq!(piped.end().await.0.code, 0);
        drop(piped);
        gone(left).await;
    }

    #[tokio::test]
    async fn dropping_kills_everything() {
        let mut piped = shell("setsid sleep 1000 & echo $!; sleep 1000", "");
        let mut buffer = [0; 32];
        let length = piped.read(&mut buffer).await.expect("output");
        let child: i32 = String::from_utf8_lossy(&buffer[..length]).trim().parse().expect("a process id");
        let leader = piped.child.as_ref().and_then(Child::id).expect("a process id");
        drop(piped);
        gone(child).await;
        gone(leader as i32).await;
    }

    /// Waits until the process has ended (a zombie has).
    async fn gone(pid: i32) {
        let status = format!("/proc/{pid}/stat");
        while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::spawn_blocking(std::thread::yield_now).await.expect("a thread");
        }
    }
}
