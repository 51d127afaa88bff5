//! Commands in the engine's own processes (spec 06 §D.3).

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::exit::Exit;
use super::process::{Launch, Launched, Launcher, Process};
use super::spill::Spill;
use super::tree::{KillOnDrop, Tree};

/// Time for the output to end after the shell has. A process that still holds the pipe then goes on in the background.
const DRAIN: Duration = Duration::from_secs(1);
/// Time after which a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_secs(5);
/// A flooding command is read at no more than this many bytes a [`READ_WINDOW`], so that it cannot take a whole core.
const READ_BUDGET: usize = 1 << 20;
const READ_WINDOW: Duration = Duration::from_millis(10);

/// Runs each command in a shell of its own, `/bin/sh -c` (Windows: `cmd.exe /d /s /c`), as leader of its own process group.
pub struct Direct {
    environment: Vec<(OsString, OsString)>,
}

impl Direct {
    /// Commands get these variables, and `LANG` and `LC_ALL` set to `en_US.UTF-8`.
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Direct {
        let fixed = ["LANG", "LC_ALL"].map(|name| (name.into(), "en_US.UTF-8".into()));
        Direct { environment: environment.into_iter().chain(fixed).collect() }
    }

    fn spawn(&self, launch: &Launch) -> io::Result<(Child, Reader)> {
        let (reader, writer) = io::pipe()?;
        let mut command = shell(&launch.command);
        command.current_dir(&launch.cwd).env_clear().envs(self.environment.iter().map(|(k, v)| (k, v)));
        // One pipe for both streams keeps the order of arrival.
        command.stdin(std::process::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn()?;
        Ok((child, Reader::new(reader)?))
    }
}

impl Launcher for Direct {
    fn launch(&self, launch: Launch) -> Launched {
        let (process, events) = Process::new(&launch);
        match self.spawn(&launch) {
            Ok((child, reader)) => {
                process.started(child.id().unwrap_or_default());
                tokio::spawn(drive(process.clone(), child, reader, Spill::new(launch.log)));
            }
            Err(error) => {
                tracing::warn!(%error, "a command could not be started");
                process.completed(Some(Exit::FAILED));
            }
        }
        Launched { process, events }
    }
}

#[cfg(unix)]
pub(super) fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).process_group(0);
    command
}

#[cfg(windows)]
pub(super) fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd.exe");
    // cmd.exe takes the rest of its line as it is; /s removes just the outer quotes.
    command.raw_arg(format!("/d /s /c \"{line}\""));
    command
}

/// The reading end of a command's output.
struct Reader {
    #[cfg(unix)]
    pipe: tokio::net::unix::pipe::Receiver,
    #[cfg(windows)]
    pipe: tokio::fs::File,
    inode: u64,
}

impl Reader {
    #[cfg(unix)]
    fn new(pipe: io::PipeReader) -> io::Result<Reader> {
        let pipe: std::os::fd::OwnedFd = pipe.into();
        let inode = rustix::fs::fstat(&pipe)?.st_ino;
        Ok(Reader { pipe: tokio::net::unix::pipe::Receiver::from_owned_fd(pipe)?, inode })
    }

    #[cfg(windows)]
    fn new(pipe: io::PipeReader) -> io::Result<Reader> {
        let handle: std::os::windows::io::OwnedHandle = pipe.into();
        Ok(Reader { pipe: tokio::fs::File::from_std(handle.into()), inode: 0 })
    }
}

/// Reads the output and waits for the end; afterwards goes on reading while something still holds the pipe.
async fn drive(process: Arc<Process>, mut child: Child, mut reader: Reader, mut spill: Spill) {
    let mut buffer = vec![0; 64 << 10];
    let mut exit = None;
    let mut open = true;
    let mut completed = false;
    let mut kill_again = None;
    let mut drained = None;
    let mut window = (Instant::now(), 0);
    let mut left_behind = KillOnDrop(child.id().map(|shell| Tree { shell: Some(shell), pipe: reader.inode }));
    while open || !completed {
        let shell = if exit.is_none() { child.id() } else { None };
        let tree = Tree { shell, pipe: reader.inode };
        tokio::select! {
            read = reader.pipe.read(&mut buffer), if open => match read {
                Ok(length) if length > 0 => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    spill.write(&process, bytes).await;
                    process.printed(bytes, Instant::now());
                    slow_down(&mut window, length).await;
                }
                _ => open = false,
            },
            status = child.wait(), if exit.is_none() => {
                exit = Some(status.map_or(Exit::FAILED, Exit::of));
                left_behind.0 = None;
                drained = Some(Instant::now() + DRAIN);
            }
            () = process.abort.notified() => {
                kill(tree).await;
                kill_again = Some(Instant::now() + KILL_AGAIN);
            }
            () = until(kill_again), if exit.is_none() => {
                kill_again = None;
                kill(tree).await;
            }
            () = until(drained), if !completed && open => drained = None,
        }
        if let Some(exit) = exit
            && !completed
            && (!open || drained.is_none())
        {
            spill.flush().await;
            process.completed(Some(exit));
            completed = true;
        }
    }
}

/// Waits for a moment, for ever when there is none.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits out the window when its budget is used up.
async fn slow_down((start, read): &mut (Instant, usize), length: usize) {
    let now = Instant::now();
    if now >= *start + READ_WINDOW {
        (*start, *read) = (now, 0);
    }
    *read += length;
    if *read > READ_BUDGET {
        sleep_until(*start + READ_WINDOW).await;
    }
}

async fn kill(tree: Tree) {
    // Only fails when the runtime shuts down; the system then ends the readers of the pipe and with them most commands.
    let _ = tokio::task::spawn_blocking(move || tree.kill()).await;
}
