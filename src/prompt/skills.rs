//! Skills: instructions for one kind of work, which the model reads only when a task needs them. A skill is a folder with a file
//! `SKILL.md`, whose front matter says its name and what it is for; the prompt has one line for each (`docs/skills.md`).
//!
//! The specification knows none: this is the form that agents have in common. Files are read when a request is built and may
//! block. Of a file only its front matter is read here, so that a link to something else shows nothing of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::folders;
use super::front_matter::FrontMatter;
use super::rules::is_file_name;
use super::text::{Texts, context};
use crate::ecma;
use crate::workspace::access::Access;
use crate::workspace::{paths, reading};

/// The file of a skill in its folder.
const FILE: &str = "SKILL.md";
/// Skills that are listed at most, the first in order of names.
const MOST_SKILLS: usize = 100;
/// Entries of one folder that are looked at.
const MOST_ENTRIES: usize = 1_000;
/// The front matter must end within so many bytes.
const MOST_BYTES: u64 = 16 << 10;
/// Longest name and longest description, in characters; a longer description is cut.
const LONGEST_NAME: usize = 64;
const LONGEST_DESCRIPTION: usize = 500;

/// What skills are looked for.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The task's working directory.
    pub cwd: &'a Path,
    /// The user's home directory.
    pub home: &'a Path,
    /// Slug of the mode, whose own skills count too.
    pub mode: &'a str,
    /// Ignore rules: what they hide is no skill.
    pub access: &'a Access,
}

/// A skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// What it is for, in one line.
    pub description: String,
    /// Where its file stands: relative in a project, absolute in the user's folder, with forward slashes.
    pub path: String,
}

/// Skills in order of their names, and what is wrong with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skills {
    /// Those that are offered.
    pub skills: Vec<Skill>,
    /// What is left out, or not as it was meant.
    pub problems: Vec<Problem>,
}

/// A skill that is not offered, or not as its author meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Its file, or the folder of skills.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a skill.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The file cannot be read; the system's words.
    Unreadable(String),
    /// There is no front matter, or it does not end where it should, or is no YAML of names and values.
    FrontMatter,
    /// `name` is missing, too long, or has other characters than letters, digits, `-`, `_` and `.`.
    Name,
    /// `description` is missing or blank.
    Description,
    /// The folder has more entries, or there are more skills, than are looked at.
    TooMany,
}

impl Problem {
    /// The sentence for the user.
    pub fn text(&self, texts: &Texts) -> String {
        let path = self.path.to_string_lossy();
        match &self.fault {
            Fault::Unreadable(cause) => texts.render("skills.unreadable", context! { path, cause }),
            Fault::FrontMatter => texts.render("skills.front_matter", context! { path }),
            Fault::Name => texts.render("skills.name", context! { path, most => LONGEST_NAME }),
            Fault::Description => texts.render("skills.description", context! { path }),
            Fault::TooMany => texts.render("skills.too_many", context! { path, most => MOST_SKILLS }),
        }
    }
}

/// The skills of a workspace and its user. Of a name the mode's own comes before that for all modes, and the project's before the
/// user's.
pub fn read(from: &Sources<'_>) -> Skills {
    let of_mode = is_file_name(from.mode).then(|| format!("skills-{}", from.mode));
    let names = of_mode.into_iter().chain(["skills".to_owned()]);
    let (project, global) = (folders::project(from.cwd), folders::global(from.home));
    let mut problems = Vec::new();
    let mut found: BTreeMap<String, Skill> = BTreeMap::new();
    for (folder, in_project) in names.flat_map(|name| [(project.join(&name), true), (global.join(&name), false)]) {
        for file in files(&folder, &mut problems) {
            if in_project && !from.access.accessible(&file) {
                continue;
            }
            match skill(&file, if in_project { Some(from.cwd) } else { None }) {
                Ok(Some(skill)) => drop(found.entry(skill.name.clone()).or_insert(skill)),
                Ok(None) => {}
                Err(fault) => problems.push(Problem { path: file, fault }),
            }
        }
    }
    if found.len() > MOST_SKILLS {
        problems.push(Problem { path: project.join("skills"), fault: Fault::TooMany });
    }
    Skills { skills: found.into_values().take(MOST_SKILLS).collect(), problems }
}

