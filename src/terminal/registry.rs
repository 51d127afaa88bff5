//! The terminals of an engine (spec 06 §D.2, §D.6; spec 02 §10).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::output::Captured;
use super::process::{Event, Launch, Launcher, Process};

/// Most commands whose unread output a terminal remembers.
const FINISHED_LIMIT: usize = 16;
/// Most terminals that are remembered without being busy.
const IDLE_LIMIT: usize = 64;

/// Why a command was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerminalError {
    /// The working directory does not exist or is not a directory.
    #[error("no directory {}", .0.display())]
    NoDirectory(PathBuf),
}

/// The terminals of an engine, shared by its tasks.
pub struct Terminals {
    launcher: Arc<dyn Launcher>,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    last_id: u32,
    terminals: Vec<Terminal>,
}

struct Terminal {
    id: u32,
    cwd: PathBuf,
    owner: Option<String>,
    /// Newest first. Those that have ended stay while they have output that nobody has seen.
    processes: Vec<Arc<Process>>,
}

/// A command that was started in a terminal.
pub struct Running {
    /// Number of the terminal, from 1.
    pub terminal: u32,
    /// The terminal's directory.
    pub cwd: PathBuf,
    /// The command.
    pub process: Arc<Process>,
    /// What happens to it.
    pub events: mpsc::UnboundedReceiver<Event>,
}

/// A terminal whose command runs.
pub struct Busy {
    /// Number of the terminal.
    pub terminal: u32,
    /// The terminal's directory.
    pub cwd: PathBuf,
    /// The command. [`Process::take_unretrieved`] gives what is new.
    pub process: Arc<Process>,
}

/// A terminal at rest with output that nobody has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Number of the terminal.
    pub terminal: u32,
    /// The terminal's directory.
    pub cwd: PathBuf,
    /// Its ended commands with unseen output, newest first.
    pub unread: Vec<Unread>,
}

/// Unseen output of a command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The command line.
    pub command: String,
    /// What it printed.
    pub output: Captured,
}

impl Terminals {
    /// No terminals yet; commands will be started by `launcher`.
    pub fn new(launcher: Arc<dyn Launcher>) -> Terminals {
        Terminals { launcher, list: Mutex::default() }
    }

    /// Starts a command of a task in a terminal at rest with this directory, best one of the task's own, else in a new one.
    /// The terminal is the task's from then on. `log` as in [`Launch`].
    ///
    /// # Errors
    /// [`TerminalError::NoDirectory`].
    pub async fn run(
        &self,
        task: &str,
        cwd: &Path,
        command: &str,
        log: Option<PathBuf>,
    ) -> Result<Running, TerminalError> {
        if !tokio::fs::metadata(cwd).await.is_ok_and(|data| data.is_dir()) {
            return Err(TerminalError::NoDirectory(cwd.to_owned()));
        }
        let mut list = self.list();
        let launched = self.launcher.launch(Launch { command: command.to_owned(), cwd: cwd.to_owned(), log });
        let terminal = list.terminal_for(task, cwd);
        terminal.owner = Some(task.to_owned());
        terminal.processes.insert(0, launched.process.clone());
        terminal.processes.truncate(FINISHED_LIMIT);
        Ok(Running { terminal: terminal.id, cwd: cwd.to_owned(), process: launched.process, events: launched.events })
    }

    /// The busy terminals of a task, then those without an owner.
    pub fn busy(&self, task: &str) -> Vec<Busy> {
        let list = self.list();
        let busy = list.seen_by(task).filter_map(|terminal| {
            let process = terminal.running()?.clone();
            Some(Busy { terminal: terminal.id, cwd: terminal.cwd.clone(), process })
        });
        busy.collect()
    }

