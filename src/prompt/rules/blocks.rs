//! The single rule blocks: of the mode (spec 03 §6.3), generic (§6.4), of agents (§6.5).

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{self, RuleFile};
use super::toggles::{Switches, Toggles, is_off};
use super::{Notice, Reader, RulesError, Sources, is_file_name, shown, text_of};
use crate::prompt::folders;
use crate::workspace::paths;

/// Files of older forms with generic rules; for the latter two the user is told.
const LEGACY: [(&str, bool); 3] = [(".kilocoderules", false), (".roorules", true), (".clinerules", true)];
/// Names of the file with rules for any agent.
const AGENTS: [&str; 2] = ["AGENTS.md", "AGENT.md"];

impl Reader {
    /// Rules of the mode: of its directories, else of the file of the older form.
    pub(super) fn of_mode(&mut self, from: &Sources<'_>) -> Result<Option<String>, RulesError> {
        if !is_file_name(from.mode) {
            return Ok(None);
        }
        let directories = format!("rules-{}", from.mode);
        let texts = self.of_directories(from, &directories);
        if !texts.is_empty() {
            // Two headings and an empty line between them, as the reference has it.
            return Ok(Some(format!("# Rules from {directories} directories:\n\n{}", texts.join("\n\n"))));
        }
        let name = format!(".kilocoderules-{}", from.mode);
        let text = self.legacy(&from.cwd.join(&name))?;
        Ok(text.map(|text| format!("# Rules from {name}:\n{text}")))
    }

    /// Rules for all modes while no file was ever switched on or off.
    pub(super) fn generic(&mut self, from: &Sources<'_>) -> Result<Option<String>, RulesError> {
        let texts = self.of_directories(from, "rules");
        if !texts.is_empty() {
            return Ok(Some(crate::ecma::trim(&texts.join("\n\n")).to_owned()));
        }
        for (name, tell) in LEGACY {
            let Some(text) = self.legacy(&from.cwd.join(name))? else { continue };
            if tell {
                self.budget.note(Notice::LegacyFile(name));
            }
            return Ok(Some(format!("# Rules from {name}:\n{text}")));
        }
        Ok(None)
    }

    /// Rules for all modes once files were switched on or off: other directories and another layout (kept from the reference).
    pub(super) fn toggled(&mut self, from: &Sources<'_>, toggles: &Toggles) -> Option<String> {
        let places = [
            ("Global Rules", from.home.join(".kilocode/rules"), &toggles.global_rules),
            ("Local Rules", from.cwd.join(".kilocode/rules"), &toggles.local_rules),
        ];
        let blocks: Vec<String> = places
            .into_iter()
            .filter_map(|(label, directory, switches)| {
                let pieces = self.pieces(&directory, switches);
                (!pieces.is_empty()).then(|| format!("# {label} from {}:\n{}", shown(&directory), pieces.join("\n\n")))
            })
            .collect();
        let text = blocks.join("\n\n");
        let text = crate::ecma::trim(&text);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The files of a directory that are on, each under its path in there.
    fn pieces(&mut self, directory: &Path, switches: &Switches) -> Vec<String> {
        let files = directory::read(directory, &mut self.budget);
        let on = files.into_iter().filter(|file| !is_off(switches, &file.path));
        on.map(|RuleFile { path, text }| format!("{}\n{text}", shown(&paths::relative_to(directory, &path)))).collect()
    }

    /// The text of each configuration directory's folder of this name that has any.
    fn of_directories(&mut self, from: &Sources<'_>, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for directory in [folders::global(from.home), folders::project(from.cwd)] {
            let files = directory::read(&directory.join(name), &mut self.budget);
            let blocks: Vec<String> =
                files.iter().map(|file| format!("# Rules from {}:\n{}", shown(&file.path), file.text)).collect();
            if !blocks.is_empty() {
                texts.push(blocks.join("\n\n"));
            }
        }
        texts
    }

    /// The block of AGENTS.md, or else of AGENT.md.
    pub(super) fn of_agents(&mut self, cwd: &Path) -> Option<String> {
        AGENTS.into_iter().find_map(|name| {
            let path = self.agent_file(cwd.join(name))?;
            let text = self.budget.text(&path).filter(|text| !text.is_empty())?;
            Some(format!("# Agent Rules Standard ({name}):\n{text}"))
        })
    }

    fn agent_file(&mut self, path: PathBuf) -> Option<PathBuf> {
        match fs::symlink_metadata(&path).ok()?.file_type() {
            kind if kind.is_symlink() => directory::first_linked(&path, &mut self.budget),
            kind => kind.is_file().then_some(path),
        }
    }

    /// The text of a file of the older form, if it has any.
    fn legacy(&mut self, path: &Path) -> Result<Option<String>, RulesError> {
        match text_of(path) {
            Err(error) if error.cause.kind() == std::io::ErrorKind::FileTooLarge => {
                self.budget.note(Notice::TooLarge(error.path));
                Ok(None)
            }
            other => other.map(|text| (!text.is_empty()).then_some(text)),
        }
    }
}
