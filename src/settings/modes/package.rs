//! One mode to give away: the mode with the files of its rules as one YAML text (spec 03 §10.6).

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::file::{self, Fault, KEY};
use super::yaml;

/// The key with a mode's rules files.
const FILES: &str = "rulesFiles";

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFile {
    /// Where it stands, relative to the mode's rules folder.
    pub path: PathBuf,
    /// Its text.
    pub content: String,
}

/// A mode as it was packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// The mode, valid, without its `source`.
    pub mode: Map<String, Value>,
    /// Its slug.
    pub slug: String,
    /// Its rules. Every path stays inside the folder it is put into.
    pub files: Vec<RulesFile>,
}

/// The text that holds this mode and its rules. It is for a project, wherever the mode came from.
pub fn pack(mut mode: Map<String, Value>, files: &[RulesFile]) -> String {
    mode.insert("source".into(), "project".into());
    if !files.is_empty() {
        let file = |file: &RulesFile| {
            let path = file.path.to_string_lossy().replace('\\', "/");
            json!({"relativePath": path, "content": file.content})
        };
        mode.insert(FILES.into(), files.iter().map(file).collect());
    }
    let document = Map::from_iter([(KEY.to_owned(), Value::Array(vec![Value::Object(mode)]))]);
    yaml::document(&document)
}

/// The modes of a text that [`pack`] or another program made.
///
/// # Errors
/// The text holds no list of modes; for each mode, what is wrong with it.
pub fn unpack(text: &str) -> Result<Vec<Result<Packed, Fault>>, Fault> {
    let document = file::parse(&file::clean(text))?;
    let entries = file::list(&document)?.filter(|list| !list.is_empty());
    let empty =
        || Fault { line: None, slug: None, place: KEY.into(), issue: "must be a list of at least one mode".into() };
    Ok(entries.ok_or_else(empty)?.iter().enumerate().map(|(index, entry)| unpack_one(index, entry)).collect())
}

fn unpack_one(index: usize, entry: &Value) -> Result<Packed, Fault> {
    let slug = entry.get("slug").and_then(Value::as_str).map(str::to_owned);
    let mode = file::validate(entry).map_err(|issues| {
        let (place, issue) = issues.into_iter().next().unwrap_or_default();
        Fault { line: None, slug: slug.clone(), place: format!("{KEY}.{index}{place}"), issue }
    })?;
    let files = entry.get(FILES).and_then(Value::as_array).into_iter().flatten();
    Ok(Packed { mode, slug: slug.unwrap_or_default(), files: files.filter_map(rules_file).collect() })
}

/// A file with path and content whose path stays where it is put.
fn rules_file(value: &Value) -> Option<RulesFile> {
    let text = |key: &str| value.get(key)?.as_str().filter(|text| !text.is_empty());
    let (path, content) = (text("relativePath")?, text("content")?);
    // By the rules of every system: a file may be packed on one and unpacked on another.
    if path.starts_with(['/', '\\']) || path.contains([':', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.iter().any(|part| part.contains("..")) {
        return None;
    }
    // Older packages name the folder itself.
    if parts.len() > 1 && parts[0].starts_with("rules-") {
        parts.remove(0);
    }
    (!parts.is_empty()).then(|| RulesFile { path: parts.iter().collect(), content: content.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode() -> Value {
        json!({"slug": "w", "name": "Writer", "roleDefinition": "You write.", "groups": ["read"]})
    }

    /// parity 03 §10.6: a mode and its rules come back as they went
    #[test]
    fn what_is_packed_is_unpacked() {
        let rules = RulesFile { path: "deep/style.md".into(), content: "Be short.\n\n- no: colons\n".into() };
        let text = pack(mode().as_object().unwrap().clone(), std::slice::from_ref(&rules));
        let packed: Vec<Packed> = unpack(&text).unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(packed.len(), 1);
        assert_eq!((&packed[0].slug[..], &packed[0].files), ("w", &vec![rules]));
        assert_eq!(Value::Object(packed[0].mode.clone()), mode());
        assert!(!pack(mode().as_object().unwrap().clone(), &[]).contains(FILES));
    }

    /// parity 03 §10.6: paths of a package cannot leave the rules folder
    #[test]
    fn hostile_paths_are_left_out() {
        for (path, kept) in [
            ("a.md", Some("a.md")),
            ("./a.md", Some("a.md")),
            ("x//a.md", Some("x/a.md")),
            ("x\\a.md", Some("x/a.md")),
            ("rules-old/a.md", Some("a.md")),
            ("rules-old", Some("rules-old")),
            ("rules-old/x/a.md", Some("x/a.md")),
            ("../a.md", None),
            ("x/../../a.md", None),
            ("x/../a.md", None),
            ("..\\a.md", None),
            ("rules-old/../a.md", None),
            ("/etc/passwd", None),
            ("\\\\server\\share", None),
            ("C:\\a.md", None),
            ("C:a.md", None),
            ("a\0.md", None),
            (".", None),
            ("", None),
        ] {
            let file = rules_file(&json!({"relativePath": path, "content": "x"}));
            assert_eq!(file.map(|file| file.path), kept.map(PathBuf::from), "{path:?}");
        }
        assert_eq!(rules_file(&json!({"relativePath": "a", "content": ""})), None);
        assert_eq!(rules_file(&json!({"content": "x"})), None);
        assert_eq!(rules_file(&json!("x")), None);
    }

    #[test]
    fn what_is_no_package_is_refused() {
        for text in ["", "customModes: []\n", "customModes: x\n", "x: ["] {
            assert!(unpack(text).is_err(), "{text:?}");
        }
        let text = "customModes:\n- {slug: a, name: A, roleDefinition: R, groups: 5}\n";
        let fault = unpack(text).unwrap().remove(0).unwrap_err();
        assert_eq!((fault.slug.as_deref(), fault.place.as_str()), (Some("a"), "customModes.0.groups"));
    }

    proptest::proptest! {
        #[test]
        fn no_path_leaves_its_folder(path in "([a-z./\\\\:]|rules-)*") {
            if let Some(file) = rules_file(&json!({"relativePath": path, "content": "x"})) {
                let inside = |part| matches!(part, std::path::Component::Normal(_));
                proptest::prop_assert!(file.path.components().all(inside));
            }
        }
    }
}
