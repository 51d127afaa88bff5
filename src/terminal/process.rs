//! One command: what it printed, whether it runs, and the orders it takes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::exit::Exit;
use super::hot;
use super::output::{Captured, Output};

/// A command to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The command line, for a shell.
    pub command: String,
    /// An existing directory.
    pub cwd: PathBuf,
    /// File that takes the output of a command that prints more than is kept in memory; it is created only then.
    pub log: Option<PathBuf>,
}

/// A command that was started.
pub struct Launched {
    /// The command.
    pub process: Arc<Process>,
    /// What happens to it, until [`Event::Completed`] or [`Event::Detached`].
    pub events: mpsc::UnboundedReceiver<Event>,
}

/// Starts commands: in own processes ([`super::Direct`]) or in a terminal of the host (spec 06 §D.4).
pub trait Launcher: Send + Sync {
    /// Starts a command. Never fails: one that cannot be started ends at once with [`Exit::FAILED`]. Needs a tokio runtime.
    fn launch(&self, launch: Launch) -> Launched;
}

/// What happens to a command. At most two [`Event::Output`] a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It runs.
    Started {
        /// Process id of the shell.
        pid: u32,
    },
    /// It printed lines that nobody has seen.
    Output {
        /// Position after them, for [`Process::output_until`].
        end: u64,
    },
    /// The shell ended, `None` when nobody knows how. More output may follow.
    Exited(Option<Exit>),
    /// Nothing more will happen.
    Completed,
    /// Somebody let it go on in the background: no more events.
    Detached,
}

/// One command.
pub struct Process {
    command: String,
    state: Mutex<State>,
    /// Wakes the code that drives the command when it is to be killed.
    pub(super) abort: Notify,
    /// Wakes those who wait until it is no longer hot.
    changed: Notify,
}

struct State {
    output: Output,
    log: Option<PathBuf>,
    exit: Option<Exit>,
    completed: bool,
    aborted: bool,
    line_after_abort: bool,
    detached: bool,
    hot_until: Option<Instant>,
    events: Option<mpsc::UnboundedSender<Event>>,
    last_chunk: Option<Instant>,
}

/// Least time between two [`Event::Output`].
const CHUNK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(500);

impl Process {
    /// A command that has not been started, and the receiver of its events. For launchers.
    pub fn new(launch: &Launch) -> (Arc<Process>, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let state = State {
            output: Output::default(),
            log: None,
            exit: None,
            completed: false,
            aborted: false,
            line_after_abort: false,
            detached: false,
            hot_until: None,
            events: Some(sender),
            last_chunk: None,
        };
        let process = Process {
            command: launch.command.clone(),
            state: Mutex::new(state),
            abort: Notify::new(),
            changed: Notify::new(),
        };
        (Arc::new(process), receiver)
    }

    /// The command line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// How the shell ended, once it has and if it is known.
    pub fn exit(&self) -> Option<Exit> {
        self.state().exit
    }

    /// Whether [`Event::Completed`] has come, for a detached command would have come.
    pub fn is_completed(&self) -> bool {
        self.state().completed
    }

    /// Whether it was let go on in the background.
    pub fn is_detached(&self) -> bool {
        self.state().detached
    }

    /// Lets it go on in the background: [`Event::Detached`] is the last event.
    pub fn detach(&self) {
        let mut state = self.state();
        if !state.completed {
            state.detached = true;
            send(&mut state, Event::Detached);
            state.events = None;
        }
    }

    /// Kills it and everything it started. Its end is reported as usual.
    pub fn abort(&self) {
        self.state().aborted = true;
        self.abort.notify_one();
    }

    /// Everything printed so far.
    pub fn output(&self) -> Captured {
        let state = self.state();
        state.output.between(0, state.output.total())
    }

    /// Everything printed up to a position.
    pub fn output_until(&self, end: u64) -> Captured {
        self.state().output.between(0, end)
    }