/// The block of the prompt; `None` without skills.
pub fn block(skills: &[Skill], texts: &Texts) -> Option<String> {
    if skills.is_empty() {
        return None;
    }
    let mut block = format!("# Skills\n\n{}\n", texts.get("skills.intro"));
    for Skill { name, description, path } in skills {
        let _ = write!(block, "\n- {name}: {description} ({path})");
    }
    Some(block)
}

/// The files of skills that a folder may have, in order of the names of their folders.
fn files(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().take(MOST_ENTRIES + 1).map(|entry| entry.path()).collect();
    if found.len() > MOST_ENTRIES {
        problems.push(Problem { path: folder.to_owned(), fault: Fault::TooMany });
        found.truncate(MOST_ENTRIES);
    }
    found.retain(|path| path.is_dir());
    found.sort();
    found.into_iter().map(|path| path.join(FILE)).collect()
}

/// The skill of a file; `None` when there is no file.
fn skill(file: &Path, cwd: Option<&Path>) -> Result<Option<Skill>, Fault> {
    let mut head = Vec::new();
    let read = match reading::open(file) {
        Ok(file) => file.take(MOST_BYTES).read_to_end(&mut head).map_err(|cause| cause.to_string()),
        Err(reading::ReadError::NotFound(_)) => return Ok(None),
        Err(error) => Err(error.to_string()),
    };
    read.map_err(Fault::Unreadable)?;
    let head = String::from_utf8_lossy(&head);
    let front_matter = FrontMatter::of(&head);
    if front_matter.fault.is_some() || front_matter.attributes.is_empty() || !ends(&head) {
        return Err(Fault::FrontMatter);
    }
    let name = front_matter.attribute("name").filter(|name| is_name(name)).ok_or(Fault::Name)?;
    let description = front_matter.attribute("description").ok_or(Fault::Description)?;
    let shown = cwd.map_or_else(|| file.to_owned(), |cwd| paths::relative_to(cwd, file));
    Ok(Some(Skill { name, description: one_line(&description), path: paths::posix(&shown.to_string_lossy()) }))
}

/// Whether the front matter ends: without an end all that was read would be front matter.
fn ends(text: &str) -> bool {
    text.lines().skip(1).any(|line| line.starts_with("---"))
}

