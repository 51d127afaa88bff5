//! The system prompt of a real request: facts from settings, workspace and surroundings, put into `prompt::system`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::prompt::system::{self, DiffForm, Instructions, ModeLine, SystemInputs};
use crate::prompt::text::Texts;
use crate::protocol::tool::ToolName;
use crate::settings::Settings;
use crate::settings::modes::{self, Mode};
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
        let texts = &*self.texts;
        let settings = request.settings;
        let custom = &settings.custom_modes;
        let Some(mode) = modes::find(request.mode, custom).or_else(|| modes::find(modes::DEFAULT_MODE, custom)) else {
            return Err(format!("no mode `{}`", request.mode));
        };
        let lines: Vec<ModeLine> = modes::all(custom).iter().map(|mode| line(texts, mode)).collect();
        let built: Vec<ToolName> = tools::list().iter().map(|tool| tool.name()).collect();
        let described = tools::offered::offered(&mode, settings);
        let diff = settings
            .diff_enabled
            .then(|| if settings.experiment("multiFileApplyDiff") { DiffForm::Multi } else { DiffForm::Single });
        let inputs = SystemInputs {
            cwd: &request.cwd.to_string_lossy(),
            home: &self.home.to_string_lossy(),
            os: &self.os,
            shell: &self.shell,
            role: &role(texts, &mode),
            mode_instructions: &instructions(texts, &mode),
            modes: &lines,
            tools: &described,
            built: &built,
            diff,
            browser: built.contains(&ToolName::BrowserAction)
                && settings.browser_tool_enabled
                && request.model.info.supports_images == Some(true),
            index: false,
            partial_reads: settings.max_read_file_line != -1,
            max_concurrent_file_reads: settings.max_concurrent_file_reads,
            language: language(settings),
            global_instructions: settings.custom_instructions.as_deref().unwrap_or(""),
            rules: &rules(texts, request.cwd, settings.use_agent_rules),
        };
        system::build(texts, &inputs).map_err(|error| error.to_string())
    }

    async fn mode_details(&self, cwd: &Path, settings: &Settings) -> Option<ModeDetails> {
        let texts = &*self.texts;
        let found = modes::find(&settings.mode, &settings.custom_modes);
        let mode = found.or_else(|| modes::builtin().into_iter().next())?;
        let instructions = Instructions {
            language: language(settings),
            global: settings.custom_instructions.as_deref().unwrap_or(""),
            mode: &instructions(texts, &mode),
            rules: &agent_rules(cwd).into_iter().collect::<Vec<_>>(),
        };
        let instructions = system::custom_instructions(texts, &instructions);
        Some(ModeDetails { role: role(texts, &mode), instructions })
    }
}

fn language(settings: &Settings) -> &str {
    settings.language.as_deref().unwrap_or("en")
}

fn role(texts: &Texts, mode: &Mode) -> String {
    if mode.builtin { texts.get(&format!("mode.{}.role", mode.slug)) } else { mode.role.clone().unwrap_or_default() }
}

fn instructions(texts: &Texts, mode: &Mode) -> String {
    let id = format!("mode.{}.instructions", mode.slug);
    if mode.builtin && texts.has(&id) { texts.get(&id) } else { mode.instructions.clone().unwrap_or_default() }
}

/// A mode in the MODES section: when to use it, else its role up to the first full stop (spec 03 §8.2).
fn line(texts: &Texts, mode: &Mode) -> ModeLine {
    let when =
        if mode.builtin { Some(texts.get(&format!("mode.{}.when", mode.slug))) } else { mode.when_to_use.clone() };
    let text = match when.filter(|when| !crate::ecma::trim(when).is_empty()) {
        Some(when) => when.replace('\n', "\n    "),
        None => role(texts, mode).split('.').next().unwrap_or("").to_owned(),
    };
    ModeLine { slug: mode.slug.clone(), name: mode.name.clone(), text }
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
