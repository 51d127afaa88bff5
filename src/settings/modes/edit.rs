//! Changing a file of modes: one mode put in or taken out, everything else as it was (spec 03 §10.5).
//!
//! Lines are cut out and put in; comments, order, line ends and faulty modes stay. What comes out is parsed and compared with
//! what should have come out, so that a file in an unusual style cannot be damaged: it is written anew as a whole, which keeps
//! every value and loses comments; the caller is told, and keeps a copy.

use std::ops::Range;

use serde_json::{Map, Value};

use super::file::{Fault, KEY, clean, list, parse};
use super::yaml;

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// It was written anew as a whole: comments are gone.
    pub anew: bool,
}

/// Takes all modes of this slug out and adds `mode` behind the others.
///
/// # Errors
/// The text cannot be parsed. Nothing can be changed in it without losing what cannot be read.
pub fn put(text: &str, slug: &str, mode: &Value) -> Result<Edited, Fault> {
    change(text, slug, Some(mode)).map(|(edited, _)| edited)
}

/// Takes all modes of this slug out; `None` when there is none.
///
/// # Errors
/// As [`put`].
pub fn remove(text: &str, slug: &str) -> Result<Option<Edited>, Fault> {
    change(text, slug, None).map(|(edited, found)| found.then_some(edited))
}

/// Whether the text can be changed at all.
///
/// # Errors
/// As [`put`].
pub fn check(text: &str) -> Result<(), Fault> {
    change(text, "", None).map(drop)
}

/// Whether an entry of the list has this slug.
pub fn has_slug(entry: &Value, slug: &str) -> bool {
    entry.get("slug").and_then(Value::as_str) == Some(slug)
}

fn change(text: &str, slug: &str, mode: Option<&Value>) -> Result<(Edited, bool), Fault> {
    // Look-alikes are made plain only where the file could not be read otherwise.
    let cleaned = clean(text);
    let (basis, document) = match parse(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(document) => (text, document),
        Err(fault) => match (parse(&cleaned), serde_json::from_str::<Map<String, Value>>(text)) {
            (Ok(document), _) => (&*cleaned, document),
            (_, Ok(document)) => (text, document),
            _ => return Err(fault),
        },
    };
    let entries = list(&document)?.cloned().unwrap_or_default();
    let gone: Vec<usize> = (0..entries.len()).filter(|index| has_slug(&entries[*index], slug)).collect();
    let mut wanted = document.clone();
    let left = entries.iter().filter(|entry| !has_slug(entry, slug)).chain(mode);
    wanted.insert(KEY.to_owned(), left.cloned().collect());

    let by_lines = edit_lines(basis, entries.len(), &gone, mode).filter(|text| is(text, &wanted));
    let edited = match by_lines {
        Some(text) => Edited { text, anew: false },
        None if basis.trim_start_matches('\u{feff}').trim_start().starts_with('{') => {
            // JSON has no comments to lose.
            Edited { text: format!("{:#}\n", Value::Object(wanted)), anew: false }
        }
        None => Edited { text: yaml::document(&wanted), anew: true },
    };
    Ok((edited, !gone.is_empty()))
}

/// Whether the text is this document. A list without entries may have become nothing.
fn is(text: &str, wanted: &Map<String, Value>) -> bool {
    let Ok(mut found) = parse(text.strip_prefix('\u{feff}').unwrap_or(text)) else { return false };
    if found.get(KEY).is_none_or(Value::is_null) {
        found.insert(KEY.to_owned(), Value::Array(Vec::new()));
    }
    found == *wanted
}

/// The text without the entries `gone` of its `count`, with `mode` behind the others; `None` when it is not in block style.
fn edit_lines(text: &str, count: usize, gone: &[usize], mode: Option<&Value>) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let added = |indent| mode.map(|mode| yaml::entry(mode, indent).replace('\n', line_end)).unwrap_or_default();
    let key = lines.iter().position(|line| line.trim_start_matches('\u{feff}').starts_with("customModes:"));
    let mut edited = String::with_capacity(text.len() + 1024);
    let push = |to: &mut String, line: &str| {
        // The last line may lack its end.
        if !to.is_empty() && !to.ends_with('\n') {
            to.push_str(line_end);
        }
        to.push_str(line);
    };
    let Some(key) = key else {
        push(&mut edited, text);
        push(&mut edited, &format!("{KEY}:{line_end}{}", added(2)));
        return (count == 0).then_some(edited);
    };
    if count == 0 {
        for (index, line) in lines.iter().enumerate() {
            let line = if index == key { line.replacen("[]", "", 1) } else { (*line).to_owned() };
            push(&mut edited, &line);
            if index == key {
                push(&mut edited, &added(2));
            }
        }
        return Some(edited);
    }
    let (indent, entries) = entries(&lines, key)?;
    if entries.len() != count {
        return None;
    }
    let end = entries.last()?.end;
    for (index, line) in lines.iter().enumerate() {
        if index == end {
            push(&mut edited, &added(indent));
        }
        if !gone.iter().any(|entry| entries[*entry].contains(&index)) {
            push(&mut edited, line);
        }
    }
    if end == lines.len() {
        push(&mut edited, &added(indent));
    }
    Some(edited)
}

