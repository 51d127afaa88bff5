//! The label of a tool call in results and notices (spec 01 §6.2 a).

use crate::prompt::text::Texts;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::settings::Settings;
use crate::settings::modes;

/// `[<tool> for '<value>']` and its variants.
pub fn describe(call: &ToolCall, settings: &Settings, texts: &Texts) -> String {
    let tool = call.name;
    let value = |name: ParamName| call.params.get(name).unwrap_or("undefined");
    let given = |name: ParamName| call.params.get(name).filter(|text| !text.is_empty());
    let plain = |name: ParamName| format!("[{tool} for '{}']", value(name));
    match tool {
        ToolName::ExecuteCommand => plain(ParamName::Command),
        ToolName::ReadFile => read_file(call, texts),
        ToolName::FetchInstructions => plain(ParamName::Task),
        ToolName::WriteToFile
        | ToolName::InsertContent
        | ToolName::SearchAndReplace
        | ToolName::ListFiles
        | ToolName::ListCodeDefinitionNames
        | ToolName::NewRule
        | ToolName::GenerateImage => plain(ParamName::Path),
        ToolName::ApplyDiff => apply_diff(call),
        ToolName::SearchFiles => match given(ParamName::FilePattern) {
            Some(pattern) => format!("[{tool} for '{}' in '{pattern}']", value(ParamName::Regex)),
            None => plain(ParamName::Regex),
        },
        ToolName::EditFile => plain(ParamName::TargetFile),
        ToolName::BrowserAction => plain(ParamName::Action),
        ToolName::UseMcpTool | ToolName::AccessMcpResource => plain(ParamName::ServerName),
        ToolName::AskFollowupQuestion => plain(ParamName::Question),
        ToolName::CodebaseSearch => plain(ParamName::Query),
        ToolName::AttemptCompletion | ToolName::UpdateTodoList | ToolName::ReportBug | ToolName::Condense => {
            format!("[{tool}]")
        }
        ToolName::SwitchMode => match given(ParamName::Reason) {
            Some(reason) => format!("[{tool} to '{}' because: {reason}]", value(ParamName::ModeSlug)),
            None => format!("[{tool} to '{}']", value(ParamName::ModeSlug)),
        },
        ToolName::NewTask => {
            let slug = call.params.get(ParamName::Mode).unwrap_or("code");
            let message = call.params.get(ParamName::Message).unwrap_or("(no message)");
            let mode = modes::find(slug, &settings.custom_modes).map_or_else(|| slug.to_owned(), |mode| mode.name);
            format!("[{tool} in {mode} mode: '{message}']")
        }
        ToolName::RunSlashCommand => match given(ParamName::Args) {
            Some(args) => format!("[{tool} for '{}' with args: {args}]", value(ParamName::Command)),
            None => plain(ParamName::Command),
        },
        ToolName::GitStatus | ToolName::GitDiff => match given(ParamName::Path) {
            Some(path) => format!("[{tool} for '{path}']"),
            None => format!("[{tool}]"),
        },
    }
}

fn read_file(call: &ToolCall, texts: &Texts) -> String {
    let single = |path: &str| format!("[read_file for '{path}'. {}]", texts.get("tool.read_file.prefer_batch"));
    if let Some(args) = call.params.get(ParamName::Args).filter(|args| !args.is_empty()) {
        let Some(paths) = file_paths(args) else { return "[read_file with unparsable args]".into() };
        return match paths.as_slice() {
            [] => "[read_file with no valid paths]".into(),
            [path] => single(path),
            few if few.len() <= 3 => {
                let quoted: Vec<String> = few.iter().map(|path| format!("'{path}'")).collect();
                format!("[read_file for {}]", quoted.join(", "))
            }
            many => format!("[read_file for {} files]", many.len()),
        };
    }
    match call.params.get(ParamName::Path).filter(|path| !path.is_empty()) {
        Some(path) => single(path),
        None => "[read_file with missing path/args]".into(),
    }
}

/// Paths of the files that `args` names; `None` when it cannot be read.
fn file_paths(args: &str) -> Option<Vec<String>> {
    let files = args.split("<file>").skip(1);
    Some(
        files
            .filter_map(|file| Some(file.split_once("<path>")?.1.split_once("</path>")?.0.trim().to_owned()))
            .collect(),
    )
}

fn apply_diff(call: &ToolCall) -> String {
    if let Some(path) = call.params.get(ParamName::Path).filter(|path| !path.is_empty()) {
        return format!("[apply_diff for '{path}']");
    }
    let args = call.params.get(ParamName::Args).unwrap_or_default();
    match (first_path(args), args.matches("<file>").count()) {
        (Some(path), 1) => format!("[apply_diff for '{path}']"),
        (Some(path), 2) => format!("[apply_diff for '{path}' and 1 more file]"),
        (Some(path), files) if files > 2 => format!("[apply_diff for '{path}' and {} more files]", files - 1),
        _ => "[apply_diff]".into(),
    }
}

/// The first `<path>P</path>` after a `<file>`; P has no `<`.
fn first_path(args: &str) -> Option<&str> {
    let mut rest = args.split_once("<file>")?.1;
    loop {
        rest = rest.split_once("<path>")?.1;
        let end = rest.find('<')?;
        if end > 0 && rest[end..].starts_with("</path>") {
            return Some(&rest[..end]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: ToolName, params: &[(ParamName, &str)]) -> String {
        let params = params.iter().map(|(n, v)| (*n, v.to_string())).collect();
        let texts = Texts::builtin();
        describe(&ToolCall { name, params, partial: false }, &Settings::default(), &texts)
    }

    #[test]
    fn labels_name_what_the_call_is_about() {
        use ParamName as P;
        use ToolName as T;
        type Row<'a> = (T, &'a [(P, &'a str)], &'a str);
        let table: &[Row<'_>] = &[
            (T::ExecuteCommand, &[(P::Command, "ls")], "[execute_command for 'ls']"),
            (T::WriteToFile, &[], "[write_to_file for 'undefined']"),
            (T::SearchFiles, &[(P::Regex, "x"), (P::FilePattern, "*.rs")], "[search_files for 'x' in '*.rs']"),
            (T::SwitchMode, &[(P::ModeSlug, "ask"), (P::Reason, "q")], "[switch_mode to 'ask' because: q]"),
            (T::NewTask, &[(P::Mode, "nope")], "[new_task in nope mode: '(no message)']"),
            (T::NewTask, &[(P::Mode, "ask"), (P::Message, "m")], "[new_task in Ask mode: 'm']"),
            (T::AttemptCompletion, &[(P::Result, "r")], "[attempt_completion]"),
            (T::ApplyDiff, &[(P::Args, "<file><path>a</path></file><file>")], "[apply_diff for 'a' and 1 more file]"),
            (T::ApplyDiff, &[], "[apply_diff]"),
            (T::ReadFile, &[], "[read_file with missing path/args]"),
            (T::GitDiff, &[(P::Path, "src")], "[git_diff for 'src']"),
        ];
        for (name, params, expected) in table {
            assert_eq!(label(*name, params), *expected);
        }
    }
}
