//! `ask_followup_question`: asks the user, with suggested answers (spec 05 §5.17).

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response, xml};
use crate::protocol::message::{Ask, Say};
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct AskFollowupQuestion;

#[async_trait]
impl Tool for AskFollowupQuestion {
    fn name(&self) -> ToolName {
        ToolName::AskFollowupQuestion
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match ask(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("asking question", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn ask(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    if call.partial {
        let question = frame::begun(call, ParamName::Question).to_owned();
        return frame::show_partial(context, Ask::Followup, question).await;
    }
    let Some(question) = frame::given(call, ParamName::Question) else {
        return frame::missing(context, call, "question").await;
    };
    let follow_up = frame::given(call, ParamName::FollowUp).unwrap_or_default();
    let Ok(tree) = xml::parse(follow_up, &["suggest"]) else {
        let cause = context.texts().get("followup.bad_xml");
        context.say(Say::Error, cause.clone(), Vec::new(), None).await?;
        frame::refuse(context, call, response::tool_error(context.texts(), &cause));
        return Ok(());
    };
    let suggestions = suggestions(tree.get("suggest"));
    context.reset_mistakes();
    let payload = json!({"question": question, "suggest": suggestions}).to_string();
    let answer = context.ask(Ask::Followup, payload, None, false).await?;
    let given = answer.text.clone().unwrap_or_default();
    context.say(Say::UserFeedback, given, answer.images.clone(), None).await?;
    // An absent text is told as `undefined` (spec 01 §0).
    let told = answer.text.as_deref().unwrap_or("undefined");
    context.push_result(response::tool_result(format!("<answer>\n{told}\n</answer>"), &answer.images));
    Ok(())
}

/// `{answer, mode?}` of each suggestion.
fn suggestions(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(values)) => values.iter().map(suggestion).collect(),
        Some(single) => vec![suggestion(single)],
        None => Vec::new(),
    }
}

fn suggestion(value: &Value) -> Value {
    let mut suggestion = Map::new();
    match value {
        Value::Object(element) => {
            if let Some(answer) = element.get("#text") {
                suggestion.insert("answer".into(), answer.clone());
            }
            if let Some(mode) = element.get("@_mode").filter(|mode| mode.as_str() != Some("")) {
                suggestion.insert("mode".into(), mode.clone());
            }
        }
        text => {
            suggestion.insert("answer".into(), text.clone());
        }
    }
    Value::Object(suggestion)
}
