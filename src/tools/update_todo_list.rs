//! `update_todo_list`: replaces the task's todo list, which the user may edit while asked (spec 05 §5.23).

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, checklist, frame};
use crate::protocol::message::{Ask, Say, TodoItem};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct UpdateTodoList;

#[async_trait]
impl Tool for UpdateTodoList {
    fn name(&self) -> ToolName {
        ToolName::UpdateTodoList
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match update(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("update todo list", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn update(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let items = checklist::parse(call.params.get(ParamName::Todos).unwrap_or_default());
    if call.partial {
        return frame::show_partial(context, Ask::Tool, payload(&items)).await;
    }
    context.set_pending_todos(items.clone());
    if !context.ask_approval(Ask::Tool, payload(&items), None, false).await? {
        context.push_result(texts.get("todo.declined").into());
        return Ok(());
    }
    let edited = context.pending_todos();
    if edited == items {
        context.set_todos(items);
        context.push_result(texts.get("todo.updated").into());
        return Ok(());
    }
    context.set_todos(edited.clone());
    context.say(Say::UserEditTodos, payload(&edited), Vec::new(), None).await?;
    context.push_result(format!("{}\n\n{}", texts.get("todo.user_edited"), checklist::markdown(&edited)).into());
    Ok(())
}

fn payload(items: &[TodoItem]) -> String {
    json!({"tool": "updateTodoList", "todos": items}).to_string()
}
