//! Whether a mode lets a tool run (spec 01 §1.3, spec 05 §1.5).

use serde_json::Value;

use crate::ecma;
use crate::ecma::pattern::{Finder, Unusable};
use crate::prompt::text::{Texts, context};
use crate::protocol::tool::{ParamName, Params, ToolName};
use crate::settings::modes::{self, ALWAYS_AVAILABLE, Group, GroupEntry, Mode};

/// Why a tool may not run. Counts as a mistake of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The mode does not have the tool, or there is no such mode.
    #[error("mode {mode} does not have the tool {tool}")]
    Tool {
        /// The tool.
        tool: ToolName,
        /// Slug of the mode.
        mode: String,
    },
    /// The mode has the tool, but not for this file.
    #[error("{tool} in mode {} is limited to {pattern}, which {path} does not match", mode.name)]
    File {
        /// The tool.
        tool: ToolName,
        /// The mode.
        mode: Box<Mode>,
        /// ECMAScript regular expression.
        pattern: String,
        /// What it means, for people.
        description: Option<String>,
        /// The file as the model named it.
        path: String,
    },
    /// Whether the mode has the tool for this file cannot be said.
    #[error("{tool} in mode {} is limited to {pattern}, which {why} for {path}", mode.name)]
    Undecided {
        /// The tool.
        tool: ToolName,
        /// The mode.
        mode: Box<Mode>,
        /// ECMAScript regular expression.
        pattern: String,
        /// The file as the model named it.
        path: String,
        /// What is the matter with the expression.
        why: String,
    },
}

impl NotAllowed {
    /// The sentence for the model, to be wrapped as a tool error.
    pub fn text(&self, texts: &Texts) -> String {
        match self {
            NotAllowed::Tool { tool, mode } => {
                texts.render("mode.tool_not_allowed", context! { tool => tool.as_str(), mode })
            }
            NotAllowed::File { tool, mode, pattern, description, path } => {
                let note = || mode.builtin.then(|| texts.get(&format!("mode.{}.edit_note", mode.slug)));
                let description = description.clone().or_else(note);
                let mode = &mode.name;
                texts.render(
                    "mode.file_restriction",
                    context! { tool => tool.as_str(), mode, pattern, description, path },
                )
            }
            NotAllowed::Undecided { tool, mode, pattern, path, why } => {
                let mode = &mode.name;
                texts.render("mode.file_undecided", context! { tool => tool.as_str(), mode, pattern, path, why })
            }
        }
    }
}

/// Checks a call, also a partial one. `diff_enabled` is the task's requirement for `apply_diff`.
///
/// # Errors
/// [`NotAllowed`] says which rule refuses it.
pub fn check(
    tool: ToolName,
    params: &Params,
    mode: &str,
    custom_modes: &[Value],
    diff_enabled: bool,
) -> Result<(), NotAllowed> {
    if ALWAYS_AVAILABLE.contains(&tool) {
        return Ok(());
    }
    let refused = || NotAllowed::Tool { tool, mode: mode.to_owned() };
    if tool == ToolName::ApplyDiff && !diff_enabled {
        return Err(refused());
    }
    let mode = modes::find(mode, custom_modes).ok_or_else(refused)?;
    // Our two git tools stand in no group's list; they are allowed wherever files may be read (spec 05 §5.24).
    let has_tool = |entry: &&GroupEntry| match tool {
        ToolName::GitStatus | ToolName::GitDiff => entry.group == Group::Read,
        _ => entry.group.tools().contains(&tool),
    };
    let entry = mode.groups.iter().find(has_tool).ok_or_else(refused)?;
    match entry.file_regex.as_deref().filter(|_| entry.group == Group::Edit) {
        Some(pattern) => check_files(tool, params, &mode, pattern, entry),
        None => Ok(()),
    }
}