    /// The terminals at rest of a task, then those without an owner, that have unseen output; it counts as seen now.
    pub fn take_finished(&self, task: &str) -> Vec<Finished> {
        let mut list = self.list();
        let mut all = Vec::new();
        for terminal in list.seen_by(task).filter(|terminal| terminal.running().is_none()) {
            let unread: Vec<Unread> = terminal
                .processes
                .iter()
                .filter(|process| process.has_unretrieved())
                .map(|process| Unread { command: process.command().to_owned(), output: process.take_unretrieved() })
                .collect();
            if !unread.is_empty() {
                all.push(Finished { terminal: terminal.id, cwd: terminal.cwd.clone(), unread });
            }
        }
        list.forget_seen();
        all
    }

    /// Waits until no busy terminal that [`Terminals::busy`] gives for the task is hot (spec 06 §D.3), at most `limit`.
    pub async fn cool(&self, task: &str, limit: Duration) {
        let cooled = async {
            for Busy { process, .. } in self.busy(task) {
                cool(&process).await;
            }
        };
        let _ = timeout(limit, cooled).await; // Still hot: the next request does not wait any longer.
    }

    /// The user's order to the newest running command of a task that has not been detached: go on in the background
    /// (`proceed`) or die (spec 06 §D.2). False when there is none.
    pub fn operate(&self, task: &str, proceed: bool) -> bool {
        let list = self.list();
        let own = list.terminals.iter().rev().filter(|terminal| terminal.owner.as_deref() == Some(task));
        let Some(process) = own.filter_map(Terminal::running).find(|process| !process.is_detached()) else {
            return false;
        };
        if proceed {
            process.detach()
        } else {
            process.abort()
        }
        true
    }

    /// Ends the ownership of a task: its terminals go on in the background (spec 06 §D.6).
    pub fn release(&self, task: &str) {
        for terminal in &mut self.list().terminals {
            if terminal.owner.as_deref() == Some(task) {
                terminal.owner = None;
            }
        }
    }

    /// Kills every command that runs. For the end of the engine.
    pub fn abort_all(&self) {
        self.list().terminals.iter().flat_map(|terminal| &terminal.processes).for_each(|process| process.abort());
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a command is not hot.
async fn cool(process: &Process) {
    loop {
        let changed = process.changed();
        match process.hot_until(Instant::now()) {
            None => return,
            Some(None) => changed.await,
            Some(Some(until)) => tokio::select! {
                () = changed => {}
                () = sleep_until(until) => {}
            },
        }
    }
}

impl List {
    fn terminal_for(&mut self, task: &str, cwd: &Path) -> &mut Terminal {
        self.forget_seen();
        let usable = |terminal: &Terminal| terminal.running().is_none() && terminal.cwd == cwd;
        let own = self.terminals.iter().position(|t| usable(t) && t.owner.as_deref() == Some(task));
        let index = own.or_else(|| self.terminals.iter().position(usable)).unwrap_or_else(|| {
            self.last_id += 1;
            self.terminals.push(Terminal { id: self.last_id, cwd: cwd.to_owned(), owner: None, processes: Vec::new() });
            self.terminals.len() - 1
        });
        &mut self.terminals[index]
    }

    fn seen_by<'a>(&'a self, task: &'a str) -> impl Iterator<Item = &'a Terminal> {
        let own = self.terminals.iter().filter(move |terminal| terminal.owner.as_deref() == Some(task));
        own.chain(self.terminals.iter().filter(|terminal| terminal.owner.is_none()))
    }

    /// Drops ended commands without unseen output, but for the newest, and the oldest idle terminals when there are too many.
    fn forget_seen(&mut self) {
        for terminal in &mut self.terminals {
            let mut newest = true;
            terminal
                .processes
                .retain(|process| std::mem::take(&mut newest) || !process.is_completed() || process.has_unretrieved());
        }
        let idle = self.terminals.iter().filter(|terminal| terminal.running().is_none()).count();
        let mut surplus = idle.saturating_sub(IDLE_LIMIT);
        self.terminals.retain(|terminal| {
            let goes = surplus > 0 && terminal.running().is_none();
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl Terminal {
    fn running(&self) -> Option<&Arc<Process>> {
        self.processes.iter().find(|process| !process.is_completed())
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        self.abort_all();
    }
}
