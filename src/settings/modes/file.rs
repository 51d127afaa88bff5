//! Reading a file of custom modes: `custom_modes.yaml` of the user, `.kilocodemodes` of a project (spec 03 §10.2, §10.3).
//!
//! What is wrong with one mode leaves that mode out, never the others (deviation D09).

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::Group;
use crate::ecma::pattern::{Finder, Unusable};

/// The largest file of modes that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// The key with the list of modes.
pub const KEY: &str = "customModes";
/// Modes of one file that are taken at most.
const MAX_MODES: usize = 1024;
/// Faults of one mode that are named at most.
const MAX_FAULTS: usize = 16;
/// Keys of a mode that hold a text it may lack.
const OPTIONAL: [&str; 4] = ["whenToUse", "description", "customInstructions", "iconName"];

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `custom_modes.yaml` in the settings folder.
    Global,
    /// `.kilocodemodes` in the workspace.
    Project,
}

impl Origin {
    /// The `source` of its modes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Global => "global",
            Origin::Project => "project",
        }
    }
}

/// The user's file; `storage` is the engine's data folder.
pub fn global_file(storage: &Path) -> PathBuf {
    storage.join("settings").join("custom_modes.yaml")
}

/// What is wrong in a file of modes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Line of the mode, or of what cannot be parsed, from 1; absent when it is not known.
    pub line: Option<u64>,
    /// The mode, when it says a slug.
    pub slug: Option<String>,
    /// Where, such as `customModes.2.groups`.
    pub place: String,
    /// What should stand there.
    pub issue: String,
}

/// `line 4, mode `x`: customModes.2.groups: must be a list`; the name of the file goes before it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        if let Some(slug) = &self.slug {
            write!(f, "mode `{slug}`, ")?;
        }
        write!(f, "{}: {}", self.place, self.issue)
    }
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModesFile {
    /// The valid modes in the file's order, without unknown keys, with their `source`.
    pub modes: Vec<Value>,
    /// What is wrong with the others.
    pub faults: Vec<Fault>,
}

/// Reads the text of a file of modes.
///
/// # Errors
/// The text is no YAML (nor JSON, in a project), or no object with a list of modes: then it has no modes at all.
pub fn read(text: &str, origin: Origin) -> Result<ModesFile, Fault> {
    let cleaned = clean(text);
    let document = match parse(&cleaned) {
        Err(fault) if origin == Origin::Project => match serde_json::from_str(text) {
            Ok(Value::Object(document)) => document,
            _ => return Err(fault),
        },
        parsed => parsed?,
    };
    let Some(list) = list(&document)? else { return Ok(ModesFile::default()) };
    let lines = lines(&cleaned);
    let mut file = ModesFile::default();
    let mut slugs = std::collections::HashSet::new();
    for (index, entry) in list.iter().enumerate() {
        let slug = entry.get("slug").and_then(Value::as_str);
        let fault = |(place, issue): (String, String)| Fault {
            line: lines.get(index).copied(),
            slug: slug.map(str::to_owned),
            place: format!("{KEY}.{index}{place}"),
            issue,
        };
        let mut issues = Vec::new();
        let checked = check(entry, &mut issues);
        if index >= MAX_MODES {
            issues.push((String::new(), format!("more than {MAX_MODES} modes")));
        } else if slug.is_some_and(|slug| !slugs.insert(slug)) {
            issues.push((".slug".to_owned(), "stands in the file before; slugs must differ".to_owned()));
        }
        issues.truncate(MAX_FAULTS);
        match checked {
            Some(mut mode) if issues.is_empty() => {
                mode.insert("source".into(), origin.as_str().into());
                file.modes.push(Value::Object(mode));
            }
            _ => file.faults.extend(issues.into_iter().map(fault)),
        }
        if index >= MAX_MODES {
            break;
        }
    }
    Ok(file)
}

/// Checks a mode by the schema (spec 03 §10.2). Gives it without unknown keys and without `source`.
///
/// # Errors
/// Everything that is wrong with it, each with its place below the mode, such as `.groups.1`.
pub fn validate(mode: &Value) -> Result<Map<String, Value>, Vec<(String, String)>> {
    let mut issues = Vec::new();
    match check(mode, &mut issues) {
        Some(mode) if issues.is_empty() => Ok(mode),
        _ => Err(issues),
    }
}

