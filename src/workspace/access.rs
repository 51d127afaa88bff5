//! Which files a task may read (`.kilocodeignore`) and which are write-protected (spec 03 §17–18, spec 05 §1.9).
//!
//! An ignore file that is there and cannot be read never opens what it may hide (deviation D30).

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::gitignore::Patterns;
use super::paths;

/// Name of the ignore file in the root of the workspace.
pub const IGNORE_FILE: &str = ".kilocodeignore";

/// The largest ignore file, in bytes.
const MAX_IGNORE_FILE: u64 = 1 << 20;
/// Patterns without effect that are named at most.
const MOST_NAMED: usize = 16;

/// Commands that print files, whose arguments are therefore checked.
const READING_COMMANDS: [&str; 13] =
    ["cat", "less", "more", "head", "tail", "grep", "awk", "sed", "get-content", "gc", "type", "select-string", "sls"];

/// Files that decide what the agent may do, or what an editor runs.
const PROTECTED: &str = ".kilocodeignore\n.kilocodemodes\n.kilocoderules\n.kilocode/**\n.kilocodeprotected\n.rooignore\n\
    .roomodes\n.roorules*\n.clinerules*\n.roo/**\n.vscode/**\n*.code-workspace\n.rooprotected\nAGENTS.md\nAGENT.md";

/// Ignore and protect rules of one workspace.
///
/// The ignore file is read again whenever a question finds it changed (one `stat`); there is no watcher.
pub struct Access {
    cwd: PathBuf,
    /// `cwd` with its links resolved, when that differs: resolved paths lie below it.
    real_cwd: Option<PathBuf>,
    protected: Patterns,
    /// `None`: the rules were given as text and never change.
    file: Option<PathBuf>,
    rules: Mutex<Arc<Rules>>,
}

/// The ignore file as last read.
#[derive(Clone, Default)]
struct Rules {
    /// `None` without a file, and for one that could not be read.
    stamp: Option<Stamp>,
    /// Text of the file; `None` when there is none. Empty text switches the rules off.
    content: Option<String>,
    patterns: Patterns,
    /// Why the file, which is there, cannot be read. Text and patterns are those of the time when it could.
    unreadable: Option<String>,
}

/// What is wrong with an ignore file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// It cannot be read, as the text says. Its last known patterns hold; without any no file of the workspace is accessible.
    Unreadable(String),
    /// The pattern in this line, from 1, can never match.
    Pattern(usize),
}

/// What tells one version of a file from the next.
#[derive(Clone, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    identity: (u64, u64, i64),
}

impl Access {
    /// The rules of the workspace at `cwd` (absolute). A missing ignore file means no ignore rules; with one that cannot be read
    /// nothing in the workspace is accessible.
    pub fn load(cwd: &Path) -> Access {
        let access = Access { file: Some(cwd.join(IGNORE_FILE)), ..Access::from_text(cwd, None) };
        access.rules();
        access
    }

    /// Rules from the text of an ignore file (`None`: there is none) instead of the disk.
    pub fn from_text(cwd: &Path, ignore: Option<&str>) -> Access {
        Access {
            cwd: cwd.to_owned(),
            real_cwd: fs::canonicalize(cwd).ok().filter(|real| real != cwd),
            protected: Patterns::parse(PROTECTED),
            file: None,
            rules: Mutex::new(Arc::new(Rules::new(None, ignore.map(str::to_owned)))),
        }
    }

    /// Whether the ignore rules let a path (absolute, or relative to the workspace) be read. Links are followed first; what
    /// lies outside the workspace is not subject to the rules.
    pub fn accessible(&self, path: impl AsRef<Path>) -> bool {
        self.allows(&self.rules(), path.as_ref())
    }

    /// The paths that may be read.
    pub fn filter<P: AsRef<Path>>(&self, paths: Vec<P>) -> Vec<P> {
        let rules = self.rules();
        paths.into_iter().filter(|path| self.allows(&rules, path.as_ref())).collect()
    }

