//! An engine that serves in a process of its own, with folders of its own.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use lapce_ai::engine::{AttachError, AttachOptions, Client, ClientOptions, Start};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::DEADLINE;

/// Ends engines that a failing test leaves behind.
const WHEN_UNUSED: &str = "--exit-when-unused=60";

/// Where an engine serves: `run`, `storage` and `stderr` in one folder.
#[derive(Clone)]
pub struct Site {
    root: PathBuf,
    settings: Value,
}

impl Site {
    pub fn new(root: &Path, settings: &Value) -> Site {
        Site { root: root.to_owned(), settings: settings.clone() }
    }

    pub fn runtime(&self) -> PathBuf {
        self.root.join("run")
    }

    pub fn storage(&self) -> PathBuf {
        self.root.join("storage")
    }

    pub fn socket(&self) -> PathBuf {
        self.runtime().join("engine.sock")
    }

    /// What all its engines wrote to their standard error.
    pub fn stderr(&self) -> PathBuf {
        self.root.join("stderr")
    }

    /// Options of a client; `id` lets a later one be the same client.
    pub fn options(&self, id: Option<&str>) -> AttachOptions {
        AttachOptions {
            runtime_dir: Some(self.runtime()),
            id: id.map(str::to_owned),
            timeout: Some(DEADLINE),
            ..AttachOptions::default()
        }
    }

    /// As [`options`](Self::options), of a client that starts the engine when none answers.
    pub fn starting(&self, id: Option<&str>) -> AttachOptions {
        let start = Start {
            program: Some(env!("CARGO_BIN_EXE_lapce-ai").into()),
            storage: Some(self.storage()),
            home: Some(self.root.clone()),
            settings: self.settings.as_object().unwrap().clone(),
            arguments: vec![WHEN_UNUSED.into()],
        };
        AttachOptions { start: Some(start), ..self.options(id) }
    }

    /// The process that answers at the socket.
    pub fn pid(&self) -> Option<Pid> {
        let stream = UnixStream::connect(self.socket()).ok()?;
        rustix::net::sockopt::socket_peercred(&stream).ok().map(|peer| peer.pid)
    }

    /// Starts an engine. What it said instead, with its exit code, when it cannot serve.
    pub fn serve(&self, arguments: &[&str]) -> Result<Served, (Option<i32>, String)> {
        let stderr = OpenOptions::new().append(true).create(true).open(self.stderr()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lapce-ai"))
            .args(["serve", "--settings-stdin", "--ready-fd", "1"])
            .arg("--runtime-dir")
            .arg(self.runtime())
            .arg("--storage")
            .arg(self.storage())
            .arg("--home")
            .arg(&self.root)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        // One that ends at once need not have read them.
        let _ = write!(child.stdin.take().unwrap(), "{}", self.settings);
        let mut said = [0];
        let mut ready = child.stdout.take().unwrap();
        if matches!(ready.read(&mut said), Ok(1)) && said == [1] {
            return Ok(Served { site: self.clone(), child: Mutex::new(child) });
        }
        let mut reason = said.to_vec();
        ready.read_to_end(&mut reason).unwrap();
        let code = child.wait().unwrap().code();
        Err((code, String::from_utf8_lossy(&reason).into_owned()))
    }
}

/// A serving engine. Killed when dropped.
pub struct Served {
    pub site: Site,
    child: Mutex<Child>,
}

impl Served {
    /// An engine that serves in `root`.
    pub fn start(root: &Path, settings: &Value, arguments: &[&str]) -> Served {
        Site::new(root, settings).serve(arguments).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"))
    }

    /// Attaches a client.
    pub fn client(&self, options: ClientOptions) -> Result<Client, AttachError> {
        Client::attach(AttachOptions { client: options, ..self.site.options(None) })
    }

    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Kills it, as a crash would.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and sees it end in order.
    pub fn terminate(&self) {
        let pid = Pid::from_raw(self.pid() as i32).unwrap();
        // A second time, it has ended.
        if self.ended().is_none() {
            kill_process(pid, Signal::TERM).unwrap();
        }
        let status = self.wait();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(self.site.stderr()).unwrap_or_default());
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn wait(&self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < until, "the engine does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        // It may have ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
