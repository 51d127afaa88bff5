//! Subcommands that print what the engine knows.

use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_lapce-ai")).args(arguments).env("HOME", home.path()).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn providers_are_listed() {
    let table = printed(&["providers"]);
    assert!(table.lines().any(|line| line.starts_with("anthropic ") && line.contains("apiKey")), "{table}");
    let list: Value = serde_json::from_str(&printed(&["providers", "--json"])).unwrap();
    assert_eq!(list["providers"].as_array().map(Vec::len), Some(table.lines().count() - 1));
}

#[test]
fn models_are_listed() {
    let table = printed(&["models", "anthropic"]);
    let model = table.lines().find(|line| line.contains("claude-3-haiku-20240307")).unwrap();
    assert_eq!(model.split_whitespace().collect::<Vec<_>>()[1..5], ["200000", "4096", "0.25", "1.25"]);
    let lists: Value = serde_json::from_str(&printed(&["models", "--json"])).unwrap();
    assert!(lists.as_array().unwrap().iter().any(|list| list["provider"] == "gemini"));
}

#[test]
fn wrong_arguments_and_unknown_providers_are_refused() {
    assert_eq!(run(&["models", "--fetch"]).status.code(), Some(2), "a list is fetched of one provider");
    let output = run(&["models", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody"), "{output:?}");
}

/// parity 03 §2: the prompt of a mode is shown with its sections and tools
#[test]
fn a_prompt_is_shown() {
    let workspace = tempfile::tempdir().unwrap();
    std::fs::write(workspace.path().join("AGENTS.md"), "Tabs, please.").unwrap();
    let folder = workspace.path().to_str().unwrap();
    let ask = ["prompt", "--workspace", folder, "--mode", "ask"];
    let text = printed(&ask);
    assert!(text.contains("\n\n====\n\nRULES\n\n") && text.contains("\nTabs, please.\n"), "{text}");
    let shown: Value = serde_json::from_str(&printed(&[&ask[..], &["--json"]].concat())).unwrap();
    // The two were asked with home folders of their own.
    assert_eq!((shown["mode"].as_str(), shown["text"].as_str().map(str::len)), (Some("ask"), Some(text.len() - 1)));
    let sizes: u64 =
        shown["sections"].as_array().unwrap().iter().map(|section| section["bytes"].as_u64().unwrap()).sum();
    assert!(sizes < shown["bytes"].as_u64().unwrap());
    assert!(shown["tools"].as_array().unwrap().iter().all(|tool| tool != "write_to_file"), "{shown}");
    let sizes = printed(&[&ask[..], &["--sizes"]].concat());
    assert!(sizes.starts_with("role ") && sizes.contains("\ntools: read_file, "), "{sizes}");
}

#[test]
fn a_prompt_needs_a_mode_and_a_workspace() {
    let output = run(&["prompt", "--mode", "nope", "--workspace", "/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`nope`"), "{output:?}");
    assert_eq!(run(&["prompt", "--workspace", "/nowhere/at/all"]).status.code(), Some(1));
}

/// A command line over one home folder.
struct Home(tempfile::TempDir);

impl Home {
    fn config(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
        let command = command.arg("config").args(arguments).env("HOME", self.0.path()).env_remove("XDG_DATA_HOME");
        command.output().unwrap()
    }

    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.config(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("canary"), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.config(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains(words) && !said.contains("canary"),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn settings_are_kept_shown_and_refused_by_name() {
    let home = Home(tempfile::tempdir().unwrap());
    assert_eq!(home.printed(&["get", "writeDelayMs"]), "1000\n");
    home.printed(&["set", "writeDelayMs", "5"]);
    home.printed(&["set", "apiProvider", "groq"]);
    home.printed(&["set", "groqApiKey", "sk-canary"]);
    home.printed(&["set", "allowedCommands", "[\"git\"]"]);
    assert_eq!(home.printed(&["get", "writeDelayMs"]), "5\n");
    assert_eq!(home.printed(&["get", "groqApiKey"]), "(set)\n");
    let listed = home.printed(&["list"]);
    for line in ["allowedCommands = [\"git\"]", "apiProvider = groq", "groqApiKey = (set)", "writeDelayMs = 5"] {
        assert!(listed.lines().any(|one| one == line), "{line}: {listed}");
    }
    let all: Value = serde_json::from_str(&home.printed(&["list", "--all", "--json"])).unwrap();
    assert_eq!((&all["writeDelayMs"], &all["maxWorkspaceFiles"]), (&Value::from(5), &Value::from(200)));
    home.refused(&["set", "writeDelayMs", "soon"], "writeDelayMs: must be a whole number");
    home.refused(&["set", "verbosity", "canary"], "verbosity: must be one of low, medium, high");
    home.refused(&["set", "writeDelayMS", "5"], "is it writeDelayMs");
    home.refused(&["get", "nothingOfTheKind"], "nothingOfTheKind");
    assert_eq!(home.config(&["set"]).status.code(), Some(2));
    let paths = home.printed(&["path"]);
    assert!(paths.lines().all(|path| std::path::Path::new(path).is_file()), "{paths}");
    let (with, without) = (home.0.path().join("with.json"), home.0.path().join("without.json"));
    home.printed(&["export", without.to_str().unwrap()]);
    home.printed(&["export", "--secrets", with.to_str().unwrap()]);
    let text = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    assert!(!text(&without).contains("canary") && text(&with).contains("sk-canary"));
    let other = Home(tempfile::tempdir().unwrap());
    assert_eq!(other.printed(&["import", with.to_str().unwrap()]), "1 profiles, 3 settings\n");
    assert_eq!(other.printed(&["get", "groqApiKey"]), "(set)\n");
    std::fs::write(&with, "{\n\"providerProfiles\": 5}").unwrap();
    other.refused(&["import", with.to_str().unwrap()], "[providerProfiles]: must be an object");
    let file = paths.lines().next().unwrap();
    std::fs::write(file, "{\n\"mode\": \n}").unwrap();
    home.refused(&["set", "writeDelayMs", "6"], "line 3");
}