    /// The first argument of a file-printing command that may not be read. Deliberately simple: words are split at white
    /// space, quotes and pipes are not understood, options and absolute paths are skipped.
    pub fn blocked_by_command(&self, command: &str) -> Option<String> {
        let rules = self.rules();
        if rules.allow_everything() {
            return None;
        }
        let mut words = command.split(crate::ecma::is_space).filter(|word| !word.is_empty());
        let first = words.next()?.to_lowercase();
        if !READING_COMMANDS.contains(&first.as_str()) {
            return None;
        }
        words
            .filter(|word| !word.starts_with(['-', '/']) && !word.contains(':'))
            .find(|word| !self.allows(&rules, Path::new(word)))
            .map(str::to_owned)
    }

    /// Text of the ignore file while its rules are in force.
    pub fn ignore_content(&self) -> Option<String> {
        self.rules().content.clone().filter(|content| !content.is_empty())
    }

    /// The block about the ignore file in the system prompt (spec 03 §17.1) around its `prose`; `None` without rules.
    pub fn instructions(&self, prose: &str) -> Option<String> {
        self.ignore_content().map(|content| format!("# {IGNORE_FILE}\n\n({prose})\n\n{content}\n{IGNORE_FILE}"))
    }

    /// What is wrong with the ignore file now.
    pub fn problems(&self) -> Vec<Problem> {
        let rules = self.rules();
        let patterns = rules.patterns.idle_lines().iter().take(MOST_NAMED).copied().map(Problem::Pattern);
        rules.unreadable.iter().cloned().map(Problem::Unreadable).chain(patterns).collect()
    }

    /// Whether writing this path needs the approval for protected files. Links are not resolved.
    pub fn is_protected(&self, path: impl AsRef<Path>) -> bool {
        let absolute = paths::resolve(&self.cwd, path);
        inside(&paths::relative_to(&self.cwd, &absolute)).is_some_and(|relative| self.protected.excludes(&relative))
    }

    fn allows(&self, rules: &Rules, path: &Path) -> bool {
        if rules.allow_everything() {
            return true;
        }
        let absolute = paths::resolve(&self.cwd, path);
        let real = fs::canonicalize(&absolute).unwrap_or(absolute);
        let relative = [Some(&self.cwd), self.real_cwd.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|base| inside(&paths::relative_to(base, &real)));
        !relative.is_some_and(|relative| !rules.is_active() || rules.patterns.excludes(&relative))
    }

    /// The rules in force, read again when the file changed.
    fn rules(&self) -> Arc<Rules> {
        // The lock only guards the swap of a finished value, so a poisoned one is still sound.
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            match fs::metadata(file) {
                Ok(metadata) if rules.stamp.as_ref() == Some(&Stamp::of(&metadata)) => {}
                Ok(metadata) => {
                    *rules = Arc::new(match read_text(file, &metadata) {
                        Ok(content) => Rules::new(Some(Stamp::of(&metadata)), Some(content)),
                        Err(cause) => rules.closed(&cause),
                    });
                }
                Err(cause) if is_absence(&cause) => {
                    if rules.content.is_some() || rules.unreadable.is_some() {
                        *rules = Arc::new(Rules::default());
                    }
                }
                Err(cause) => *rules = Arc::new(rules.closed(&cause)),
            }
        }
        rules.clone()
    }
}

/// Whether an absolute path lies outside the workspace folders, or leads out of them through links. Of a path that does not
/// exist yet its nearest parent counts; a link that leads nowhere is taken to lead out.
pub fn leads_outside(folders: &[PathBuf], absolute: &Path) -> bool {
    let absolute = paths::normalise(absolute);
    if paths::outside_workspace(folders, &absolute) {
        return true;
    }
    let mut inside = absolute.ancestors().take_while(|path| !paths::outside_workspace(folders, path));
    // Where nothing of the path exists there is no link in it either.
    let Some(nearest) = inside.find(|path| fs::symlink_metadata(path).is_ok()) else { return false };
    let real = |path: &Path| fs::canonicalize(path).ok();
    let folders: Vec<PathBuf> = folders.iter().map(|folder| real(folder).unwrap_or_else(|| folder.clone())).collect();
    real(nearest).is_none_or(|real| paths::outside_workspace(&folders, &real))
}