/// Project modes in file order, then the global ones with other slugs (spec 03 §10.4).
pub fn merge<'a>(project: &'a [Value], global: &'a [Value]) -> impl Iterator<Item = &'a Value> + Clone {
    let slugs: std::collections::HashSet<&str> = project.iter().filter_map(|mode| mode["slug"].as_str()).collect();
    project
        .iter()
        .chain(global.iter().filter(move |mode| mode["slug"].as_str().is_none_or(|slug| !slugs.contains(slug))))
}

/// The text as it is parsed: without a byte order mark, look-alikes of spaces, quotes and dashes made plain.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let unusual = |c: char| {
        matches!(c, '\u{a0}' | '\u{200b}'..='\u{200d}' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}'
            | '\u{2010}'..='\u{2015}' | '\u{2212}')
    };
    if !text.contains(unusual) {
        return Cow::Borrowed(text);
    }
    let plain = |c| match c {
        '\u{a0}' => Some(' '),
        '\u{200b}'..='\u{200d}' => None,
        '\u{2018}' | '\u{2019}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        other => Some(other),
    };
    Cow::Owned(text.chars().filter_map(plain).collect())
}

/// The object a text is; nothing but comments is an empty one.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, Fault> {
    let whole = |line, issue| Fault { line, slug: None, place: KEY.into(), issue };
    if text.len() > MAX_FILE {
        return Err(whole(None, format!("{} bytes, the limit is {MAX_FILE}", text.len())));
    }
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str_with_options::<Option<Value>>(text, core_schema()) {
        Ok(None | Some(Value::Null)) => Ok(Map::new()),
        Ok(Some(Value::Object(document))) => Ok(document),
        Ok(Some(_)) => Err(whole(Some(1), format!("the file must be an object with the key {KEY}"))),
        Err(error) => Err(whole(error.location().map(|at| at.line()), "the file is not valid YAML".to_owned())),
    }
}

/// YAML 1.2: `yes`, `no`, `on`, `off`, `y` and `n` are texts.
pub(super) fn core_schema() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true }
}

/// The list of modes of a document, if it has one.
pub(super) fn list(document: &Map<String, Value>) -> Result<Option<&Vec<Value>>, Fault> {
    match document.get(KEY) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(Fault { line: None, slug: None, place: KEY.into(), issue: "must be a list".into() }),
    }
}

/// The line of each mode; none when they cannot be told.
fn lines(text: &str) -> Vec<u64> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "customModes")]
        modes: Vec<serde_saphyr::Spanned<IgnoredAny>>,
    }
    let document: Result<Document, _> = serde_saphyr::from_str_with_options(text, core_schema());
    document.map(|document| document.modes.iter().map(|mode| mode.referenced.line()).collect()).unwrap_or_default()
}

/// The mode without unknown keys and `source`; what is wrong goes to `issues`.
fn check(mode: &Value, issues: &mut Vec<(String, String)>) -> Option<Map<String, Value>> {
    let Value::Object(given) = mode else {
        issues.push((String::new(), "must be an object".to_owned()));
        return None;
    };
    let mut wrong = |place: &str, issue: &str| issues.push((place.to_owned(), issue.to_owned()));
    let mut kept = Map::new();
    match given.get("slug").and_then(Value::as_str) {
        Some(slug) if is_slug(slug) => drop(kept.insert("slug".into(), slug.into())),
        _ => wrong(".slug", "must be a text of letters, digits and dashes"),
    }
    for key in ["name", "roleDefinition"] {
        match given.get(key).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => drop(kept.insert(key.into(), text.into())),
            _ => wrong(&format!(".{key}"), "must be a text that is not empty"),
        }
    }
    for key in OPTIONAL {
        match given.get(key) {
            None => {}
            Some(Value::String(text)) => drop(kept.insert(key.into(), text.clone().into())),
            Some(_) => wrong(&format!(".{key}"), "must be a text"),
        }
    }
    if given.get("source").is_some_and(|source| source != "global" && source != "project") {
        wrong(".source", "must be `global` or `project`");
    }
    match given.get("groups") {
        Some(Value::Array(groups)) => {
            let mut seen = Vec::new();
            let groups = groups.iter().enumerate().filter_map(|(index, entry)| {
                check_group(entry, &mut seen)
                    .map_err(|(place, issue)| wrong(&format!(".groups.{index}{place}"), &issue))
                    .ok()
            });
            let groups: Vec<Value> = groups.collect();
            kept.insert("groups".into(), groups.into());
        }
        _ => wrong(".groups", "must be a list"),
    }
    Some(kept)
}

