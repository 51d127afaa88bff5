//! The repository of a task instance: opened once, worked on by one at a time, turned off by its first failure.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::git::{Commit, Place, Shadow, ShadowError};
use crate::prompt::text::{Texts, context};
use crate::task::host::TaskEvent;
use crate::task::instance::Task;

/// How long a caller waits for the repository to be opened before the task goes on without checkpoints (spec 02 §15.1).
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub(in crate::task) enum Unavailable {
    /// Switched off by the settings, or by an earlier failure.
    #[error("off")]
    Off,
    /// The repository took too long to open.
    #[error("opening took longer than {} s", OPEN_LIMIT.as_secs())]
    Slow,
    /// The repository failed.
    #[error(transparent)]
    Failed(#[from] ShadowError),
    /// The work was not carried out: the runtime ends, or the work panicked.
    #[error("not carried out")]
    Lost,
}

/// An open repository.
pub(in crate::task) struct Open {
    /// The repository.
    pub shadow: Shadow,
    /// The last checkpoint of the task, else the state it was opened with.
    pub last: Commit,
}

/// Work waits here for its turn, in order.
type Line = Arc<Mutex<Option<Open>>>;

/// The service of one task instance.
#[derive(Default)]
pub(in crate::task) struct Checkpoints {
    line: OnceLock<Line>,
    /// The repository has been opened: who waits now, waits for work.
    opened: AtomicBool,
    off: AtomicBool,
    /// Nobody needs the repository any more.
    closed: Arc<AtomicBool>,
}

impl Checkpoints {
    /// A service that is off from the beginning if the settings say so.
    pub fn new(enabled: bool) -> Checkpoints {
        Checkpoints { off: AtomicBool::new(!enabled), ..Checkpoints::default() }
    }

    /// Whether no more checkpoints are made.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    /// Takes the place of the service of an earlier instance of the same task, whose work may not be over yet.
    pub fn succeed(&self, earlier: &Checkpoints) {
        let _ = self.line.set(earlier.line().clone());
    }

    /// Turns the service off and waits until what it is at is over: nothing is written to its repository after this.
    pub async fn close(&self) {
        self.turn_off();
        self.closed.store(true, Ordering::SeqCst);
        self.line().clone().lock_owned().await.take();
    }

    fn line(&self) -> &Line {
        self.line.get_or_init(Line::default)
    }

    /// Turns the service off; true for the first who does.
    fn turn_off(&self) -> bool {
        !self.off.swap(true, Ordering::SeqCst)
    }
}

/// The turn of one caller.
pub(in crate::task) struct Exclusive(OwnedMutexGuard<Option<Open>>);

impl Exclusive {
    /// Opens the repository unless it is open.
    async fn open(self, place: Place, closed: Arc<AtomicBool>) -> Result<Exclusive, Unavailable> {
        let Exclusive(mut guard) = self;
        if guard.is_some() {
            return Ok(Exclusive(guard));
        }
        // The work goes on when nobody waits for it any more: who comes later finds the repository open.
        let opening = tokio::task::spawn_blocking(move || {
            let shadow = Shadow::open_unless(place, &|| closed.load(Ordering::SeqCst))?;
            let last = shadow.base();
            *guard = Some(Open { shadow, last });
            Ok(Exclusive(guard))
        });
        opening.await.unwrap_or(Err(Unavailable::Lost))
    }

    /// Works on the repository, off the runtime's threads. The turn is not over with that.
    pub async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Open) -> Result<T, ShadowError> + Send + 'static,
    ) -> Result<(Exclusive, T), Unavailable> {
        let Exclusive(mut guard) = self;
        let working = tokio::task::spawn_blocking(move || {
            let Some(open) = guard.as_mut() else { return Err(Unavailable::Lost) };
            let outcome = work(open);
            if outcome.is_err() {
                // The next instance opens it anew.
                *guard = None;
            }
            Ok((outcome?, Exclusive(guard)))
        });
        let (outcome, turn) = working.await.unwrap_or(Err(Unavailable::Lost))?;
        Ok((turn, outcome))
    }
}

impl Task {
    /// Opens the repository in the background, so that the first edit need not wait for it.
    pub fn prepare_checkpoints(self: &Arc<Self>) {
        if self.checkpoints.is_off() {
            return;
        }
        let task = self.clone();
        self.services.spawner.spawn(async move {
            let opened = task.unless_aborted(task.open_repository()).await;
            if let Ok(Err(error)) = opened {
                task.without_checkpoints(&error);
            }
        });
    }

    /// Waits for this caller's turn at the open repository.
    ///
    /// # Errors
    /// The service is off, or the repository cannot be opened or not in time; the caller turns the service off then.
    pub(super) async fn checkpoint_turn(&self) -> Result<Exclusive, Unavailable> {
        if self.checkpoints.is_off() {
            return Err(Unavailable::Off);
        }
        if self.checkpoints.opened.load(Ordering::SeqCst) {
            return self.open_repository().await;
        }
        tokio::time::timeout(OPEN_LIMIT, self.open_repository()).await.unwrap_or(Err(Unavailable::Slow))
    }

    async fn open_repository(&self) -> Result<Exclusive, Unavailable> {
        let turn = Exclusive(self.checkpoints.line().clone().lock_owned().await);
        if self.checkpoints.is_off() {
            return Err(Unavailable::Off);
        }
        let turn = turn.open(self.checkpoint_place(), self.checkpoints.closed.clone()).await?;
        self.checkpoints.opened.store(true, Ordering::SeqCst);
        Ok(turn)
    }

    fn checkpoint_place(&self) -> Place {
        let surroundings = &self.services.surroundings;
        place(&surroundings.storage, &self.id, &self.cwd, &surroundings.home)
    }

    /// Turns checkpoints off for this instance and tells the user, once.
    pub(super) fn without_checkpoints(&self, error: &Unavailable) {
        if matches!(error, Unavailable::Off) || !self.checkpoints.turn_off() {
            return;
        }
        let message = explain(error, &self.cwd, &self.services.surroundings.texts);
        self.emit(TaskEvent::Notify { level: "warning", message });
    }

    /// Why no checkpoint can be had, for who asked for one.
    pub(super) fn explain_unavailable(&self, error: &Unavailable) -> String {
        explain(error, &self.cwd, &self.services.surroundings.texts)
    }
}

/// Where the repository of a task is and what it keeps (spec 02 §15.1).
pub(super) fn place(storage: &Path, task: &str, work_tree: &Path, home: &Path) -> Place {
    Place { git_dir: repository(storage, task), work_tree: work_tree.to_owned(), home: home.to_owned() }
}

/// The folder of a task's repository.
pub(super) fn repository(storage: &Path, task: &str) -> PathBuf {
    storage.join("tasks").join(task).join("checkpoints").join(".git")
}

fn explain(error: &Unavailable, cwd: &Path, texts: &Texts) -> String {
    let workspace = cwd.display().to_string();
    match error {
        Unavailable::Off => texts.get("checkpoint.is_off"),
        Unavailable::Slow => texts.render("checkpoint.slow", context! { seconds => OPEN_LIMIT.as_secs(), workspace }),
        Unavailable::Failed(cause) => {
            texts.render("checkpoint.failed", context! { cause => cause.to_string(), workspace })
        }
        Unavailable::Lost => texts.render("checkpoint.failed", context! { cause => error.to_string(), workspace }),
    }
}
