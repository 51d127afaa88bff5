//! Command files: prompts that a user keeps as `commands/<name>.md` and refers to as `/name` (spec 03 §15.1).
//!
//! Functions here read files and may block. What a text does with a command is decided elsewhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::folders;
use super::text::Texts;
use crate::ecma;

/// The largest command file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Files of one folder that are listed at most, the first in order of names.
const MAX_FILES: usize = 1000;
/// The only command that needs no file.
const INIT: &str = "init";

/// Where a command was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the project's configuration folder.
    Project,
    /// In the user's.
    Global,
    /// It comes with the engine.
    BuiltIn,
}

impl Source {
    /// The name in approvals and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Project => "project",
            Source::Global => "global",
            Source::BuiltIn => "built-in",
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The name it is called by: the file's without `.md`.
    pub name: String,
    /// What the model gets: the trimmed text after the front matter.
    pub content: String,
    /// Where it was found.
    pub source: Source,
    /// The file; `<built-in:NAME>` for one that has none.
    pub file: PathBuf,
    /// What it is for.
    pub description: Option<String>,
    /// What may be written after it.
    pub argument_hint: Option<String>,
}

/// The folders in which commands are looked for.
#[derive(Clone, Debug)]
pub struct Folders {
    /// `<cwd>/.kilocode/commands`, or `<cwd>/.roo/commands` when only `.roo` exists.
    pub project: PathBuf,
    /// `<home>/.kilocode/commands`.
    pub global: PathBuf,
}

impl Folders {
    /// Those of a workspace and a user.
    pub fn of(cwd: &Path, home: &Path) -> Folders {
        Folders { project: folders::project(cwd).join("commands"), global: folders::global(home).join("commands") }
    }

    /// The command of this name: the project's, else the user's, else the built-in one. A file that cannot be read counts
    /// as absent.
    pub fn find(&self, name: &str, texts: &Texts) -> Option<Command> {
        // The name becomes part of a path, and may come from a model.
        if name.is_empty() || name.contains(['/', '\\', ':', '\0']) {
            return None;
        }
        let file = format!("{name}.md");
        load(self.project.join(&file), name, Source::Project)
            .or_else(|| load(self.global.join(&file), name, Source::Global))
            .or_else(|| built_in(texts).into_iter().find(|command| command.name == name))
    }

    /// All commands: built-in ones, the user's under other names, the project's in place of any.
    pub fn list(&self, texts: &Texts) -> Vec<Command> {
        let mut all = built_in(texts);
        for command in files(&self.global, Source::Global) {
            if all.iter().all(|known| known.name != command.name) {
                all.push(command);
            }
        }
        for command in files(&self.project, Source::Project) {
            match all.iter_mut().find(|known| known.name == command.name) {
                Some(known) => *known = command,
                None => all.push(command),
            }
        }
        all
    }
}

fn built_in(texts: &Texts) -> Vec<Command> {
    vec![Command {
        name: INIT.to_owned(),
        content: texts.get("command.init.body"),
        source: Source::BuiltIn,
        file: PathBuf::from(format!("<built-in:{INIT}>")),
        description: Some(texts.get("command.init.description")),
        argument_hint: None,
    }]
}

/// The commands of one folder, in order of their file names.
fn files(folder: &Path, source: Source) -> Vec<Command> {
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.to_ascii_lowercase().ends_with(".md") {
            names.insert(name, entry.path());
        }
        if names.len() > MAX_FILES {
            names.pop_last();
        }
    }
    names.into_iter().filter_map(|(name, path)| load(path, &name[..name.len() - ".md".len()], source)).collect()
}

fn load(file: PathBuf, name: &str, source: Source) -> Option<Command> {
    let metadata = fs::metadata(&file).ok()?;
    // Opening a pipe or a device could wait for ever.
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(&file).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(parse(name, source, file, &String::from_utf8_lossy(&bytes)))
}

/// The command that a file's text describes.
pub fn parse(name: &str, source: Source, file: PathBuf, text: &str) -> Command {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (attributes, content) = match front_matter(text) {
        Some((yaml, body)) => match serde_saphyr::from_str::<Option<BTreeMap<String, Value>>>(yaml) {
            Ok(attributes) => (attributes.unwrap_or_default(), body),
            Err(_) => (BTreeMap::new(), text),
        },
        None => (BTreeMap::new(), text),
    };
    let attribute = |key: &str| {
        let value = ecma::trim(attributes.get(key)?.as_str()?);
        (!value.is_empty()).then(|| value.to_owned())
    };
    Command {
        name: name.to_owned(),
        content: ecma::trim(content).to_owned(),
        source,
        file,
        description: attribute("description"),
        argument_hint: attribute("argument-hint"),
    }
}

