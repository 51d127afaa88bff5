//! Searching file contents by a regular expression (spec 06 §C.1), as ripgrep does for
//! `--json -e REGEX --glob GLOB --context 1 --no-messages DIRECTORY`, with its own libraries.
//!
//! [`search`] walks and reads, [`Collector`] turns the lines that ripgrep would print into [`FileMatches`]. Files come in the
//! order of their paths, so that a cut search always shows the same part.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};

use super::{paths, reading};

/// Output lines of ripgrep (begin, match, context and end of a file each count) after which a search ends.
pub const MAX_OUTPUT_LINES: usize = 1500;

/// UTF-16 units of a line that are shown.
pub const MAX_LINE: usize = 500;

/// Most memory that one line of a file may take while it is searched, in bytes; a file with a longer one is left out.
const MAX_LINE_BUFFER: usize = 64 << 20;

/// Memory for the automaton that a hostile expression can make grow, in bytes.
const MAX_AUTOMATON: usize = 32 << 20;

/// A file in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMatches {
    /// Absolute path.
    pub path: String,
    /// Runs of consecutive lines: matches with the lines around them.
    pub groups: Vec<Vec<Line>>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Its text with its line end, cut by [`truncate`] when it is long.
    pub text: String,
}

/// Why nothing was searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The regular expression is not valid, or too large.
    #[error("regular expression: {0}")]
    Regex(String),
    /// The glob is not valid.
    #[error("glob: {0}")]
    Glob(String),
}

/// One line of ripgrep's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file begins.
    Begin {
        /// Its absolute path.
        path: String,
    },
    /// A match, or a line beside one.
    Line(Line),
    /// Counts, but shows nothing: a line or path that is not UTF-8.
    Unreadable,
    /// The file ends.
    End,
}

/// Searches all files below `directory` (absolute), or this one file, whose path `glob` selects. Blocking; ends early
/// with what it has once `stop` is set.
///
/// A positive glob, also `*`, selects what hidden and ignore rules would leave out; `!` in front of it inverts. One
/// with a slash is anchored at `directory`. Files that cannot be read, and binary ones, are left out silently.
///
/// # Errors
/// [`SearchError`] when the expression or the glob is not valid.
pub fn search(directory: &Path, regex: &str, glob: &str, stop: &AtomicBool) -> Result<Vec<FileMatches>, SearchError> {
    search_with(directory, &[], regex, glob, stop)
}

