//! Todo lists of a task (spec 02 §12).

use serde_json::Value;

use crate::protocol::message::{Ask, Say, TodoItem, UiKind, UiMessage};

/// The list that the messages tell: the last `updateTodoList`, approved or not.
pub fn from_messages(messages: &[UiMessage]) -> Option<Vec<TodoItem>> {
    messages
        .iter()
        .rev()
        .filter(|m| matches!(m.kind, UiKind::Ask(Ask::Tool) | UiKind::Say(Say::UserEditTodos)))
        .filter_map(|m| m.text.as_deref().filter(|text| text.contains("updateTodoList")))
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|tool| tool["tool"] == "updateTodoList" && tool["todos"].is_array())
        .find_map(|mut tool| serde_json::from_value(tool["todos"].take()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_list_in_the_messages_counts() {
        let tool = |content: &str| {
            let todos = json!([{"id": "1", "content": content, "status": "pending"}]);
            let text = json!({"tool": "updateTodoList", "todos": todos}).to_string();
            UiMessage::new(1, UiKind::Ask(Ask::Tool), Some(text))
        };
        let other = UiMessage::new(1, UiKind::Ask(Ask::Tool), Some("{}".into()));
        let found = from_messages(&[tool("old"), tool("new"), other]);
        assert_eq!(found.map(|todos| todos[0].content.clone()), Some("new".into()));
        assert_eq!(from_messages(&[]), None);
    }
}
