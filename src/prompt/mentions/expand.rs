//! Expansion of a text: each reference becomes a short pointer, what it refers to follows behind the text (spec 03 §15.2, §16.3).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use async_trait::async_trait;

use super::grammar::{self, Reference};
use crate::prompt::text::{Texts, context};

/// What a mention refers to. Paths are as written, without the leading slash and with escaped spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mention<'a> {
    /// `@https://…`
    Url(&'a str),
    /// `@/path/`
    Folder(&'a str),
    /// `@/path`, which may be a folder all the same.
    File(&'a str),
    /// `@problems`
    Problems,
    /// `@git-changes`
    GitChanges,
    /// `@1a2b3c4`
    Commit(&'a str),
    /// `@terminal`
    Terminal,
}

/// A command that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it is for, if its author says.
    pub description: Option<String>,
    /// What the model is told to do.
    pub content: String,
}

/// Where contents come from.
#[async_trait]
pub trait Sources: Send + Sync {
    /// The command of this name, if there is one.
    async fn command(&self, name: &str) -> Option<Command>;

    /// The content of a mention; a failure as a sentence for the model.
    async fn content(&self, mention: Mention<'_>) -> String;
}

/// The text with pointers in the place of its references, followed by what they refer to: mentions in the order of their first
/// appearance, then commands. Time is linear in the text for each different command.
pub async fn expand(text: &str, sources: &dyn Sources, texts: &Texts) -> String {
    let named = grammar::commands(text);
    let mut known: HashMap<&str, Option<Command>> = HashMap::new();
    let mut in_order = Vec::new();
    for reference in &named {
        if !known.contains_key(reference.value) {
            known.insert(reference.value, sources.command(reference.value).await);
            in_order.push(reference.value);
        }
    }
    let exists = |name: &str| known.get(name).is_some_and(Option::is_some);
    let marked = mark_commands(text, named.iter().filter(|reference| exists(reference.value)), texts);
    let (mut out, mentioned) = mark_mentions(&marked, texts);
    for mention in mentioned {
        let content = sources.content(mention).await;
        let _ = write!(out, "\n\n{}\n{content}\n</{}>", mention.opening_tag(), mention.tag());
    }
    for name in in_order {
        let Some(Some(command)) = known.get(name) else { continue };
        let _ = write!(out, "\n\n<command name=\"{name}\">\n");
        if let Some(description) = &command.description {
            let _ = write!(out, "Description: {description}\n\n");
        }
        let _ = write!(out, "{}\n</command>", command.content);
    }
    out
}

impl<'a> Mention<'a> {
    /// The meaning of a mention of the grammar; `None` for an address of another kind than `http`.
    fn of(value: &'a str) -> Option<Mention<'a>> {
        Some(match value {
            "problems" => Mention::Problems,
            "git-changes" => Mention::GitChanges,
            "terminal" => Mention::Terminal,
            url if url.starts_with("http") => Mention::Url(url),
            path if path.starts_with('/') => match path.get(1..).unwrap_or_default() {
                folder if folder.ends_with('/') => Mention::Folder(folder),
                file => Mention::File(file),
            },
            address if address.contains(':') => return None,
            hash => Mention::Commit(hash),
        })
    }

    /// What stands in its place.
    fn pointer(self, texts: &Texts) -> String {
        match self {
            Mention::Url(url) => format!("'{url}' {}", texts.get("mention.ptr.site")),
            Mention::Folder(path) => format!("'{path}' {}", texts.get("mention.ptr.folder")),
            Mention::File(path) => format!("'{path}' {}", texts.get("mention.ptr.file")),
            Mention::Problems => texts.get("mention.ptr.problems"),
            Mention::GitChanges => texts.get("mention.ptr.git_changes"),
            Mention::Commit(hash) => texts.render("mention.ptr.commit", context! { hash }),
            Mention::Terminal => texts.get("mention.ptr.terminal"),
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Mention::Url(_) => "url_content",
            Mention::Folder(_) => "folder_content",
            Mention::File(_) => "file_content",
            Mention::Problems => "workspace_diagnostics",
            Mention::GitChanges => "git_working_state",
            Mention::Commit(_) => "git_commit",
            Mention::Terminal => "terminal_output",
        }
    }

    /// Values are not escaped: the model reads them, no parser does.
    fn opening_tag(self) -> String {
        let tag = self.tag();
        match self {
            Mention::Url(url) => format!("<{tag} url=\"{url}\">"),
            Mention::Folder(path) | Mention::File(path) => format!("<{tag} path=\"{path}\">"),
            Mention::Commit(hash) => format!("<{tag} hash=\"{hash}\">"),
            Mention::Problems | Mention::GitChanges | Mention::Terminal => format!("<{tag}>"),
        }
    }
}

/// Replaces commands. Each takes the first place that still has its text, which need not be where it was found (kept from the
/// reference): `/a/x` takes the place of a later `/a`.
fn mark_commands<'a>(text: &'a str, references: impl Iterator<Item = &'a Reference<'a>>, texts: &Texts) -> String {
    let mut replaced: BTreeMap<usize, (usize, &str)> = BTreeMap::new();
    // Where the search for the next occurrence of a text begins: there is none before.
    let mut from: HashMap<&str, usize> = HashMap::new();
    for reference in references {
        let Some(found) = text.get(reference.range.clone()) else { continue };
        let from = from.entry(found).or_default();
        while let Some(offset) = text.get(*from..).and_then(|rest| rest.find(found)) {
            let (start, end) = (*from + offset, *from + offset + found.len());
            *from = end;
            let taken = replaced.range(..end).next_back().is_some_and(|(_, (taken_to, _))| *taken_to > start);
            if !taken {
                replaced.insert(start, (end, reference.value));
                break;
            }
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, name)) in replaced {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&texts.render("mention.inline.command", context! { name }));
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Replaces mentions; each different one once, in order.
fn mark_mentions<'a>(text: &'a str, texts: &Texts) -> (String, Vec<Mention<'a>>) {
    let mut out = String::with_capacity(text.len());
    let mut order = Vec::new();
    let mut pointers: HashMap<Mention<'a>, String> = HashMap::new();
    let mut at = 0;
    for reference in grammar::mentions(text) {
        let Some(mention) = Mention::of(reference.value) else { continue };
        let pointer = pointers.entry(mention).or_insert_with(|| {
            order.push(mention);
            mention.pointer(texts)
        });
        out.push_str(text.get(at..reference.range.start).unwrap_or_default());
        out.push_str(pointer);
        at = reference.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    (out, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        let pack = "[[mention.inline.command]]\n<{{ name }}>\n[[mention.ptr.file]]\nF\n[[mention.ptr.folder]]\nD\n\
            [[mention.ptr.site]]\nU\n[[mention.ptr.commit]]\nC{{ hash }}\n[[mention.ptr.problems]]\nP\n\
            [[mention.ptr.terminal]]\nT\n[[mention.ptr.git_changes]]\nG\n";
        Texts::builtin().with_pack(pack).expect("a pack")
    }

    /// Knows `a`, `ab` and the content of everything.
    struct Known;

    #[async_trait]
    impl Sources for Known {
        async fn command(&self, name: &str) -> Option<Command> {
            let description = (name == "ab").then(|| "why".to_owned());
            ["a", "ab"].contains(&name).then(|| Command { description, content: format!("do {name}") })
        }

        async fn content(&self, mention: Mention<'_>) -> String {
            format!("{mention:?}")
        }
    }

    async fn expanded(text: &str) -> String {
        expand(text, &Known, &texts()).await
    }

    /// parity 02 §9.1: references become pointers, contents follow in the order of first appearance, commands last
    /// parity 03 §checklist.23: each once, in the order of first appearance, commands last
    /// parity 03 §16.3: pointer and block of every kind
    #[tokio::test]
    async fn contents_follow_in_the_order_of_their_first_appearance() {
        let text = "@/b/ /ab and @/c.txt, @/b/ ftp @ftp://x @problems";
        assert_eq!(
            expanded(text).await,
            "'b/<ab>' F and 'c.txt' F, 'b/' D ftp @ftp://x P\n\n<file_content path=\"b/<ab>\">\nFile(\"b/<ab>\")\n</file_content>\
             \n\n<file_content path=\"c.txt\">\nFile(\"c.txt\")\n</file_content>\n\n<folder_content path=\"b/\">\nFolder(\"b/\")\n\
             </folder_content>\n\n<workspace_diagnostics>\nProblems\n</workspace_diagnostics>\n\n<command name=\"ab\">\n\
             Description: why\n\ndo ab\n</command>"
        );
        let others = expanded("@1a2b3c4 @terminal @git-changes @https://h/x.").await;
        assert!(others.starts_with("C1a2b3c4 T G 'https://h/x' U.\n\n<git_commit hash=\"1a2b3c4\">\nCommit"));
        assert!(others.ends_with("<url_content url=\"https://h/x\">\nUrl(\"https://h/x\")\n</url_content>"));
    }

    /// parity 03 §15.2: the first place that has the text is taken
    /// parity 03 §quirks.14: the white space before a reference goes with it
    #[tokio::test]
    async fn a_command_takes_the_first_place_that_has_its_text() {
        for (text, expected) in [
            ("/a /none /a", "<a> /none<a>"),
            ("x /a/y /a", "x<a>/y /a"),
            ("x /ab /a", "x<ab><a>"),
            ("x /ab/ y /a z /ab", "x<a>b/ y /a z<ab>"),
            ("x\n/a\u{2003}/a", "x<a><a>"),
        ] {
            let shown = expanded(text).await;
            assert_eq!(shown.split("\n\n<command").next(), Some(expected), "{text}");
        }
    }

    #[tokio::test]
    async fn many_references_take_linear_time() {
        let text = " /a".repeat(100_000) + &" @/x".repeat(100_000);
        assert!(expanded(&text).await.starts_with("<a><a>"));
    }
}
