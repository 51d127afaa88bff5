//! Diagnostics of an editor: which are new after an edit, and how they are listed (spec 05 §2.7).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::workspace::paths;

/// One diagnostic of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// 0-based start line.
    pub line: u32,
    /// 0-based start column, end line and end column, kept for comparing.
    pub range: (u32, u32, u32),
    /// Message.
    pub message: String,
    /// Who reports it, such as `eslint`.
    pub source: Option<String>,
}

/// Severity, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Error.
    Error,
    /// Warning.
    Warning,
    /// Information.
    Information,
    /// Hint.
    Hint,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Information => "Information",
            Severity::Hint => "Hint",
        }
    }
}

/// All diagnostics of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiagnostics {
    /// Absolute path.
    pub path: PathBuf,
    /// In the editor's order.
    pub items: Vec<Diagnostic>,
}

/// The diagnostics of a host's answer `{files: […]}`; entries of another form are left out.
pub fn from_json(answer: &Value) -> Vec<FileDiagnostics> {
    let files = answer["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    files.iter().filter_map(file_diagnostics).collect()
}

/// `{path, diagnostics: [{severity, range: [line, column, line, column], message, source?}]}`, counted from 0.
fn file_diagnostics(file: &Value) -> Option<FileDiagnostics> {
    let path = PathBuf::from(file["path"].as_str()?);
    let items = file["diagnostics"].as_array()?.iter().filter_map(diagnostic).collect();
    Some(FileDiagnostics { path, items })
}

fn diagnostic(value: &Value) -> Option<Diagnostic> {
    let at = |i: usize| value["range"][i].as_u64().and_then(|n| u32::try_from(n).ok());
    let severity = match value["severity"].as_u64().unwrap_or(0) {
        0 => Severity::Error,
        1 => Severity::Warning,
        2 => Severity::Information,
        _ => Severity::Hint,
    };
    Some(Diagnostic {
        severity,
        line: at(0)?,
        range: (at(1)?, at(2)?, at(3)?),
        message: value["message"].as_str()?.to_owned(),
        source: value["source"].as_str().map(str::to_owned),
    })
}

/// Those of `after` that their file did not have in `before`.
pub fn new_since(before: &[FileDiagnostics], after: Vec<FileDiagnostics>) -> Vec<FileDiagnostics> {
    let old: HashMap<&Path, &[Diagnostic]> = before.iter().map(|file| (&*file.path, &*file.items)).collect();
    after
        .into_iter()
        .map(|mut file| {
            let known = old.get(&*file.path).copied().unwrap_or_default();
            file.items.retain(|item| !known.contains(item));
            file
        })
        .filter(|file| !file.items.is_empty())
        .collect()
}

/// A list of diagnostics, and how many did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The list, trimmed; empty when there is nothing to tell.
    pub text: String,
    /// How many were left out.
    pub omitted: usize,
}

/// Lists the diagnostics of at most `worst` severity by file, the worst `max` of them (all when `max` is `None`).
///
/// Reads the named files for the text of their lines.
pub fn list(files: &[FileDiagnostics], worst: Severity, cwd: &Path, max: Option<usize>) -> Listing {
    let mut wanted: Vec<(&Path, &Diagnostic)> = files
        .iter()
        .flat_map(|file| file.items.iter().map(|item| (&*file.path, item)))
        .filter(|(_, item)| item.severity <= worst)
        .collect();
    let all = wanted.len();
    if let Some(max) = max {
        wanted.sort_by_key(|(_, item)| (item.severity, item.line));
        wanted.truncate(max);
    }
    let mut groups: Vec<(&Path, Vec<&Diagnostic>)> = Vec::new();
    let mut places: HashMap<&Path, usize> = HashMap::new();
    for (path, item) in &wanted {
        let place = *places.entry(path).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, items)) => items.push(item),
            None => groups.push((path, vec![item])),
        }
    }
    let text: String = groups.into_iter().map(|(path, items)| file_text(path, items, cwd)).collect();
    Listing { text: text.trim().to_owned(), omitted: all - wanted.len() }
}

fn file_text(path: &Path, mut items: Vec<&Diagnostic>, cwd: &Path) -> String {
    items.sort_by_key(|item| item.line);
    let lines = FileLines::read(path);
    let mut text = format!("\n\n{}", paths::posix(&paths::relative_to(cwd, path).to_string_lossy()));
    for item in items {
        let source = item.source.as_deref().filter(|source| !source.is_empty());
        let source = source.map(|source| format!("{source} ")).unwrap_or_default();
        let (label, message) = (item.severity.label(), &item.message);
        text.push_str(&format!("\n- [{source}{label}] {} : {message}", lines.shown(item.line)));
    }
    text
}

/// The lines of a file that can be shown.
enum FileLines {
    Folder,
    Unreadable,
    Lines(String),
}

impl FileLines {
    /// Files larger than this are not read for the sake of a line.
    const LARGEST: u64 = 16 << 20;

    fn read(path: &Path) -> FileLines {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => FileLines::Folder,
            Ok(metadata) if metadata.is_file() && metadata.len() <= FileLines::LARGEST => std::fs::read(path)
                .map_or(FileLines::Unreadable, |bytes| FileLines::Lines(String::from_utf8_lossy(&bytes).into_owned())),
            _ => FileLines::Unreadable,
        }
    }

    /// `<1-based line> | <text>` of a 0-based line.
    fn shown(&self, line: u32) -> String {
        let number = u64::from(line) + 1;
        match self {
            FileLines::Folder => "1 | (directory)".to_owned(),
            FileLines::Unreadable => format!("{number} | (unavailable)"),
            FileLines::Lines(text) => match text.split('\n').nth(line as usize) {
                Some(line) => format!("{number} | {}", line.strip_suffix('\r').unwrap_or(line)),
                None => format!("{number} | (unavailable)"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(severity: Severity, line: u32, message: &str) -> Diagnostic {
        Diagnostic { severity, line, range: (0, line, 1), message: message.into(), source: Some("ts".into()) }
    }

    #[test]
    fn listed_by_severity_cut_and_grouped_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a.ts"), folder.path().join("d/b.ts"));
        std::fs::write(&a, "one\r\ntwo\n").expect("written");
        let files = [
            FileDiagnostics { path: b, items: vec![item(Severity::Warning, 0, "w"), item(Severity::Error, 4, "late")] },
            FileDiagnostics { path: a, items: vec![item(Severity::Error, 1, "x"), item(Severity::Error, 0, "y")] },
        ];
        let listing = list(&files, Severity::Warning, folder.path(), Some(3));
        assert_eq!(
            listing.text,
            "a.ts\n- [ts Error] 1 | one : y\n- [ts Error] 2 | two : x\n\nd/b.ts\n- [ts Error] 5 | (unavailable) : late"
        );
        assert_eq!(listing.omitted, 1);
        assert_eq!(list(&files, Severity::Error, folder.path(), None).text.matches("Error]").count(), 3);
    }

    #[test]
    fn only_diagnostics_of_the_same_file_count_as_old() {
        let file = |path: &str, items: Vec<Diagnostic>| FileDiagnostics { path: path.into(), items };
        let (x, y) = (item(Severity::Error, 1, "x"), item(Severity::Error, 2, "y"));
        let before = [file("/a", vec![x.clone()])];
        let after = vec![file("/a", vec![x.clone(), y.clone()]), file("/b", vec![x.clone()])];
        assert_eq!(new_since(&before, after), [file("/a", vec![y]), file("/b", vec![x])]);
    }
}
