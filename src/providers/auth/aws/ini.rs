//! The format of `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;

/// Settings of one section.
pub type Section = BTreeMap<String, String>;

/// Sections by their whole name (`default`, `profile dev`, `sso-session x`), quotes and double white space taken out. A
/// section that comes again adds to the first; settings below a setting without value (`s3 =`) are not ours and left out.
pub fn parse(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current = None;
    let mut nested = false;
    for raw in text.lines() {
        let line = without_comment(raw).trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = Some(section_name(name));
            nested = false;
            continue;
        }
        let (Some(section), Some((key, value))) = (&current, line.split_once('=')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        nested = value.is_empty() || nested && raw.starts_with([' ', '\t']);
        if !key.is_empty() && !nested {
            sections.entry(section.clone()).or_default().insert(key.to_owned(), value.to_owned());
        }
    }
    sections
}

/// A comment begins with `#` or `;` at the line's beginning or after white space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if (c == '#' || c == ';') && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

fn section_name(name: &str) -> String {
    let words = name.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_nested_settings() {
        let text = "stray = 1\n# comment\n[default]\na = 1 # one\nb=x#y\n ; c = 3\n[ profile \"my dev\" ]\ns3 =\n  deep = 1\n\tdeeper=2\n\
                    d = e = f\n[default]\na = 2\n= 3\nnothing\n";
        let shown: Vec<_> =
            parse(text).into_iter().map(|(name, section)| (name, section.into_iter().collect::<Vec<_>>())).collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            shown,
            [
                ("default".to_owned(), vec![pair("a", "2"), pair("b", "x#y")]),
                ("profile my dev".to_owned(), vec![pair("d", "e = f")]),
            ]
        );
    }
}