fn is_name(name: &str) -> bool {
    name.chars().count() <= LONGEST_NAME && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// White space as single blanks, and no longer than a description may be.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(ecma::is_space).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_DESCRIPTION) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace `ws` and a home `h` below a temporary folder.
    struct World(tempfile::TempDir);

    impl World {
        fn new(files: &[(&str, &str)]) -> World {
            let world = World(tempfile::tempdir().unwrap());
            fs::create_dir(world.0.path().join("ws")).unwrap();
            for (path, text) in files {
                world.write(path, text);
            }
            world
        }

        fn write(&self, path: &str, text: &str) {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn read(&self, mode: &str) -> Skills {
            let (cwd, home) = (self.0.path().join("ws"), self.0.path().join("h"));
            read(&Sources { cwd: &cwd, home: &home, mode, access: &Access::load(&cwd) })
        }

        /// Names and descriptions.
        fn found(&self, mode: &str) -> Vec<(String, String)> {
            self.read(mode).skills.into_iter().map(|skill| (skill.name, skill.description)).collect()
        }
    }

    fn text(name: &str, description: &str) -> String {
        format!("---\nname: {name}\ndescription: {description}\n---\n\nDo it.\n")
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, description)| ((*name).to_owned(), (*description).to_owned())).collect()
    }

    #[test]
    fn nearer_skills_come_first() {
        let world = World::new(&[
            ("h/.kilocode/skills/pdf/SKILL.md", &text("pdf", "home")),
            ("h/.kilocode/skills/own/SKILL.md", &text("own", "home")),
            ("h/.kilocode/skills-ask/pdf/SKILL.md", &text("pdf", "home, ask")),
            ("ws/.kilocode/skills/x/SKILL.md", &text("pdf", "project")),
            ("ws/.kilocode/skills/x/deep/SKILL.md", &text("deep", "no")),
            ("ws/.kilocode/skills/notes.md", "no skill"),
            ("ws/.kilocode/skills/empty/other.md", "no skill"),
        ]);
        assert_eq!(world.found("code"), pairs(&[("own", "home"), ("pdf", "project")]));
        assert_eq!(world.found("ask"), pairs(&[("own", "home"), ("pdf", "home, ask")]));
        assert_eq!(world.found("../x"), world.found("code"));
        let Skills { skills, problems } = world.read("code");
        assert_eq!(skills[1].path, ".kilocode/skills/x/SKILL.md");
        assert!(Path::new(&skills[0].path).is_absolute() && problems.is_empty(), "{problems:?}");
        let block = block(&skills, &Texts::builtin()).unwrap();
        assert!(block.starts_with("# Skills\n\n") && block.ends_with("\n- pdf: project (.kilocode/skills/x/SKILL.md)"));
        assert_eq!(super::block(&[], &Texts::builtin()), None);
        world.write("ws/.kilocodeignore", ".kilocode/skills/x/\n");
        assert_eq!(world.found("code"), pairs(&[("own", "home"), ("pdf", "home")]));
    }

    #[test]
    fn what_is_no_skill_is_named() {
        let long = format!("---\nname: long\ndescription: {}\n---\n", "x".repeat(MOST_BYTES as usize));
        let world = World::new(&[
            ("ws/.kilocode/skills/a/SKILL.md", "Do it."),
            ("ws/.kilocode/skills/b/SKILL.md", "---\nname: b\ndescription: [\n---\n"),
            ("ws/.kilocode/skills/c/SKILL.md", "---\nname: b\ndescription: open"),
            ("ws/.kilocode/skills/d/SKILL.md", &text("two words", "x")),
            ("ws/.kilocode/skills/e/SKILL.md", "---\ndescription: x\n---\n"),
            ("ws/.kilocode/skills/f/SKILL.md", "---\nname: f\ndescription: ' '\n---\n"),
            ("ws/.kilocode/skills/g/SKILL.md", &text(&"x".repeat(LONGEST_NAME + 1), "x")),
            ("ws/.kilocode/skills/h/SKILL.md", &long),
            ("ws/.kilocode/skills/i/SKILL.md/x", "a folder"),
            ("ws/.kilocode/skills/z/SKILL.md", "---\nname: z\ndescription: |\n  two\n\n  lines\nmore: 1\n---\nBody"),
        ]);
        let Skills { skills, problems } = world.read("code");
        assert_eq!(skills.len(), 1);
        assert_eq!((skills[0].name.as_str(), skills[0].description.as_str()), ("z", "two lines"));
        let faults: Vec<&Fault> = problems.iter().map(|problem| &problem.fault).collect();
        use Fault::{Description, FrontMatter, Name, Unreadable};
        assert!(
            matches!(
                faults[..],
                [FrontMatter, FrontMatter, FrontMatter, Name, Name, Description, Name, FrontMatter, Unreadable(_)]
            ),
            "{faults:?}"
        );
        let texts = Texts::builtin();
        assert!(problems.iter().all(|problem| problem.text(&texts).contains("SKILL.md")));
    }

    #[cfg(unix)]
    #[test]
    fn links_show_nothing_of_what_is_no_skill() {
        use std::os::unix::fs::symlink;

        let world = World::new(&[("out/secret", "password: hunter2"), ("out/pdf/SKILL.md", &text("pdf", "shared"))]);
        let folder = world.0.path().join("ws/.kilocode/skills");
        fs::create_dir_all(folder.join("leak")).unwrap();
        symlink(world.0.path().join("out/secret"), folder.join("leak/SKILL.md")).unwrap();
        symlink(world.0.path().join("out/pdf"), folder.join("pdf")).unwrap();
        symlink(&folder, folder.join("loop")).unwrap();
        symlink("self", folder.join("self")).unwrap();
        let Skills { skills, problems } = world.read("code");
        assert_eq!(skills.len(), 1);
        assert_eq!(skills[0].path, ".kilocode/skills/pdf/SKILL.md");
        let shown = problems.iter().map(|problem| problem.text(&Texts::builtin())).collect::<String>();
        assert!(problems.len() == 1 && !shown.contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn many_and_long_skills_are_bounded() {
        let world = World::new(&[]);
        for number in 0..MOST_SKILLS + 20 {
            world.write(
                &format!("h/.kilocode/skills/s{number}/SKILL.md"),
                &text(&format!("s{number:04}"), &"é ".repeat(400)),
            );
        }
        let Skills { skills, problems } = world.read("code");
        assert_eq!((skills.len(), problems.len()), (MOST_SKILLS, 1));
        assert!(skills.iter().all(|skill| skill.description.chars().count() == LONGEST_DESCRIPTION + 1));
    }
}
