//! Modes and their tool groups (spec 03 §1, §5.1, §10): the built-in five and the user's own.
//!
//! Prose of the built-in modes is in the text catalogue (`mode.<slug>.…`); a custom mode carries its own. Everything here takes
//! and gives values: files are read and written by the engine.

pub mod edit;
pub mod file;
pub mod package;
pub mod yaml;

use serde_json::Value;

use crate::protocol::tool::ToolName;

/// A group of tools a mode can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Looking at files.
    Read,
    /// Changing files.
    Edit,
    /// The browser.
    Browser,
    /// Running commands.
    Command,
    /// MCP servers.
    Mcp,
    /// Switching modes and starting tasks; in every mode anyway.
    Modes,
}

impl Group {
    /// The group of this name.
    pub fn parse(name: &str) -> Option<Group> {
        Some(match name {
            "read" => Group::Read,
            "edit" => Group::Edit,
            "browser" => Group::Browser,
            "command" => Group::Command,
            "mcp" => Group::Mcp,
            "modes" => Group::Modes,
            _ => return None,
        })
    }

    /// Its name in mode files.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::Read => "read",
            Group::Edit => "edit",
            Group::Browser => "browser",
            Group::Command => "command",
            Group::Mcp => "mcp",
            Group::Modes => "modes",
        }
    }

    /// Its tools in the order of the prompt.
    pub fn tools(self) -> &'static [ToolName] {
        use ToolName::*;
        match self {
            Group::Read => {
                &[ReadFile, FetchInstructions, SearchFiles, ListFiles, ListCodeDefinitionNames, CodebaseSearch]
            }
            Group::Edit => &[ApplyDiff, EditFile, WriteToFile, InsertContent, SearchAndReplace, NewRule, GenerateImage],
            Group::Browser => &[BrowserAction],
            Group::Command => &[ExecuteCommand],
            Group::Mcp => &[UseMcpTool, AccessMcpResource],
            Group::Modes => &[SwitchMode, NewTask],
        }
    }
}

/// Tools of every mode, in the order of the prompt.
pub const ALWAYS_AVAILABLE: &[ToolName] = &[
    ToolName::AskFollowupQuestion,
    ToolName::AttemptCompletion,
    ToolName::SwitchMode,
    ToolName::NewTask,
    ToolName::ReportBug,
    ToolName::Condense,
    ToolName::UpdateTodoList,
    ToolName::RunSlashCommand,
];

/// One group of a mode, maybe limited to some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// The group.
    pub group: Group,
    /// ECMAScript regular expression a file's path must match (edit group only). Never empty.
    pub file_regex: Option<String>,
    /// What the expression means, for people. Absent for built-in modes, whose words are in the catalogue.
    pub description: Option<String>,
}

impl GroupEntry {
    /// The group without limits.
    pub fn plain(group: Group) -> GroupEntry {
        GroupEntry { group, file_regex: None, description: None }
    }

    /// A group name, or a pair of name and options.
    fn parse(value: &Value) -> Option<GroupEntry> {
        let (name, options) = match value {
            Value::String(name) => (name.as_str(), &Value::Null),
            Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1).unwrap_or(&Value::Null)),
            _ => return None,
        };
        Some(GroupEntry {
            group: Group::parse(name)?,
            file_regex: text(options, "fileRegex"),
            description: text(options, "description"),
        })
    }
}

/// A mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Identity, such as `code`.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Whether the catalogue has its prose (`mode.<slug>.…`); a custom mode of the same slug is not built in.
    pub builtin: bool,
    /// Role definition of a custom mode.
    pub role: Option<String>,
    /// When to use a custom mode.
    pub when_to_use: Option<String>,
    /// A few words about a custom mode.
    pub description: Option<String>,
    /// Instructions of a custom mode.
    pub instructions: Option<String>,
    /// Tool groups, in order.
    pub groups: Vec<GroupEntry>,
}

/// Slug of the mode in force when none is chosen.
pub const DEFAULT_MODE: &str = "code";

