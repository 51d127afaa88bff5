//! The section MCP SERVERS of the system prompt (spec 03 §7) from given facts about servers.

use serde::Deserialize;
use serde_json::Value;

use super::text::{TextError, Texts, context};
use crate::settings::modes::{Group, Mode};

/// What the hub knows of a server, in the form of its JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// Its name in the settings.
    pub name: String,
    /// `connected`, `connecting` or `disconnected`.
    pub status: String,
    /// Switched off by the user.
    pub disabled: bool,
    /// Its configuration as it stands in the settings.
    pub config: Value,
    /// What it says about itself.
    pub instructions: Option<String>,
    /// Its tools.
    pub tools: Vec<Tool>,
    /// Its resources.
    pub resources: Vec<Resource>,
    /// Its templates of resources.
    pub resource_templates: Vec<Resource>,
}

/// A tool of a server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    pub input_schema: Option<Value>,
    /// False hides it from the model.
    pub enabled_for_prompt: Option<bool>,
}

/// A resource, or a template of resources.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Its address, or the pattern of addresses.
    #[serde(alias = "uriTemplate")]
    pub uri: String,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub description: Option<String>,
}

/// Whether a prompt of `mode` has the section: the mode has the group, and a server is not switched off. Whether one is
/// connected does not matter.
pub fn included(mode: &Mode, servers: &[Server]) -> bool {
    mode.groups.iter().any(|entry| entry.group == Group::Mcp) && servers.iter().any(|server| !server.disabled)
}

/// The section. `creation`: the model may be told how servers are made.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub fn section(texts: &Texts, servers: &[Server], creation: bool) -> Result<String, TextError> {
    let connected = servers.iter().filter(|server| !server.disabled && server.status == "connected");
    let blocks: Vec<String> = connected.map(block).collect();
    texts.layout("layout.mcp", context! { servers => blocks.join("\n\n"), creation })
}

fn block(server: &Server) -> String {
    let mut block = format!("## {}{}", server.name, command(&server.config));
    if let Some(instructions) = server.instructions.as_deref().filter(|text| !text.is_empty()) {
        block.push_str(&format!("\n\n### Instructions\n{instructions}"));
    }
    let tools: Vec<String> = server.tools.iter().filter(|t| t.enabled_for_prompt != Some(false)).map(tool).collect();
    if !tools.is_empty() {
        block.push_str(&format!("\n\n### Available Tools\n{}", tools.join("\n\n")));
    }
    for (heading, resources) in
        [("Resource Templates", &server.resource_templates), ("Direct Resources", &server.resources)]
    {
        if !resources.is_empty() {
            let lines: Vec<String> = resources.iter().map(resource).collect();
            block.push_str(&format!("\n\n### {heading}\n{}", lines.join("\n")));
        }
    }
    block
}

/// The command of a local server. An empty list of arguments leaves a blank (kept from the reference).
fn command(config: &Value) -> String {
    let Some(command) = config["command"].as_str().filter(|command| !command.is_empty()) else {
        return String::new();
    };
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let arguments = config["args"].as_array().map(|list| list.iter().map(word).collect::<Vec<_>>().join(" "));
    match arguments {
        Some(arguments) => format!(" (`{command} {arguments}`)"),
        None => format!(" (`{command}`)"),
    }
}

fn tool(tool: &Tool) -> String {
    let schema = tool.input_schema.as_ref().map_or_else(String::new, |schema| {
        // A value of JSON always has a text form.
        let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
        format!("    Input Schema:\n\t\t{}", pretty.replace('\n', "\n    "))
    });
    format!("- {}: {}\n{schema}", tool.name, described(&tool.description))
}

fn resource(resource: &Resource) -> String {
    format!("- {} ({}): {}", resource.uri, resource.name, described(&resource.description))
}

/// The reference prints the word for a description that a server does not give.
fn described(description: &Option<String>) -> &str {
    description.as_deref().unwrap_or("undefined")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::modes;

    fn servers(list: Value) -> Vec<Server> {
        serde_json::from_value(list).unwrap()
    }

    /// parity 03 §checklist.5: a disabled server makes no section, one that is not connected an empty list
    /// parity 03 §7: when the section is there, and its blocks
    #[test]
    fn enabled_servers_make_the_section() {
        let code = modes::find("code", &[]).unwrap();
        let off = servers(json!([{"name": "a", "status": "connected", "disabled": true}]));
        let down = servers(json!([{"name": "b", "status": "disconnected"}]));
        assert!(!included(&code, &[]) && !included(&code, &off) && included(&code, &down));
        assert!(!included(&modes::find("orchestrator", &[]).unwrap(), &down));
        let section = section(&Texts::builtin(), &down, false).unwrap();
        assert!(!section.contains("## b") && section.ends_with("\n\n"), "{section:?}");
    }

    /// parity 03 §checklist.6: the first line of a schema has two tabs before it, later ones four spaces
    #[test]
    fn schemas_are_indented() {
        let one = servers(json!([{"name": "s", "status": "connected", "tools": [
            {"name": "t", "description": "d", "inputSchema": {"type": "object"}},
            {"name": "u", "inputSchema": {}}, {"name": "v"}, {"name": "w", "enabledForPrompt": false}
        ]}]));
        let section = section(&Texts::builtin(), &one, true).unwrap();
        let expected = "### Available Tools\n- t: d\n    Input Schema:\n\t\t{\n      \"type\": \"object\"\n    }\n\n\
                        - u: undefined\n    Input Schema:\n\t\t{}\n\n- v: undefined\n\n## Creating an MCP Server\n\n";
        assert!(section.contains(expected), "{section}");
    }
}