/// The lines of each entry of the list under the line `key`, and how far its dashes are indented. Comments and empty lines
/// between entries belong to none.
fn entries(lines: &[&str], key: usize) -> Option<(usize, Vec<Range<usize>>)> {
    let indent_of = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_idle = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let is_dash =
        |line: &str| matches!(line.trim_start_matches(' ').as_bytes(), [b'-', b' ' | b'\r' | b'\n', ..] | [b'-']);
    let first = (key + 1..lines.len()).find(|index| !is_idle(lines[*index]))?;
    let indent = indent_of(lines[first]);
    let mut entries: Vec<Range<usize>> = Vec::new();
    for (index, line) in lines.iter().enumerate().skip(first) {
        let deeper = indent_of(line) > indent && !line.trim().is_empty();
        match entries.last_mut() {
            Some(entry) if deeper => entry.end = index + 1,
            _ if is_idle(line) => {}
            _ if indent_of(line) == indent && is_dash(line) => entries.push(index..index + 1),
            _ => break,
        }
    }
    Some((indent, entries))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "# mine\nother: 1 # stays\ncustomModes:\n  # first\n  - slug: a\n    name: A # short\n    roleDefinition: |\n      one\n\n      # no comment\n\n  # second\n  -\n    slug: b\n    groups: nonsense\n\n  - slug: c\n\nlast: x\n";

    fn mode(slug: &str) -> Value {
        json!({"slug": slug, "name": "New"})
    }

    /// parity 03 §10.5: a write touches one mode; comments, other keys and faulty modes stay
    #[test]
    fn a_mode_is_put_behind_the_others() {
        let edited = put(FILE, "d", &mode("d")).unwrap();
        let expected = FILE.replace("  - slug: c\n", "  - slug: c\n  - slug: d\n    name: New\n");
        assert_eq!(edited, Edited { text: expected, anew: false });
        let edited = put(FILE, "a", &mode("a")).unwrap();
        let without = FILE
            .replace("  - slug: a\n    name: A # short\n    roleDefinition: |\n      one\n\n      # no comment\n", "");
        let expected = without.replace("  - slug: c\n", "  - slug: c\n  - slug: a\n    name: New\n");
        assert_eq!(edited, Edited { text: expected, anew: false });
    }

    #[test]
    fn a_mode_is_taken_out() {
        let edited = remove(FILE, "b").unwrap().unwrap();
        let expected = FILE.replace("  -\n    slug: b\n    groups: nonsense\n", "");
        assert_eq!(edited, Edited { text: expected, anew: false });
        assert_eq!(remove(FILE, "none").unwrap(), None);
    }

    #[test]
    fn files_of_every_style_are_changed() {
        for (before, slug, mode, after, anew) in [
            ("", "a", Some(mode("a")), "customModes:\n  - slug: a\n    name: New\n", false),
            ("# c", "a", Some(mode("a")), "# c\ncustomModes:\n  - slug: a\n    name: New\n", false),
            ("customModes: [] # c\n", "a", Some(mode("a")), "customModes:  # c\n  - slug: a\n    name: New\n", false),
            ("customModes:\nx: 1\n", "a", Some(mode("a")), "customModes:\n  - slug: a\n    name: New\nx: 1\n", false),
            (
                "customModes:\r\n- slug: b\r\n",
                "a",
                Some(mode("a")),
                "customModes:\r\n- slug: b\r\n- slug: a\r\n  name: New\r\n",
                false,
            ),
            (
                "customModes:\n- slug: b",
                "a",
                Some(mode("a")),
                "customModes:\n- slug: b\n- slug: a\n  name: New\n",
                false,
            ),
            ("customModes:\n- slug: b\n# end\n", "b", None, "customModes:\n# end\n", false),
            (
                "x: 1\ncustomModes: [{slug: b}, {slug: c}] # c\n",
                "b",
                None,
                "x: 1\ncustomModes:\n  - \"slug\": \"c\"\n",
                true,
            ),
            ("{\"customModes\": [{\"slug\": \"b\"}]}", "b", None, "{\n  \"customModes\": []\n}\n", false),
            ("customModes:\n- &x {slug: b}\n- {slug: c, of: *x}\n", "b", None, "", true),
            (
                "x: |\n  customModes:\n    - slug: b\n",
                "a",
                Some(mode("a")),
                "x: |\n  customModes:\n    - slug: b\ncustomModes:\n  - slug: a\n    name: New\n",
                false,
            ),
        ] {
            let edited = match &mode {
                Some(mode) => put(before, slug, mode).unwrap(),
                None => remove(before, slug).unwrap().unwrap(),
            };
            assert_eq!(edited.anew, anew, "{before:?}");
            if !anew {
                assert_eq!(edited.text, after, "{before:?}");
            }
        }
        for unreadable in ["customModes: [", "- a\n", "customModes: text\n", "a: 1\na: 2\n"] {
            assert!(put(unreadable, "a", &mode("a")).is_err(), "{unreadable:?}");
        }
    }

    proptest::proptest! {
        /// parity 03 §10.5: nothing that a file says is lost by a write, whatever it looks like
        #[test]
        fn a_write_never_loses_what_stood_there(text in "([-a-z: \\n\\[\\]{}\"'#|>&*!]|customModes:|slug: a|\n  - |\n    )*") {
            let Ok(edited) = put(&text, "a", &mode("a")) else { return Ok(()) };
            let after = parse(&edited.text).unwrap();
            let mut before = parse(&text).unwrap_or_default();
            let mut entries = list(&before).unwrap().cloned().unwrap_or_default();
            entries.retain(|entry| !has_slug(entry, "a"));
            entries.push(mode("a"));
            before.insert(KEY.to_owned(), Value::Array(entries));
            proptest::prop_assert_eq!(after, before);
        }
    }
}