impl Rules {
    fn new(stamp: Option<Stamp>, content: Option<String>) -> Rules {
        let patterns = match &content {
            Some(text) => Patterns::parse(&format!("{text}\n{IGNORE_FILE}")),
            None => Patterns::default(),
        };
        Rules { stamp, content, patterns, unreadable: None }
    }

    /// These rules once their file cannot be read any more.
    fn closed(&self, cause: &io::Error) -> Rules {
        Rules { stamp: None, unreadable: Some(cause.to_string()), ..self.clone() }
    }

    /// There are no rules, for sure.
    fn allow_everything(&self) -> bool {
        !self.is_active() && self.unreadable.is_none()
    }

    fn is_active(&self) -> bool {
        self.content.as_ref().is_some_and(|content| !content.is_empty())
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            #[cfg(unix)]
            identity: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino(), metadata.ctime_nsec())
            },
        }
    }
}

/// The relative path with forward slashes if it leads into the base folder; `None` for the folder itself and what is outside.
fn inside(relative: &Path) -> Option<String> {
    let text = relative.to_string_lossy();
    let text = if cfg!(windows) { paths::posix(&text) } else { text.into_owned() };
    let outside = text.is_empty() || relative.is_absolute() || text == ".." || text.starts_with("../");
    (!outside).then_some(text)
}

