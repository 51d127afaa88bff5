//! Selectors `kilo_slash` and `parse_mentions`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lapce_ai::prompt::mentions::slash::{self, Workflow};
use lapce_ai::prompt::text::Texts;
use lapce_ai::settings::Settings;
use lapce_ai::task::host::{HostRequestError, TaskEvent, TaskHost};
use lapce_ai::task::mentions::{Place, expand_mentions};
use lapce_ai::workspace::access::Access;
use serde_json::{Value, json};

use super::{WORKSPACE, coded_texts, text};
use crate::support::Outcome;

/// Prose of an engine command, which stands between these, becomes a code.
const KINDS: [&str; 4] = ["new_task", "new_rule", "report_bug", "condense"];

pub fn kilo_slash(input: &Value) -> Outcome {
    let mut workflows = Vec::new();
    for key in ["local_workflows", "global_workflows"] {
        for row in input[key].as_array().into_iter().flatten() {
            workflows.push(Workflow { path: row[0].as_str().unwrap_or("").into(), enabled: row[1] == true });
        }
    }
    let read = |path: &Path| input["files"].get(path.to_str()?)?.as_str().map(str::to_owned);
    let replaced = slash::run(text(input, "text"), &workflows, read, &Texts::builtin());
    json!({"text": coded(replaced.text), "needs_rules_check": replaced.rules_check}).into()
}

fn coded(text: String) -> String {
    for kind in KINDS {
        let open = format!("<explicit_instructions type=\"{kind}\">");
        if let Some((_, input)) = text.strip_prefix(&open).and_then(|rest| rest.split_once("<user_input>")) {
            return format!("{open}⟦CMD|{kind}⟧<user_input>{input}");
        }
    }
    text
}

pub fn parse_mentions(input: &Value) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a real path");
    let cwd = root.join(WORKSPACE.trim_start_matches('/'));
    std::fs::create_dir_all(&cwd).expect("a workspace");
    for (path, content) in input["files"].as_object().into_iter().flatten() {
        let file = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content.as_str().unwrap_or_default()).expect("a file");
    }
    let mut settings = json!({"showRooIgnoredFiles": input["show_ignored"] == true});
    for key in ["max_read_file_line", "max_lines"] {
        if input[key].is_number() {
            settings["maxReadFileLine"] = input[key].clone();
        }
    }
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let place = Place {
        cwd: &cwd,
        home: &root.join("home"),
        locate: &|path| path.to_owned(),
        access: &Access::from_text(&cwd, input["ignore"].as_str()),
        settings: &settings,
        texts: &Arc::new(coded_texts()),
        host: &Pages,
        environment: &std::env::vars_os().collect::<Vec<_>>(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    json!(runtime.block_on(expand_mentions(text(input, "text"), &place)).text).into()
}

/// A host with a browser that knows every page whose address does not say otherwise.
pub struct Pages;

#[async_trait]
impl TaskHost for Pages {
    fn emit(&self, _: TaskEvent) {}

    async fn ready(&self) {}

    async fn request(&self, _: &'static str, parameters: Value) -> Result<Value, HostRequestError> {
        let url = text(&parameters, "url");
        match url.contains("fail") {
            true => Err(HostRequestError::Failed("no page".into())),
            false => Ok(json!({"markdown": format!("# page {url}")})),
        }
    }

    fn offers(&self, method: &str) -> bool {
        method == "url.markdown"
    }
}
