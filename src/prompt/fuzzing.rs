//! What must hold of texts that users and files bring into prompts, whatever they are. Each function takes any bytes and panics when
//! its property is broken; `tests/fuzz` feeds them, and `cargo test` replays the committed corpora.

use std::path::PathBuf;

use super::commands::{Source, parse};
use super::front_matter::FrontMatter;
use super::mentions::slash::{self, Workflow};
use super::mentions::{Reference, commands, mentions, unescape_spaces};
use super::text::Texts;
use crate::ecma;

/// Mentions, commands and workflows of a text: references stand in order, apart from each other, where the text has them.
pub fn mentioned(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let mentions = mentions(text);
    check(text, &mentions, "@", "");
    for mention in &mentions {
        let path = unescape_spaces(mention.value);
        assert!(!path.contains('\\') && !path.is_empty(), "{mention:?}");
        let before = text[..mention.range.start].chars().next_back();
        assert!(before.is_none_or(ecma::is_space), "{mention:?}");
        let mut after = text[mention.range.end..].chars().peekable();
        after.next_if(|c| ".,;:!?".contains(*c));
        assert!(after.next().is_none_or(ecma::is_space), "{mention:?}");
    }
    let commands = commands(text);
    check(text, &commands, "/", " ");
    for command in &commands {
        assert!(command.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)), "{command:?}");
    }
    let workflows = [Workflow { path: PathBuf::from("/w/a.md"), enabled: true }];
    let replaced = slash::run(text, &workflows, |_| Some("w".into()), &Texts::builtin()).text;
    let starts = replaced.starts_with("<explicit_instructions type=\"");
    assert!(replaced == text || starts, "neither left nor replaced: {replaced:?}");
}

/// References in order, each its sign and value at its place; a command may have white space before it.
fn check(text: &str, references: &[Reference<'_>], sign: &str, before: &str) {
    let mut last = 0;
    for Reference { range, value } in references {
        assert!(range.start >= last, "{range:?} overlaps what ends at {last}");
        last = range.end;
        let found = &text[range.clone()];
        let rest = if before.is_empty() { found } else { found.trim_start_matches(ecma::is_space) };
        assert_eq!(rest, format!("{sign}{value}"));
    }
}

/// A command file: its content is a trimmed part of it, its attributes are not blank.
pub fn front_matter(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let read = FrontMatter::of(text);
    assert!(text.ends_with(read.content));
    assert!(
        read.fault.is_none() || (read.attributes.is_empty() && text.trim_start_matches('\u{feff}') == read.content)
    );
    let command = parse("x", Source::Project, PathBuf::new(), text);
    assert_eq!(command.content, ecma::trim(read.content));
    for attribute in [command.description, command.argument_hint].into_iter().flatten() {
        assert!(!attribute.is_empty() && ecma::trim(&attribute) == attribute);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// parity 03 §16.2: references of any text stand in it as they were found
        #[test]
        fn any_text_with_mentions(text in r"([ \n]|@|/|\\ |[a-f0-9]{7}|problems|http://|</?task>|</?feedback>|newtask|a\.md|[.,:]|\PC)*") {
            super::mentioned(text.as_bytes());
        }

        /// parity 03 §15.1: any text is a command file
        #[test]
        fn any_text_as_front_matter(text in r"(---)?\n?(---|\n|description: |argument-hint: |[-a-z: \[\]{}#|>&*!']|\PC)*") {
            super::front_matter(text.as_bytes());
        }
    }
}