/// Letters, digits and dashes: what may be part of the name of a folder.
pub fn is_slug(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A group without unknown options. `seen` are the groups before it.
fn check_group(entry: &Value, seen: &mut Vec<Group>) -> Result<Value, (String, String)> {
    let wrong = |place: &str, issue: &str| Err((place.to_owned(), issue.to_owned()));
    let (name, options) = match entry {
        Value::String(name) => (name.as_str(), None),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(name), Value::Object(options)] => (name.as_str(), Some(options)),
            _ => return wrong("", "must be a pair of a group and its options"),
        },
        _ => return wrong("", "must be the name of a group, or a pair of it and its options"),
    };
    let Some(group) = Group::parse(name) else {
        return wrong("", "must be one of read, edit, browser, command, mcp, modes");
    };
    if seen.contains(&group) {
        return wrong("", "stands in the list before; groups must differ");
    }
    seen.push(group);
    let Some(options) = options else { return Ok(entry.clone()) };
    let mut kept = Map::new();
    for key in ["fileRegex", "description"] {
        match options.get(key) {
            None => {}
            Some(Value::String(text)) => {
                let expression = Some(text).filter(|text| key == "fileRegex" && !text.is_empty());
                match expression.and_then(|text| Finder::new(text).err()) {
                    Some(Unusable::Invalid) => return wrong(".1.fileRegex", "must be a regular expression"),
                    Some(Unusable::TooLarge) => return wrong(".1.fileRegex", "is too large"),
                    // The mode works but for its edits, which say why.
                    Some(Unusable::Unsupported) | None => {}
                }
                kept.insert(key.into(), text.clone().into());
            }
            Some(_) => return wrong(&format!(".1.{key}"), "must be a text"),
        }
    }
    Ok(Value::Array(vec![name.into(), Value::Object(kept)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mode(slug: &str) -> Value {
        json!({"slug": slug, "name": "N", "roleDefinition": "R", "groups": []})
    }

    fn slugs(file: &ModesFile) -> Vec<&str> {
        file.modes.iter().filter_map(|mode| mode["slug"].as_str()).collect()
    }

    /// parity 03 §10.2: each rule of the schema leaves out the mode that breaks it, and names line, mode and place
    #[test]
    fn every_fault_is_named_and_the_other_modes_work() {
        for (change, place) in [
            (json!({"slug": "a b"}), ".slug"),
            (json!({"slug": ""}), ".slug"),
            (json!({"slug": 5}), ".slug"),
            (json!({"slug": "../x"}), ".slug"),
            (json!({"name": ""}), ".name"),
            (json!({"roleDefinition": null}), ".roleDefinition"),
            (json!({"whenToUse": null}), ".whenToUse"),
            (json!({"description": 1}), ".description"),
            (json!({"customInstructions": []}), ".customInstructions"),
            (json!({"iconName": {}}), ".iconName"),
            (json!({"source": "elsewhere"}), ".source"),
            (json!({"groups": "read"}), ".groups"),
            (json!({"groups": ["read", "nope"]}), ".groups.1"),
            (json!({"groups": ["read", ["read", {}]]}), ".groups.1"),
            (json!({"groups": [["edit"]]}), ".groups.0"),
            (json!({"groups": [["edit", {}, 1]]}), ".groups.0"),
            (json!({"groups": [["edit", {"fileRegex": "("}]]}), ".groups.0.1.fileRegex"),
            (json!({"groups": [["edit", {"fileRegex": 1}]]}), ".groups.0.1.fileRegex"),
            (json!({"groups": [["edit", {"description": 1}]]}), ".groups.0.1.description"),
        ] {
            let mut broken = mode("broken");
            broken.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let text = json!({"customModes": [mode("one"), broken, mode("two")]}).to_string();
            let file = read(&text, Origin::Global).unwrap();
            assert_eq!(slugs(&file), ["one", "two"], "{change}");
            let places: Vec<&str> = file.faults.iter().map(|fault| fault.place.as_str()).collect();
            assert_eq!(places, [format!("customModes.1{place}")], "{change}");
        }
    }

    /// parity 03 §10.3: lines of faults are those of the file
    #[test]
    fn a_fault_says_line_and_slug() {
        let text = "customModes:\n  - slug: ok\n    name: N\n    roleDefinition: R\n    groups: []\n\n  # next\n  - slug: bad\n    name: ''\n    groups: 5\n";
        let file = read(text, Origin::Global).unwrap();
        let said: Vec<String> = file.faults.iter().map(Fault::to_string).collect();
        assert_eq!(
            said,
            [
                "line 8, mode `bad`, customModes.1.name: must be a text that is not empty",
                "line 8, mode `bad`, customModes.1.roleDefinition: must be a text that is not empty",
                "line 8, mode `bad`, customModes.1.groups: must be a list",
            ]
        );
        let broken = read("customModes:\n  - slug: [\n", Origin::Global).unwrap_err();
        assert!(broken.line.is_some_and(|line| line >= 2), "{broken}");
    }

    /// parity 03 §checklist.17: JSON in a project's file, invalid YAML in the user's
    #[test]
    fn a_projects_file_may_be_json() {
        let json = "{\n\t\"customModes\": [\n\t\t{\"slug\": \"a\", \"name\": \"A\", \"roleDefinition\": \"R\", \"groups\": []}]}";
        assert_eq!(slugs(&read(json, Origin::Project).unwrap()), ["a"]);
        for origin in [Origin::Project, Origin::Global] {
            assert!(read("customModes: [", origin).is_err());
            assert!(read("- a\n", origin).is_err());
            assert!(read("customModes: x\n", origin).is_err());
            for nothing in ["", "\n", "# nothing\n", "customModes:\n", "customModes: []\n", "other: 1\n"] {
                assert_eq!(read(nothing, origin).unwrap(), ModesFile::default(), "{nothing:?}");
            }
        }
    }

    /// parity 03 §checklist.18: a second mode of a slug and a second group of a name are refused; unknown keys are dropped
    #[test]
    fn a_slug_counts_once_and_unknown_keys_are_dropped() {
        let mut first = mode("a");
        first["unknown"] = json!(1);
        first["source"] = json!("project");
        first["groups"] = json!(["read", ["edit", {"fileRegex": "\\.md$", "description": "d", "more": 1}]]);
        let text = json!({"customModes": [first, mode("a")], "other": true}).to_string();
        let file = read(&text, Origin::Global).unwrap();
        let kept = json!({
            "slug": "a", "name": "N", "roleDefinition": "R", "source": "global",
            "groups": ["read", ["edit", {"fileRegex": "\\.md$", "description": "d"}]],
        });
        assert_eq!(file.modes, [kept]);
        assert_eq!(file.faults.len(), 1);
        assert_eq!(file.faults[0].place, "customModes.1.slug");
    }

    /// parity 03 §10.3: look-alikes of spaces, quotes and dashes
    /// parity 03 §quirks.19: also inside the words of a mode
    #[test]
    fn look_alikes_are_made_plain() {
        let text = "\u{feff}customModes:\n\u{a0}\u{a0}- slug: a\u{2011}b\n    name: \u{201c}N\u{201d}\n    roleDefinition: it\u{2019}s\u{200b}\n    groups: []\n";
        let file = read(text, Origin::Global).unwrap();
        assert_eq!(file.modes[0]["slug"], "a-b");
        assert_eq!(file.modes[0]["name"], "N");
        assert_eq!(file.modes[0]["roleDefinition"], "it's");
    }

    /// parity 03 §checklist.19: the project's mode wins, and its modes come first
    #[test]
    fn project_modes_come_first_and_win() {
        let of = |slug: &str, source: &str| json!({"slug": slug, "source": source});
        let project = [of("b", "project"), of("a", "project")];
        let global = [of("c", "global"), of("a", "global")];
        let merged: Vec<&Value> = merge(&project, &global).collect();
        assert_eq!(merged, [&project[0], &project[1], &global[0]]);
    }

    #[test]
    fn a_file_that_multiplies_itself_or_is_deep_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let previous = format!("*a{}, ", n - 1).repeat(10);
            text.push_str(&format!("a{n}: &a{n} [{previous}]\n"));
        }
        assert!(read(&text, Origin::Global).is_err());
        assert!(read(&format!("customModes: {}", "[".repeat(100_000)), Origin::Project).is_err());
        assert!(read(&" ".repeat(MAX_FILE + 1), Origin::Global).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*|[-a-z: \\n\\[\\]{}\"'#|>&*!]*") {
            for origin in [Origin::Global, Origin::Project] {
                if let Ok(file) = read(&text, origin) {
                    proptest::prop_assert!(file.modes.iter().all(|mode| validate(mode).is_ok()));
                }
            }
        }
    }
}
