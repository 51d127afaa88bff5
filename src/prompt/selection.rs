//! Which tools the catalogue of a prompt describes (spec 03 §5.2): those of the mode's groups in order, then those of every
//! mode, less what settings and surroundings do not have.

use crate::protocol::tool::ToolName;
use crate::settings::modes::{Mode, tools_of};

/// What decides, beside the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The task makes diffs.
    pub diff: bool,
    /// The code index is ready.
    pub index: bool,
    /// The service behind `edit_file` is available: it takes the place of all other editing tools.
    pub fast_apply: bool,
    /// The model takes images and the browser is on.
    pub browser: bool,
    /// The MCP section is part of the prompt.
    pub mcp: bool,
    /// A todo list is kept.
    pub todo_list: bool,
    /// The experiment `imageGeneration` is on.
    pub image_generation: bool,
    /// The experiment `runSlashCommand` is on.
    pub slash_commands: bool,
}

/// The tools to describe, in order. `new_rule`, `report_bug` and `condense` are never described: they are known only while a
/// slash command explains them.
pub fn tools(mode: &Mode, conditions: &Conditions) -> Vec<ToolName> {
    use ToolName::*;
    let mut tools = tools_of(&mode.groups);
    tools.retain(|tool| match tool {
        CodebaseSearch => conditions.index,
        ApplyDiff => conditions.diff && !conditions.fast_apply,
        WriteToFile | InsertContent | SearchAndReplace => !conditions.fast_apply,
        EditFile => conditions.fast_apply,
        UpdateTodoList => conditions.todo_list,
        GenerateImage => conditions.image_generation,
        RunSlashCommand => conditions.slash_commands,
        BrowserAction => conditions.browser,
        UseMcpTool | AccessMcpResource => conditions.mcp,
        NewRule | ReportBug | Condense => false,
        _ => true,
    });
    tools
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::modes;
    use ToolName::*;

    const PLAIN: Conditions = Conditions {
        diff: true,
        index: false,
        fast_apply: false,
        browser: false,
        mcp: false,
        todo_list: true,
        image_generation: false,
        slash_commands: false,
    };

    fn of(mode: &str, conditions: Conditions) -> Vec<ToolName> {
        tools(&modes::find(mode, &[]).unwrap(), &conditions)
    }

    /// parity 03 §checklist.1: code mode by default has its tools in order, `apply_diff` only with diffs
    /// parity 03 §5.1: the groups of code mode in their order
    #[test]
    fn code_mode_has_its_tools_in_order() {
        let expected = [
            ReadFile,
            FetchInstructions,
            SearchFiles,
            ListFiles,
            ListCodeDefinitionNames,
            ApplyDiff,
            WriteToFile,
            InsertContent,
            SearchAndReplace,
            ExecuteCommand,
            AskFollowupQuestion,
            AttemptCompletion,
            SwitchMode,
            NewTask,
            UpdateTodoList,
        ];
        assert_eq!(of("code", PLAIN), expected);
        let without = of("code", Conditions { diff: false, ..PLAIN });
        assert!(!without.contains(&ApplyDiff) && without.len() == expected.len() - 1);
    }

    /// parity 03 §checklist.2: a mode without groups lists what every mode has
    #[test]
    fn orchestrator_has_what_every_mode_has() {
        let always = [AskFollowupQuestion, AttemptCompletion, SwitchMode, NewTask, UpdateTodoList];
        assert_eq!(of("orchestrator", Conditions { browser: true, mcp: true, index: true, ..PLAIN }), always);
        assert_eq!(of("orchestrator", Conditions { todo_list: false, ..PLAIN }), always[..4]);
    }

    /// parity 03 §checklist.3: with fast apply `edit_file` is the only editing tool
    #[test]
    fn fast_apply_takes_the_place_of_editing_tools() {
        let tools = of("code", Conditions { fast_apply: true, ..PLAIN });
        assert!(tools.contains(&EditFile));
        assert!(![ApplyDiff, WriteToFile, InsertContent, SearchAndReplace].iter().any(|tool| tools.contains(tool)));
    }

    /// parity 03 §5.2: what surroundings and experiments add stands at its place
    /// parity 03 §5: groups, conditions, order
    #[test]
    fn conditions_add_tools_at_their_place() {
        let all =
            Conditions { index: true, browser: true, mcp: true, image_generation: true, slash_commands: true, ..PLAIN };
        let tools = of("code", all);
        let after = |tool, before| {
            tools.iter().position(|t| *t == tool).unwrap() == tools.iter().position(|t| *t == before).unwrap() + 1
        };
        for (before, tool) in [
            (ListCodeDefinitionNames, CodebaseSearch),
            (SearchAndReplace, GenerateImage),
            (GenerateImage, BrowserAction),
            (ExecuteCommand, UseMcpTool),
            (UseMcpTool, AccessMcpResource),
            (UpdateTodoList, RunSlashCommand),
        ] {
            assert!(after(tool, before), "{tool} after {before} in {tools:?}");
        }
    }
}
