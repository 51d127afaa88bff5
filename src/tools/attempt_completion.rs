//! `attempt_completion`: presents the result of the task (spec 05 §5.18).

use async_trait::async_trait;

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response};
use crate::protocol::message::{Ask, AskResponse, ContentBlock, Say};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct AttemptCompletion;

#[async_trait]
impl Tool for AttemptCompletion {
    fn name(&self) -> ToolName {
        ToolName::AttemptCompletion
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match complete(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("inspecting site", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn complete(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let open = || context.todos().iter().any(|item| item.status != "completed");
    if context.settings().prevent_completion_with_open_todos && open() {
        let text = response::tool_error(texts, &texts.get("completion.open_todos"));
        frame::refuse(context, call, text);
        return Ok(());
    }
    if call.partial {
        return show(call, context).await;
    }
    let Some(result) = frame::given(call, ParamName::Result) else {
        return frame::missing(context, call, "result").await;
    };
    context.reset_mistakes();
    context.say(Say::CompletionResult, result.to_owned(), Vec::new(), Some(false)).await?;
    if !context.may_complete(result).await? {
        return Ok(());
    }
    context.completed();
    // The parent of a subtask goes on with the result, or the user refused that: no result either way.
    if context.finish_subtask(result).await?.is_some() {
        return Ok(());
    }
    let answer = context.ask(Ask::CompletionResult, String::new(), None, false).await?;
    if answer.response == AskResponse::Yes {
        context.push_result(String::new().into());
        return Ok(());
    }
    let feedback = answer.text.unwrap_or_default();
    context.say(Say::UserFeedback, feedback.clone(), answer.images.clone(), None).await?;
    let text = response::tagged(&texts.get("completion.feedback"), "feedback", &feedback);
    let mut blocks = vec![ContentBlock::text("[attempt_completion] Result:"), ContentBlock::text(text)];
    blocks.extend(answer.images.iter().map(|url| ContentBlock::image_from_data_url(url)));
    context.push_blocks(blocks);
    Ok(())
}

/// Shows a result that is still streaming in. A command with it is only shown, never run.
async fn show(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let result = frame::begun(call, ParamName::Result).to_owned();
    let command = frame::begun(call, ParamName::Command);
    if command.is_empty() {
        return context.say(Say::CompletionResult, result, Vec::new(), Some(true)).await;
    }
    if context.last_ask() != Some(Ask::Command) {
        context.say(Say::CompletionResult, result, Vec::new(), Some(false)).await?;
        context.completed();
    }
    frame::show_partial(context, Ask::Command, command.to_owned()).await
}
