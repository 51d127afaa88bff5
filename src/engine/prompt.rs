//! The system prompt of a real request: facts from settings, workspace and surroundings, put into `prompt::system`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::prompt::instructions::{Instructions, custom_instructions};
use crate::prompt::modes::{self as words, ModeLine, Words};
use crate::prompt::selection::{self, Conditions};
use crate::prompt::system::{self, DiffForm, Section, SystemInputs};
use crate::prompt::text::Texts;
use crate::protocol::tool::ToolName;
use crate::settings::Settings;
use crate::settings::fast_apply;
use crate::settings::modes::{self, Group};
use crate::task::host::{ModeDetails, PromptRequest, SystemPrompt};
use crate::tools;
use crate::workspace::access::Access;
use crate::workspace::reading;

/// Builds system prompts.
pub struct StandardPrompt {
    /// The text catalogue.
    pub texts: Arc<Texts>,
    /// Home folder.
    pub home: PathBuf,
    /// Operating system, such as `Linux 6.8`.
    pub os: String,
    /// Default shell.
    pub shell: String,
}

#[async_trait]
impl SystemPrompt for StandardPrompt {
    async fn build(&self, request: PromptRequest<'_>) -> Result<String, String> {
        let images = request.model.info.supports_images == Some(true);
        let facts = self.facts(request.cwd, request.settings, request.mode, images)?;
        system::build(&self.texts, &facts.inputs(self)).map_err(|error| error.to_string())
    }

    async fn mode_details(&self, cwd: &Path, settings: &Settings) -> Option<ModeDetails> {
        let texts = &*self.texts;
        let overrides = words::overrides(settings);
        let (_, words) = words::details(texts, &settings.mode, &settings.custom_modes, &overrides)?;
        let instructions = Instructions {
            language: language(settings),
            global: settings.custom_instructions.as_deref().unwrap_or(""),
            mode: &words.instructions,
            rules: &agent_rules(cwd).into_iter().collect::<Vec<_>>(),
        };
        Some(ModeDetails { role: words.role, instructions: custom_instructions(texts, &instructions) })
    }
}

/// A system prompt to look at.
pub struct Preview {
    /// Slug of the mode.
    pub mode: String,
    /// The sections in their order, those that are empty too.
    pub sections: Vec<(Section, String)>,
    /// The tools that are described, in order.
    pub tools: Vec<ToolName>,
}

/// What a prompt is made of, read from settings, workspace and surroundings.
struct Facts<'a> {
    settings: &'a Settings,
    cwd: String,
    home: String,
    words: Words,
    modes: Vec<ModeLine>,
    tools: Vec<ToolName>,
    built: Vec<ToolName>,
    diff: Option<DiffForm>,
    fast_apply: bool,
    browser: bool,
    rules: Vec<String>,
}

impl StandardPrompt {
    /// The prompt of a mode as a task would get it, but that it speaks of the browser only in modes that have it (spec 03 §2).
    /// Reads rule files.
    ///
    /// # Errors
    /// As of [`SystemPrompt::build`].
    pub fn preview(&self, cwd: &Path, settings: &Settings, mode: &str, images: bool) -> Result<Preview, String> {
        let mode = modes::find(mode, &settings.custom_modes).ok_or_else(|| format!("no mode `{mode}`"))?;
        let has_browser = mode.groups.iter().any(|entry| entry.group == Group::Browser);
        let facts = self.facts(cwd, settings, &mode.slug, images && has_browser)?;
        let sections = system::sections(&self.texts, &facts.inputs(self)).map_err(|error| error.to_string())?;
        Ok(Preview { mode: mode.slug, sections, tools: facts.tools })
    }

    /// The facts for a prompt in the mode of this slug; a mode that is gone has become the default one. `images`: the model
    /// takes images.
    fn facts<'a>(&self, cwd: &Path, settings: &'a Settings, mode: &str, images: bool) -> Result<Facts<'a>, String> {
        let custom = &settings.custom_modes;
        let Some(mode) = modes::find(mode, custom).or_else(|| modes::find(modes::DEFAULT_MODE, custom)) else {
            return Err(format!("no mode `{mode}`"));
        };
        let overrides = words::overrides(settings);
        let built: Vec<ToolName> = tools::list().iter().map(|tool| tool.name()).collect();
        let diff = settings
            .diff_enabled
            .then(|| if settings.experiment("multiFileApplyDiff") { DiffForm::Multi } else { DiffForm::Single });
        let browser = built.contains(&ToolName::BrowserAction) && settings.browser_tool_enabled && images;
        let fast_apply = built.contains(&ToolName::EditFile) && fast_apply::available(settings);
        let conditions = Conditions {
            diff: diff.is_some(),
            index: false,
            fast_apply,
            browser,
            mcp: false,
            todo_list: settings.todo_list_enabled,
            image_generation: settings.experiment("imageGeneration"),
            slash_commands: settings.experiment("runSlashCommand"),
        };
        let mut tools = selection::tools(&mode, &conditions);
        tools.retain(|tool| built.contains(tool));
        Ok(Facts {
            settings,
            cwd: cwd.to_string_lossy().into_owned(),
            home: self.home.to_string_lossy().into_owned(),
            words: words::for_prompt(&self.texts, &mode, &overrides),
            modes: words::lines(&self.texts, custom, &overrides),
            tools,
            built,
            diff,
            fast_apply,
            browser,
            rules: rules(&self.texts, cwd, settings.use_agent_rules),
        })
    }
}

impl Facts<'_> {
    fn inputs<'a>(&'a self, prompt: &'a StandardPrompt) -> SystemInputs<'a> {
        let settings = self.settings;
        SystemInputs {
            cwd: &self.cwd,
            home: &self.home,
            os: &prompt.os,
            shell: &prompt.shell,
            role: &self.words.role,
            mode_instructions: &self.words.instructions,
            modes: &self.modes,
            tools: &self.tools,
            built: &self.built,
            diff: self.diff,
            fast_apply: self.fast_apply,
            browser: self.browser,
            viewport: &settings.browser_viewport_size,
            index: false,
            mcp: None,
            mcp_server_creation: Some(
                settings
                    .other
                    .get("enableMcpServerCreation")
                    .is_none_or(|value| *value != serde_json::Value::Bool(false)),
            ),
            partial_reads: settings.max_read_file_line != -1,
            max_concurrent_file_reads: settings.max_concurrent_file_reads,
            new_task_todos: settings.new_task_require_todos,
            language: language(settings),
            global_instructions: settings.custom_instructions.as_deref().unwrap_or(""),
            rules: &self.rules,
        }
    }
}

fn language(settings: &Settings) -> &str {
    settings.language.as_deref().unwrap_or("en")
}

/// Rule blocks of the workspace: what the ignore file means, then AGENTS.md or AGENT.md (spec 03 §6.1, §6.5).
fn rules(texts: &Texts, cwd: &Path, use_agent_rules: bool) -> Vec<String> {
    let mut rules = Vec::new();
    rules.extend(Access::load(cwd).instructions(&texts.get("ignore.instructions")));
    if use_agent_rules {
        rules.extend(agent_rules(cwd));
    }
    rules
}

/// The block of AGENTS.md, or else of AGENT.md (spec 03 §6.5).
fn agent_rules(cwd: &Path) -> Option<String> {
    ["AGENTS.md", "AGENT.md"].into_iter().find_map(|name| {
        let text = String::from_utf8(reading::read_all(&cwd.join(name)).ok()?).ok()?;
        let text = crate::ecma::trim(&text);
        (!text.is_empty()).then(|| format!("# Agent Rules Standard ({name}):\n{text}"))
    })
}
