//! `lapce-ai serve`: the engine in a process of its own, which hosts attach to.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::engine::serve::{DetachedPolicy, JSON_SOCKET, ServeError, ServeOptions, Server, Spare};
use crate::engine::{ALREADY_RUNNING, EngineOptions, READY, surroundings};
use crate::protocol::limits::MAX_JSON_BYTES;
use crate::transport;

/// Exit code when another engine serves already.
const EXIT_ALREADY_RUNNING: u8 = 3;
/// First descriptor that systemd hands over.
const LISTEN_FDS_START: i32 = 3;

/// The engine in a process of its own.
#[derive(Args)]
pub struct Serve {
    /// Folder of the socket [default: lapce-ai in the user's runtime folder].
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Folder for tasks, history and the journal [default: lapce-ai in the user's data folder].
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// The user's home folder.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// JSON file of settings.
    #[arg(long, value_name = "FILE", conflicts_with = "settings_stdin")]
    settings: Option<PathBuf>,
    /// Read the settings from standard input.
    #[arg(long)]
    settings_stdin: bool,
    /// Go on with what the engine before left behind; without it the journal is begun anew.
    #[arg(long)]
    resume: bool,
    /// Wait until the engine that runs now is gone, then take its place.
    #[arg(long)]
    standby: bool,
    /// Keep a standby process that takes over when this one dies.
    #[arg(long)]
    spare: bool,
    /// End when no client has been attached for so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    exit_when_unused: Option<u64>,
    /// What becomes of the sessions of a client that died.
    #[arg(long, value_enum, default_value_t = Detached::RunOn)]
    detached: Detached,
    /// Also take requests as lines of JSON at this socket [default: json.sock in the runtime folder].
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[allow(clippy::option_option)] // Not given, given without a path, given with one.
    json: Option<Option<PathBuf>>,
    /// Descriptor that is told when clients can attach: a byte 1; or a byte 2 when another engine serves; or why not.
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Detached {
    /// They run on until they need an answer.
    RunOn,
    /// They stop before they next call a model, until the client is back.
    #[value(alias = "stop-at-ask")]
    Pause,
}

impl Serve {
    /// Serves until SIGTERM or SIGINT, or until it is unused for long enough. Exit code 3: another engine serves already.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let mut ready = self.ready_fd.map(transport::inherited).transpose()?.map(File::from);
        let mut tell = |word: &[u8]| {
            if let Some(mut ready) = ready.take() {
                // Whoever wanted to know may have gone.
                let _ = ready.write_all(word);
            }
        };
        match self.serve(&mut tell) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(failure) => match failure.downcast_ref() {
                Some(ServeError::Running(lock)) => {
                    // One that serves elsewhere and has our storage folder will not answer whoever waits for us.
                    let serves_here = lock.starts_with(self.runtime_dir());
                    let reason = failure.to_string();
                    tell(if serves_here { &[ALREADY_RUNNING] } else { reason.as_bytes() });
                    eprintln!("lapce-ai: {reason}");
                    Ok(ExitCode::from(EXIT_ALREADY_RUNNING))
                }
                Some(ServeError::NotNeeded) => Ok(ExitCode::SUCCESS),
                _ => {
                    tell(failure.to_string().as_bytes());
                    Err(failure)
                }
            },
        }
    }

    fn serve(&self, tell: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        ignore_hangup()?;
        let settings = self.settings()?;
        let runtime_dir = self.runtime_dir();
        let json = self.json.as_ref().map(|path| path.clone().unwrap_or_else(|| runtime_dir.join(JSON_SOCKET)));
        let server = Server::open(ServeOptions {
            engine: EngineOptions {
                storage: self.storage.clone(),
                home: self.home.clone(),
                settings: settings.clone(),
                ..EngineOptions::default()
            },
            runtime_dir: Some(runtime_dir),
            listener: activated()?,
            resume: self.resume,
            standby: self.standby,
            spare: if self.spare { Some(self.standby_program(settings)?) } else { None },
            exit_when_unused: self.exit_when_unused.map(Duration::from_secs),
            detached: match self.detached {
                Detached::RunOn => DetachedPolicy::RunOn,
                Detached::Pause => DetachedPolicy::Pause,
            },
            json,
        })?;
        server.run(async {
            let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
            // Who is told may send a signal at once, which is then to end the engine in order.
            tell(&[READY]);
            let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
                return std::future::pending().await;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })?;
        Ok(())
    }

    fn runtime_dir(&self) -> PathBuf {
        self.runtime_dir.clone().unwrap_or_else(surroundings::default_runtime_dir)
    }

    fn settings(&self) -> Result<Map<String, Value>, Failure> {
        let parse = |place: &Path, text: String| {
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", place.display()).into())
        };
        match &self.settings {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                parse(file, text)
            }
            None if self.settings_stdin => {
                let mut text = String::new();
                std::io::stdin().take(MAX_JSON_BYTES as u64).read_to_string(&mut text)?;
                if text.trim().is_empty() { Ok(Map::new()) } else { parse(Path::new("standard input"), text) }
            }
            None => Ok(Map::new()),
        }
    }

    /// This program again, waiting for its turn. It is handed the settings as they are now.
    fn standby_program(&self, settings: Map<String, Value>) -> Result<Spare, Failure> {
        let mut arguments: Vec<OsString> =
            ["serve", "--standby", "--resume", "--spare", "--settings-stdin"].map(OsString::from).to_vec();
        for (option, path) in
            [("--runtime-dir", &self.runtime_dir), ("--storage", &self.storage), ("--home", &self.home)]
        {
            if let Some(path) = path {
                arguments.extend([option.into(), path.into()]);
            }
        }
        if let Some(seconds) = self.exit_when_unused {
            arguments.push(format!("--exit-when-unused={seconds}").into());
        }
        if matches!(self.detached, Detached::Pause) {
            arguments.extend(["--detached".into(), "pause".into()]);
        }
        if let Some(json) = &self.json {
            arguments.push("--json".into());
            arguments.extend(json.clone().map(OsString::from));
        }
        Ok(Spare { program: std::env::current_exe()?, arguments, settings })
    }
}

/// The socket that systemd listens at for us, if it started us for that.
fn activated() -> Result<Option<OwnedFd>, Failure> {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if variable("LISTEN_PID") != Some(std::process::id()) {
        return Ok(None);
    }
    match variable("LISTEN_FDS") {
        None | Some(0) => Ok(None),
        Some(1) => Ok(Some(transport::inherited(LISTEN_FDS_START)?)),
        Some(more) => Err(format!("LISTEN_FDS: one socket is served, {more} were given").into()),
    }
}

/// A terminal that is closed is no reason to end. The handler stays for the life of the process.
fn ignore_hangup() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    signal(SignalKind::hangup()).map(drop)
}
