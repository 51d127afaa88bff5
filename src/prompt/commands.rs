//! Command files: prompts that a user keeps as `commands/<name>.md` and refers to as `/name` (spec 03 §15.1).
//!
//! Functions here read files and may block. What a text does with a command is decided elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::folders;
use super::front_matter::FrontMatter;
use super::text::{Texts, context};
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

/// A command file that is left out, or not read as its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file; the folder where it has too many.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a command file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is larger than 1 MiB and left out.
    TooLarge,
    /// It is left out; the system's words.
    Unreadable(String),
    /// What is no UTF-8 in it was replaced.
    NotUtf8,
    /// Its front matter is no YAML of names and values, as was found in this line: all of the file is content.
    FrontMatter(Option<u64>),
    /// Only the first files of the folder are listed.
    TooMany,
}

impl Problem {
    /// The sentence for the user.
    pub fn text(&self, texts: &Texts) -> String {
        let path = self.file.to_string_lossy();
        match &self.fault {
            Fault::TooLarge => texts.render("commands.too_large", context! { path, kibibytes => MAX_FILE >> 10 }),
            Fault::Unreadable(cause) => texts.render("commands.unreadable", context! { path, cause }),
            Fault::NotUtf8 => texts.render("commands.not_utf8", context! { path }),
            Fault::FrontMatter(line) => texts.render("commands.front_matter", context! { path, line }),
            Fault::TooMany => texts.render("commands.too_many", context! { path, most => MAX_FILES }),
        }
    }
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
        let load = |folder: &Path, source| load(folder.join(&file), name, source, &mut Vec::new());
        load(&self.project, Source::Project)
            .or_else(|| load(&self.global, Source::Global))
            .or_else(|| built_in(texts).into_iter().find(|command| command.name == name))
    }

    /// All commands: built-in ones, the user's under other names, the project's in place of any.
    pub fn list(&self, texts: &Texts) -> Vec<Command> {
        self.list_with_problems(texts).0
    }

    /// All commands, and what is wrong with their files.
    pub fn list_with_problems(&self, texts: &Texts) -> (Vec<Command>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut all = built_in(texts);
        for command in files(&self.global, Source::Global, &mut problems) {
            if all.iter().all(|known| known.name != command.name) {
                all.push(command);
            }
        }
        for command in files(&self.project, Source::Project, &mut problems) {
            match all.iter_mut().find(|known| known.name == command.name) {
                Some(known) => *known = command,
                None => all.push(command),
            }
        }
        (all, problems)
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
fn files(folder: &Path, source: Source, problems: &mut Vec<Problem>) -> Vec<Command> {
    let mut names = BTreeMap::new();
    let mut too_many = false;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(cause) => {
            if !matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                problems.push(Problem { file: folder.to_owned(), fault: Fault::Unreadable(cause.to_string()) });
            }
            None
        }
    };
    for entry in entries.into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.to_ascii_lowercase().ends_with(".md") {
            names.insert(name, entry.path());
        }
        if names.len() > MAX_FILES {
            names.pop_last();
            too_many = true;
        }
    }
    if too_many {
        problems.push(Problem { file: folder.to_owned(), fault: Fault::TooMany });
    }
    let named = names.into_iter();
    named.filter_map(|(name, path)| load(path, &name[..name.len() - ".md".len()], source, problems)).collect()
}

/// The command of a file. `None` when it is left out; unless there is no such file, `problems` says why.
fn load(file: PathBuf, name: &str, source: Source, problems: &mut Vec<Problem>) -> Option<Command> {
    let mut wrong = |fault| problems.push(Problem { file: file.clone(), fault });
    let bytes = match read(&file) {
        Ok(bytes) => bytes?,
        Err(fault) => {
            wrong(fault);
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    if matches!(text, Cow::Owned(_)) {
        wrong(Fault::NotUtf8);
    }
    let front_matter = FrontMatter::of(&text);
    if let Some(line) = front_matter.fault {
        wrong(Fault::FrontMatter(line));
    }
    Some(front_matter.command(name, source, file))
}

/// The bytes of a command file; `None` when there is no file.
fn read(file: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let unreadable = |cause: io::Error| match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
        _ => Err(Fault::Unreadable(cause.to_string())),
    };
    match fs::metadata(file) {
        // Opening a pipe or a device could wait for ever.
        Ok(found) if !found.is_file() => Ok(None),
        Ok(found) if found.len() > MAX_FILE => Err(Fault::TooLarge),
        Ok(_) => {
            let mut bytes = Vec::new();
            let read = File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
            read.map_or_else(unreadable, |_| Ok(Some(bytes)))
        }
        Err(cause) => unreadable(cause),
    }
}

/// The command that a file's text describes.
pub fn parse(name: &str, source: Source, file: PathBuf, text: &str) -> Command {
    FrontMatter::of(text).command(name, source, file)
}

impl FrontMatter<'_> {
    fn command(&self, name: &str, source: Source, file: PathBuf) -> Command {
        Command {
            name: name.to_owned(),
            content: ecma::trim(self.content).to_owned(),
            source,
            file,
            description: self.attribute("description"),
            argument_hint: self.attribute("argument-hint"),
        }
    }
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

    /// parity 03 §15.1: a file that cannot be used is named, the others work
    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::of(&root.path().join("ws"), root.path());
        fs::create_dir_all(&folders.project).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folders.project.join(name), bytes).unwrap();
        write("a.md", b"fine");
        write("b.md", &vec![b'x'; MAX_FILE as usize + 1]);
        write("c.md", b"caf\xe9");
        write("d.md", b"---\ndescription: ok\nx: [\n---\nBody");
        #[cfg(unix)]
        {
            use std::os::unix::fs::{PermissionsExt, symlink};
            symlink("loop.md", folders.project.join("loop.md")).unwrap();
            symlink("a.md", folders.project.join("linked.md")).unwrap();
            write("e.md", b"closed");
            fs::set_permissions(folders.project.join("e.md"), fs::Permissions::from_mode(0o000)).unwrap();
        }
        let texts = Texts::builtin();
        let (commands, mut problems) = folders.list_with_problems(&texts);
        // The superuser reads everything.
        problems.retain(|problem| !matches!(problem.fault, Fault::Unreadable(_)));
        let contents: Vec<(&str, &str)> = commands
            .iter()
            .filter(|command| command.source == Source::Project && command.name != "e")
            .map(|command| (command.name.as_str(), command.content.as_str()))
            .collect();
        let broken = "---\ndescription: ok\nx: [\n---\nBody";
        assert_eq!(contents, [("a", "fine"), ("c", "caf\u{fffd}"), ("d", broken)]);
        let [large, bytes, front_matter] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!((&large.fault, &bytes.fault), (&Fault::TooLarge, &Fault::NotUtf8));
        assert!(matches!(front_matter.fault, Fault::FrontMatter(Some(3..=4))), "{front_matter:?}");
        for problem in &problems {
            let name = problem.file.file_name().unwrap().to_str().unwrap();
            assert!(problem.text(&texts).contains(name), "{}", problem.text(&texts));
        }
        // A name is looked up through links too, and one that leads to itself is none.
        #[cfg(unix)]
        assert_eq!(folders.find("linked", &texts).unwrap().content, "fine");
        assert_eq!(folders.find("loop", &texts), None);
        for number in 0..MAX_FILES {
            write(&format!("n{number:04}.md"), b"");
        }
        let (commands, problems) = folders.list_with_problems(&texts);
        assert!(commands.len() <= MAX_FILES + 1 && problems.iter().any(|problem| problem.fault == Fault::TooMany));
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
