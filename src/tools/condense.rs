//! `condense`: offers to replace the conversation by a summary (spec 05 §5.22).

use async_trait::async_trait;

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response};
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct Condense;

#[async_trait]
impl Tool for Condense {
    fn name(&self) -> ToolName {
        ToolName::Condense
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match condense(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("condensing context window", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn condense(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    if call.partial {
        let message = frame::begun(call, ParamName::Message).to_owned();
        return frame::show_partial(context, Ask::Condense, message).await;
    }
    let Some(message) = frame::given(call, ParamName::Message) else {
        // Named as in the reference, and no failure of the tool there.
        context.mistake();
        let text = context.missing_param(call.name, "context").await;
        context.push_result(text.into());
        return Ok(());
    };
    context.reset_mistakes();
    let answer = context.ask(Ask::Condense, message.to_owned(), None, false).await?;
    let text = answer.text.unwrap_or_default();
    if !text.is_empty() || !answer.images.is_empty() {
        context.say(Say::UserFeedback, text.clone(), answer.images.clone(), None).await?;
        let lead = context.texts().get("condense.feedback");
        let told = format!("{lead}:\n<feedback>\n{text}\n</feedback>");
        context.push_result(response::tool_result(told, &answer.images));
        return Ok(());
    }
    context.push_result(response::condense_accepted(context.texts()).into());
    context.condense().await
}
