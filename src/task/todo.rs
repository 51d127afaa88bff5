//! Todo lists of a task (spec 02 §12).

use serde_json::Value;

use crate::protocol::message::{Ask, Say, TodoItem, UiKind, UiMessage};

/// What an item's status can be.
const STATUSES: [&str; 3] = ["pending", "in_progress", "completed"];

/// Why a value is no todo list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TodoError {
    /// It is something else than a list.
    #[error("the todo list is not a list")]
    NotArray,
    /// The item at this place, counted from 0, is wrong.
    #[error("item {0} of the todo list: {1}")]
    Item(usize, ItemError),
}

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It is no object.
    #[error("not an object")]
    NotObject,
    /// `id` is no text or empty.
    #[error("`id` is missing")]
    NoId,
    /// `content` is no text or empty.
    #[error("`content` is missing")]
    NoContent,
    /// `status` is none of the three.
    #[error("`status` is not pending, in_progress or completed")]
    BadStatus,
}

/// The list that the messages tell: the last `updateTodoList`, approved or not. Items as they are stored.
pub fn latest(messages: &[UiMessage]) -> Option<Vec<Value>> {
    messages
        .iter()
        .rev()
        .filter(|message| may_tell(message))
        .filter_map(|m| m.text.as_deref())
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|tool| tool["tool"] == "updateTodoList")
        .find_map(|mut tool| match tool["todos"].take() {
            Value::Array(todos) => Some(todos),
            _ => None,
        })
}

/// Whether a message looks as if it told the list.
pub(super) fn may_tell(message: &UiMessage) -> bool {
    matches!(message.kind, UiKind::Ask(Ask::Tool) | UiKind::Say(Say::UserEditTodos))
        && message.text.as_ref().is_some_and(|text| text.contains("updateTodoList"))
}

/// [`latest`] as items; what an item lacks is empty.
pub fn from_messages(messages: &[UiMessage]) -> Option<Vec<TodoItem>> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let item = |item: &Value| TodoItem {
        id: text(item, "id"),
        content: text(item, "content"),
        status: normalise_status(item["status"].as_str()).to_owned(),
    };
    latest(messages).map(|todos| todos.iter().map(item).collect())
}

/// The status that a text stands for: unknown ones are `pending`; case matters.
pub fn normalise_status(status: Option<&str>) -> &'static str {
    STATUSES.into_iter().find(|known| status == Some(known)).unwrap_or("pending")
}

/// Whether a value is a todo list; a missing or empty status is allowed.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(todos: &Value) -> Result<(), TodoError> {
    let todos = todos.as_array().ok_or(TodoError::NotArray)?;
    todos.iter().enumerate().try_for_each(|(at, item)| validate_item(item).map_err(|error| TodoError::Item(at, error)))
}

fn validate_item(item: &Value) -> Result<(), ItemError> {
    // Lists are objects of the format's origin as well.
    if !item.is_object() && !item.is_array() {
        return Err(ItemError::NotObject);
    }
    let text = |key: &str| item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("id").ok_or(ItemError::NoId)?;
    text("content").ok_or(ItemError::NoContent)?;
    match item.get("status") {
        None => Ok(()),
        Some(status) if !crate::ecma::is_truthy(status) => Ok(()),
        Some(status) if status.as_str().is_some_and(|status| STATUSES.contains(&status)) => Ok(()),
        Some(_) => Err(ItemError::BadStatus),
    }
}

/// Moves the item with this id on: pending → in progress → completed, or to the status it has. Says whether that is allowed;
/// if not, or without such an item, nothing changes.
pub fn set_status(todos: &mut [TodoItem], id: &str, status: &str) -> bool {
    let Some(item) = todos.iter_mut().find(|item| item.id == id) else { return false };
    let allowed = matches!((item.status.as_str(), status), ("pending", "in_progress") | ("in_progress", "completed"));
    if allowed {
        status.clone_into(&mut item.status);
    }
    allowed || item.status == status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(todos: Value) -> UiMessage {
        let text = json!({"tool": "updateTodoList", "todos": todos}).to_string();
        UiMessage::new(1, UiKind::Ask(Ask::Tool), Some(text))
    }

    /// parity 02 §12: the last list of the messages counts, approved or not
    #[test]
    fn the_last_list_in_the_messages_counts() {
        let list = |content: &str| tool(json!([{"id": "1", "content": content, "status": "pending"}]));
        let other = UiMessage::new(1, UiKind::Ask(Ask::Tool), Some("{}".into()));
        let found = from_messages(&[list("old"), list("new"), other, tool(json!("no list"))]);
        assert_eq!(found.map(|todos| todos[0].content.clone()), Some("new".into()));
        assert_eq!(from_messages(&[]), None);
        let odd = from_messages(&[tool(json!([{"id": "1", "status": "done"}]))]).expect("a list");
        assert_eq!(odd, [TodoItem { id: "1".into(), content: String::new(), status: "pending".into() }]);
    }

    /// parity 02 §12: the first wrong item is named
    #[test]
    fn the_first_wrong_item_is_named() {
        let good = json!({"id": "1", "content": "a", "status": "pending"});
        for (bad, error) in [
            (json!(5), ItemError::NotObject),
            (json!({"id": ""}), ItemError::NoId),
            (json!({"id": "1", "content": 5}), ItemError::NoContent),
            (json!({"id": "1", "content": "a", "status": "Pending"}), ItemError::BadStatus),
        ] {
            assert_eq!(validate(&json!([good, bad, 5])), Err(TodoError::Item(1, error)));
        }
        assert_eq!(validate(&json!({})), Err(TodoError::NotArray));
        assert_eq!(validate(&json!([good])), Ok(()));
    }

    /// parity 02 §12: a status moves on by one step
    #[test]
    fn a_status_moves_on_by_one_step() {
        let mut todos = [TodoItem { id: "1".into(), content: "a".into(), status: "pending".into() }];
        let mut steps = |status: &str| (set_status(&mut todos, "1", status), todos[0].status.clone());
        assert_eq!(steps("completed"), (false, "pending".into()));
        assert_eq!(steps("in_progress"), (true, "in_progress".into()));
        assert_eq!(steps("in_progress"), (true, "in_progress".into()));
        assert_eq!(steps("completed"), (true, "completed".into()));
        assert_eq!(steps("pending"), (false, "completed".into()));
        assert!(!set_status(&mut todos, "2", "pending"));
    }
}
