//! Front matter: names and values in YAML between lines `---` at the very beginning of a text (spec 03 §15.1).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ecma;

/// A text and its front matter.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontMatter<'a> {
    /// The values by their names; none without front matter, or when it is no YAML of names and values.
    pub attributes: BTreeMap<String, Value>,
    /// What follows; with front matter that cannot be read, all of the text.
    pub content: &'a str,
    /// The front matter cannot be read: the line of the text, from 1, in which that was found, if it is known.
    pub fault: Option<Option<u64>>,
}

impl<'a> FrontMatter<'a> {
    /// Reads a text.
    pub fn of(text: &'a str) -> FrontMatter<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let plain = |fault| FrontMatter { attributes: BTreeMap::new(), content: text, fault };
        let Some((yaml, content)) = split(text) else { return plain(None) };
        match serde_saphyr::from_str::<Option<BTreeMap<String, Value>>>(yaml) {
            Ok(attributes) => FrontMatter { attributes: attributes.unwrap_or_default(), content, fault: None },
            // The first line is the mark.
            Err(error) => plain(Some(error.location().map(|at| at.line() + 1))),
        }
    }

    /// The trimmed value of this name if it is a text that is not blank.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let value = ecma::trim(self.attributes.get(name)?.as_str()?);
        (!value.is_empty()).then(|| value.to_owned())
    }
}

/// What stands between a first line `---` and the next line that begins with it, and what follows. Without an end
/// everything is front matter.
fn split(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if first.strip_prefix("---").map(ecma::trim) != Some("") {
        return None;
    }
    if let Some(after) = rest.strip_prefix("---") {
        return Some(("", after));
    }
    Some(rest.split_once("\n---").unwrap_or((rest, "")))
}
