//! Tool names, parameter names and groups (spec 01 §1). The order of the tables is the order of the specification.

use std::fmt;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $type { $(#[doc = concat!("`", $text, "`")] $variant,)* }

        impl $type {
            /// All names in the order of the specification.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The name as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $text,)* }
            }

            /// The name with this exact spelling, if there is one.
            pub fn parse(text: &str) -> Option<$type> {
                match text { $($text => Some($type::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names! {
    /// A tool the model can call. All are recognised by the parser, whether or not the mode offers them.
    ToolName {
        ExecuteCommand = "execute_command",
        ReadFile = "read_file",
        WriteToFile = "write_to_file",
        ApplyDiff = "apply_diff",
        InsertContent = "insert_content",
        SearchAndReplace = "search_and_replace",
        SearchFiles = "search_files",
        ListFiles = "list_files",
        ListCodeDefinitionNames = "list_code_definition_names",
        BrowserAction = "browser_action",
        UseMcpTool = "use_mcp_tool",
        AccessMcpResource = "access_mcp_resource",
        AskFollowupQuestion = "ask_followup_question",
        AttemptCompletion = "attempt_completion",
        SwitchMode = "switch_mode",
        NewTask = "new_task",
        FetchInstructions = "fetch_instructions",
        CodebaseSearch = "codebase_search",
        EditFile = "edit_file",
        NewRule = "new_rule",
        ReportBug = "report_bug",
        Condense = "condense",
        UpdateTodoList = "update_todo_list",
        RunSlashCommand = "run_slash_command",
        GenerateImage = "generate_image",
        GitStatus = "git_status",
        GitDiff = "git_diff",
    }
}

names! {
    /// A tool parameter. One global set: any of them is accepted inside any tool.
    ParamName {
        Command = "command",
        Path = "path",
        Content = "content",
        LineCount = "line_count",
        Regex = "regex",
        FilePattern = "file_pattern",
        Recursive = "recursive",
        Action = "action",
        Url = "url",
        Coordinate = "coordinate",
        Text = "text",
        ServerName = "server_name",
        ToolName = "tool_name",
        Arguments = "arguments",
        Uri = "uri",
        Question = "question",
        Result = "result",
        Diff = "diff",
        ModeSlug = "mode_slug",
        Reason = "reason",
        Line = "line",
        Mode = "mode",
        Message = "message",
        Cwd = "cwd",
        FollowUp = "follow_up",
        Task = "task",
        Size = "size",
        Search = "search",
        Replace = "replace",
        UseRegex = "use_regex",
        IgnoreCase = "ignore_case",
        Title = "title",
        Description = "description",
        TargetFile = "target_file",
        Instructions = "instructions",
        CodeEdit = "code_edit",
        Args = "args",
        StartLine = "start_line",
        EndLine = "end_line",
        Query = "query",
        Todos = "todos",
        Prompt = "prompt",
        Image = "image",
    }
}

/// The parameters of one tool call, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(Vec<(ParamName, String)>);

impl Params {
    /// The value of `name`, if the model gave it (an empty value is `Some("")`).
    pub fn get(&self, name: ParamName) -> Option<&str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// Sets `name`, keeping the position of an earlier value.
    pub fn set(&mut self, name: ParamName, value: String) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, v)) => *v = value,
            None => self.0.push((name, value)),
        }
    }

    /// All parameters in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (ParamName, &str)> {
        self.0.iter().map(|(n, v)| (*n, v.as_str()))
    }
}

impl FromIterator<(ParamName, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (ParamName, String)>>(iter: I) -> Params {
        let mut params = Params::default();
        iter.into_iter().for_each(|(n, v)| params.set(n, v));
        params
    }
}

/// One tool call of an assistant message (spec 01 §2.1 `ToolUse`).
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Which tool.
    pub name: ToolName,
    /// The parameters seen so far; while `partial`, the last one may be unfinished and untrimmed.
    pub params: Params,
    /// True while the closing tag has not arrived.
    pub partial: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_keeps_its_place_and_takes_its_last_value() {
        let given = [(ParamName::Path, "a"), (ParamName::Content, "x"), (ParamName::Path, "b")];
        let params: Params = given.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        assert_eq!(params.iter().collect::<Vec<_>>(), [(ParamName::Path, "b"), (ParamName::Content, "x")]);
        assert_eq!((params.get(ParamName::Path), params.get(ParamName::Diff)), (Some("b"), None));
    }
}
