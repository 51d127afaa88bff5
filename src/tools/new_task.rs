//! `new_task`: hands a piece of work to a subtask in some mode (spec 05 §5.20).

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::context::{ToolContext, ToolError};
use super::{Tool, checklist, frame, response};
use crate::prompt::text::context;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::settings::modes;

/// The tool.
pub struct NewTask;

#[async_trait]
impl Tool for NewTask {
    fn name(&self) -> ToolName {
        ToolName::NewTask
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match start(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("creating new task", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn start(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let todos = call.params.get(ParamName::Todos);
    if call.partial {
        let mut payload = Map::new();
        payload.insert("tool".into(), "newTask".into());
        let shown = [("mode", ParamName::Mode), ("content", ParamName::Message), ("todos", ParamName::Todos)];
        for (key, name) in shown {
            payload.insert(key.into(), frame::begun(call, name).into());
        }
        return frame::show_partial(context, Ask::Tool, Value::Object(payload).to_string()).await;
    }
    let Some(slug) = frame::given(call, ParamName::Mode) else { return frame::missing(context, call, "mode").await };
    let Some(message) = frame::given(call, ParamName::Message) else {
        return frame::missing(context, call, "message").await;
    };
    if context.settings().new_task_require_todos && todos.is_none() {
        return frame::missing(context, call, "todos").await;
    }
    let items = checklist::parse(todos.unwrap_or_default());
    context.reset_mistakes();
    let unescaped = message.replace(r"\\@", r"\@");
    let Some(mode) = modes::find(slug, &context.settings().custom_modes) else {
        let text = texts.render("new_task.invalid_mode", context! { slug });
        context.push_result(response::tool_error(texts, &text).into());
        return Ok(());
    };
    let payload = json!({"tool": "newTask", "mode": mode.name, "content": message, "todos": items}).to_string();
    if !context.ask_approval(Ask::Tool, payload, None, false).await? {
        return Ok(());
    }
    let count = items.len();
    let result = if context.start_subtask(unescaped.clone(), items, slug).await? {
        texts.render("new_task.created", context! { mode => mode.name, message => unescaped, count })
    } else {
        texts.get("new_task.policy")
    };
    context.push_result(result.into());
    Ok(())
}