/// As [`search`], with other contents for some files: each a file, which need not exist, and where its content stands.
///
/// # Errors
/// As [`search`].
pub fn search_with(
    directory: &Path,
    contents: &[(PathBuf, PathBuf)],
    regex: &str,
    glob: &str,
    stop: &AtomicBool,
) -> Result<Vec<FileMatches>, SearchError> {
    let directory = paths::resolve(Path::new("/"), directory);
    let matcher = matcher(regex)?;
    let selected = selection(&directory, glob)?;
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .before_context(1)
        .after_context(1)
        .heap_limit(Some(MAX_LINE_BUFFER))
        .binary_detection(BinaryDetection::quit(0))
        .build();
    let walk = WalkBuilder::new(&directory)
        .overrides(selected.clone())
        .add_custom_ignore_filename(".rgignore")
        // The user's own configuration of git is not the workspace's, and finding it would read the environment.
        .git_global(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .build();
    let mut collector = Collector::default();
    let mut elsewhere: HashMap<&Path, &Path> = contents.iter().map(|(path, at)| (&**path, &**at)).collect();
    for entry in walk {
        if stop.load(Ordering::Relaxed) || collector.is_full() {
            break;
        }
        let Ok(entry) = entry else { continue };
        // A link named as the place to search is followed, those found on the way are not.
        let is_file = entry.depth() == 0 || entry.file_type().is_some_and(|kind| kind.is_file());
        let place = elsewhere.remove(entry.path()).unwrap_or(entry.path());
        if is_file && let Ok(file) = reading::open(place) {
            search_file(&matcher, &mut searcher, entry.path(), Stoppable { file, stop }, &mut collector);
        }
    }
    for (path, place) in contents.iter().filter(|(path, _)| elsewhere.contains_key(&**path)) {
        // One that is there was left out on the walk.
        let wanted = *path == directory || !path.exists() && !selected.matched(path, false).is_ignore();
        if wanted && let Ok(file) = reading::open(place) {
            search_file(&matcher, &mut searcher, path, Stoppable { file, stop }, &mut collector);
        }
    }
    Ok(collector.finish())
}

/// The line cut after `max` UTF-16 units, with a mark, when it is longer.
pub fn truncate(line: &str, max: usize) -> String {
    let mut units = 0;
    for (at, character) in line.char_indices() {
        units += character.len_utf16();
        if units > max {
            // Half of a surrogate pair is no character of its own.
            let half = if units - character.len_utf16() < max { "\u{fffd}" } else { "" };
            return format!("{}{half} [truncated...]", &line[..at]);
        }
    }
    line.to_owned()
}

fn matcher(regex: &str) -> Result<RegexMatcher, SearchError> {
    RegexMatcherBuilder::new()
        .multi_line(true)
        .unicode(true)
        .octal(false)
        .line_terminator(Some(b'\n'))
        .dfa_size_limit(MAX_AUTOMATON)
        .build(regex)
        .map_err(|error| SearchError::Regex(error.to_string()))
}

fn selection(directory: &Path, glob: &str) -> Result<Override, SearchError> {
    let mut globs = OverrideBuilder::new(directory);
    globs.add(if glob.is_empty() { "*" } else { glob }).map_err(|error| SearchError::Glob(error.to_string()))?;
    globs.build().map_err(|error| SearchError::Glob(error.to_string()))
}

fn search_file(
    matcher: &RegexMatcher,
    searcher: &mut Searcher,
    path: &Path,
    file: Stoppable<'_>,
    collector: &mut Collector,
) {
    let mut sink = FileSink { path, begun: false, collector };
    // A file that fails half-way has no end, and is dropped for that.
    if searcher.search_reader(matcher, file, &mut sink).is_ok() && sink.begun {
        collector.push(Event::End);
    }
}

/// Makes up the groups of each file from lines of output, up to [`MAX_OUTPUT_LINES`].
#[derive(Debug, Default)]
pub struct Collector {
    lines: usize,
    open: Option<FileMatches>,
    files: Vec<FileMatches>,
}

impl Collector {
    /// Takes one line in; ignored when full.
    pub fn push(&mut self, event: Event) {
        if self.is_full() {
            return;
        }
        self.lines += 1;
        match (event, &mut self.open) {
            (Event::Begin { path }, open) => *open = Some(FileMatches { path, groups: Vec::new() }),
            (Event::Line(line), Some(file)) => {
                let line = Line { number: line.number, text: truncate(&line.text, MAX_LINE) };
                match file.groups.last_mut() {
                    Some(group) if group.last().is_some_and(|last| line.number <= last.number.saturating_add(1)) => {
                        group.push(line)
                    }
                    _ => file.groups.push(vec![line]),
                }
            }
            (Event::End, open) => self.files.extend(open.take()),
            (Event::Line(_), None) | (Event::Unreadable, _) => {}
        }
    }

    /// Whether no further line is taken in.
    pub fn is_full(&self) -> bool {
        self.lines >= MAX_OUTPUT_LINES
    }

    /// The files whose end was seen, in their order.
    pub fn finish(self) -> Vec<FileMatches> {
        self.files
    }
}

/// Hands the lines of one file to the collector.
struct FileSink<'a> {
    path: &'a Path,
    begun: bool,
    collector: &'a mut Collector,
}

impl FileSink<'_> {
    fn line(&mut self, number: Option<u64>, bytes: &[u8]) -> bool {
        if !self.begun {
            self.begun = true;
            let path = self.path.to_str().map(|path| Event::Begin { path: path.to_owned() });
            self.collector.push(path.unwrap_or(Event::Unreadable));
        }
        self.collector.push(match (number, std::str::from_utf8(bytes)) {
            // Cut here too: a line may have megabytes, and it is copied.
            (Some(number), Ok(text)) => Event::Line(Line { number, text: beginning(text).to_owned() }),
            _ => Event::Unreadable,
        });
        !self.collector.is_full()
    }
}

impl Sink for FileSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        Ok(self.line(found.line_number(), found.bytes()))
    }

    fn context(&mut self, _: &Searcher, beside: &SinkContext<'_>) -> io::Result<bool> {
        Ok(self.line(beside.line_number(), beside.bytes()))
    }
}

/// As much of a line as decides what [`truncate`] makes of it.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(MAX_LINE + 1).map_or(text, |(end, _)| &text[..end])
}

