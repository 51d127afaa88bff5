//! Checkpoints as a host sees them: listed, and compared with each other or with the workspace (spec 02 §15.7).

use std::path::Path;

use serde_json::{Value, json};

use super::record::Record;
use super::save::is_suppressed;
use super::service;
use crate::git::{ChangeStatus, Commit, FileChange, Shadow, ShadowError};
use crate::protocol::message::{Say, UiKind, UiMessage};
use crate::task::TaskView;
use crate::task::instance::Task;
use crate::task::session::{CommandError, Reply};
use crate::task::stored::read_ui;

/// Bytes of file contents in one answer; files beyond them are listed without.
const CONTENT_LIMIT: usize = 8 << 20;

/// What is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffPoints {
    /// The earlier checkpoint; absent: the state in which the task began.
    pub from: Option<String>,
    /// The later one; absent: the workspace as it is.
    pub to: Option<String>,
}

impl DiffPoints {
    /// Whether the host named one.
    pub fn is_named(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }
}

impl TaskView {
    /// Checkpoints of the task: `{checkpoints: [{checkpoint, message, time_ms, suppressed}], base?, undo}`. Blocks on the disk.
    pub fn checkpoints(&self) -> Value {
        let task = self.task();
        let messages = task.state().ui.clone();
        list(&messages, task.store.folder())
    }

    /// What differs between two points.
    ///
    /// # Errors
    /// Checkpoints are off for this task, or it has no such checkpoint.
    pub async fn checkpoint_diff(&self, points: DiffPoints) -> Reply {
        self.task().compare(points).await.map(Comparison::into_json)
    }
}

/// Two points and what differs between them.
pub(in crate::task) struct Comparison {
    /// The earlier one.
    pub from: Commit,
    /// The later one; absent: the workspace as it is.
    pub to: Option<Commit>,
    /// Files, sorted by path.
    pub files: Vec<FileChange>,
}

impl Task {
    /// As [`TaskView::checkpoint_diff`].
    pub async fn compare(&self, points: DiffPoints) -> Result<Comparison, CommandError> {
        let (from, to) = resolve(&self.state().ui, points)?;
        let unavailable = |error| CommandError::NoCheckpoints(self.explain_unavailable(&error));
        let turn = self.checkpoint_turn().await.map_err(unavailable)?;
        let work = turn.work(move |open| Ok(compare(&open.shadow, from, to)));
        let (_turn, compared) = work.await.map_err(unavailable)?;
        compared.map_err(compared_badly)
    }
}

/// As [`TaskView::checkpoints`], of a stored task that nobody runs; `folder` holds its conversation.
pub fn list_stored(folder: &Path) -> Value {
    list(&stored_messages(folder), folder)
}

/// A stored task that nobody runs.
pub struct StoredTask<'a> {
    /// Task id.
    pub id: &'a str,
    /// The folder of its conversation.
    pub folder: &'a Path,
    /// The engine's storage, where its checkpoints are.
    pub storage: &'a Path,
    /// The folder it worked in.
    pub workspace: &'a Path,
    /// The user's home directory.
    pub home: &'a Path,
}

/// As [`TaskView::checkpoint_diff`], of a stored task that nobody runs. Blocks on the disk.
///
/// # Errors
/// The task has no checkpoints, or not this one.
pub fn diff_stored(task: &StoredTask, points: DiffPoints) -> Reply {
    compare_stored(task, points).map(Comparison::into_json)
}

/// As [`Task::compare`], of a stored task that nobody runs. Blocks on the disk.
pub(in crate::task) fn compare_stored(task: &StoredTask, points: DiffPoints) -> Result<Comparison, CommandError> {
    let (from, to) = resolve(&stored_messages(task.folder), points)?;
    if !service::repository(task.storage, task.id).is_dir() {
        return Err(CommandError::NoSuchCheckpoint(from.map_or_else(String::new, |from| from.to_string())));
    }
    let place = service::place(task.storage, task.id, task.workspace, task.home);
    let shadow = Shadow::open(place).map_err(compared_badly)?;
    compare(&shadow, from, to).map_err(compared_badly)
}

