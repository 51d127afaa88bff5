//! The system prompt (spec 03 §2–§4): sections in a fixed order, joined by one blank line. Structure comes from the
//! layouts, wording from the texts, facts from [`SystemInputs`].

use serde::Serialize;

use super::catalogue;
use super::instructions::{Instructions, custom_instructions};
use super::mcp::{self, Server};
pub use super::modes::ModeLine;
use super::text::{TextError, Texts};
use crate::protocol::tool::ToolName;

/// How `apply_diff` is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffForm {
    /// One file a call.
    Single,
    /// Several files a call (experiment `multiFileApplyDiff`).
    Multi,
}

/// Everything the prompt depends on.
#[derive(Clone, Debug)]
pub struct SystemInputs<'a> {
    /// Workspace folder, native separators.
    pub cwd: &'a str,
    /// Home folder.
    pub home: &'a str,
    /// Operating system, such as `Linux 6.8`.
    pub os: &'a str,
    /// Default shell.
    pub shell: &'a str,
    /// Role definition of the mode in force.
    pub role: &'a str,
    /// Instructions of the mode in force.
    pub mode_instructions: &'a str,
    /// All modes, in order.
    pub modes: &'a [ModeLine],
    /// Tools to describe, in order ([`super::selection`]).
    pub tools: &'a [ToolName],
    /// Tools this engine has at all: advice that names another one is left out.
    pub built: &'a [ToolName],
    /// Form of `apply_diff`, absent when it is off.
    pub diff: Option<DiffForm>,
    /// `edit_file` is the editing tool ([`crate::settings::fast_apply`]).
    pub fast_apply: bool,
    /// The model takes images and the browser is on.
    pub browser: bool,
    /// Width and height of the browser's view, such as `900x600`.
    pub viewport: &'a str,
    /// The code index is ready.
    pub index: bool,
    /// Servers of the MCP section; absent without the section ([`mcp::included`]).
    pub mcp: Option<&'a [Server]>,
    /// Whether the model may make MCP servers. Absent counts as yes for `fetch_instructions` and as no for the MCP section.
    pub mcp_server_creation: Option<bool>,
    /// `maxReadFileLine` is not −1.
    pub partial_reads: bool,
    /// Files a read may name.
    pub max_concurrent_file_reads: u64,
    /// `new_task` needs `todos`.
    pub new_task_todos: bool,
    /// Locale such as `en`.
    pub language: &'a str,
    /// The user's instructions for all modes.
    pub global_instructions: &'a str,
    /// Rule blocks in order (spec 03 §6.1), each with its heading.
    pub rules: &'a [String],
    /// The user's own prompt for the mode, in place of all sections between role and custom instructions (spec 03 §9).
    pub own_prompt: Option<&'a str>,
}

impl Default for SystemInputs<'_> {
    /// Nothing known and nothing offered; elsewhere what holds where neither user nor host says otherwise (spec 03 §2, §4.9).
    fn default() -> Self {
        SystemInputs {
            cwd: "",
            home: "",
            os: "",
            shell: "/bin/bash",
            role: "",
            mode_instructions: "",
            modes: &[],
            tools: &[],
            built: &[],
            diff: Some(DiffForm::Single),
            fast_apply: false,
            browser: false,
            viewport: "900x600",
            index: false,
            mcp: None,
            mcp_server_creation: Some(true),
            partial_reads: false,
            max_concurrent_file_reads: 5,
            new_task_todos: false,
            language: "en",
            global_instructions: "",
            rules: &[],
            own_prompt: None,
        }
    }
}

/// A section of the system prompt (spec 03 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Role definition of the mode.
    Role,
    /// The user's own prompt in place of the sections that follow.
    OwnPrompt,
    /// MARKDOWN RULES.
    Markdown,
    /// TOOL USE.
    ToolUse,
    /// The tool catalogue.
    Tools,
    /// Tool Use Guidelines.
    Guidelines,
    /// MCP SERVERS.
    Mcp,
    /// CAPABILITIES.
    Capabilities,
    /// MODES.
    Modes,
    /// RULES.
    Rules,
    /// SYSTEM INFORMATION.
    SystemInformation,
    /// OBJECTIVE.
    Objective,
    /// USER'S CUSTOM INSTRUCTIONS.
    CustomInstructions,
}

impl Section {
    /// The sections of a built prompt in their order.
    pub const ALL: [Section; 12] = [
        Section::Role,
        Section::Markdown,
        Section::ToolUse,
        Section::Tools,
        Section::Guidelines,
        Section::Mcp,
        Section::Capabilities,
        Section::Modes,
        Section::Rules,
        Section::SystemInformation,
        Section::Objective,
        Section::CustomInstructions,
    ];

    /// Its name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Section::Role => "role",
            Section::OwnPrompt => "own_prompt",
            Section::Markdown => "markdown",
            Section::ToolUse => "tool_use",
            Section::Tools => "tools",
            Section::Guidelines => "guidelines",
            Section::Mcp => "mcp",
            Section::Capabilities => "capabilities",
            Section::Modes => "modes",
            Section::Rules => "rules",
            Section::SystemInformation => "system_information",
            Section::Objective => "objective",
            Section::CustomInstructions => "custom_instructions",
        }
    }
}