/// A file that fails as soon as the search is to stop.
struct Stoppable<'a> {
    file: File,
    stop: &'a AtomicBool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix("search").tempdir().expect("a folder");
        for (file, content) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, content).expect("written");
        }
        folder
    }

    /// Found lines as `path:number number|number`, groups parted by a bar.
    fn found(folder: &Path, regex: &str, glob: &str) -> Vec<String> {
        let files = search(folder, regex, glob, &AtomicBool::new(false)).expect("valid");
        let numbers =
            |group: &Vec<Line>| group.iter().map(|line| line.number.to_string()).collect::<Vec<_>>().join(" ");
        let shown = |file: FileMatches| {
            let groups: Vec<String> = file.groups.iter().map(numbers).collect();
            format!("{}:{}", paths::relative(folder, &file.path), groups.join("|"))
        };
        files.into_iter().map(shown).collect()
    }

    #[test]
    fn matches_with_the_lines_around_them() {
        let folder = tree(&[("a.txt", b"1\nx\n3\nx\n5\n6\n7\nx"), ("b/c", b"x\r\ny"), ("empty", b"")]);
        assert_eq!(found(folder.path(), "^x", ""), ["a.txt:1 2 3 4 5|7 8", "b/c:1 2"]);
        assert_eq!(found(&folder.path().join("a.txt"), "3", "*.none"), [":2 3 4"]);
        assert_eq!(found(&folder.path().join("none"), "x", "*"), [""; 0]);
    }

    #[test]
    fn a_positive_glob_overrides_hidden_and_ignore_rules() {
        let files: [&str; 7] = [".git/x.ts", ".hid/x.ts", ".h.ts", "i/x.ts", "i.ts", "n/x.js", "n/x.ts"];
        let folder = tree(&files.map(|file| (file, &b"x\n"[..])));
        fs::write(folder.path().join(".gitignore"), "i/\ni.ts\n").expect("written");
        for (glob, expected) in [
            ("*", ".git/x.ts .h.ts .hid/x.ts i/x.ts i.ts n/x.js n/x.ts"),
            ("*.ts", ".h.ts i.ts n/x.ts"),
            ("!*.ts", "n/x.js"),
            ("n/*.ts", "n/x.ts"),
            ("n/**", "n/x.js n/x.ts"),
            ("*.{js,md}", "n/x.js"),
        ] {
            let found = found(folder.path(), "x", glob);
            let names: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
            assert_eq!(names.join(" "), expected, "{glob}");
        }
    }

    #[test]
    fn binary_files_and_encodings() {
        let utf16: Vec<u8> = "\u{feff}ä needle\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let folder = tree(&[("binary", b"needle\0"), ("latin", b"\xe4\nneedle\n"), ("utf16", &utf16)]);
        assert_eq!(found(folder.path(), "needle", "*"), ["latin:2", "utf16:1"]);
        assert_eq!(found(folder.path(), "ä", "*"), ["utf16:1"]);
    }

    #[test]
    fn what_is_not_valid_is_an_error() {
        let folder = tree(&[]);
        let tried = |regex, glob| search(folder.path(), regex, glob, &AtomicBool::new(false));
        assert!(matches!(tried("(", "*"), Err(SearchError::Regex(_))));
        assert!(matches!(tried("a\\nb", "*"), Err(SearchError::Regex(_))));
        assert!(matches!(tried("x", "[a"), Err(SearchError::Glob(_))));
        assert_eq!(tried("x", "*"), Ok(Vec::new()));
    }

    #[test]
    fn the_cut_drops_the_file_it_falls_into() {
        let many = "x\n".repeat(800);
        let folder = tree(&[("a", many.as_bytes()), ("b", many.as_bytes()), ("c", b"x\n")]);
        assert_eq!(search(folder.path(), "x", "*", &AtomicBool::new(false)).expect("valid").len(), 1);
        assert_eq!(search(folder.path(), "x", "*", &AtomicBool::new(true)), Ok(Vec::new()));
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_loops() {
        let folder = tree(&[("d/f", b"x\n"), ("e/f", b"y\n")]);
        std::os::unix::fs::symlink("..", folder.path().join("d/up")).expect("linked");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("out")).expect("linked");
        std::os::unix::fs::symlink("d", folder.path().join("link")).expect("linked");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("a program").success());
        assert_eq!(found(folder.path(), ".", "*"), ["d/f:1", "e/f:1"]);
        assert_eq!(found(&folder.path().join("link"), ".", "*"), ["f:1"]);
        assert_eq!(found(&folder.path().join("pipe"), ".", "*"), [""; 0]);
    }

    #[test]
    fn long_lines_are_cut_by_utf16_units() {
        for (line, max, cut) in
            [("abc", 3, "abc"), ("abcd", 3, "abc [truncated...]"), ("", 0, ""), ("a🚀b", 2, "a\u{fffd} [truncated...]")]
        {
            assert_eq!(truncate(line, max), cut, "{line}");
        }
        let long = "é".repeat(100_000);
        assert_eq!(truncate(beginning(&long), MAX_LINE), truncate(&long, MAX_LINE));
    }
}