/// The built-in modes in their order.
pub fn builtin() -> Vec<Mode> {
    let markdown_only = GroupEntry { file_regex: Some(r"\.md$".into()), ..GroupEntry::plain(Group::Edit) };
    let plain = |groups: &[Group]| groups.iter().copied().map(GroupEntry::plain).collect::<Vec<_>>();
    let mut planning = plain(&[Group::Read, Group::Browser, Group::Mcp]);
    planning.insert(1, markdown_only);
    let working = plain(&[Group::Read, Group::Edit, Group::Browser, Group::Command, Group::Mcp]);
    [
        ("architect", "Architect", planning),
        ("code", "Code", working.clone()),
        ("ask", "Ask", plain(&[Group::Read, Group::Browser, Group::Mcp])),
        ("debug", "Debug", working),
        ("orchestrator", "Orchestrator", Vec::new()),
    ]
    .into_iter()
    .map(|(slug, name, groups)| Mode {
        slug: slug.into(),
        name: name.into(),
        builtin: true,
        role: None,
        when_to_use: None,
        description: None,
        instructions: None,
        groups,
    })
    .collect()
}

/// The icon of a built-in mode, by its name in hosts.
pub fn builtin_icon(slug: &str) -> Option<&'static str> {
    Some(match slug {
        "architect" => "codicon-type-hierarchy-sub",
        "code" => "codicon-code",
        "ask" => "codicon-question",
        "debug" => "codicon-bug",
        "orchestrator" => "codicon-run-all",
        _ => return None,
    })
}

/// The mode of this slug: a custom one first, then a built-in one.
pub fn find(slug: &str, custom: &[Value]) -> Option<Mode> {
    custom
        .iter()
        .find(|mode| mode["slug"] == slug)
        .and_then(parse)
        .or_else(|| builtin().into_iter().find(|mode| mode.slug == slug))
}

/// All modes: the built-in ones, each replaced by a custom one of its slug, then the other custom ones in order.
pub fn all(custom: &[Value]) -> Vec<Mode> {
    let mut modes = builtin();
    for mode in custom.iter().filter_map(parse) {
        match modes.iter_mut().find(|known| known.slug == mode.slug) {
            Some(known) => *known = mode,
            None => modes.push(mode),
        }
    }
    modes
}

/// The tools of these groups in order, then those of every mode, each once.
pub fn tools_of(groups: &[GroupEntry]) -> Vec<ToolName> {
    let mut tools = Vec::new();
    let offered = groups.iter().flat_map(|entry| entry.group.tools()).chain(ALWAYS_AVAILABLE);
    for tool in offered.copied() {
        if !tools.contains(&tool) {
            tools.push(tool);
        }
    }
    tools
}

/// The groups of a mode file; entries that are no group are left out.
pub fn parse_groups(value: &Value) -> Vec<GroupEntry> {
    value.as_array().map(|groups| groups.iter().filter_map(GroupEntry::parse).collect()).unwrap_or_default()
}

/// A custom mode as in the modes file (spec 03 §10.2); `None` without a slug and a name.
fn parse(value: &Value) -> Option<Mode> {
    Some(Mode {
        slug: text(value, "slug")?,
        name: text(value, "name")?,
        builtin: false,
        role: text(value, "roleDefinition"),
        when_to_use: text(value, "whenToUse"),
        description: text(value, "description"),
        instructions: text(value, "customInstructions"),
        groups: parse_groups(&value["groups"]),
    })
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_custom_mode_replaces_the_built_in_one_of_its_slug() {
        let custom =
            [json!({"slug": "code", "name": "Mine", "groups": ["read", ["edit", {"fileRegex": "x"}], "nope"]})];
        let mode = find("code", &custom).expect("it exists");
        assert_eq!((mode.name.as_str(), mode.builtin, mode.groups.len()), ("Mine", false, 2));
        assert_eq!(all(&custom)[1].name, "Mine");
        assert_eq!(find("nope", &custom), None);
    }

    #[test]
    fn a_mode_without_groups_has_the_tools_of_every_mode() {
        assert_eq!(tools_of(&[]), ALWAYS_AVAILABLE);
    }
}
