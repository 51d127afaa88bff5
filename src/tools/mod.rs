//! The tools a model can call (spec 05, 06): one file a tool, listed once in [`list`].
//!
//! A tool sees a [`context::ToolContext`] and nothing of the engine. It asks, says and pushes results through it; the
//! agent loop decides what these mean, checks [`permissions`] before it runs a tool, and catches what a tool does not.

pub mod apply_diff;
pub mod ask_followup_question;
pub mod attempt_completion;
mod change;
pub mod checklist;
pub mod condense;
pub mod context;
pub mod execute_command;
pub mod fetch_instructions;
pub mod frame;
pub mod insert_content;
pub mod list_files;
pub mod new_task;
pub mod permissions;
pub mod read_file;
pub mod response;
pub mod run_slash_command;
pub mod search_and_replace;
pub mod search_files;
pub mod switch_mode;
pub mod text;
pub mod update_todo_list;
pub mod write_to_file;
pub mod xml;

use async_trait::async_trait;

use crate::protocol::tool::{ToolCall, ToolName};
use context::{ToolContext, ToolError};

/// One tool. Stateless: what a call needs is in the call and the context.
#[async_trait]
pub trait Tool: Send + Sync {
    /// The name the model calls it by.
    fn name(&self) -> ToolName;

    /// Whether a call that was cut off may simply run again although the user had allowed it: it only reads, or changes
    /// nothing but the session.
    fn repeatable(&self) -> bool {
        false
    }

    /// Runs one call. While the call is partial (still streaming in) this only updates what the user sees.
    ///
    /// # Errors
    /// [`ToolError::Aborted`] when the task ended meanwhile. Everything else is reported to the model by the tool
    /// itself; what escapes nevertheless is for [`ToolContext::handle_error`].
    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError>;
}

/// All tools, in the order of [`ToolName`].
pub fn list() -> &'static [&'static dyn Tool] {
    TOOLS
}

/// The tool of this name, if this build has it.
pub fn find(name: ToolName) -> Option<&'static dyn Tool> {
    TOOLS.iter().copied().find(|tool| tool.name() == name)
}

static TOOLS: &[&dyn Tool] = &[
    &execute_command::ExecuteCommand,
    &write_to_file::WriteToFile,
    &apply_diff::ApplyDiff,
    &read_file::ReadFile,
    &search_files::SearchFiles,
    &list_files::ListFiles,
    &insert_content::InsertContent,
    &search_and_replace::SearchAndReplace,
    &ask_followup_question::AskFollowupQuestion,
    &attempt_completion::AttemptCompletion,
    &switch_mode::SwitchMode,
    &new_task::NewTask,
    &fetch_instructions::FetchInstructions,
    &condense::Condense,
    &update_todo_list::UpdateTodoList,
    &run_slash_command::RunSlashCommand,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of this folder that are not tools.
    const FRAME: &[&str] = &[
        "mod.rs",
        "change.rs",
        "checklist.rs",
        "context.rs",
        "frame.rs",
        "offered.rs",
        "permissions.rs",
        "response.rs",
        "text.rs",
        "xml.rs",
    ];

    #[test]
    fn every_tool_file_is_listed_once() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tools");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the source is there")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .filter(|name| !FRAME.contains(&name.as_str()))
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .collect();
        let mut listed: Vec<String> = list().iter().map(|tool| tool.name().to_string()).collect();
        files.sort();
        listed.sort();
        assert_eq!(files, listed);
    }
}
