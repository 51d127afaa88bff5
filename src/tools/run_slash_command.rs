//! `run_slash_command`: gives the model a command of the user's, as if the user had called it (spec 03 §15.3, spec 05 §5.22).

use std::fmt::Write;

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response};
use crate::prompt::commands::{Command, Folders};
use crate::prompt::text::context;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};

/// The tool.
pub struct RunSlashCommand;

/// The experiment that switches it on.
const EXPERIMENT: &str = "runSlashCommand";

#[async_trait]
impl Tool for RunSlashCommand {
    fn name(&self) -> ToolName {
        ToolName::RunSlashCommand
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match run(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("running slash command", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn run(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    if !context.settings().experiment(EXPERIMENT) {
        context.push_result(response::tool_error(texts, &texts.get("slash_tool.off")).into());
        return Ok(());
    }
    if call.partial {
        let (command, args) = (frame::begun(call, ParamName::Command), frame::begun(call, ParamName::Args));
        let payload = json!({"tool": "runSlashCommand", "command": command, "args": args});
        return frame::show_partial(context, Ask::Tool, payload.to_string()).await;
    }
    let Some(name) = frame::given(call, ParamName::Command) else {
        return frame::missing(context, call, "command").await;
    };
    context.reset_mistakes();
    // Command files are small; the look at them takes no longer than that of any tool at its file.
    let folders = Folders::of(context.cwd(), context.home());
    let Some(command) = folders.find(name, texts) else {
        context.record_error(call.name, None);
        let names: Vec<String> = folders.list(texts).into_iter().map(|command| command.name).collect();
        let text = texts.render("slash_tool.not_found", context! { name, list => names.join(", ") });
        context.push_result(response::tool_error(texts, &text).into());
        return Ok(());
    };
    let args = call.params.get(ParamName::Args);
    let mut payload = json!({"tool": "runSlashCommand", "command": name});
    let source = command.source.as_str();
    for (key, value) in [("args", args), ("source", Some(source)), ("description", command.description.as_deref())] {
        if let Some(value) = value {
            payload[key] = value.into();
        }
    }
    if context.ask_approval(Ask::Tool, payload.to_string(), None, false).await? {
        context.push_result(shown(name, args, &command).into());
    }
    Ok(())
}

/// The command as the model reads it.
fn shown(name: &str, args: Option<&str>, command: &Command) -> String {
    let mut text = format!("Command: /{name}");
    let optional = [
        ("Description", command.description.as_deref()),
        ("Argument hint", command.argument_hint.as_deref()),
        ("Provided arguments", args),
    ];
    for (label, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(text, "\n{label}: {value}");
        }
    }
    let _ = write!(text, "\nSource: {}\n\n--- Command Content ---\n\n{}", command.source.as_str(), command.content);
    text
}
