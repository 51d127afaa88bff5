//! The system prompt: whole, as a preview, and in parts.

use lapce_ai::engine::shells::{self, System};
use lapce_ai::prompt::instructions::{Instructions, custom_instructions, language_of_locale};
use lapce_ai::prompt::mcp::{self, Server};
use lapce_ai::prompt::modes as words;
use lapce_ai::prompt::override_file::Variables;
use lapce_ai::prompt::selection::{self, Conditions};
use lapce_ai::prompt::system::{self, DiffForm, Section, SystemInputs};
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::settings::modes::{self, DEFAULT_MODE, GroupEntry, Mode};
use lapce_ai::settings::{Settings, fast_apply};
use serde_json::{Map, Value, json};

use super::disk::Disk;
use super::instructions::{self, Read};
use super::lines;
use crate::support::Outcome;

const CWD: &str = "/ws";
const HOME: &str = "/h";
const OS: &str = "Linux 6.8";

/// What a case gives, read once.
struct World<'a> {
    input: &'a Value,
    custom: Vec<Value>,
    servers: Option<Vec<Server>>,
    overrides: Map<String, Value>,
    diff: Option<DiffForm>,
    index: bool,
    fast_apply: bool,
    browser: bool,
    partial: bool,
    use_agent_rules: bool,
}

