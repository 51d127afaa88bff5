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
mod tests;
