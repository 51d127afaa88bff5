//! Support prompts, commit messages and fetched instructions, whole-engine.

use std::path::Path;
use std::process::Command;

use lapce_ai::protocol::failure::ErrorKind;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    a_prompt_is_enhanced_in_view_of_the_conversation,
    auxiliary_prompts_have_a_profile_of_their_own,
    code_actions_come_back_as_prompts,
    a_command_is_written_for_the_terminal,
    a_commit_message_is_made_of_what_is_staged,
    the_settings_of_a_repository_start_nothing,
    what_git_cannot_say_is_left_out,
    without_changes_there_is_no_message,
    instructions_are_fetched,
}

/// One turn of a transcript: what the prompt contains and lacks, and the answer.
fn turn(contains: &[&str], lacks: &[&str], answer: &str) -> String {
    let expect = json!({"expect": {"last_user_contains": contains, "last_user_lacks": lacks}});
    format!("{expect}\n{}\n", json!({"text": answer}))
}

fn enhance(host: &Host, request: Value) -> Result<Value, (String, Option<String>, String)> {
    let mut all = json!({"type": "prompt.enhance"});
    all.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    host.call(&all).map_err(|failed| (failed.kind.as_str().to_owned(), failed.place, failed.message))
}

/// The settings with a second profile that plays this transcript.
fn with_profile(place: &Place, transcript: &str, more: Value) -> Value {
    let file = place.workspace.with_file_name("profile.jsonl");
    std::fs::write(&file, transcript).unwrap();
    let mut settings = json!({
        "apiConfigs": {"helper": {"id": "h1", "apiProvider": "replay", "replayFile": file}},
        "listApiConfigMeta": [{"id": "h1", "name": "helper"}, {"id": "gone", "name": "gone"}],
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// parity 03 §13.4: the last questions and words of the task go along, unless that is switched off
fn a_prompt_is_enhanced_in_view_of_the_conversation(mode: Mode) {
    let place = mode.replay(&[&done("The parser is repaired.")]);
    let host = place.host(&[]);
    let seen = turn(&["and now?", "\nAssistant: Repair the parser"], &[], "Write tests for the parser.");
    let unseen = turn(&["and now?"], &["Repair the parser"], "Write tests.");
    let empty = turn(&[], &[], " \n");
    let settings = with_profile(&place, &(seen + &unseen + &empty), json!({"enhancementApiConfigId": "h1"}));
    let session = host.start_with("Repair the parser", settings);
    host.ask("completion_result");
    let request = json!({"text": "and now?", "session": session});
    let enhanced = enhance(&host, request.clone()).unwrap();
    assert_eq!(enhanced, json!({"text": "Write tests for the parser.", "use": "answer"}));
    let off = json!({"type": "settings.set", "session": session, "values": {"includeTaskHistoryInEnhance": false}});
    host.call(&off).unwrap();
    assert_eq!(enhance(&host, request.clone()).unwrap()["text"], "Write tests.");
    assert_eq!(enhance(&host, request).unwrap_err().0, ErrorKind::Provider.as_str(), "an empty answer");
}

/// parity 03 §13.3: the profile a setting names, if it is listed; one that cannot be read fails enhancement alone
fn auxiliary_prompts_have_a_profile_of_their_own(mode: Mode) {
    let place = mode.play(&turn(&["please"], &[], "by the active profile"));
    let host = place.host(&[]);
    let set = |values: Value| drop(host.call(&json!({"type": "settings.set", "values": values})).unwrap());
    set(with_profile(&place, &turn(&["own"], &[], "by its own"), json!({"enhancementApiConfigId": "unlisted"})));
    let text = |text: &str| enhance(&host, json!({"text": text})).map(|done| done["text"].clone());
    assert_eq!(text("please").unwrap(), "by the active profile");
    set(json!({"enhancementApiConfigId": "gone", "terminalCommandApiConfigId": "gone"}));
    assert_eq!(text("lost").unwrap_err().0, ErrorKind::Settings.as_str());
    let command = enhance(&host, json!({"text": "please", "kind": "TERMINAL_GENERATE"})).unwrap();
    assert_eq!(command["text"], "by the active profile");
    set(json!({"enhancementApiConfigId": "h1"}));
    assert_eq!(text("own").unwrap(), "by its own");
    assert_eq!(text(" ").unwrap_err().1.as_deref(), Some("prompt.enhance.text"));
}

/// parity 03 §13: templates of every kind for a host
/// parity 03 §13.2: prompts for tasks and for the input field; the user's templates go first
fn code_actions_come_back_as_prompts(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let values = json!({
        "filePath": "src/a.rs", "startLine": 3, "endLine": 9, "selectedText": "let a = ${b};",
        "terminalContent": "gti status", "diagnostics": [{"source": "rustc", "message": "no such value", "code": "E0425"}],
    });
    let made = |kind: &str| {
        let done = enhance(&host, json!({"kind": kind, "text": "please", "values": values})).unwrap();
        (done["text"].as_str().unwrap().to_owned(), done["use"].as_str().unwrap().to_owned())
    };
    for (kind, parts, usage) in [
        ("EXPLAIN", &["src/a.rs:3-9", "\nplease\n\n```\nlet a = ${b};\n```\n"][..], "task"),
        ("FIX", &["src/a.rs:3-9\n\n", "\n- [rustc] no such value (E0425)\nplease\n"], "task"),
        ("IMPROVE", &["src/a.rs:3-9"], "task"),
        ("ADD_TO_CONTEXT", &["src/a.rs:3-9\n```\nlet a = ${b};\n```"], "input"),
        ("TERMINAL_FIX", &["please\n", "\n```\ngti status\n```\n"], "task"),
        ("TERMINAL_EXPLAIN", &["\n```\ngti status\n```\n"], "task"),
        ("TERMINAL_ADD_TO_CONTEXT", &["\n```\ngti status\n```"], "input"),
        ("NEW_TASK", &["please"], "task"),
        ("CONDENSE", &["1. "], "setting"),
    ] {
        let (text, found) = made(kind);
        assert_eq!(found, usage, "{kind}");
        assert!(parts.iter().all(|part| text.contains(part)), "{kind}: {text}");
    }
    let own =
        json!({"type": "settings.set", "values": {"customSupportPrompts": {"FIX": "Mend ${filePath}${nothing}!"}}});
    host.call(&own).unwrap();
    assert_eq!(made("FIX").0, "Mend src/a.rs!");
    for kind in ["COMMIT_MESSAGE", "fix"] {
        let failed = enhance(&host, json!({"kind": kind, "text": "x"})).unwrap_err();
        assert_eq!(failed.1.as_deref(), Some("prompt.enhance.kind"), "{kind}");
    }
}

/// parity 03 §13.5: system, folder and shell are named; the answer loses its fence
fn a_command_is_written_for_the_terminal(mode: Mode) {
    let first = turn(&["\"list files\"", "/somewhere", "fish"], &[], "```bash\nls -l\n```\n");
    let second = turn(&["\"list files\"", "~"], &[], " ls ");
    let place = mode.play(&(first + &second));
    let host = place.host(&[]);
    let values = json!({"currentDirectory": "/somewhere", "shell": "fish"});
    let request = json!({"kind": "TERMINAL_GENERATE", "text": "list files", "values": values});
    assert_eq!(enhance(&host, request).unwrap(), json!({"text": "ls -l", "use": "answer"}));
    let request = json!({"kind": "TERMINAL_GENERATE", "text": "list files"});
    assert_eq!(enhance(&host, request).unwrap()["text"], "ls");
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.org", "-c", "commit.gpgSign=false"];
    let output = Command::new("git").current_dir(folder).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn write(place: &Place, files: &[(&str, &str)]) {
    for (path, text) in files {
        let file = place.workspace.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}

/// A repository on branch `topic` with one commit.
fn repository(place: &Place) {
    write(place, &[("a.txt", "one\n"), ("src/b.txt", "b\n")]);
    git(&place.workspace, &["init", "-q", "-b", "topic"]);
    git(&place.workspace, &["add", "-A"]);
    git(&place.workspace, &["commit", "-qm", "first commit"]);
}

fn message(host: &Host, folder: &Path) -> Result<Value, (String, String)> {
    let answer = host.call(&json!({"type": "commit_message.create", "workspace": folder}));
    answer.map_err(|failed| (failed.kind.as_str().to_owned(), failed.message))
}

/// parity 03 §14: staged changes, else unstaged ones; ignored and lock files are left out of the diff; rules count; the same changes
/// again ask for another message
fn a_commit_message_is_made_of_what_is_staged(mode: Mode) {
    let staged =
        ["Full Diff of Staged Changes", "\n+two", "\n+äö", " yarn.lock ", "`topic`", "first commit", "Be brief."];
    let left_out = ["\n+unstaged", "\n+secret", "\n+locked", "\n+log"];
    let again = [&staged[..], &["\"feat: add two\""]].concat();
    let script = turn(&staged, &left_out, "```\n\"feat: add two\"```")
        + &turn(&again, &left_out, "feat: another two\n")
        + &turn(&["Full Diff of Unstaged Changes", "\n+unstaged"], &["\n+two", "feat: another two"], "fix: c");
    let place = mode.play(&script);
    repository(&place);
    write(
        &place,
        &[
            ("a.txt", "one\ntwo\n"),
            ("ä \"quoted\" *.txt", "äö\n"),
            ("yarn.lock", "locked\n"),
            ("x.log", "log\n"),
            ("secrets/key", "secret\n"),
            (".kilocodeignore", "secrets/\n*.log\n"),
            (".kilocode/rules/brief.md", "Be brief."),
        ],
    );
    git(&place.workspace, &["add", "-Af"]);
    write(&place, &[("src/b.txt", "unstaged\n")]);
    let host = place.host(&[]);
    let made = message(&host, &place.workspace.join("src")).unwrap();
    assert_eq!(made, json!({"message": "feat: add two", "staged": true, "repository": place.workspace}));
    assert_eq!(message(&host, &place.workspace).unwrap()["message"], "feat: another two");
    git(&place.workspace, &["commit", "-qm", "second"]);
    let made = message(&host, &place.workspace).unwrap();
    assert_eq!((&made["message"], &made["staged"]), (&json!("fix: c"), &json!(false)));
}

/// parity 03 §14: hooks, external and text diffs, pagers and file watchers of a hostile repository do not run
fn the_settings_of_a_repository_start_nothing(mode: Mode) {
    let place = mode.play(&turn(&["\n+two"], &["CONVERTED"], "fix: two"));
    repository(&place);
    let trap = place.workspace.with_file_name("sprung");
    let program = place.workspace.with_file_name("trap.sh");
    std::fs::write(&program, format!("#!/bin/sh\ntouch '{}'\necho CONVERTED\n", trap.display())).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    write(&place, &[("a.txt", "one\ntwo\n"), (".gitattributes", "*.txt diff=trap\n")]);
    for key in ["diff.external", "diff.trap.command", "diff.trap.textconv", "core.pager", "core.fsmonitor"] {
        git(&place.workspace, &["config", key, program]);
    }
    for hook in ["post-index-change", "fsmonitor-watchman"] {
        std::fs::copy(program, place.workspace.join(".git/hooks").join(hook)).unwrap();
    }
    let host = place.host(&[]);
    assert_eq!(message(&host, &place.workspace).unwrap()["message"], "fix: two");
    assert!(!trap.exists(), "a program of the repository ran");
    // A repository that claims another folder is none of this workspace.
    git(&place.workspace, &["config", "core.worktree", "/usr"]);
    assert_eq!(message(&host, &place.workspace).unwrap_err().0, ErrorKind::NotFound.as_str());
}

/// parity 03 §14: a repository without a commit has no log, a detached one no branch; a renamed file is new, a binary one named
fn what_git_cannot_say_is_left_out(mode: Mode) {
    let first = turn(&["**Current branch:** `topic`", "\n+one"], &["**Recent commits:**"], "feat: begin");
    let second = turn(
        &["+++ b/moved.txt", "\n+one", "Binary files", "**Recent commits:**"],
        &["rename from", "**Current branch:**"],
        "refactor: move",
    );
    let place = mode.play(&(first + &second));
    write(&place, &[("a.txt", "one\n")]);
    git(&place.workspace, &["init", "-q", "-b", "topic"]);
    git(&place.workspace, &["add", "-A"]);
    let host = place.host(&[]);
    assert_eq!(message(&host, &place.workspace).unwrap()["message"], "feat: begin");
    git(&place.workspace, &["commit", "-qm", "first"]);
    git(&place.workspace, &["checkout", "-q", "--detach"]);
    git(&place.workspace, &["mv", "a.txt", "moved.txt"]);
    write(&place, &[("image.bin", "\0\u{1}")]);
    git(&place.workspace, &["add", "-A"]);
    assert_eq!(message(&host, &place.workspace).unwrap()["message"], "refactor: move");
}

/// parity 03 §14: nothing to commit, no repository, no folder
fn without_changes_there_is_no_message(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let (kind, none) = message(&host, &place.workspace).unwrap_err();
    assert_eq!(kind, ErrorKind::NotFound.as_str());
    repository(&place);
    let (kind, unchanged) = message(&host, &place.workspace).unwrap_err();
    assert_eq!(kind, ErrorKind::NotFound.as_str());
    assert_ne!(none, unchanged);
    assert_eq!(message(&host, &place.workspace.join("none")).unwrap_err().0, ErrorKind::NotFound.as_str());
}

/// parity 03 §12: approval shows the job; the instructions name the user's file of modes; what is not there is an error
fn instructions_are_fetched(mode: Mode) {
    let call = |task: &str| format!("<fetch_instructions>\n<task>{task}</task>\n</fetch_instructions>");
    let missing = "<fetch_instructions>\n</fetch_instructions>";
    let first = format!("{{\"expect\":{{}}}}\n{}\n", json!({"text": call("create_mode")}));
    let script = first
        + &turn(&["settings/custom_modes.yaml", "\ncustomModes:\n"], &["<error>"], &call("create_mcp_server"))
        + &turn(&["<error>"], &["mcpServers"], &call("make_tea"))
        + &turn(&["<error>", "make_tea"], &[], missing)
        + &turn(&["<error>", "'task'"], &[], &done("ok"));
    let place = mode.play(&script);
    let host = place.host(&[]);
    host.start_with(
        "Make a mode",
        json!({"alwaysAllowModeSwitch": true, "alwaysAllowMcp": true, "autoApprovalEnabled": true}),
    );
    // Modes and servers are allowed by their settings; what nobody knows is asked.
    host.respond(host.ask("tool"), "yes").unwrap();
    assert_eq!(host.completed(), "ok");
}
