//! The files that go into system prompts: rules, and the user's own prompt for a mode. Read for each request; what is left out
//! is reported once.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::surroundings;
use crate::prompt::override_file::{self, Variables};
use crate::prompt::rules::toggles::Toggles;
use crate::prompt::rules::{self, Notice, Rules, RulesError, Sources};
use crate::prompt::skills;
use crate::prompt::text::Texts;
use crate::settings::Settings;
use crate::workspace::access::{Access, IGNORE_FILE};

/// Notices that are remembered, so as not to be reported again; one more forgets them all.
const MOST_TOLD: usize = 1000;

/// Reads the files of prompts. Blocks.
pub struct RuleFiles {
    home: PathBuf,
    storage: PathBuf,
    told: Mutex<HashSet<Notice>>,
    report: Box<dyn Fn(String) + Send + Sync>,
}

/// For which request files are read.
pub struct Wanted {
    cwd: PathBuf,
    mode: String,
    language: String,
    shell: String,
    agent_rules: bool,
    skills: bool,
    toggles: Toggles,
}

impl Wanted {
    /// What to read for a request in a workspace and mode.
    pub fn new(cwd: &Path, mode: &str, settings: &Settings, language: &str, shell: &str) -> Wanted {
        Wanted {
            cwd: cwd.to_owned(),
            mode: mode.to_owned(),
            language: language.to_owned(),
            shell: shell.to_owned(),
            agent_rules: settings.use_agent_rules,
            skills: settings.use_skills,
            toggles: Toggles::given(settings),
        }
    }
}

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rule blocks in order, and behind them that of the skills.
    pub rules: Vec<String>,
    /// The user's own system prompt, which takes the place of the built one.
    pub own_prompt: Option<String>,
}

impl RuleFiles {
    /// For the user with this home folder; `storage` is the engine's data folder. `report` is told, in words, what is left out.
    pub fn new(home: PathBuf, storage: PathBuf, report: impl Fn(String) + Send + Sync + 'static) -> Arc<RuleFiles> {
        Arc::new(RuleFiles { home, storage, told: Mutex::default(), report: Box::new(report) })
    }

    /// The files for a system prompt, with the words of `texts`.
    ///
    /// # Errors
    /// A file that is there and cannot be read, where the specification does not let it count as absent.
    pub fn read(&self, wanted: &Wanted, texts: &Texts) -> Result<Found, String> {
        let variables = Variables {
            workspace: &wanted.cwd.to_string_lossy(),
            mode: &wanted.mode,
            language: &wanted.language,
            shell: &wanted.shell,
            operating_system: surroundings::system_name(),
        };
        let own_prompt = override_file::read(&wanted.cwd, &variables).map_err(|error| failed(texts, &error))?;
        let access = Access::load(&wanted.cwd);
        let ignore = access.instructions(&texts.get("ignore.instructions"));
        let ignore_file = wanted.cwd.join(IGNORE_FILE);
        self.tell(access.problems().into_iter().map(|problem| Notice::IgnoreFile(ignore_file.clone(), problem)), texts);
        let toggles = wanted.toggles.clone().over(Toggles::stored(&self.storage, &wanted.cwd));
        let rules = rules::read(&Sources {
            cwd: &wanted.cwd,
            home: &self.home,
            mode: &wanted.mode,
            agent_rules: wanted.agent_rules,
            ignore: ignore.as_deref(),
            toggles: Some(&toggles).filter(|_| own_prompt.is_none()),
        });
        let mut rules = self.told(rules, texts)?;
        if wanted.skills {
            let from = skills::Sources { cwd: &wanted.cwd, home: &self.home, mode: &wanted.mode, access: &access };
            let found = skills::read(&from);
            self.tell(found.problems.into_iter().map(Notice::Skill), texts);
            rules.extend(skills::block(&found.skills, texts));
        }
        Ok(Found { rules, own_prompt })
    }

    /// The rule blocks for details about a mode (spec 03 §8.3): neither settings nor toggles nor the ignore file count.
    ///
    /// # Errors
    /// As of [`RuleFiles::read`].
    pub fn for_details(&self, cwd: &Path, mode: &str, texts: &Texts) -> Result<Vec<String>, String> {
        let from = Sources { cwd, home: &self.home, mode, agent_rules: true, ignore: None, toggles: None };
        self.told(rules::read(&from), texts)
    }

    /// The rule blocks for a commit message (spec 03 §14): those without a mode, as the user switched them.
    ///
    /// # Errors
    /// As of [`RuleFiles::read`].
    pub fn for_commit(&self, cwd: &Path, settings: &Settings, texts: &Texts) -> Result<Vec<String>, String> {
        let toggles = Toggles::load(&self.storage, cwd, settings);
        let rules = rules::read(&Sources {
            cwd,
            home: &self.home,
            mode: "commit",
            agent_rules: settings.use_agent_rules,
            ignore: None,
            toggles: Some(&toggles),
        });
        self.told(rules, texts)
    }

    /// The blocks; their notices are reported, each once.
    fn told(&self, read: Result<Rules, RulesError>, texts: &Texts) -> Result<Vec<String>, String> {
        let Rules { blocks, notices } = read.map_err(|error| failed(texts, &error))?;
        self.tell(notices, texts);
        Ok(blocks)
    }

    /// Reports what was not reported before.
    fn tell(&self, notices: impl IntoIterator<Item = Notice>, texts: &Texts) {
        for notice in notices {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= MOST_TOLD {
                told.clear();
            }
            if told.insert(notice.clone()) {
                drop(told);
                (self.report)(notice.text(texts));
            }
        }
    }
}

fn failed(texts: &Texts, error: &RulesError) -> String {
    let (path, cause) = (error.path.to_string_lossy(), error.cause.to_string());
    texts.render("rules.failed", minijinja::context! { path, cause })
}