    /// The file with the whole output (at most [`super::LOG_LIMIT`] bytes of it), when it did not fit into memory.
    pub fn log(&self) -> Option<PathBuf> {
        self.state().log.clone()
    }

    /// The output nobody has seen, which counts as seen from now on: complete lines while it runs, then all.
    pub fn take_unretrieved(&self) -> Captured {
        let mut state = self.state();
        let end = if state.completed { state.output.total() } else { state.output.lines_end() };
        let unseen = state.output.between(state.output.retrieved(), end);
        state.output.retrieve(end);
        unseen
    }

    /// Whether there is output nobody has seen.
    pub fn has_unretrieved(&self) -> bool {
        let state = self.state();
        let end = if state.completed { state.output.total() } else { state.output.lines_end() };
        end > state.output.retrieved()
    }

    /// Until when it is hot; `None` when it is not. A command that has printed nothing yet is hot without end.
    pub(super) fn hot_until(&self, now: Instant) -> Option<Option<Instant>> {
        let state = self.state();
        match state.hot_until {
            _ if state.completed => None,
            Some(until) if until <= now => None,
            until => Some(until),
        }
    }

    /// Resolves when the command printed or ended after this call.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// The shell runs. For launchers, like the methods below.
    pub fn started(&self, pid: u32) {
        send(&mut self.state(), Event::Started { pid });
    }

    /// Takes output as it arrived. The first line is reported at once, later ones at most every 500 ms.
    pub fn printed(&self, bytes: &[u8], now: Instant) {
        let mut state = self.state();
        let before = state.output.total();
        state.output.push(bytes);
        let Some(last) = memchr::memrchr(b'\n', bytes) else { return };
        state.line_after_abort |= state.aborted;
        let lines = bytes.get(..last).unwrap_or_default();
        let line = lines.get(memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1)..).unwrap_or_default();
        state.hot_until = Some(now + hot::after_line(&String::from_utf8_lossy(line.get(..4096).unwrap_or(line))));
        let end = match state.last_chunk {
            None => Some(before + memchr::memchr(b'\n', bytes).unwrap_or(last) as u64 + 1),
            Some(at) if now >= at + CHUNK_INTERVAL => Some(state.output.lines_end()),
            Some(_) => None,
        };
        if let Some(end) = end {
            state.last_chunk = Some(now);
            report_lines(&mut state, end);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Everything printed, if `more` bytes make it too much for memory while all of it is still there.
    pub(super) fn output_before_overflow(&self, more: usize) -> Option<Vec<u8>> {
        let state = self.state();
        let overflows = state.output.total() + more as u64 > super::MEMORY_LIMIT as u64;
        if overflows { state.output.all_bytes() } else { None }
    }

    pub(super) fn logged_in(&self, log: PathBuf) {
        self.state().log = Some(log);
    }

    /// Everything happened: the shell ended, and its output was read.
    pub fn completed(&self, exit: Option<Exit>) {
        let mut state = self.state();
        // A kill that came while the command was still printing is not told from its own end (spec 06 §D.3).
        let untold = state.aborted && state.line_after_abort;
        let exit = if untold { exit.map(|exit| Exit { signal: None, ..exit }) } else { exit };
        state.exit = exit;
        send(&mut state, Event::Exited(exit));
        let end = state.output.lines_end();
        if end > state.output.retrieved() {
            report_lines(&mut state, end);
        }
        state.completed = true;
        if state.events.is_some() {
            // Whoever listens gets the whole output as the result.
            let total = state.output.total();
            state.output.retrieve(total);
        }
        send(&mut state, Event::Completed);
        state.events = None;
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report_lines(state: &mut State, end: u64) {
    if state.events.is_some() {
        state.output.retrieve(end);
    }
    send(state, Event::Output { end });
}

/// A listener that went away without detaching leaves the command in the background.
fn send(state: &mut State, event: Event) {
    if let Some(events) = &state.events
        && events.send(event).is_err()
    {
        state.events = None;
        state.detached = true;
    }
}