fn stored_messages(folder: &Path) -> Vec<UiMessage> {
    read_ui(folder).map(|(messages, _)| messages.to_vec()).unwrap_or_default()
}

fn saved(messages: &[UiMessage]) -> impl Iterator<Item = &UiMessage> {
    messages.iter().filter(|message| message.kind == UiKind::Say(Say::CheckpointSaved) && message.text.is_some())
}

/// The state in which the task began, as its first checkpoint tells.
fn base(messages: &[UiMessage]) -> Option<&str> {
    saved(messages).next()?.checkpoint.as_ref()?.get("from")?.as_str()
}

fn list(messages: &[UiMessage], folder: &Path) -> Value {
    let checkpoints: Vec<Value> = saved(messages)
        .map(|message| {
            json!({
                "checkpoint": message.text,
                "message": message.ts,
                "time_ms": message.ts,
                "suppressed": is_suppressed(message),
            })
        })
        .collect();
    let mut result = json!({"checkpoints": checkpoints, "undo": Record::exists(folder)});
    if let Some(base) = base(messages) {
        result["base"] = base.into();
    }
    result
}

/// The commits of these points. Only what the conversation names is looked at.
fn resolve(messages: &[UiMessage], points: DiffPoints) -> Result<(Option<Commit>, Option<Commit>), CommandError> {
    let known = |id: String| match base(messages) == Some(&id) || saved(messages).any(|m| m.text.as_ref() == Some(&id))
    {
        true => Commit::parse(&id).map_err(|_| CommandError::NoSuchCheckpoint(id)),
        false => Err(CommandError::NoSuchCheckpoint(id)),
    };
    let from = points.from.or_else(|| base(messages).map(str::to_owned)).map(known).transpose()?;
    Ok((from, points.to.map(known).transpose()?))
}

fn compared_badly(error: ShadowError) -> CommandError {
    CommandError::NoCheckpoints(error.to_string())
}

fn compare(shadow: &Shadow, from: Option<Commit>, to: Option<Commit>) -> Result<Comparison, ShadowError> {
    let from = from.unwrap_or_else(|| shadow.base());
    let files = shadow.diff(&from, to.as_ref())?;
    Ok(Comparison { from, to, files })
}

impl Comparison {
    fn into_json(self) -> Value {
        let mut left = CONTENT_LIMIT;
        let files: Vec<Value> = self.files.into_iter().map(|change| file(change, &mut left)).collect();
        let mut result = json!({"from": self.from.to_string(), "files": files});
        if let Some(to) = self.to {
            result["to"] = to.to_string().into();
        }
        result
    }
}

/// A changed file; contents that are no text, or for which no room is left, are left out.
fn file(change: FileChange, left: &mut usize) -> Value {
    let status = match change.status {
        ChangeStatus::Added => "added",
        ChangeStatus::Deleted => "deleted",
        ChangeStatus::Modified => "modified",
        ChangeStatus::TypeChanged => "type_changed",
    };
    let mut file = json!({
        "path": change.relative.to_string_lossy().replace('\\', "/"),
        "absolute": change.absolute.to_string_lossy(),
        "status": status,
        "binary": change.binary,
    });
    for (key, size) in [("before_bytes", change.before_size), ("after_bytes", change.after_size)] {
        if let Some(size) = size {
            file[key] = size.into();
        }
    }
    let size = change.before.as_ref().map_or(0, Vec::len) + change.after.as_ref().map_or(0, Vec::len);
    if change.binary || size > *left {
        return file;
    }
    *left -= size;
    for (key, content) in [("before", change.before), ("after", change.after)] {
        if let Some(text) = content.and_then(|bytes| String::from_utf8(bytes).ok()) {
            file[key] = text.into();
        }
    }
    file
}
