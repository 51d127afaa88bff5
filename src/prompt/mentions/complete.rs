//! What a user may mean who has begun to type `@…` or `/…`: which kinds of things fit, and how each is written so that
//! [`super::grammar`] finds it again.

use super::grammar::{MARKS, WORDS};
use super::slash;

/// What the beginning of a reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// Nothing can be offered: no reference begins here, or one that only the user knows, like an address.
    Nothing,
    /// Commands and workflows that fit this.
    Commands(&'a str),
    /// Files and folders that fit this.
    Files(&'a str),
    /// Words, files, folders and commits that fit this.
    Anything(&'a str),
}

/// What is asked for by the text from the `@` or `/` to where the user types.
pub fn wanted(prefix: &str) -> Wanted<'_> {
    match prefix.strip_prefix('@') {
        None => prefix.strip_prefix('/').map_or(Wanted::Nothing, Wanted::Commands),
        Some(address) if address.contains("://") => Wanted::Nothing,
        Some(reference) => reference.strip_prefix('/').map_or(Wanted::Anything(reference), Wanted::Files),
    }
}

/// The words of the grammar that begin like this, in its order.
pub fn words(query: &str) -> impl Iterator<Item = &'static str> {
    let query = query.to_lowercase();
    WORDS.into_iter().filter(move |word| word.starts_with(&query))
}

/// Commands of the engine that begin like this.
pub fn engine_commands(query: &str) -> impl Iterator<Item = &'static str> {
    slash::names().filter(move |name| name.starts_with(query))
}

/// The mention of a path below the workspace, which has forward slashes. `None`: the grammar has no way to write it.
pub fn path(path: &str, is_folder: bool) -> Option<String> {
    // A backslash ends a path, as does white space other than a blank; a mark at the end would be the sentence's.
    let ends = |character| character == '\\' || character != ' ' && crate::ecma::is_space(character);
    if path.chars().any(ends) || !is_folder && path.ends_with(MARKS) {
        return None;
    }
    let slash = if is_folder { "/" } else { "" };
    Some(format!("@/{}{slash}", path.replace(' ', "\\ ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::mentions::grammar;

    #[test]
    fn what_a_beginning_asks_for() {
        for (prefix, expected) in [
            ("", Wanted::Nothing),
            ("word", Wanted::Nothing),
            ("@", Wanted::Anything("")),
            ("@pro", Wanted::Anything("pro")),
            ("@/src/ma", Wanted::Files("src/ma")),
            ("@https://x", Wanted::Nothing),
            ("/", Wanted::Commands("")),
            ("/de", Wanted::Commands("de")),
        ] {
            assert_eq!(wanted(prefix), expected, "{prefix}");
        }
        assert_eq!(words("").collect::<Vec<_>>(), ["problems", "git-changes", "terminal"]);
        assert_eq!(words("Git").collect::<Vec<_>>(), ["git-changes"]);
        assert_eq!(engine_commands("new").collect::<Vec<_>>(), ["newtask", "newrule"]);
    }

    proptest::proptest! {
        #[test]
        fn a_path_that_is_offered_is_found_again(name in "[a-z .é/\\\\\u{2003}]{0,12}[a-z!]", folder: bool) {
            if let Some(mention) = path(&name, folder) {
                let text = format!("see {mention} there");
                let found: Vec<_> = grammar::mentions(&text).into_iter().map(|found| found.value.to_owned()).collect();
                let expected = format!("/{name}{}", if folder { "/" } else { "" });
                let found: Vec<_> = found.iter().map(|path| grammar::unescape_spaces(path)).collect();
                proptest::prop_assert_eq!(found, [expected]);
            } else {
                let ends = name.contains(['\\', '\u{2003}']) || name.ends_with('!');
                proptest::prop_assert!(ends);
            }
        }
    }
}
