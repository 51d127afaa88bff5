//! What the model is told beside the user's words: mentioned files, the editor's files, files that others changed.

use std::fs;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::time::Instant;
use std::time::{Duration, SystemTime};

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

#[cfg(target_os = "linux")]
use crate::harness::DEADLINE;
use crate::harness::{Host, Mode, both, done};

both! {
    words_of_the_user_bring_what_they_refer_to,
    git_is_asked_without_running_what_the_repository_names,
    a_workflow_stands_in_front_of_the_task,
    the_model_hears_of_files_that_the_user_changed,
    changes_are_found_when_a_task_is_resumed,
    the_editors_files_are_named_within_limits,
    the_role_is_repeated_when_the_user_wants_that,
    without_facts_of_the_model_the_details_end_early,
}

const READ: &str = "<read_file>\n<args><file><path>a.txt</path></file></args>\n</read_file>";
const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";

/// A transcript of turns with what each expects.
fn transcript(turns: &[(Value, &str)]) -> String {
    turns
        .iter()
        .map(|(expect, text)| format!("{}\n{}\n", json!({ "expect": expect }), json!({ "text": text })))
        .collect()
}

fn answer(host: &Host, ask: u64) {
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "one"})).unwrap();
}

/// parity 02 §9.1: files, folders, pages and commands of the user's words reach the model
/// parity 03 §16.1: words of a task in a whole run
fn words_of_the_user_bring_what_they_refer_to(mode: Mode) {
    let expected = json!({"last_user_contains": [
        "<file_content path=\"a.txt\">\n1 | alpha\n\n</file_content>",
        "<folder_content path=\"d/\">\n├── b.txt\n└── sub/\n\n<file_content path=\"d/b.txt\">\n1 | beta\n",
        "<file_content path=\"gone.txt\">",
        "<url_content url=\"https://nowhere.invalid/\">",
        "<git_working_state>",
        "<command name=\"ship\">\nDescription: Ship it\n\nDo it.\n</command>",
    ], "last_user_lacks": ["gamma", "@/a.txt"]});
    let place = mode.play(&transcript(&[(expected, &done("seen"))]));
    let at = |name: &str| place.workspace.join(name);
    fs::create_dir_all(at("d/sub")).unwrap();
    fs::create_dir_all(at(".kilocode/commands")).unwrap();
    for (name, text) in [
        ("a.txt", "alpha\n"),
        ("d/b.txt", "beta"),
        ("d/sub/c.txt", "gamma"),
        (".kilocode/commands/ship.md", "---\ndescription: Ship it\n---\nDo it."),
    ] {
        fs::write(at(name), text).unwrap();
    }
    let host = place.host(&[]);
    host.start("see @/a.txt, @/d/ and @/gone.txt and @https://nowhere.invalid/ and @git-changes, then /ship it");
    assert_eq!(host.completed(), "seen");
}

/// parity 02 §9.1: changes and commits of a repository whose settings would start programs
fn git_is_asked_without_running_what_the_repository_names(mode: Mode) {
    let expected = json!({"last_user_contains": [
        "<git_working_state>\n", "\n\n M a.txt\n\n\ndiff --git a/a.txt b/a.txt\n", "\n-first\n+second\n</git_working_state>",
        "\nAuthor: A. Uthor\n", "\n\nMessage: one\n\n\nFiles Changed:\na.txt | 1 +\n", "\n+first\n</git_commit>",
    ]});
    let place = mode.play(&transcript(&[(expected, &done("seen"))]));
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=A. Uthor", "-c", "user.email=a@example.org"];
        let output = Command::new("git").current_dir(&place.workspace).args(identity).args(arguments).output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    };
    if git(&["init", "-q"]).is_none() {
        #[cfg(target_os = "linux")]
        crate::tools::skipped("`git` is not installed");
        return;
    }
    let file = place.workspace.join("a.txt");
    fs::write(&file, "first\n").unwrap();
    fs::write(place.workspace.join(".git/info/attributes"), "*.txt diff=words\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let hash = git(&["rev-parse", "HEAD"]).unwrap();
    let ran = place.workspace.join(".git/ran");
    let program = format!("touch {}", ran.display());
    for setting in ["core.fsmonitor", "core.pager", "diff.external", "diff.words.command", "diff.words.textconv"] {
        git(&["config", setting, &program]);
    }
    fs::write(&file, "second\n").unwrap();
    let host = place.host(&[]);
    host.start(&format!("look at @git-changes and @{}", hash.trim()));
    assert_eq!(host.completed(), "seen");
    assert!(!ran.exists());
}

