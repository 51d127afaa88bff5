//! The system prompt of a real request: facts from settings, workspace and surroundings, put into `prompt::system`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::rule_files::{self, RuleFiles};
use super::shells::{self, System};
use crate::prompt::instructions::{Instructions, custom_instructions, language_of_locale};
use crate::prompt::modes::{self as words, ModeLine, Words};
use crate::prompt::selection::{self, Conditions};
use crate::prompt::system::{self, DiffForm, Section, SystemInputs};
use crate::prompt::text::Texts;
use crate::protocol::tool::ToolName;
use crate::settings::Settings;
use crate::settings::fast_apply;
use crate::settings::modes::{self, Group, Mode};
use crate::task::host::{ModeDetails, PromptRequest, SystemPrompt};
use crate::tools;

/// Builds system prompts.
#[derive(Clone)]
pub struct StandardPrompt {
    /// The text catalogue.
    pub texts: Arc<Texts>,
    /// Home folder.
    pub home: PathBuf,
    /// Operating system, such as `Linux 6.8`.
    pub os: String,
    /// Shells of the user's account and of the environment.
    pub shells: [Option<String>; 2],
    /// Locale of the environment as editors name theirs; may be empty.
    pub locale: String,
    /// Rule files, and the user's own prompts.
    pub files: Arc<RuleFiles>,
}

#[async_trait]
impl SystemPrompt for StandardPrompt {
    async fn build(&self, request: PromptRequest<'_>) -> Result<String, String> {
        let images = request.model.info.supports_images == Some(true);
        let mode = mode(request.mode, request.settings)?;
        let wanted = self.wanted(request.cwd, request.settings, &mode);
        let (files, texts) = (self.files.clone(), self.texts.clone());
        let found = tokio::task::spawn_blocking(move || files.read(&wanted, &texts))
            .await
            .map_err(|error| error.to_string())??;
        let facts = self.facts(request.cwd, request.settings, &mode, images, found);
        system::build(&self.texts, &facts.inputs(self)).map_err(|error| error.to_string())
    }

    async fn mode_details(&self, cwd: &Path, settings: &Settings) -> Option<ModeDetails> {
        let texts = self.texts.clone();
        let overrides = words::overrides(settings);
        let (_, words) = words::details(&texts, &settings.mode, &settings.custom_modes, &overrides)?;
        let (files, cwd, mode) = (self.files.clone(), cwd.to_owned(), settings.mode.clone());
        let of_rules = texts.clone();
        let rules = tokio::task::spawn_blocking(move || files.for_details(&cwd, &mode, &of_rules)).await;
        let instructions = Instructions {
            language: self.language(settings),
            global: settings.custom_instructions.as_deref().unwrap_or(""),
            mode: &words.instructions,
            // What is wrong with a rule file fails the request's system prompt, where the user is told.
            rules: &rules.ok().and_then(Result::ok).unwrap_or_default(),
        };
        Some(ModeDetails { role: words.role, instructions: custom_instructions(&texts, &instructions) })
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
    shell: String,
    words: Words,
    modes: Vec<ModeLine>,
    tools: Vec<ToolName>,
    built: Vec<ToolName>,
    diff: Option<DiffForm>,
    fast_apply: bool,
    browser: bool,
    found: rule_files::Found,
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
        let found = self.files.read(&self.wanted(cwd, settings, &mode), &self.texts)?;
        let facts = self.facts(cwd, settings, &mode, images && has_browser, found);
        let sections = system::sections(&self.texts, &facts.inputs(self)).map_err(|error| error.to_string())?;
        Ok(Preview { mode: mode.slug, sections, tools: facts.tools })
    }

    /// The user's instructions for a commit message. Reads rule files.
    ///
    /// # Errors
    /// As of [`SystemPrompt::build`].
    pub fn for_commit(&self, cwd: &Path, settings: &Settings, texts: &Texts) -> Result<String, String> {
        let rules = self.files.for_commit(cwd, settings, texts)?;
        // The locale as it is, whatever language answers have (spec 03 §13.4).
        let language = Some(self.locale(settings)).filter(|locale| !locale.is_empty()).unwrap_or("en");
        let instructions = Instructions { language, global: "", mode: "", rules: &rules };
        Ok(custom_instructions(texts, &instructions))
    }

    fn wanted(&self, cwd: &Path, settings: &Settings, mode: &Mode) -> rule_files::Wanted {
        rule_files::Wanted::new(cwd, &mode.slug, settings, self.language(settings), &self.shell(settings))
    }

    /// The language of answers: the setting, the host's, the environment's.
    fn language<'a>(&self, settings: &'a Settings) -> &'a str {
        settings.language.as_deref().unwrap_or_else(|| language_of_locale(self.locale(settings)))
    }

    /// The host's locale, else that of the environment.
    fn locale<'a>(&'a self, settings: &'a Settings) -> &'a str {
        settings.option_str("locale").unwrap_or(&self.locale)
    }

    /// The default shell: the host's, the account's, the environment's.
    fn shell(&self, settings: &Settings) -> String {
        let [account, environment] = self.shells.each_ref().map(Option::as_deref);
        shells::named(System::here(), [settings.option_str("defaultShell"), account, environment])
    }

    /// The facts for a prompt in this mode, with what was `found` in files. `images`: the model takes images.
    fn facts<'a>(
        &self,
        cwd: &Path,
        settings: &'a Settings,
        mode: &Mode,
        images: bool,
        found: rule_files::Found,
    ) -> Facts<'a> {
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
        let mut tools = selection::tools(mode, &conditions);
        // A prompt of the user's own describes no tool.
        tools.retain(|tool| built.contains(tool) && found.own_prompt.is_none());
        Facts {
            settings,
            cwd: cwd.to_string_lossy().into_owned(),
            home: self.home.to_string_lossy().into_owned(),
            shell: self.shell(settings),
            words: words::for_prompt(&self.texts, mode, &overrides),
            modes: words::lines(&self.texts, &settings.custom_modes, &overrides),
            tools,
            built,
            diff,
            fast_apply,
            browser,
            found,
        }
    }
}

impl Facts<'_> {
    fn inputs<'a>(&'a self, prompt: &'a StandardPrompt) -> SystemInputs<'a> {
        let settings = self.settings;
        SystemInputs {
            cwd: &self.cwd,
            home: &self.home,
            os: &prompt.os,
            shell: &self.shell,
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
            // Nothing could connect a server that the model makes.
            mcp_server_creation: Some(false),
            partial_reads: settings.max_read_file_line != -1,
            max_concurrent_file_reads: settings.max_concurrent_file_reads,
            new_task_todos: settings.new_task_require_todos,
            language: prompt.language(settings),
            global_instructions: settings.custom_instructions.as_deref().unwrap_or(""),
            rules: &self.found.rules,
            own_prompt: self.found.own_prompt.as_deref(),
        }
    }
}

/// The mode of this slug; one that is gone has become the default one.
fn mode(slug: &str, settings: &Settings) -> Result<Mode, String> {
    let find = |slug| modes::find(slug, &settings.custom_modes);
    find(slug).or_else(|| find(modes::DEFAULT_MODE)).ok_or_else(|| format!("no mode `{slug}`"))
}
