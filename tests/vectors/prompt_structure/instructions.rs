//! Custom instructions, and what becomes of a user's message: commands, mentions, engine commands, workflows.

use std::path::Path;

use lapce_ai::prompt::instructions::{Instructions, custom_instructions};
use lapce_ai::prompt::mentions::slash::Workflow;
use lapce_ai::prompt::override_file::{self, Variables};
use lapce_ai::prompt::rules::{self, RulesError, Sources};
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::settings::Settings;
use lapce_ai::task::mentions::{Place, expand_mentions, is_users, replace_command, workflows};
use lapce_ai::tools;
use lapce_ai::tools::context::ToolContext;
use lapce_ai::workspace::access::Access;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::disk::{self, Disk};
use super::lines;
use crate::access_listing::references::Pages;
use crate::stub::Run;
use crate::support::Outcome;

/// What the files of a case say: rule blocks, and the user's own prompt.
#[derive(Default)]
pub struct Read {
    /// The blocks, with paths as the case has them.
    pub rules: Vec<String>,
    /// The user's own prompt.
    pub own_prompt: Option<String>,
}

/// Reads the files of a request; with `variables` the user's own prompt too.
pub fn read(
    disk: &Disk,
    input: &Value,
    mode: &str,
    agent_rules: bool,
    variables: Option<&Variables<'_>>,
) -> Result<Read, RulesError> {
    let cwd = disk.cwd(input);
    let own_prompt = variables.map_or(Ok(None), |variables| override_file::read(&cwd, variables))?;
    let toggles = disk.toggles(input);
    let ignore = Access::load(&cwd).instructions(&Texts::builtin().get("ignore.instructions"));
    let rules = rules::read(&Sources {
        cwd: &cwd,
        home: &disk.home(),
        mode,
        agent_rules,
        ignore: ignore.as_deref(),
        toggles: Some(&toggles).filter(|_| own_prompt.is_none()),
    })?;
    Ok(Read { rules: rules.blocks.iter().map(|block| disk.shown(block)).collect(), own_prompt })
}

/// A failure as the recorded outputs have it.
pub fn threw(error: &RulesError) -> Outcome {
    let code = match error.cause.kind() {
        std::io::ErrorKind::NotADirectory => "ENOTDIR",
        std::io::ErrorKind::PermissionDenied => "EACCES",
        _ => "EIO",
    };
    json!({"threw": code}).into()
}

/// The rule blocks for details about a mode.
pub fn of_details(disk: &Disk, input: &Value, mode: &str) -> Result<Vec<String>, RulesError> {
    let (cwd, home) = (disk.cwd(input), disk.home());
    let rules = rules::read(&Sources { cwd: &cwd, home: &home, mode, agent_rules: true, ignore: None, toggles: None })?;
    Ok(rules.blocks.iter().map(|block| disk.shown(block)).collect())
}

pub fn instructions(input: &Value) -> Outcome {
    let disk = Disk::of(input);
    let text = |key: &str| input[key].as_str().unwrap_or("");
    let agent_rules = input["settings"]["use_agent_rules"] != false;
    let Read { rules, .. } = match read(&disk, input, text("mode"), agent_rules, None) {
        Ok(read) => read,
        Err(error) => return threw(&error),
    };
    let parts = Instructions {
        language: text("language"),
        global: text("global_instructions"),
        mode: text("mode_instructions"),
        rules: &rules,
    };
    let heading = r"^# ((Rules|Global Rules|Local Rules) from .*:|\.kilocodeignore|Agent Rules Standard \(.*\):)$";
    let heading = Regex::new(heading).expect("a pattern");
    let headings: Vec<&str> =
        rules.iter().flat_map(|block| block.lines()).filter(|line| heading.is_match(line)).collect();
    json!({"lines": lines(&custom_instructions(&Texts::builtin(), &parts)), "rule_headings": headings}).into()
}

pub fn user_message(input: &Value) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(message(input))
}

async fn message(input: &Value) -> Outcome {
    let disk = Disk::of(input);
    let (cwd, home) = (disk.cwd(input), disk.home());
    let (texts, toggles) = (Texts::builtin(), disk.toggles(input));
    let access = Access::load(&cwd);
    let place = Place {
        cwd: &cwd,
        home: &home,
        locate: &|path| path.to_owned(),
        access: &access,
        settings: &Settings::default(),
        texts: &texts,
        host: &Pages,
        environment: &std::env::vars_os().collect::<Vec<_>>(),
    };
    let mut blocks = Vec::new();
    for block in input["blocks"].as_array().into_iter().flatten() {
        let Some(text) = block["text"].as_str() else {
            blocks.push(block.clone());
            continue;
        };
        let mut text = text.to_owned();
        if is_users(&text) {
            text = expand_mentions(&text, &place).await.text;
            text = replace_command(&text, &workflows::known(&cwd, &home, &toggles), &texts);
        }
        blocks.push(json!({"type": "text", "lines": lines(&disk.shown(&text))}));
    }
    let switches = |switches: &Map<String, Value>, folder: &Path| -> Map<String, Value> {
        let workflows = workflows::synchronised(switches, &folder.join(".kilocode/workflows"));
        let shown = |workflow: &Workflow| (disk.shown(&workflow.path.to_string_lossy()), workflow.enabled.into());
        workflows.iter().map(shown).collect()
    };
    let toggles = json!({
        "local": switches(&toggles.local_workflows, &cwd),
        "global": switches(&toggles.global_workflows, &home),
    });
    // The check of the rules folder never does anything in the reference, so it never fails.
    json!({"blocks": blocks, "workflow_toggles": toggles, "rules_dir_error": false}).into()
}

pub fn run_slash_command(input: &Value) -> Outcome {
    let Some(tool) = tools::find(ToolName::RunSlashCommand) else { return Outcome::Missing("the tool".into()) };
    let experiments = input["experiments"].as_object().cloned().unwrap_or_default();
    let call = json!({"params": input["params"], "approve": input["approve"], "state": {"experiments": experiments}});
    let mut run = Run::new(ToolName::RunSlashCommand, &call, Texts::builtin().with_pack("").expect("an empty pack"));
    disk::fill(&run.root(), input);
    run.home = run.root().join("h");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tool.run(run.call(), &run)).expect("nothing was aborted");
    let results = run.results.lock().expect("not poisoned").clone();
    let text: Vec<&str> = results.iter().filter_map(Value::as_str).collect();
    let events = run.events.lock().expect("not poisoned");
    let asks: Vec<&Value> = events.iter().filter(|event| event[0] == "approve").map(|event| &event[1]).collect();
    run.mapped(&json!({"lines": lines(&text.join("\n")), "asks": asks})).into()
}
