//! Writing values as YAML: block style, nothing folded, texts of several lines as they are.
//!
//! Only what certainly reads back as itself goes without quotes; everything unusual is written as JSON, which is YAML too.

use serde_json::{Map, Value};

/// An object as a document.
pub fn document(fields: &Map<String, Value>) -> String {
    if fields.is_empty() {
        return "{}\n".to_owned();
    }
    let mut text = String::new();
    object(fields, 0, &mut text);
    text
}

/// A value as an entry of a list whose dashes stand behind `indent` spaces.
pub(super) fn entry(value: &Value, indent: usize) -> String {
    let mut text = String::new();
    item(value, indent, &mut text);
    text
}

fn object(fields: &Map<String, Value>, indent: usize, to: &mut String) {
    for (key, value) in fields {
        pad(indent, to);
        field(key, value, indent, to);
    }
}

/// `key: value` without the spaces before it.
fn field(key: &str, value: &Value, indent: usize, to: &mut String) {
    to.push_str(&if is_plain(key) { key.to_owned() } else { quoted(key) });
    to.push(':');
    match value {
        Value::Array(list) if !list.is_empty() => {
            to.push('\n');
            list.iter().for_each(|value| item(value, indent + 2, to));
        }
        Value::Object(fields) if !fields.is_empty() => {
            to.push('\n');
            object(fields, indent + 2, to);
        }
        Value::String(text) if is_block(text) => {
            let chomping = if text.ends_with('\n') { "" } else { "-" };
            to.push_str(&format!(" |{chomping}\n"));
            for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
                if !line.is_empty() {
                    pad(indent + 2, to);
                    to.push_str(line);
                }
                to.push('\n');
            }
        }
        scalar => {
            to.push(' ');
            simple(scalar, to);
        }
    }
}

fn item(value: &Value, indent: usize, to: &mut String) {
    pad(indent, to);
    to.push_str("- ");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    pad(indent + 2, to);
                }
                field(key, value, indent + 2, to);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                let mut nested = String::new();
                item(value, indent + 2, &mut nested);
                to.push_str(if index > 0 { &nested } else { nested.trim_start_matches(' ') });
            }
        }
        scalar => simple(scalar, to),
    }
}

/// On the rest of the line.
fn simple(value: &Value, to: &mut String) {
    match value {
        Value::String(text) if is_plain(text) => to.push_str(text),
        Value::String(text) => to.push_str(&quoted(text)),
        other => to.push_str(&other.to_string()),
    }
    to.push('\n');
}

fn pad(indent: usize, to: &mut String) {
    to.extend(std::iter::repeat_n(' ', indent));
}

/// A JSON text. What YAML does not take as it stands between quotes is escaped.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Words that begin with a letter and hold nothing that means something in YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "nan", "y", "n"];
    let harmless =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',' | ';' | '(' | ')' | '/' | '+');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(harmless)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Several lines of printable text that can stand in a literal block.
fn is_block(text: &str) -> bool {
    let printable = |c: char| {
        c == '\n' || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
    };
    text.trim_end_matches('\n').contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(printable)
        && text.split('\n').all(|line| line.is_empty() || !line.trim_start_matches(' ').is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn back(text: &str) -> Value {
        serde_saphyr::from_str_with_options(text, super::super::file::core_schema())
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn it_reads_as_written_by_hand() {
        let value = json!({"customModes": [{
            "slug": "writer", "name": "Writer", "roleDefinition": "You write.\nWell.", "whenToUse": "Docs: here",
            "groups": ["read", ["edit", {"fileRegex": "\\.md$"}]], "source": "project",
        }]});
        let text = document(value.as_object().unwrap());
        let expected = "customModes:\n  - slug: writer\n    name: Writer\n    roleDefinition: |-\n      You write.\n      Well.\n    whenToUse: \"Docs: here\"\n    groups:\n      - read\n      - - edit\n        - fileRegex: \"\\\\.md$\"\n    source: project\n";
        assert_eq!(text, expected);
        assert_eq!(back(&text), value);
    }

    #[test]
    fn empty_values_and_odd_texts_come_back() {
        for odd in [
            "",
            " ",
            "a ",
            " a",
            "\n",
            "a\n",
            "a\n\n",
            "a\nb",
            "a\nb\n",
            "a\nb\n\n",
            "a\n\nb",
            " a\nb",
            "a\n b",
            "a\n \nb",
            "a\r\nb",
            "a\tb",
            "a\n\tb",
            "#",
            "a #b",
            "a: b",
            "- a",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "1e3",
            "0x1",
            ".5",
            "y",
            "n",
            "a\u{85}b",
            "a\u{2028}b\nc",
            "\u{feff}",
            "---",
            "a\n---\nb",
            "a\n...\nb",
            "it's",
            "\"q\"",
            "e\u{301}",
            "\u{7f}",
            "\u{0}",
            "a\\nb",
            "日本 語",
            "%a",
            "&a",
            "*a",
            "!a",
        ] {
            let value = json!({"a": odd, "list": [odd, [odd, odd], {odd: odd}], "none": [], "empty": {}, odd: null});
            assert_eq!(back(&document(value.as_object().unwrap())), value, "{odd:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(text in "(\\PC|[ \\n\\t:#'\"-])*") {
            let value = json!({"key": text, "list": [text]});
            proptest::prop_assert_eq!(back(&document(value.as_object().unwrap())), value);
        }
    }
}