/// Whether the system says that there is no such file.
fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads the ignore file; only a regular one, so that a pipe of that name cannot block.
fn read_text(file: &Path, metadata: &Metadata) -> io::Result<String> {
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_IGNORE_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_IGNORE_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_IGNORE_FILE} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §17: read again when it was changed, made or deleted
    /// parity 03 §17.1: the block of the prompt
    /// parity 03 §quirks.17: an empty file hides nothing, another one hides itself
    #[test]
    fn rules_follow_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let access = Access::load(folder.path());
        assert!(access.accessible("a.log"));
        fs::write(folder.path().join(IGNORE_FILE), "*.log\n").expect("written");
        assert!(!access.accessible("a.log"));
        assert!(!access.accessible(IGNORE_FILE));
        assert_eq!(
            access.instructions("prose").as_deref(),
            Some("# .kilocodeignore\n\n(prose)\n\n*.log\n\n.kilocodeignore")
        );
        fs::write(folder.path().join(IGNORE_FILE), "").expect("written");
        assert!(access.accessible("a.log"));
        fs::write(folder.path().join(IGNORE_FILE), "a*\n").expect("written");
        assert!(!access.accessible("a.log"));
        fs::remove_file(folder.path().join(IGNORE_FILE)).expect("removed");
        assert!(access.accessible("a.log"));
    }

    /// parity 03 §17: the rules are for where a link leads
    #[cfg(unix)]
    #[test]
    fn links_are_followed_before_the_rules_apply() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("secret")).expect("made");
        fs::write(root.join("secret/key"), "k").expect("written");
        fs::write(root.join(IGNORE_FILE), "secret/\n").expect("written");
        std::os::unix::fs::symlink("secret", root.join("open")).expect("linked");
        std::os::unix::fs::symlink("/etc/passwd", root.join("out")).expect("linked");
        std::os::unix::fs::symlink(root, root.join("secret/self")).expect("linked");
        let access = Access::load(root);
        assert!(!access.accessible("open/key"));
        assert!(access.accessible("out"));
        assert!(access.accessible("secret"));
        let through = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(root, through.path().join("ws")).expect("linked");
        assert!(!Access::load(&through.path().join("ws")).accessible("secret/key"));
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_workspace_are_outside() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = folder.path().join("ws");
        fs::create_dir_all(workspace.join("d")).expect("made");
        fs::write(workspace.join("d/f"), "").expect("written");
        for (target, link) in [("/etc", "out"), ("/none/x", "nowhere"), ("d", "in"), (".", "self")] {
            std::os::unix::fs::symlink(target, workspace.join(link)).expect("linked");
        }
        std::os::unix::fs::symlink("ws", folder.path().join("alias")).expect("linked");
        for (path, outside) in [
            ("d/f", false),
            ("d/new/deep", false),
            ("in/f", false),
            ("self/self/d", false),
            ("", false),
            ("out", true),
            ("out/passwd", true),
            ("out/new", true),
            ("nowhere", true),
            ("../ws2", true),
        ] {
            let through = folder.path().join("alias");
            assert_eq!(leads_outside(std::slice::from_ref(&workspace), &workspace.join(path)), outside, "{path}");
            assert_eq!(leads_outside(std::slice::from_ref(&through), &through.join(path)), outside, "{path}");
        }
        assert!(!leads_outside(&["/nowhere/ws".into()], Path::new("/nowhere/ws/a")));
        assert!(leads_outside(&[], &workspace));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_as_ignore_file_does_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join(IGNORE_FILE);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("a program").success());
        assert!(!Access::load(folder.path()).accessible("a"));
    }

    /// parity 03 §17: a file that cannot be read opens nothing (D30)
    #[test]
    fn an_ignore_file_that_cannot_be_read_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(IGNORE_FILE);
        let write = |bytes: &[u8]| fs::write(&file, bytes).expect("written");
        let large = vec![b'#'; MAX_IGNORE_FILE as usize + 1];
        write(&large);
        let access = Access::load(folder.path());
        let closed = |access: &Access| {
            assert!(matches!(access.problems()[..], [Problem::Unreadable(_)]));
            assert!(!access.accessible("a.txt") && access.filter(vec!["a.txt"]).is_empty());
            assert!(access.accessible("../a.txt"), "what lies outside is not the file's business");
            assert_eq!(access.blocked_by_command("cat a.txt").as_deref(), Some("a.txt"));
            assert_eq!(access.instructions("prose"), None);
        };
        closed(&access);
        // Once it was readable its patterns stay until it is so again.
        write(b"*.log\n");
        assert!(access.accessible("a.txt") && !access.accessible("a.log") && access.problems().is_empty());
        write(&large);
        assert!(access.accessible("a.txt") && !access.accessible("a.log") && access.problems().len() == 1);
        assert!(access.ignore_content().is_some());
        // An empty file had no patterns that could stay.
        write(b"");
        assert!(access.accessible("a.log"));
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("made");
        closed(&Access::load(folder.path()));
        assert!(!access.accessible("a.txt"));
        fs::remove_dir(&file).expect("removed");
        assert!(access.accessible("a.txt") && access.accessible("a.log") && access.problems().is_empty());
        write(b"caf\xe9*\n*.log\n");
        assert!(!access.accessible("a.log") && access.accessible("a.txt"), "bytes that are no text spoil one line");
    }

    #[cfg(unix)]
    #[test]
    fn an_ignore_file_behind_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(IGNORE_FILE);
        std::os::unix::fs::symlink("rules", &file).expect("linked");
        let access = Access::load(folder.path());
        assert!(access.accessible("a.log"), "a link that leads nowhere is no file");
        fs::write(folder.path().join("rules"), "*.log").expect("written");
        assert!(!access.accessible("a.log"));
        fs::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink(IGNORE_FILE, &file).expect("linked");
        assert!(!access.accessible("a.log"), "a link to itself cannot be read");
        assert!(!Access::load(folder.path()).accessible("a"));
    }

    #[test]
    fn patterns_without_effect_are_named_by_line() {
        let text = "# fine\n[open\nok\n!\n\n/\n[]\nlast\n";
        let access = Access::from_text(Path::new("/ws"), Some(text));
        assert_eq!(access.problems(), [2, 4, 6, 7].map(Problem::Pattern));
        assert!(!access.accessible("ok") && !access.accessible("last"));
        let many = Access::from_text(Path::new("/ws"), Some(&"[\n".repeat(1000)));
        assert_eq!(many.problems().len(), MOST_NAMED);
    }

    /// parity 03 §checklist.29: words of file-printing commands, as they stand
    #[test]
    fn commands_that_print_ignored_files() {
        let access = Access::from_text(Path::new("/ws"), Some(".env\nsecret/\n*.key\n"));
        for (command, blocked) in [
            ("cat .env", Some(".env")),
            ("CAT  .ENV", Some(".ENV")),
            (" head -n 5 a.txt secret/x b.key", Some("secret/x")),
            ("grep -r x ./sub/../.env", Some("./sub/../.env")),
            ("sls x a.key", Some("a.key")),
            ("get-content .env", Some(".env")),
            ("cat\u{a0}.env", Some(".env")),
            ("cat /abs/.env", None),
            ("sudo cat .env", None),
            ("cat \".env\"", None),
            ("cat C:.env", None),
            ("cat -.env", None),
            ("cat ../.env", None),
            ("cat a.txt | cat", None),
            ("echo .env", None),
            ("cat", None),
            ("", None),
        ] {
            assert_eq!(access.blocked_by_command(command).as_deref(), blocked, "{command}");
        }
        assert_eq!(Access::from_text(Path::new("/ws"), Some("")).blocked_by_command("cat .env"), None);
    }

    /// parity 03 §quirks.18: ignore and protect rules do not tell upper from lower case
    #[test]
    fn letters_of_any_case_and_form() {
        let access = Access::from_text(Path::new("/ws"), Some("Caf\u{e9}.TXT\n"));
        for path in ["caf\u{e9}.txt", "CAF\u{c9}.txt", "cafe\u{301}.txt", "CAFE\u{301}.TXT"] {
            assert!(!access.accessible(path), "{path}");
        }
        assert!(access.accessible("cafe.txt"));
        assert!(access.is_protected("agents.MD") && access.is_protected(".VSCode/x"));
    }

    #[test]
    fn only_paths_inside_the_workspace_are_subject_to_the_rules() {
        let access = Access::from_text(Path::new("/nowhere"), Some("*.log\n"));
        assert!(access.accessible(""));
        assert!(access.accessible("../a.log"));
        assert!(!access.accessible("./x/../a.log"));
    }

    /// parity 03 §checklist.30: every pattern, at any depth or at the root alone
    /// parity 03 §18: as patterns of `.gitignore`, links not followed
    #[test]
    fn protected_files() {
        let access = Access::from_text(Path::new("/ws"), None);
        for path in [
            ".kilocodeignore",
            "deep/.kilocodeignore",
            ".kilocodemodes",
            ".kilocoderules",
            ".kilocode/rules/a.md",
            ".kilocodeprotected",
            ".rooignore",
            ".roomodes",
            ".roorules",
            ".roorules.md",
            ".roorules-code",
            ".clinerules",
            ".clinerules/x",
            "deep/.clinerules-code/x/y",
            ".roo/commands/a.md",
            ".vscode/settings.json",
            "x.code-workspace",
            "deep/x.code-workspace",
            ".rooprotected",
            "AGENTS.md",
            "nested/AGENTS.md",
            "a/b/AGENT.md",
            "/ws/.kilocodeignore",
            "./x/../AGENTS.md",
        ] {
            assert!(access.is_protected(path), "{path}");
        }
        for path in [
            "nested/.kilocode/x",
            "nested/.roo/x",
            "nested/.vscode/x",
            ".kilocoderules-code",
            "../AGENTS.md",
            ".kilocode",
            "AGENTS.md.bak",
            "MYAGENTS.md",
            "a.txt",
            "",
            "/elsewhere/AGENTS.md",
        ] {
            assert!(!access.is_protected(path), "{path}");
        }
    }

    proptest::proptest! {
        /// Whatever an ignore file says, and whatever is asked: no panic, and paths outside are not its business.
        #[test]
        fn any_ignore_file_is_read(text in "([-a-z0-9*?!#/\\[\\]{}\\\\ \r\n]|\\PC)*", path in "([a-z.*]|/|\\.\\./|\\PC)*") {
            let access = Access::from_text(Path::new("/nowhere/ws"), Some(&text));
            access.problems();
            access.blocked_by_command(&format!("cat {path}"));
            access.accessible(&path);
            access.is_protected(&path);
            let outside = format!("/nowhere/else/{}", path.replace('.', ""));
            proptest::prop_assert!(access.accessible(outside));
        }
    }
}