impl<'a> World<'a> {
    fn of(input: &'a Value) -> World<'a> {
        let index = &input["code_index"];
        let state = provider_state(&input["provider_state"]);
        World {
            input,
            custom: input["custom_modes"].as_array().cloned().unwrap_or_default(),
            servers: input["mcp_servers"].as_array().map(|list| list.iter().map(server).collect()),
            overrides: input["custom_mode_prompts"].as_object().cloned().unwrap_or_default(),
            diff: (input["diff_enabled"] != false).then(|| diff_form(&input["diff"])).flatten(),
            index: ["enabled", "configured", "initialized"].iter().all(|fact| index[fact] == true),
            fast_apply: fast_apply::available(&state),
            browser: input["browser"] == true,
            partial: input["partial_reads"] == true,
            use_agent_rules: input["settings"]["use_agent_rules"] != false,
        }
    }

    /// A preview has its inputs from other places.
    fn of_preview(input: &'a Value, mode: &Mode) -> World<'a> {
        let experiments = &input["experiments"];
        let has_browser = mode.groups.iter().any(|entry| entry.group.as_str() == "browser");
        let multi = experiments["multiFileApplyDiff"] == true;
        let world = World::of(input);
        World {
            diff: (input["diff_enabled"] != false).then_some(if multi { DiffForm::Multi } else { DiffForm::Single }),
            browser: input["images"] == true && has_browser && input["browser_tool_enabled"] != false,
            partial: input["max_read_file_line"].as_i64().is_some_and(|limit| limit != -1),
            servers: world.servers.filter(|_| input["mcp_enabled"] != false),
            use_agent_rules: input["config"]["use_agent_rules"] != false,
            ..World::of(input)
        }
    }

    fn cwd(&self) -> &str {
        self.input["cwd"].as_str().unwrap_or(CWD)
    }

    /// The mode in force: one that is gone has become the default one.
    fn mode(&self) -> Mode {
        let slug = self.input["mode"].as_str().unwrap_or(DEFAULT_MODE);
        modes::find(slug, &self.custom).or_else(|| modes::find(DEFAULT_MODE, &self.custom)).expect("code exists")
    }

    /// The servers of the section, which needs the group and a server that is on.
    fn mcp(&self) -> Option<&[Server]> {
        let servers = self.servers.as_deref()?;
        mcp::included(&self.mode(), servers).then_some(servers)
    }

    fn tools(&self) -> Vec<ToolName> {
        let experiment = |name: &str| self.input["experiments"][name] == true;
        selection::tools(
            &self.mode(),
            &Conditions {
                diff: self.diff.is_some(),
                index: self.index,
                fast_apply: self.fast_apply,
                browser: self.browser,
                mcp: self.mcp().is_some(),
                todo_list: self.input["settings"]["todo_list_enabled"] != false,
                image_generation: experiment("imageGeneration"),
                slash_commands: experiment("runSlashCommand"),
            },
        )
    }

    /// The setting, else the host's locale.
    fn language(&self) -> &str {
        let locale = || language_of_locale(self.input["host"]["locale"].as_str().unwrap_or("en"));
        self.input["language"].as_str().unwrap_or_else(locale)
    }

    fn shell(&self) -> String {
        shells::named(System::Unix, [self.input["host"]["shell"].as_str()])
    }

    /// Gives `use_inputs` the inputs of the prompt, `mcp` as its servers.
    fn with<T>(&self, read: &Read, mcp: Option<&[Server]>, run: impl FnOnce(&Texts, &SystemInputs<'_>) -> T) -> T {
        let texts = Texts::builtin();
        let words = words::for_prompt(&texts, &self.mode(), &self.overrides);
        let cached = self.input["state_custom_modes"].as_array().unwrap_or(&self.custom);
        let settings = &self.input["settings"];
        let inputs = SystemInputs {
            cwd: self.cwd(),
            home: HOME,
            os: OS,
            shell: &self.shell(),
            role: &words.role,
            mode_instructions: &words.instructions,
            modes: &words::lines(&texts, cached, &self.overrides),
            tools: &self.tools(),
            built: ToolName::ALL,
            diff: self.diff,
            fast_apply: self.fast_apply,
            browser: self.browser,
            viewport: self.input["viewport"].as_str().unwrap_or("900x600"),
            index: self.index,
            mcp,
            mcp_server_creation: self.input["enable_mcp_server_creation"].as_bool(),
            partial_reads: self.partial,
            max_concurrent_file_reads: settings["max_concurrent_file_reads"].as_u64().unwrap_or(5),
            new_task_todos: settings["new_task_require_todos"] == true,
            language: self.language(),
            global_instructions: self.input["global_instructions"].as_str().unwrap_or(""),
            rules: &read.rules,
            own_prompt: read.own_prompt.as_deref(),
        };
        run(&texts, &inputs)
    }

    fn whole(&self) -> Outcome {
        let (disk, mode) = (Disk::of(self.input), self.mode().slug);
        let variables = Variables {
            workspace: self.cwd(),
            mode: &mode,
            language: self.language(),
            shell: self.input["host"]["shell"].as_str().unwrap_or("/bin/bash"),
            operating_system: "Linux",
        };
        let read = match instructions::read(&disk, self.input, &mode, self.use_agent_rules, Some(&variables)) {
            Ok(read) => read,
            Err(error) => return instructions::threw(&error),
        };
        let sections = self.with(&read, self.mcp(), system::sections).unwrap();
        let text = system::joined(&sections);
        let shown: Vec<&str> =
            sections.iter().filter(|(_, text)| !text.is_empty()).map(|(part, _)| code(*part)).collect();
        let tools = if read.own_prompt.is_some() { Vec::new() } else { self.tools() };
        json!({"lines": lines(&text), "sections": shown, "tools": tool_names(&tools)}).into()
    }
}

/// The code of a section in the recorded outputs.
fn code(part: Section) -> &'static str {
    match part {
        Section::Role => "role",
        Section::OwnPrompt => "override",
        Section::Markdown => "sys.md",
        Section::ToolUse => "sys.tool",
        Section::Tools => "sys.catalogue",
        Section::Guidelines => "sys.guide",
        Section::Mcp => "sys.mcp",
        Section::Capabilities => "sys.cap",
        Section::Modes => "sys.modes",
        Section::Rules => "sys.rules",
        Section::SystemInformation => "sys.info",
        Section::Objective => "sys.obj",
        Section::CustomInstructions => "sys.custom",
    }
}

fn tool_names(tools: &[ToolName]) -> Vec<&'static str> {
    tools.iter().map(|tool| tool.as_str()).collect()
}

fn diff_form(value: &Value) -> Option<DiffForm> {
    match value.as_str()? {
        "multi" => Some(DiffForm::Multi),
        _ => Some(DiffForm::Single),
    }
}

fn server(value: &Value) -> Server {
    serde_json::from_value(value.clone()).expect("a server")
}

/// The state that decides on fast apply: the profile's keys stand flat beside the others in our settings.
fn provider_state(state: &Value) -> Settings {
    let mut flat = state["apiConfiguration"].as_object().cloned().unwrap_or_default();
    flat.extend(state.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    flat.shift_remove("apiConfiguration");
    serde_json::from_value(Value::Object(flat)).expect("settings")
}

pub fn prompt(input: &Value) -> Outcome {
    World::of(input).whole()
}

pub fn preview(input: &Value) -> Outcome {
    let mode = World::of(input).mode();
    World::of_preview(input, &mode).whole()
}

pub fn tool_descriptions(input: &Value) -> Outcome {
    let world = World::of(input);
    let text = world
        .with(&Read::default(), world.mcp(), |texts, inputs| system::section(texts, inputs, Section::Tools))
        .unwrap();
    json!({"lines": lines(&text), "tools": tool_names(&world.tools())}).into()
}

/// A section alone takes the hub as it is: it is there, or not.
pub fn section(input: &Value) -> Outcome {
    let part = match input["section"].as_str().unwrap_or("") {
        "capabilities" => Section::Capabilities,
        "rules" => Section::Rules,
        "system_info" => Section::SystemInformation,
        "objective" => Section::Objective,
        "modes" => Section::Modes,
        "markdown" => Section::Markdown,
        "tool_use" => Section::ToolUse,
        "guidelines" => Section::Guidelines,
        other => return Outcome::Missing(format!("section {other}")),
    };
    alone(input, part)
}

pub fn modes_section(input: &Value) -> Outcome {
    alone(input, Section::Modes)
}

pub fn mcp_section(input: &Value) -> Outcome {
    alone(input, Section::Mcp)
}

fn alone(input: &Value, part: Section) -> Outcome {
    let world = World::of(input);
    let text = world
        .with(&Read::default(), world.servers.as_deref(), |texts, inputs| system::section(texts, inputs, part))
        .unwrap();
    json!({"lines": lines(&text)}).into()
}

pub fn mode_details(input: &Value) -> Outcome {
    let world = World::of(input);
    let texts = Texts::builtin();
    let slug = input["mode"].as_str().unwrap_or(DEFAULT_MODE);
    let (mode, words) = words::details(&texts, slug, &world.custom, &world.overrides).expect("a first mode");
    let rules = match instructions::of_details(&Disk::of(input), input, slug) {
        Ok(rules) => rules,
        Err(error) => return instructions::threw(&error),
    };
    let instructions = Instructions {
        language: input["language"].as_str().unwrap_or(""),
        global: input["global_instructions"].as_str().unwrap_or(""),
        mode: &words.instructions,
        rules: &rules,
    };
    let instructions =
        if input["with_cwd"] == true { custom_instructions(&texts, &instructions) } else { words.instructions };
    let groups: Vec<Value> = mode.groups.iter().map(|entry| group(&texts, &mode, entry)).collect();
    json!({
        "slug": mode.slug,
        "name": mode.name,
        "groups": groups,
        "roleDefinition": lines(&words.role),
        "whenToUse": lines(&words.when_to_use),
        "description": lines(&words.description),
        "customInstructions": lines(&instructions),
    })
    .into()
}

fn group(texts: &Texts, mode: &Mode, entry: &GroupEntry) -> Value {
    let Some(regex) = &entry.file_regex else { return json!(entry.group.as_str()) };
    let note = || texts.get(&format!("mode.{}.edit_note", mode.slug));
    let description = entry.description.clone().unwrap_or_else(note);
    json!([entry.group.as_str(), {"fileRegex": regex, "description": description}])
}
