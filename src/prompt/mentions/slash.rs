//! Engine commands and workflows: `/name` as the first thing inside a user's tag (spec 03 §15.4).

use std::path::{Path, PathBuf};

use crate::ecma;
use crate::prompt::text::{Texts, context};

/// The tags, in the order they are tried, and whether a name in them may have a dot (workflow files usually do).
const TAGS: [(&str, bool); 4] = [("task", true), ("feedback", false), ("answer", false), ("user_message", false)];

/// A workflow file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// Absolute path.
    pub path: PathBuf,
    /// The user has not switched it off.
    pub enabled: bool,
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The text for the model.
    pub text: String,
    /// It asks for a new rule, whose folder may need a check.
    pub rules_check: bool,
}

/// An engine command: its name, the type of its instructions, and the line ends behind them.
struct EngineCommand {
    name: &'static str,
    kind: &'static str,
    tail: &'static str,
}

const COMMANDS: [EngineCommand; 4] = [
    EngineCommand { name: "newtask", kind: "new_task", tail: "\n\n" },
    EngineCommand { name: "newrule", kind: "new_rule", tail: "\n\n" },
    EngineCommand { name: "reportbug", kind: "report_bug", tail: "\n" },
    EngineCommand { name: "smol", kind: "condense", tail: "\n\n" },
];

/// Names of the engine's commands.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// Replaces a text that begins with an engine command, or puts the workflow it names in front of it; any other text stays.
/// `workflows` are those of the workspace, then those of the user; `read` gives the text of one, `None` when it cannot be read.
/// Time is linear in the text.
pub fn run(
    text: &str,
    workflows: &[Workflow],
    mut read: impl FnMut(&Path) -> Option<String>,
    texts: &Texts,
) -> Replaced {
    for (tag, dotted) in TAGS {
        let Some(found) = find(text, tag, dotted) else { continue };
        let rest = || format!("{}{}", found.before, found.after);
        if let Some(command) = COMMANDS.iter().find(|command| command.name == found.name) {
            let layout = texts.layout(&format!("layout.slash.{}", command.name), context! { input => rest() });
            // Only a pack of texts can break a layout; the user's text is then sent as it is.
            let Ok(instructions) = layout else { continue };
            let text = instructions + command.tail;
            return Replaced { text, rules_check: command.kind == "new_rule" };
        }
        let named = |workflow: &&Workflow| {
            workflow.enabled && workflow.path.file_name().is_some_and(|file| file.to_str() == Some(found.name))
        };
        if let Some(content) = workflows.iter().find(named).and_then(|workflow| read(&workflow.path)) {
            let (name, content) = (found.name, ecma::trim(&content));
            let text =
                format!("<explicit_instructions type=\"{name}\">\n{content}\n</explicit_instructions>\n{}", rest());
            return Replaced { text, rules_check: false };
        }
    }
    Replaced { text: text.to_owned(), rules_check: false }
}

/// A command inside a tag.
struct Found<'a> {
    name: &'a str,
    /// The text up to the white space before the command.
    before: &'a str,
    /// The text behind the command.
    after: &'a str,
}

/// The first `<tag>` that begins with a command and is closed behind it.
fn find<'a>(text: &'a str, tag: &str, dotted: bool) -> Option<Found<'a>> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let last_close = find_all(text, &close).last()?;
    find_all(text, &open).find_map(|at| {
        let before_end = at + open.len();
        let inner = text.get(before_end..)?;
        let body = inner.trim_start_matches(ecma::is_space).strip_prefix('/')?;
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"_-".contains(b) || (dotted && *b == b'.');
        let len = body.bytes().take_while(allowed).count();
        let (name, after) = body.split_at_checked(len).filter(|(name, _)| !name.is_empty())?;
        let closed = match after.chars().next()? {
            space if ecma::is_space(space) => text.len() - after.len() <= last_close,
            _ => after.get(..close.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(&close)),
        };
        closed.then_some(Found { name, before: text.get(..before_end)?, after })
    })
}