/// parity 02 §9.2: a workflow file named first stands in front of the task
fn a_workflow_stands_in_front_of_the_task(mode: Mode) {
    let expected = json!({"last_user_contains":
        "<explicit_instructions type=\"go.md\">\nbuild, then push\n</explicit_instructions>\n<task> now\n</task>"});
    let place = mode.play(&transcript(&[(expected, &done("gone"))]));
    fs::create_dir_all(place.workspace.join(".kilocode/workflows")).unwrap();
    fs::write(place.workspace.join(".kilocode/workflows/go.md"), "build, then push\n").unwrap();
    let host = place.host(&[]);
    host.start("/go.md now");
    assert_eq!(host.completed(), "gone");
}

/// parity 02 §14: a change by the user is told with the next request, once; the engine's own is not
fn the_model_hears_of_files_that_the_user_changed(mode: Mode) {
    let write =
        "<write_to_file>\n<path>a.txt</path>\n<content>ours</content>\n<line_count>1</line_count>\n</write_to_file>";
    let place = mode.play(&transcript(&[
        (json!({}), READ),
        (json!({"last_user_lacks": "# Recently Modified Files"}), ASK),
        (json!({"last_user_contains": ["# Recently Modified Files\n", "\na.txt\n"]}), write),
        (json!({"last_user_lacks": "# Recently Modified Files"}), &done("told")),
    ]));
    let file = place.workspace.join("a.txt");
    fs::write(&file, "first").unwrap();
    let host = place.host(&[]);
    host.start("read a.txt");
    let ask = host.ask("followup");
    fs::write(&file, "changed by the user").unwrap();
    answer(&host, ask);
    assert_eq!(host.completed(), "told");
    assert_eq!(fs::read_to_string(&file).unwrap(), "ours");
}

/// parity 02 §14: what was changed while nobody watched is found when the task goes on
fn changes_are_found_when_a_task_is_resumed(mode: Mode) {
    let place = mode.play(&transcript(&[(json!({}), READ), (json!({}), &done("read"))]));
    let file = place.workspace.join("a.txt");
    fs::write(&file, "first").unwrap();
    let host = place.host(&[]);
    host.start("read a.txt");
    assert_eq!(host.completed(), "read");
    host.ask("completion_result");
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    drop(host);
    let told = json!({"last_user_contains": ["# Recently Modified Files\n", "\na.txt\n"]});
    let next = place.workspace.with_file_name("next.jsonl");
    fs::write(&next, transcript(&[(told, &done("told"))])).unwrap();
    let place = place.reopened_with(&json!({"apiProvider": "replay", "replayFile": next}));
    fs::write(&file, "changed").unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
    let host = place.host(&[]);
    host.call(&json!({"type": "task.resume", "workspace": place.workspace, "task": task})).unwrap();
    let ask = host.ask("resume_completed_task");
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "more"})).unwrap();
    assert_eq!(host.completed(), "told");
}