/// Every file an edit names must match the mode's expression. `target_file` is not looked at (kept from the reference).
fn check_files(
    tool: ToolName,
    params: &Params,
    mode: &Mode,
    pattern: &str,
    entry: &GroupEntry,
) -> Result<(), NotAllowed> {
    const EDIT_MARKS: [ParamName; 6] =
        [ParamName::Diff, ParamName::Content, ParamName::Search, ParamName::Replace, ParamName::Args, ParamName::Line];
    let given = |name: ParamName| params.get(name).filter(|value| !value.is_empty());
    let is_edit = EDIT_MARKS.into_iter().any(|name| given(name).is_some());
    let path = given(ParamName::Path).filter(|_| is_edit);
    let listed = given(ParamName::Args).map(path_elements).unwrap_or_default();
    let finder = Finder::new(pattern);
    for path in path.into_iter().chain(listed) {
        let undecided = |why: String| NotAllowed::Undecided {
            tool,
            mode: Box::new(mode.clone()),
            pattern: pattern.to_owned(),
            path: path.to_owned(),
            why,
        };
        let matches = match &finder {
            Ok(finder) => finder.is_in(path).map_err(|too_long| undecided(too_long.to_string()))?,
            // No expression matches nothing.
            Err(Unusable::Invalid) => false,
            Err(unusable) => return Err(undecided(unusable.to_string())),
        };
        if !matches {
            return Err(NotAllowed::File {
                tool,
                mode: Box::new(mode.clone()),
                pattern: pattern.to_owned(),
                description: entry.description.clone(),
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether the expression is found anywhere in the path. One that cannot be used, or takes too long, never matches.
pub fn path_matches(path: &str, pattern: &str) -> bool {
    Finder::new(pattern).is_ok_and(|finder| finder.is_in(path) == Ok(true))
}

/// The trimmed, non-empty contents of all `<path>…</path>` without a `<` inside.
pub(super) fn path_elements(args: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    let mut rest = args;
    while let Some(start) = rest.find("<path>") {
        rest = &rest[start + "<path>".len()..];
        let end = rest.find('<').unwrap_or(rest.len());
        let path = ecma::trim(&rest[..end]);
        if rest[end..].starts_with("</path>") && !path.is_empty() && !path.contains('>') {
            paths.push(path);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(given: &[(ParamName, &str)]) -> Params {
        given.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// parity 03 §checklist.20: by what a call writes, and by each path of several; a path alone passes
    /// parity 03 §11: the expression is searched for in the path as written
    /// parity 03 §quirks.8: `target_file`, images and blocks that have a path alone are not looked at
    #[test]
    fn architect_edits_markdown_only() {
        let try_path = |path| {
            let params = params(&[(ParamName::Path, path), (ParamName::Content, "x")]);
            check(ToolName::WriteToFile, &params, "architect", &[], true)
        };
        assert_eq!(try_path("plan.md"), Ok(()));
        let refused = try_path("plan.ts").expect_err("not Markdown");
        assert!(refused.text(&Texts::builtin()).contains(r"\.md$"));
        let path_only = params(&[(ParamName::Path, "plan.ts")]);
        assert_eq!(check(ToolName::WriteToFile, &path_only, "architect", &[], true), Ok(()));
        let target = params(&[(ParamName::TargetFile, "plan.ts"), (ParamName::CodeEdit, "x")]);
        assert_eq!(check(ToolName::EditFile, &target, "architect", &[], true), Ok(()));
        let image = params(&[(ParamName::Path, "plan.png"), (ParamName::Prompt, "x")]);
        assert_eq!(check(ToolName::GenerateImage, &image, "architect", &[], true), Ok(()));
        for (path, allowed) in [("../x.md", true), ("a/b.md", true), ("x.MD", false), ("x.md ", false), ("md", false)] {
            assert_eq!(try_path(path).is_ok(), allowed, "{path}");
        }
        for (args, refused) in [
            ("<file><path>a.md</path></file><file><path> b.md </path></file>", None),
            ("<file><path>a.md</path></file><file><path>b.js</path></file>", Some("b.js")),
            ("<file><path>b.js</path></file><file><path>a.md</path></file>", Some("b.js")),
            ("<file><path>b<c>.js</path></file><file><path></path></file>", None),
        ] {
            let params = params(&[(ParamName::Args, args)]);
            let checked = check(ToolName::ApplyDiff, &params, "architect", &[], true);
            let path = checked.err().map(|error| match error {
                NotAllowed::File { path, .. } => path,
                other => panic!("{other}"),
            });
            assert_eq!(path.as_deref(), refused, "{args}");
        }
        for mark in [ParamName::Diff, ParamName::Search, ParamName::Replace, ParamName::Line] {
            let params = params(&[(ParamName::Path, "plan.ts"), (mark, "1")]);
            assert!(check(ToolName::SearchAndReplace, &params, "architect", &[], true).is_err(), "{mark}");
        }
    }

    /// parity 03 §checklist.21: `apply_diff` needs a task that makes diffs, in every mode
    #[test]
    fn diffs_need_a_task_that_makes_them() {
        let none = Params::default();
        for mode in ["code", "architect", "debug"] {
            assert_eq!(check(ToolName::ApplyDiff, &none, mode, &[], true), Ok(()));
            assert!(matches!(check(ToolName::ApplyDiff, &none, mode, &[], false), Err(NotAllowed::Tool { .. })));
            assert_eq!(check(ToolName::WriteToFile, &none, mode, &[], false), Ok(()));
        }
    }

    /// parity 03 §11: tools of every mode, of the mode's groups, of none
    #[test]
    fn tools_follow_the_groups_of_the_mode() {
        use serde_json::json;

        let custom = [
            json!({"slug": "code", "name": "Mine", "groups": ["read"]}),
            json!({"slug": "odd", "name": "Odd", "groups": [["edit", {"fileRegex": "("}], ["read", {"fileRegex": "x"}]]}),
        ];
        let written = params(&[(ParamName::Path, "a"), (ParamName::Content, "x")]);
        for (tool, mode, allowed) in [
            (ToolName::AttemptCompletion, "orchestrator", true),
            (ToolName::RunSlashCommand, "gone", true),
            (ToolName::ReadFile, "gone", false),
            (ToolName::ReadFile, "orchestrator", false),
            (ToolName::WriteToFile, "ask", false),
            (ToolName::ExecuteCommand, "architect", false),
            (ToolName::NewRule, "ask", false),
            (ToolName::NewRule, "debug", true),
            (ToolName::WriteToFile, "code", false),
            (ToolName::ReadFile, "code", true),
            // An invalid expression matches nothing; options of other groups than edit limit nothing.
            (ToolName::WriteToFile, "odd", false),
            (ToolName::ReadFile, "odd", true),
        ] {
            assert_eq!(check(tool, &written, mode, &custom, true).is_ok(), allowed, "{tool} in {mode}");
        }
    }

    #[test]
    fn an_expression_of_a_project_cannot_stop_the_engine() {
        let mode = |regex: &str| {
            let groups = serde_json::json!([["edit", {"fileRegex": regex}]]);
            serde_json::json!({"slug": "m", "name": "M", "roleDefinition": "r", "groups": groups})
        };
        let path = "a".repeat(4000);
        let params = params(&[(ParamName::Path, &path), (ParamName::Content, "x")]);
        let try_regex = |regex: &str| check(ToolName::WriteToFile, &params, "m", &[mode(regex)], true);
        assert!(matches!(try_regex("(a+)+b"), Err(NotAllowed::File { .. })));
        assert_eq!(try_regex("(a|a)*$"), Ok(()));
        let undecided = try_regex(r"(a+)+\1b").expect_err("nobody can tell");
        assert!(undecided.text(&Texts::builtin()).contains("takes too long"));
    }

    #[test]
    fn git_tools_follow_the_read_group() {
        assert!(check(ToolName::GitStatus, &Params::default(), "ask", &[], true).is_ok());
        assert!(check(ToolName::GitStatus, &Params::default(), "orchestrator", &[], true).is_err());
    }

    #[test]
    fn paths_are_taken_out_of_args() {
        let args = "<file><path> a.md </path></file><path>b<c></path><path></path><path>d</path>";
        assert_eq!(path_elements(args), ["a.md", "d"]);
    }
}
