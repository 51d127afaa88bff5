//! Folders of an engine, how it is started, and a scripted model that asks before each of its steps.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use lapce_ai::engine::{AttachOptions, READY, Start};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lapce-ai");
/// In which an engine ends, or one that waited takes its place.
const END: Duration = Duration::from_millis(200);
/// Folders of the workspace.
const INNER: [&str; 2] = ["odd", "even"];

pub struct Place {
    folder: TempDir,
    /// Further options of `lapce-ai serve`.
    arguments: Vec<OsString>,
}

impl Place {
    pub fn new(arguments: &[&str]) -> Place {
        let folder = TempDir::new().unwrap();
        let place = Place { folder, arguments: arguments.iter().map(OsString::from).collect() };
        INNER.iter().for_each(|inner| std::fs::create_dir_all(place.workspace().join(inner)).unwrap());
        place
    }

    /// What the model of the next engine says: a step that nobody has approved beforehand, and another one than in the
    /// round before.
    pub fn script(&self, round: usize) {
        let inner = INNER[round % INNER.len()];
        let step = format!("<list_files>\n<path>{inner}</path>\n<recursive>false</recursive>\n</list_files>");
        let turn = format!("{}\n{}\n", json!({ "expect": {} }), json!({ "text": step }));
        std::fs::write(self.inner("transcript.jsonl"), turn).unwrap();
    }

    pub fn workspace(&self) -> PathBuf {
        self.inner("workspace")
    }

    /// To attach, and to start an engine when none answers.
    pub fn options(&self) -> AttachOptions {
        let start = Start {
            program: Some(PROGRAM.into()),
            storage: Some(self.inner("storage")),
            home: Some(self.inner("home")),
            settings: self.settings().as_object().unwrap().clone(),
            arguments: self.arguments.clone(),
        };
        AttachOptions { runtime_dir: Some(self.inner("runtime")), start: Some(start), ..AttachOptions::default() }
    }

    /// Starts an engine as a client does; returns when it says that it can be attached to.
    pub fn serve(&self) {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--resume", "--settings-stdin", "--ready-fd", "1"]).args(&self.arguments);
        for (option, folder) in [("--runtime-dir", "runtime"), ("--storage", "storage"), ("--home", "home")] {
            command.arg(option).arg(self.inner(folder));
        }
        let mut engine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        engine.stdin.take().unwrap().write_all(self.settings().to_string().as_bytes()).unwrap();
        let mut said = [0];
        engine.stdout.take().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(said, [READY]);
        // It is waited for where it is killed, on a thread: nobody else would.
        std::thread::spawn(move || engine.wait());
    }

    /// The process whose socket this is.
    pub fn engine(&self) -> Option<Pid> {
        let socket = UnixStream::connect(self.inner("runtime/engine.sock")).ok()?;
        Some(socket_peercred(socket).unwrap().pid)
    }

    fn inner(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self) -> Value {
        json!({
            "apiProvider": "replay",
            "replayFile": self.inner("transcript.jsonl"),
            "alwaysAllowReadOnly": false,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In order: it takes its spare with it. One that was started beside a spare leaves that one to follow.
        while let Some(engine) = self.engine() {
            let _ = kill_process(engine, Signal::TERM);
            std::thread::sleep(END);
        }
    }
}