/// parity 02 §10.1: visible editors and open tabs, relative, without ignored ones, as many as the settings say
/// parity 03 §17: files of the editor that are ignored are not named
fn the_editors_files_are_named_within_limits(mode: Mode) {
    let expected = json!({"last_user_contains": [
        "# VSCode Visible Files\na.txt,../b.txt\n\n# VSCode Open Tabs\na.txt\n\n# Current Time\n",
        "# Current Mode\n<slug>code</slug>\n<name>Code</name>\n",
    ]});
    let place = mode.play(&transcript(&[(expected, &done("named"))]));
    let at = |name: &str| place.workspace.join(name);
    fs::write(at(".kilocodeignore"), "secret.txt\n").unwrap();
    let host = place.host(&["tabs.get"]);
    let text = json!({"type": "task.start", "workspace": place.workspace, "text": "go", "settings": {"maxOpenTabsContext": 2}});
    host.submit(&text);
    let id = host.until(|event| matches!(event.event, Event::HostRequest(_)).then_some(event.about));
    let tabs = json!({
        "visible": [at("a.txt"), at("secret.txt"), at("../b.txt")],
        "open": [at("secret.txt"), at("a.txt"), at("c.txt")],
    });
    host.call(&json!({"type": "host.respond", "host_request": id, "result": tabs})).unwrap();
    assert_eq!(host.completed(), "named");
}

/// parity 02 §10.10: role and all instructions follow the mode with `powerSteering`, and only then
fn the_role_is_repeated_when_the_user_wants_that(mode: Mode) {
    let role = Texts::builtin().get("mode.code.role");
    let expected = json!({"last_user_contains": [
        format!("</model>\n<role>{role}</role>\n<custom_instructions>\n====\n\nUSER'S CUSTOM INSTRUCTIONS\n\n"),
        "Global Instructions:\nBe brief.\n\n",
        "# Agent Rules Standard (AGENTS.md):\nUse tabs.</custom_instructions>\n",
    ]});
    for (on, expected) in [(true, expected), (false, json!({"last_user_lacks": "<role>"}))] {
        let place = mode.play(&transcript(&[(expected, &done("ok"))]));
        fs::write(place.workspace.join("AGENTS.md"), "Use tabs.\n").unwrap();
        let host = place.host(&[]);
        host.start_with("go", json!({"experiments": {"powerSteering": on}, "customInstructions": "Be brief."}));
        assert_eq!(host.completed(), "ok");
    }
}

/// parity 02 §10.8: a failure to fetch the model's facts is told, and the details end behind the time
fn without_facts_of_the_model_the_details_end_early(mode: Mode) {
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let model = json!({"apiProvider": "ollama", "ollamaBaseUrl": format!("http://{closed}"), "ollamaModelId": "m"});
    let place = mode.open(tempfile::tempdir().unwrap(), model);
    let host = place.host(&[]);
    host.start("go");
    host.ask("api_req_failed");
    let told = host.events().iter().any(|event| match &event.event {
        Event::MessageEnd(end) => end.kind == "error" && end.text.as_deref().is_some_and(|text| !text.is_empty()),
        _ => false,
    });
    assert!(told, "{:#?}", host.events());
    drop(host);
    place.close();
    let tasks: Vec<_> = fs::read_dir(place.storage.join("tasks")).unwrap().flatten().collect();
    let stored = fs::read_to_string(tasks[0].path().join("api_conversation_history.json")).unwrap();
    let sent: Value = serde_json::from_str(&stored).unwrap();
    let details = sent[0]["content"][1]["text"].as_str().unwrap();
    assert!(details.contains("\n# Current Time\n") && !details.contains("# Current Cost"), "{details}");
    assert!(details.ends_with("\n</environment_details>"), "{details}");
}

/// parity 02 §14: a task that was ended or dropped watches nothing any more
#[cfg(target_os = "linux")]
#[test]
fn attached_a_watch_ends_with_its_task() {
    let place = Mode::Attached.play(&transcript(&[(json!({}), READ), (json!({}), ASK)]));
    fs::write(place.workspace.join("a.txt"), "first").unwrap();
    let watches = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", place.served().pid())).unwrap().flatten();
        fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify"))).count()
    };
    let host = place.host(&[]);
    let session = host.start("read a.txt");
    host.ask("followup");
    assert_eq!(watches(), 1);
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    let until = Instant::now() + DEADLINE;
    // The watcher's own thread closes it.
    while watches() > 0 {
        assert!(Instant::now() < until, "still watched");
        host.call(&json!({"type": "engine.stats"})).unwrap();
    }
}
