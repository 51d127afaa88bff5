//! `fetch_instructions`: instructions for jobs that have rules of their own (spec 03 §12, spec 05 §5.21).

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response};
use crate::prompt::fetch::{self, FetchError, Job};
use crate::prompt::text::context;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct FetchInstructions;

#[async_trait]
impl Tool for FetchInstructions {
    fn name(&self) -> ToolName {
        ToolName::FetchInstructions
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match run(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("fetch instructions", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn run(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    if call.partial {
        return frame::show_partial(context, Ask::Tool, json!({"tool": "fetchInstructions"}).to_string()).await;
    }
    let Some(task) = frame::given(call, ParamName::Task) else {
        return frame::missing(context, call, "task").await;
    };
    context.reset_mistakes();
    let payload = json!({"tool": "fetchInstructions", "content": task});
    if !context.ask_approval(Ask::Tool, payload.to_string(), None, false).await? {
        return Ok(());
    }
    let texts = context.texts();
    let Some(job) = Job::parse(task) else {
        let text = texts.render("fetch.invalid", context! { task });
        context.push_result(response::tool_error(texts, &text).into());
        return Ok(());
    };
    let text = fetch::instructions(texts, job, &context.places(), context.settings().diff_enabled);
    let text = text.map_err(|error| {
        ToolError::Failed(match error {
            FetchError::NoMcpOrDiff => texts.get("fetch.missing_mcp_or_diff"),
            FetchError::NoStorage => texts.get("fetch.missing_storage"),
            FetchError::Text(error) => error.to_string(),
        })
    })?;
    context.push_result(text.into());
    Ok(())
}