/// Builds the system prompt.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub fn build(texts: &Texts, inputs: &SystemInputs<'_>) -> Result<String, TextError> {
    Ok(joined(&sections(texts, inputs)?))
}

/// The prompt of its sections: one blank line between any two.
pub fn joined(sections: &[(Section, String)]) -> String {
    sections.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n\n")
}

/// The sections in their order. One without content is empty, and keeps its separators when they are joined.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub fn sections(texts: &Texts, inputs: &SystemInputs<'_>) -> Result<Vec<(Section, String)>, TextError> {
    let parts = match inputs.own_prompt {
        Some(_) => &[Section::Role, Section::OwnPrompt, Section::CustomInstructions][..],
        None => &Section::ALL,
    };
    let variables = Variables::new(inputs);
    parts.iter().map(|part| Ok((*part, assembled(texts, inputs, &variables, *part)?))).collect()
}

/// One section.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub fn section(texts: &Texts, inputs: &SystemInputs<'_>, part: Section) -> Result<String, TextError> {
    assembled(texts, inputs, &Variables::new(inputs), part)
}

fn assembled(
    texts: &Texts,
    inputs: &SystemInputs<'_>,
    variables: &Variables<'_>,
    part: Section,
) -> Result<String, TextError> {
    let layout = |id: &str| texts.layout(id, variables);
    match part {
        Section::Role => Ok(inputs.role.to_owned()),
        Section::OwnPrompt => Ok(inputs.own_prompt.unwrap_or_default().to_owned()),
        Section::Markdown => layout("layout.markdown"),
        Section::ToolUse => layout("layout.tool_use"),
        Section::Tools => catalogue::describe(texts, inputs.tools, inputs.diff, variables),
        Section::Guidelines => layout("layout.guidelines"),
        Section::Mcp => inputs.mcp.map_or(Ok(String::new()), |servers| {
            mcp::section(texts, servers, inputs.mcp_server_creation == Some(true))
        }),
        Section::Capabilities => layout("layout.capabilities"),
        Section::Modes => layout("layout.modes"),
        Section::Rules => layout("layout.rules"),
        Section::SystemInformation => layout("layout.system_information"),
        Section::Objective => layout("layout.objective"),
        Section::CustomInstructions => Ok(custom_instructions(
            texts,
            &Instructions {
                language: inputs.language,
                global: inputs.global_instructions,
                mode: inputs.mode_instructions,
                rules: inputs.rules,
            },
        )),
    }
}

/// Variables of all layouts and texts of the prompt.
#[derive(Serialize)]
struct Variables<'a> {
    cwd: &'a str,
    cwd_posix: String,
    home: String,
    os: &'a str,
    shell: &'a str,
    modes: &'a [ModeLine],
    built: std::collections::BTreeMap<&'static str, bool>,
    diff: bool,
    fast_apply: bool,
    browser: bool,
    viewport: &'a str,
    index: bool,
    mcp: bool,
    mcp_server_creation: bool,
    partial: bool,
    multi: bool,
    max_files: u64,
    todos: bool,
    binary_formats: String,
    edit_tools: &'static str,
    create_tool: &'static str,
}

impl<'a> Variables<'a> {
    fn new(inputs: &SystemInputs<'a>) -> Variables<'a> {
        let mut formats = vec![".pdf", ".docx", ".ipynb", ".xlsx"];
        if inputs.browser {
            formats
                .extend([".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".ico", ".tiff", ".tif", ".avif"]);
        }
        Variables {
            cwd: inputs.cwd,
            cwd_posix: posix(inputs.cwd),
            home: posix(inputs.home),
            os: inputs.os,
            shell: inputs.shell,
            modes: inputs.modes,
            built: inputs.built.iter().map(|tool| (tool.as_str(), true)).collect(),
            diff: inputs.diff.is_some(),
            fast_apply: inputs.fast_apply,
            browser: inputs.browser,
            viewport: inputs.viewport,
            index: inputs.index,
            mcp: inputs.mcp.is_some(),
            mcp_server_creation: inputs.mcp_server_creation != Some(false),
            partial: inputs.partial_reads,
            multi: inputs.max_concurrent_file_reads > 1,
            max_files: inputs.max_concurrent_file_reads,
            todos: inputs.new_task_todos,
            binary_formats: formats.join(" and "),
            edit_tools: match inputs.diff {
                _ if inputs.fast_apply => "edit_file",
                Some(_) => "apply_diff or write_to_file",
                None => "write_to_file",
            },
            create_tool: if inputs.fast_apply { "edit_file" } else { "write_to_file" },
        }
    }
}

/// `posix(p)` of spec 03: forward slashes, except for `\\?\` paths.
fn posix(path: &str) -> String {
    if path.starts_with(r"\\?\") { path.to_owned() } else { path.replace('\\', "/") }
}

#[cfg(test)]
mod tests;
