//! Stored tasks: listed from the history, read from their folders, deleted.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::core::Core;
use super::router::Outcome;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::TaskList;
use crate::task::host::TaskHistory;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// One page of the history; the cursor is the number of entries before it.
pub fn list(core: &Core, list: &TaskList) -> Value {
    let skip = list.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0usize);
    let limit = list.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE) as usize;
    let mut items = core.history.list(skip, limit + 1, list.query.as_deref().unwrap_or(""));
    let more = items.len() > limit;
    items.truncate(limit);
    let mut result = json!({ "tasks": items });
    if more {
        result["cursor"] = (skip + limit).to_string().into();
    }
    result
}

/// A stored task with its messages.
pub fn get(core: &Core, task: &str) -> Outcome {
    let item = core.history.get(task).ok_or_else(|| unknown(task))?;
    let folder = folder(core, task)?;
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_else(|_| json!([]))
    };
    Ok(json!({
        "item": item,
        "messages": read("ui_messages.json"),
        "conversation": read("api_conversation_history.json"),
    }))
}

/// Deletes a stored task and its folder; a favourite is refused (spec 02 §2.3).
pub fn delete(core: &Core, task: &str) -> Outcome {
    let item = core.history.get(task).ok_or_else(|| unknown(task))?;
    if item.other.get("isFavorited") == Some(&Value::Bool(true)) {
        return Err(RequestFailed::new(ErrorKind::Busy, "a favourite task is not deleted"));
    }
    let folder = folder(core, task)?;
    core.history.remove(task);
    let io = |error: std::io::Error| RequestFailed::new(ErrorKind::Io, error.to_string());
    core.history.save().map_err(io)?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(error)),
        _ => Ok(Value::Null),
    }
}

/// The task's folder. An id is one path component; a history file that says otherwise is not followed.
fn folder(core: &Core, task: &str) -> Result<PathBuf, RequestFailed> {
    let plain = !task.is_empty() && task.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(core.storage.join("tasks").join(task)) } else { Err(unknown(task)) }
}

fn unknown(task: &str) -> RequestFailed {
    RequestFailed::new(ErrorKind::NotFound, format!("task `{task}` is not stored"))
}