/// Where `needle` (lower case) stands in the text, in any case.
fn find_all(text: &str, needle: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let at = memchr::memchr_iter(b'<', bytes);
    at.filter(move |at| {
        bytes.get(*at..at + needle.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(needle.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflows() -> Vec<Workflow> {
        let workflow = |path: &str, enabled| Workflow { path: path.into(), enabled };
        vec![workflow("/ws/a.md", true), workflow("/ws/off.md", false), workflow("/home/off.md", true)]
    }

    fn replaced(text: &str) -> String {
        let read = |path: &Path| (!path.ends_with("gone.md")).then(|| format!("\n {}\n", path.display()));
        run(text, &workflows(), read, &Texts::builtin()).text
    }

    fn prefix(name: &str, path: &str) -> String {
        format!("<explicit_instructions type=\"{name}\">\n{path}\n</explicit_instructions>\n")
    }

    /// parity 02 §9.2: a workflow stands in front of the text, an engine command takes its place
    /// parity 03 §checklist.25: `/a.md` runs in a task and not in feedback
    /// parity 03 §checklist.26: what stood around the command is in the user's input
    /// parity 03 §15.4: workflow in front, engine command around the text
    #[test]
    fn workflows_and_engine_commands() {
        assert_eq!(replaced("x <task>\n /a.md now</task>"), prefix("a.md", "/ws/a.md") + "x <task> now</task>");
        assert_eq!(replaced("<TASK>/off.md</Task>"), prefix("off.md", "/home/off.md") + "<TASK></Task>");
        for text in [
            "<task>/a.md now",
            "<task>/a.mdx</task>",
            "<task>/A.md</task>",
            "<feedback>/a.md now</feedback>",
            "<task>x /a.md</task>",
            "<task>/a.md;</task>",
            "<task>/ a.md</task>",
            "</task><task>/a.md ",
            "/newtask",
        ] {
            assert_eq!(replaced(text), text);
        }
        for (command, kind, tail) in [
            ("newtask", "new_task", "\n\n</explicit_instructions>\n\n"),
            ("newrule", "new_rule", "\n</explicit_instructions>\n\n"),
            ("reportbug", "report_bug", "\n</explicit_instructions>\n"),
            ("smol", "condense", "\n\n</explicit_instructions>\n\n"),
        ] {
            let text = replaced(&format!("<feedback>/{command} {{{{ x }}}}</feedback>"));
            assert!(text.starts_with(&format!("<explicit_instructions type=\"{kind}\">\n")), "{text}");
            let input = format!("<user_input>\n<feedback> {{{{ x }}}}</feedback>\n</user_input>{tail}");
            assert!(text.ends_with(&input), "{text}");
        }
    }

    /// parity 03 §15.4: tags in their order
    #[test]
    fn the_first_tag_that_resolves_counts() {
        assert!(replaced("<feedback>/newtask a</feedback><task>/smol b</task>").contains("type=\"condense\""));
        assert!(replaced("<task>/smol 'dir/</task>' (below)").contains("type=\"condense\""), "a tag inside a mention");
        assert!(replaced("<task>/none</task><feedback>/newtask a</feedback>").contains("type=\"new_task\""));
        assert!(run("<task>/newrule x</task>", &[], |_| None, &Texts::builtin()).rules_check);
    }

    /// parity 03 §quirks.10: `context` is explained and no parameter of the parser
    /// parity 03 §quirks.25: the words are for every mode, the tool belongs to the group of edits
    #[test]
    fn commands_explain_tools_as_the_reference_does() {
        use crate::protocol::tool::{ParamName, ToolName};
        use crate::settings::modes::{ALWAYS_AVAILABLE, Group};

        let text = replaced("<task>/newtask</task>");
        assert!(text.contains("\n<context>") && ParamName::parse("context").is_none(), "{text}");
        let text = replaced("<task>/newrule</task>");
        assert!(text.contains("mode") && text.contains("<new_rule>\n<path>.kilocode/rules/"), "{text}");
        assert!(Group::Edit.tools().contains(&ToolName::NewRule) && !ALWAYS_AVAILABLE.contains(&ToolName::NewRule));
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        let text = "<task>/x ".repeat(200_000);
        assert_eq!(replaced(&text), text);
        let text = format!("{}</task>", "<task> ".repeat(200_000));
        assert_eq!(replaced(&text), text);
    }
}
