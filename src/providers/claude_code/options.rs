//! The profile keys of Claude Code, and the command line that follows from them (spec 07 §19.1).

use std::ffi::OsString;
use std::path::Path;

use crate::providers::models::table;
use crate::providers::options::Options;
use crate::providers::{ModelInfo, Surroundings};

/// Name of the program when the profile does not say where it is.
const PROGRAM: &str = "claude";
/// Output tokens the program may write by default.
const DEFAULT_MAX_TOKENS: &str = "16000";
const MAX_TOKENS_VARIABLE: &str = "CLAUDE_CODE_MAX_OUTPUT_TOKENS";
/// The program's own tools, all of which are off: ours are described in the system prompt.
const DISALLOWED_TOOLS: &str = "Task,Bash,Glob,Grep,LS,exit_plan_mode,Read,Edit,MultiEdit,Write,NotebookRead,\
    NotebookEdit,WebFetch,TodoRead,TodoWrite,WebSearch,ExitPlanMode,BashOutput,KillBash";

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct ClaudeCodeOptions {
    /// The program: a path, or a name that is looked up.
    pub program: String,
    /// Id of the model in the table.
    pub model_id: String,
    /// Facts of the model.
    pub info: ModelInfo,
    /// Id as the program is told.
    wire_id: String,
    /// Value of `CLAUDE_CODE_MAX_OUTPUT_TOKENS`.
    max_tokens: String,
}

impl ClaudeCodeOptions {
    /// Reads the profile.
    pub fn read(options: Options<'_>, surroundings: &Surroundings) -> ClaudeCodeOptions {
        let environment = &surroundings.environment;
        let known = table("claude-code").map(|models| models.known_or_default(options.text("apiModelId")));
        let (id, mut info) = known.map_or(("", ModelInfo::default()), |(id, info)| (id, info.clone()));
        let max_tokens = options.number("claudeCodeMaxOutputTokens").map(|tokens| tokens as i64);
        info.max_tokens = max_tokens.or(info.max_tokens);
        let max_tokens = max_tokens.filter(|tokens| *tokens != 0).map(|tokens| tokens.to_string());
        let inherited = || environment(MAX_TOKENS_VARIABLE).filter(|tokens| !tokens.is_empty());
        let on_vertex = environment("CLAUDE_CODE_USE_VERTEX").as_deref() == Some("1");
        ClaudeCodeOptions {
            program: options.filled("claudeCodePath").unwrap_or(PROGRAM).to_owned(),
            wire_id: if on_vertex { vertex_id(id) } else { id.to_owned() },
            model_id: id.to_owned(),
            info,
            max_tokens: max_tokens.or_else(inherited).unwrap_or_else(|| DEFAULT_MAX_TOKENS.to_owned()),
        }
    }

    /// The arguments for a system prompt, or the file that holds it.
    pub fn arguments(&self, system: Result<&str, &Path>) -> Vec<OsString> {
        let (option, system) = match system {
            Ok(prompt) => ("--system-prompt", OsString::from(prompt)),
            Err(file) => ("--system-prompt-file", file.as_os_str().to_owned()),
        };
        let mut arguments = vec!["-p".into(), option.into(), system];
        let fixed = ["--verbose", "--output-format", "stream-json", "--disallowedTools", DISALLOWED_TOOLS];
        let last = ["--max-turns", "1", "--model", &self.wire_id];
        arguments.extend(fixed.iter().chain(&last).map(OsString::from));
        arguments
    }

    /// The variables of the program: `inherited`, and the limit of output tokens.
    pub fn environment(&self, inherited: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let limit = (MAX_TOKENS_VARIABLE.into(), OsString::from(&self.max_tokens));
        inherited.iter().filter(|(name, _)| name != MAX_TOKENS_VARIABLE).cloned().chain([limit]).collect()
    }
}

/// The id as Vertex AI spells it: `-` before a date at its end becomes `@`.
fn vertex_id(id: &str) -> String {
    match id.rsplit_once('-') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{name}@{date}")
        }
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::http::{Client, Http};
    use crate::settings::Settings;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::time::SystemTime;

    fn read(options: Value, environment: &'static [(&'static str, &'static str)]) -> ClaudeCodeOptions {
        let settings: Settings = serde_json::from_value(options).expect("settings");
        let http = Http::new(Arc::new(Client::default()), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string());
        let surroundings =
            Surroundings { environment: Arc::new(find), ..Surroundings::new(http, Arc::new(|id, _| id.to_owned())) };
        ClaudeCodeOptions::read(Options::of(&settings), &surroundings)
    }

    #[test]
    fn the_limit_of_output_is_the_profile_s_or_the_environment_s_or_16000() {
        const SET: &[(&str, &str)] = &[(MAX_TOKENS_VARIABLE, "9")];
        for (options, environment, limit, known) in [
            (json!({"claudeCodeMaxOutputTokens": 5}), SET, "5", Some(5)),
            (json!({"claudeCodeMaxOutputTokens": 0}), SET, "9", Some(0)),
            (json!({}), SET, "9", Some(64_000)),
            (json!({}), &[], "16000", Some(64_000)),
        ] {
            let read = read(options.clone(), environment);
            let inherited = [("A".into(), "1".into()), (MAX_TOKENS_VARIABLE.into(), "old".into())];
            let expected = [("A".into(), "1".into()), (MAX_TOKENS_VARIABLE.into(), OsString::from(limit))];
            assert_eq!(read.environment(&inherited), expected, "{options}");
            assert_eq!(read.info.max_tokens, known, "{options}");
        }
    }

    #[test]
    fn model_and_prompt_stand_on_the_command_line() {
        const VERTEX: &[(&str, &str)] = &[("CLAUDE_CODE_USE_VERTEX", "1")];
        for (id, environment, wire) in [
            ("claude-opus-4-20250514", &[][..], "claude-opus-4-20250514"),
            ("claude-opus-4-20250514", VERTEX, "claude-opus-4@20250514"),
            ("claude-4.5-sonnet", VERTEX, "claude-4.5-sonnet"),
            ("unknown", &[("CLAUDE_CODE_USE_VERTEX", "true")], "claude-sonnet-4-20250514"),
        ] {
            let arguments = read(json!({"apiModelId": id}), environment).arguments(Ok("S"));
            assert_eq!(arguments[..3], ["-p", "--system-prompt", "S"], "{id}");
            assert_eq!(arguments.last().expect("an argument"), wire, "{id}");
        }
        let arguments = read(json!({}), &[]).arguments(Err(Path::new("/f")));
        assert_eq!(arguments[1..3], ["--system-prompt-file", "/f"]);
    }
}