/// What stands between a first line `---` and the next line that begins with it, and what follows. Without an end
/// everything is front matter.
fn front_matter(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if first.strip_prefix("---").map(ecma::trim) != Some("") {
        return None;
    }
    if let Some(after) = rest.strip_prefix("---") {
        return Some(("", after));
    }
    Some(rest.split_once("\n---").unwrap_or((rest, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, Option<String>, String) {
        let command = parse("x", Source::Project, PathBuf::new(), text);
        (command.description, command.argument_hint, command.content)
    }

    /// parity 02 §9.1: front matter of command files
    /// parity 03 §checklist.28: front matter that is no map is content
    /// parity 03 §15.1: description and hint are texts that are not blank
    #[test]
    fn front_matter_describes_and_the_rest_is_content() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("---\ndescription: Ship\nargument-hint: <env>\n---\n\nBody\n", (some("Ship"), some("<env>"), "Body")),
            ("---\r\ndescription: ' Ship '\r\n---\r\nBody\r\n", (some("Ship"), None, "Body")),
            ("\u{feff}---\ndescription: Ship\n---\nBody", (some("Ship"), None, "Body")),
            ("---\ndescription: \"  \"\nargument-hint: 5\n---\nBody", (None, None, "Body")),
            ("---\n---\nBody", (None, None, "Body")),
            ("---\n# nothing\n---\nBody", (None, None, "Body")),
            ("---\ndescription: Ship", (some("Ship"), None, "")),
            ("---\ndescription: [\n---\nBody", (None, None, "---\ndescription: [\n---\nBody")),
            ("---\njust words\n---\nBody", (None, None, "---\njust words\n---\nBody")),
            ("----\ndescription: x\n---\nBody", (None, None, "----\ndescription: x\n---\nBody")),
            ("\n---\ndescription: x\n---\nBody", (None, None, "---\ndescription: x\n---\nBody")),
            ("", (None, None, "")),
            ("---", (None, None, "")),
        ] {
            let (description, hint, content) = expected;
            assert_eq!(parsed(text), (description, hint, content.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn front_matter_that_multiplies_itself_is_text() {
        let mut text = String::from("---\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let previous = format!("*a{}, ", n - 1).repeat(10);
            text.push_str(&format!("a{n}: &a{n} [{previous}]\n"));
        }
        text.push_str("---\nBody");
        assert_eq!(parsed(&text).2, text);
        let deep = format!("---\na: {}\n---\nBody", "[".repeat(100_000));
        assert_eq!(parsed(&deep).2, deep);
    }

    /// parity 02 §9.1: the project's command goes before the user's, the user's before the built-in one
    /// parity 03 §checklist.27: the project's file, the user's, the built-in one
    /// parity 03 §15.1: names that are no file names of a folder are refused
    /// parity 03 §quirks.13: a user's `init` is found by name and not in the list
    #[test]
    fn a_name_is_looked_up_in_the_project_first() {
        let root = tempfile::tempdir().unwrap();
        let (cwd, home) = (root.path().join("ws"), root.path().join("home"));
        let folders = Folders::of(&cwd, &home);
        let texts = Texts::builtin();
        assert_eq!(folders.find("init", &texts).unwrap().source, Source::BuiltIn);
        for (folder, name, text) in [
            (&folders.global, "init", "global"),
            (&folders.global, "own", "global"),
            (&folders.global, "both", "global"),
            (&folders.project, "both", "project"),
        ] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(format!("{name}.md")), text).unwrap();
        }
        fs::write(folders.project.join("note.txt"), "no").unwrap();
        fs::create_dir(folders.project.join("folder.md")).unwrap();
        fs::write(folders.project.join("large.md"), vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        fs::write(root.path().join("ws/secret.md"), "secret").unwrap();
        let found = |name: &str| folders.find(name, &texts).map(|command| command.content);
        assert_eq!(found("both").as_deref(), Some("project"));
        assert_eq!(found("init").as_deref(), Some("global"));
        for name in ["../../secret", "..\\secret", "", "constructor", "folder", "large", "note.txt", "a\0b"] {
            assert_eq!(found(name), None, "{name}");
        }
        let listed: Vec<(String, Source)> =
            folders.list(&texts).into_iter().map(|command| (command.name, command.source)).collect();
        let expected = [("init", Source::BuiltIn), ("both", Source::Project), ("own", Source::Global)];
        assert_eq!(listed, expected.map(|(name, source)| (name.to_owned(), source)));
    }

    #[test]
    fn an_older_configuration_folder_counts_when_there_is_no_other() {
        let root = tempfile::tempdir().unwrap();
        let project = || Folders::of(root.path(), root.path()).project;
        fs::create_dir(root.path().join(".roo")).unwrap();
        assert_eq!(project(), root.path().join(".roo/commands"));
        fs::create_dir(root.path().join(".kilocode")).unwrap();
        assert_eq!(project(), root.path().join(".kilocode/commands"));
    }
}
