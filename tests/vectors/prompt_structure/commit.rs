//! Prompts for commit messages, from repositories made for a case.

use std::fs;
use std::path::Path;
use std::process::Command;

use lapce_ai::engine::commit_message::changes::Git;
use lapce_ai::prompt::commit::{context, message_of, prompt};
use lapce_ai::prompt::instructions::{Instructions, custom_instructions};
use lapce_ai::prompt::rules::{self, Sources};
use lapce_ai::prompt::text::Texts;
use lapce_ai::workspace::access::Access;
use serde_json::{Map, Value, json};

use super::disk::Disk;
use super::instructions::threw;
use super::lines;
use crate::support::Outcome;

/// Settings of git that are the same on every machine.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_NAME", "Dev"),
    ("GIT_AUTHOR_EMAIL", "dev@example.org"),
    ("GIT_AUTHOR_DATE", "2025-01-02T03:04:05Z"),
    ("GIT_COMMITTER_NAME", "Dev"),
    ("GIT_COMMITTER_EMAIL", "dev@example.org"),
    ("GIT_COMMITTER_DATE", "2025-01-02T03:04:05Z"),
];

pub fn commit_prompt(input: &Value) -> Outcome {
    let disk = Disk::of(input);
    make(&disk, input);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(calls(&disk, input))
}

/// Makes the repository in `/ws`: commits, then what is staged, then what is not.
fn make(disk: &Disk, input: &Value) {
    let repository = disk.at("/ws");
    let branch = input["branch"].as_str().unwrap_or("main");
    git(&repository, &["init", "-q", "-b", branch]);
    for commit in input["commits"].as_array().into_iter().flatten() {
        write(disk, &repository, &commit["files"], true);
        let message = commit["message"].as_str().expect("a message");
        git(&repository, &["commit", "-q", "--allow-empty", "-m", message]);
    }
    write(disk, &repository, &input["staged"], true);
    write(disk, &repository, &input["unstaged"], false);
}

fn write(disk: &Disk, repository: &Path, files: &Value, add: bool) {
    for (path, content) in files.as_object().into_iter().flatten() {
        let file = disk.at(path);
        match content.as_str() {
            Some(text) => {
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(&file, text).expect("a file");
            }
            None => fs::remove_file(&file).expect("the file"),
        }
        if add {
            git(repository, &["add", "-f", "--", file.to_str().expect("UTF-8")]);
        }
    }
}

fn git(repository: &Path, arguments: &[&str]) {
    let status = Command::new("git").args(arguments).current_dir(repository).envs(ENVIRONMENT).status();
    assert!(status.expect("git").success(), "git {arguments:?}");
}

async fn calls(disk: &Disk, input: &Value) -> Outcome {
    let (texts, folder) = (Texts::builtin(), disk.at("/ws"));
    let known = input["no_git_extension"] != true;
    let access = known.then(|| Access::load(&folder));
    let toggles = disk.toggles(input);
    let from = Sources {
        cwd: &folder,
        home: &disk.home(),
        mode: "commit",
        agent_rules: true,
        ignore: None,
        toggles: Some(&toggles),
    };
    let rules = match rules::read(&from) {
        Ok(rules) => rules.blocks.iter().map(|block| disk.shown(block)).collect::<Vec<_>>(),
        Err(error) => return threw(&error),
    };
    let language = input["host"]["locale"].as_str().or(input["locale"].as_str()).unwrap_or("en");
    let instructions = Instructions { language, global: "", mode: "", rules: &rules };
    let instructions = custom_instructions(&texts, &instructions);
    let own = input["custom"].as_object();
    let git = Git { folder, environment: std::env::vars_os().collect() };
    let mut previous: Option<(String, String)> = None;
    let mut calls = Vec::new();
    for reply in input["replies"].as_array().into_iter().flatten() {
        let Some(changes) = git.changes(&texts, access.as_ref()).await else { continue };
        let context = context(&texts, &changes);
        let before = previous.filter(|(known, message)| *known == context && !message.is_empty());
        let before = before.as_ref().map(|(_, message)| message.as_str());
        let text = prompt(&texts, own, &context, &instructions, before).expect("valid texts");
        let message = message_of(reply.as_str().unwrap_or(""));
        let to = if known { "commit_box" } else { "clipboard" };
        calls.push(json!({"lines": lines(&text), "message": message, "to": to}));
        previous = Some((context, message));
    }
    Value::Object(Map::from_iter([("calls".to_owned(), calls.into())])).into()
}
