//! Hooks of the user, as real programs and as questions to the host, around the tasks of an engine.

use lapce_ai::protocol::event::{Event, HookRun, LogLevel, ToolStatus};
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    a_denied_call_is_not_run_and_the_task_goes_on,
    changed_parameters_are_what_the_tool_sees_and_shows,
    a_hook_adds_to_the_task_and_to_results,
    a_hook_stops_a_task_before_it_begins,
    a_result_is_sent_back_three_times_at_most,
    hooks_of_the_host_are_asked,
}

const WRITE: &str =
    "<write_to_file>\n<path>a.txt</path>\n<content>\none\n</content>\n<line_count>1</line_count>\n</write_to_file>";
const READ: &str = "<read_file>\n<args>\n<file>\n<path>a.txt</path>\n</file>\n</args>\n</read_file>";

/// A transcript of turns: what the last user message holds and lacks, and the answer.
fn script(turns: &[(&[&str], &[&str], &str)]) -> String {
    let turn = |(holds, lacks, text): &(&[&str], &[&str], &str)| {
        let expect = json!({"expect": {"last_user_contains": holds, "last_user_lacks": lacks}});
        format!("{expect}\n{}\n", json!({ "text": text }))
    };
    turns.iter().map(turn).collect()
}

fn hook(event: &str, command: &str) -> Value {
    json!([{"event": event, "command": command}])
}

/// Runs of hooks that are over: event, state, message.
fn runs(host: &Host) -> Vec<(String, String, Option<String>)> {
    let over = |run: HookRun| (run.state != "started").then_some((run.kind, run.state, run.message));
    let run = |event: lapce_ai::engine::Received| match event.event {
        Event::Hook(run) => over(run),
        _ => None,
    };
    host.events().into_iter().filter_map(run).collect()
}

fn states(host: &Host) -> Vec<String> {
    runs(host).into_iter().map(|(_, state, _)| state).collect()
}

fn asked(host: &Host, kind: &str) -> bool {
    host.events().iter().any(|event| matches!(&event.event, Event::Ask(ask) if ask.kind == kind))
}

/// Warnings, which may have come merged.
fn warned(host: &Host) -> Option<String> {
    host.events().into_iter().rev().find_map(|event| match event.event {
        Event::Log(log) if log.level == LogLevel::Warning => Some(log.message),
        _ => None,
    })
}

fn hook_ended(host: &Host) -> HookRun {
    host.until(|event| match &event.event {
        Event::Hook(run) if run.state != "started" => Some(run.clone()),
        _ => None,
    })
}

fn exists(place: &Place, name: &str) -> bool {
    place.workspace.join(name).exists()
}

fn a_denied_call_is_not_run_and_the_task_goes_on(mode: Mode) {
    let place = mode.play(&script(&[
        (&[], &[], WRITE),
        (
            &["[write_to_file for 'a.txt'] Result:", "<reason>\nno writing today\n</reason>"],
            &["<operation>"],
            &done("No."),
        ),
    ]));
    let host = place.host(&[]);
    let second = json!({"event": "PreToolUse", "matcher": "write_to_file", "command": "touch second"});
    let mut hooks = hook("PreToolUse", "cat > input; echo 'no writing today' >&2; exit 2");
    hooks.as_array_mut().unwrap().push(second);
    hooks[0]["matcher"] = "write_.*|apply_diff".into();
    host.start_with("write", json!({"hooks": hooks}));
    assert_eq!(host.completed(), "No.");
    assert!(!exists(&place, "a.txt") && !exists(&place, "second"), "the first denial ends it");
    assert!(!asked(&host, "tool"));
    assert_eq!(runs(&host), [("PreToolUse".into(), "denied".into(), Some("no writing today".into()))]);
    let ended = host.events().into_iter().find_map(|event| match event.event {
        Event::ToolEnd(end) if end.tool == "write_to_file" => Some(end.status),
        _ => None,
    });
    assert_eq!(ended, Some(ToolStatus::Error));
    let input: Value = serde_json::from_slice(&std::fs::read(place.workspace.join("input")).unwrap()).unwrap();
    assert_eq!(
        (&input["event"], &input["tool"], &input["call"], &input["mode"], &input["parameters"]["path"]),
        (&json!("PreToolUse"), &json!("write_to_file"), &json!(1), &json!("code"), &json!("a.txt"))
    );
    assert_eq!(input["workspace"], place.workspace.to_str().unwrap());
}

fn changed_parameters_are_what_the_tool_sees_and_shows(mode: Mode) {
    let place = mode.play(&script(&[
        (&[], &[], WRITE),
        (&["[write_to_file for 'b.txt'] Result:", "<path>b.txt</path>"], &["a.txt"], &done("Moved.")),
    ]));
    let host = place.host(&[]);
    let change = r#"echo '{"parameters": {"path": "b.txt"}}'"#;
    let see = "cat > seen";
    let hooks = json!({"PreToolUse": [{"command": change, "matcher": "write_to_file"}, {"command": see, "matcher": "write_to_file"}]});
    host.start_with("write", json!({"hooks": hooks, "alwaysAllowWrite": false}));
    let path = host.until(|event| match &event.event {
        Event::Ask(ask) if ask.kind == "tool" => Some((event.about, ask.path.clone())),
        _ => None,
    });
    assert_eq!(path.1.as_deref(), Some("b.txt"));
    host.respond(path.0, "yes").unwrap();
    assert_eq!(host.completed(), "Moved.");
    assert!(exists(&place, "b.txt") && !exists(&place, "a.txt"));
    let seen: Value = serde_json::from_slice(&std::fs::read(place.workspace.join("seen")).unwrap()).unwrap();
    assert_eq!(seen["parameters"]["path"], "b.txt", "the next hook sees what the one before made of it");
}

/// parity 02 §2.1: what a hook adds to a task stands in its first message, after the task
fn a_hook_adds_to_the_task_and_to_results(mode: Mode) {
    let place = mode.play(&script(&[
        (&["<task>\nread\n</task>", "<hook_context>\nOn branch main.\n</hook_context>"], &[], READ),
        (&["four lines", "before it", "<reason>\ntoo old\n</reason>"], &[], &done("Read.")),
    ]));
    std::fs::write(place.workspace.join("a.txt"), "text\n").unwrap();
    let host = place.host(&[]);
    let hooks = json!({
        "TaskStart": [{"command": r#"echo '{"context": "On branch main."}'"#}],
        "PreToolUse": [{"matcher": "read_file", "command": r#"echo '{"context": "before it"}'"#}],
        "PostToolUse": [
            {"matcher": "read_file", "command": r#"cat > result; echo '{"context": "four lines"}'"#},
            {"matcher": "read_file", "command": r#"echo '{"decision": "deny", "reason": "too old"}'"#},
        ],
    });
    host.start_with("read", json!({"hooks": hooks}));
    assert_eq!(host.completed(), "Read.");
    assert_eq!(states(&host), ["passed", "passed", "passed", "denied"]);
    let input: Value = serde_json::from_slice(&std::fs::read(place.workspace.join("result")).unwrap()).unwrap();
    assert!(input["status"] == "ok" && input["result"].as_str().unwrap().contains("text"), "{input}");
}

/// parity 02 §2.2: a task that a hook stopped before its first request begins with its text when it is resumed
fn a_hook_stops_a_task_before_it_begins(mode: Mode) {
    let place = mode.play(&script(&[(&["<task>\nwrite\n</task>"], &[], &done("After all."))]));
    let host = place.host(&[]);
    host.start_with("write", json!({"hooks": hook("UserPromptSubmit", "echo not now >&2; exit 2")}));
    let ask = host.ask("resume_task");
    let told = |event: &lapce_ai::engine::Received| matches!(&event.event, Event::MessageEnd(end) if end.kind == "error" && end.text.as_deref().is_some_and(|text| text.contains("not now")));
    assert!(host.events().iter().any(told));
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "After all.");
    assert_eq!(states(&host), ["denied"], "not asked again");
}

fn a_result_is_sent_back_three_times_at_most(mode: Mode) {
    let back: &[&str] = &["[attempt_completion] Result:", "<reason>\ntests fail\n</reason>"];
    let place = mode.play(&script(&[
        (&[], &[], &done("1")),
        (back, &[], &done("2")),
        (back, &[], &done("3")),
        (back, &[], &done("4")),
    ]));
    let host = place.host(&[]);
    host.start_with("work", json!({"hooks": hook("TaskComplete", "cat >> inputs; echo tests fail >&2; exit 2")}));
    assert_eq!(host.completed(), "4");
    assert_eq!(states(&host), ["denied", "denied", "denied"]);
    assert!(warned(&host).unwrap().contains('3'));
    let inputs = std::fs::read_to_string(place.workspace.join("inputs")).unwrap();
    let inputs: Vec<Value> = serde_json::Deserializer::from_str(&inputs).into_iter().map(Result::unwrap).collect();
    let seen: Vec<(&str, u64)> =
        inputs.iter().map(|input| (input["result"].as_str().unwrap(), input["denials"].as_u64().unwrap())).collect();
    assert_eq!(seen, [("1", 0), ("2", 1), ("3", 2)]);
}

/// parity 02 §16: the host request `hook.run`: its answer, its absence, its error
fn hooks_of_the_host_are_asked(mode: Mode) {
    let turns = script(&[(&[], &[], WRITE), (&["<reason>\nthe editor says no\n</reason>"], &[], &done("No."))]);
    let hooks = json!([{"event": "PreToolUse", "matcher": "write_to_file", "host": true, "timeout_ms": 50_000}]);
    let place = mode.play(&turns);
    let host = place.host(&["hook.run"]);
    host.start_with("write", json!({"hooks": hooks}));
    let (request, parameters) = host.until(|event| match &event.event {
        Event::HostRequest(request) if request.method == "hook.run" => Some((event.about, request.parameters.value())),
        _ => None,
    });
    assert_eq!((&parameters["event"], &parameters["timeout_ms"]), (&json!("PreToolUse"), &json!(50_000)));
    let result = json!({"decision": "deny", "reason": "the editor says no"});
    host.call(&json!({"type": "host.respond", "host_request": request, "result": result})).unwrap();
    assert_eq!(host.completed(), "No.");
    assert!(!exists(&place, "a.txt"));
    drop(host);

    // Without the capability the hook says nothing; an error is a failure.
    let place = mode.play(&script(&[(&[], &[], WRITE), (&["<operation>created"], &[], &done("Yes."))]));
    let host = place.host(&[]);
    host.start_with("write", json!({"hooks": hooks}));
    assert_eq!(host.completed(), "Yes.");
    assert_eq!(states(&host), ["passed"]);
    drop(host);
    let place = mode.play(&script(&[(&[], &[], WRITE), (&["<operation>created"], &[], &done("Yes."))]));
    let host = place.host(&["hook.run"]);
    host.start_with("write", json!({"hooks": hooks}));
    let request = host
        .until(|event| matches!(&event.event, Event::HostRequest(r) if r.method == "hook.run").then_some(event.about));
    host.call(&json!({"type": "host.respond", "host_request": request, "error": "out of order"})).unwrap();
    assert_eq!(host.completed(), "Yes.");
    assert_eq!(states(&host), ["failed"]);
    assert!(warned(&host).unwrap().contains("out of order"));
}

/// parity 02 §11.2: a hook may ask, and approve if settings let it; never a denied command or a protected file
#[test]
fn hooks_ask_and_approve_as_settings_let_them() {
    let asks = r#"echo '{"decision": "ask"}'"#;
    let allows = r#"echo '{"decision": "allow"}'"#;
    let protected = WRITE.replace("a.txt", ".kilocode/a.txt");
    let command = "<execute_command>\n<command>echo hello</command>\n</execute_command>";
    for (call, command, settings, kind, expected) in [
        (WRITE, asks, json!({}), "tool", true),
        (WRITE, allows, json!({"alwaysAllowWrite": false}), "tool", true),
        (WRITE, allows, json!({"alwaysAllowWrite": false, "hooksMayApprove": true}), "tool", false),
        (&protected, allows, json!({"hooksMayApprove": true}), "tool", true),
        (command, allows, json!({"alwaysAllowExecute": false, "hooksMayApprove": true}), "command", false),
        (command, asks, json!({}), "command", true),
    ] {
        let place = Mode::InProcess.replay(&[call, &done("End.")]);
        let host = place.host(&[]);
        let mut settings = settings;
        settings["hooks"] = hook("PreToolUse", command);
        host.start_with("go", settings.clone());
        if expected {
            let ask = host.ask(kind);
            host.respond(ask, "yes").unwrap();
        }
        assert_eq!(host.completed(), "End.");
        assert_eq!(asked(&host, kind), expected, "{call} {settings}");
    }
    // A denied command stays denied.
    let place = Mode::InProcess.replay(&[command, &done("End.")]);
    let host = place.host(&[]);
    let settings = json!({"hooksMayApprove": true, "deniedCommands": ["echo"], "hooks": hook("PreToolUse", allows)});
    host.start_with("go", settings);
    assert_eq!(host.completed(), "End.");
    let rejected = |event: &lapce_ai::engine::Received| matches!(&event.event, Event::ToolEnd(end) if end.status == ToolStatus::Rejected);
    assert!(host.events().iter().any(rejected));
}

#[test]
fn a_hook_that_fails_stops_nobody_unless_it_fails_closed() {
    for (command, cause) in [
        ("exit 3", "3"),
        ("echo broken >&2; exit 1", "broken"),
        ("no-such-program-at-all", "127"),
        ("kill -9 $$", "SIGKILL"),
        ("sleep 1000", "300 ms"),
        ("echo fine", "no answer"),
        ("printf '\\377\\376\\000'", "UTF-8"),
        ("head -c 10000000 /dev/zero", "64 KiB"),
        ("yes", "64 KiB"),
        (r#"echo '{"decision": "sure"}'"#, "no answer"),
        (r#"echo '{"parameters": {"no_such_thing": "x"}}'"#, "no_such_thing"),
    ] {
        for closed in [false, true] {
            let place = Mode::InProcess.replay(&[WRITE, &done("End.")]);
            let host = place.host(&[]);
            let mut hooks = hook("PreToolUse", command);
            hooks[0]["matcher"] = "write_to_file".into();
            hooks[0]["failClosed"] = closed.into();
            hooks[0]["timeout_ms"] = if command.starts_with("sleep") { 300 } else { 60_000 }.into();
            host.start_with("write", json!({"hooks": hooks}));
            assert_eq!(host.completed(), "End.");
            assert_eq!(exists(&place, "a.txt"), !closed, "{command}");
            let [(_, state, Some(message))] = &runs(&host)[..] else { panic!("{command}: {:?}", runs(&host)) };
            assert!(state == "failed" && message.contains(cause), "{command}: {message}");
            let warned = warned(&host).unwrap();
            assert!(warned.contains(cause) && warned.contains(&command[..3]), "{command}: {warned}");
        }
    }
}

#[test]
fn a_program_that_closes_its_input_and_forgets_its_children_is_no_trouble() {
    let place = Mode::InProcess.replay(&[&WRITE.replace("one", &"line\n".repeat(20_000)), &done("End.")]);
    let host = place.host(&[]);
    host.start_with("write", json!({"hooks": hook("PreToolUse", "exec <&-; sleep 1000 & exit 0")}));
    assert_eq!(host.completed(), "End.");
    assert!(states(&host).iter().all(|state| state == "passed"));
}

/// parity 02 §2.3: a stop ends what a hook runs, and is told to the hooks of its event
#[test]
fn stop_ends_a_hook_and_is_told_to_others() {
    let place = Mode::InProcess.replay(&[WRITE, &done("End.")]);
    let host = place.host(&[]);
    let hooks = json!({
        "PreToolUse": [{"command": "echo $$ > pid.new; mv pid.new pid; sleep 1000"}],
        "Stop": [{"command": "cat > stopped; echo $LAPCE_AI_EVENT $LAPCE_AI_MODE > facts"}],
    });
    let session = host.start_with("write", json!({"hooks": hooks}));
    host.until(|event| matches!(&event.event, Event::Hook(run) if run.state == "started").then_some(()));
    let pid = loop {
        if let Ok(pid) = std::fs::read_to_string(place.workspace.join("pid")) {
            break pid.trim().to_owned();
        }
        std::thread::yield_now();
    };
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_task");
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::yield_now();
    }
    let run = host.events().into_iter().rev().find_map(|event| match event.event {
        Event::Hook(run) if run.kind == "Stop" && run.state != "started" => Some(run),
        _ => None,
    });
    let run = run.unwrap_or_else(|| hook_ended(&host));
    assert_eq!((run.kind.as_str(), run.state.as_str()), ("Stop", "passed"));
    let input: Value = serde_json::from_slice(&std::fs::read(place.workspace.join("stopped")).unwrap()).unwrap();
    assert_eq!(input["reason"], "user_cancelled");
    assert_eq!(std::fs::read_to_string(place.workspace.join("facts")).unwrap(), "Stop code\n");
    assert!(!exists(&place, "a.txt"));
}

#[test]
fn hooks_of_a_workspace_run_only_where_it_is_trusted() {
    for trusted in [false, true] {
        let place = Mode::InProcess.replay(&[WRITE, &done("End.")]);
        std::fs::create_dir(place.workspace.join(".kilocode")).unwrap();
        let hooks = hook("PreToolUse", "touch ran").to_string();
        std::fs::write(place.workspace.join(".kilocode/hooks.json"), hooks).unwrap();
        let host = place.host(&[]);
        let folders = if trusted { json!([place.workspace]) } else { json!([]) };
        host.start_with("write", json!({"trustedFolders": folders}));
        assert_eq!(host.completed(), "End.");
        assert_eq!(exists(&place, "ran"), trusted);
        assert_eq!(warned(&host).is_some_and(|message| message.contains("trustedFolders")), !trusted);
    }
}

#[test]
fn wrong_hooks_are_refused_by_their_key() {
    let place = Mode::InProcess.replay(&[]);
    let host = place.host(&[]);
    for value in [json!("x"), json!([{"event": "Never", "host": true}]), json!([{"event": "Stop"}])] {
        let failed = host.call(&json!({"type": "settings.set", "values": {"hooks": value}})).unwrap_err();
        assert_eq!(failed.place.as_deref(), Some("settings.set.values.hooks"), "{}", failed.message);
    }
}

/// The example of `docs/hooks.md` is what it says.
#[test]
fn the_documented_example_works() {
    const DOCUMENT: &str = include_str!("../../docs/hooks.md");
    let block = |mark: &str| {
        let start = DOCUMENT.find(mark).expect("the block") + mark.len();
        DOCUMENT[start..].split("\n```").next().unwrap().to_owned()
    };
    let settings: Value = serde_json::from_str(&block("```json\n")).unwrap();
    let place = Mode::InProcess.play(&script(&[
        (&[], &[], &WRITE.replace("a.txt", "Cargo.lock")),
        (&["Cargo.lock is generated"], &[], WRITE),
        (&["<operation>created"], &[], &done("End.")),
    ]));
    std::fs::write(place.workspace.join("check-path.sh"), block("```sh\n")).unwrap();
    let host = place.host(&[]);
    host.start_with("write", settings);
    assert_eq!(host.completed(), "End.");
    assert!(exists(&place, "a.txt") && !exists(&place, "Cargo.lock"));
    assert_eq!(states(&host), ["denied", "passed"]);
}

/// A killed engine's session goes on without running again what was decided.
#[cfg(target_os = "linux")]
#[test]
fn hooks_are_not_run_twice_for_a_call_that_a_restored_session_repeats() {
    use crate::served::Served;
    use lapce_ai::engine::Client;

    const ID: &str = "00112233445566778899aabbccddee77";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let file = root.join("transcript.jsonl");
    std::fs::write(&file, script(&[(&["from the start"], &[], WRITE)])).unwrap();
    let hooks = json!({
        "TaskStart": [{"command": r#"echo start >> runs; echo '{"context": "from the start"}'"#}],
        "PreToolUse": [{"matcher": "write_to_file", "command": r#"echo before >> runs; echo '{"parameters": {"path": "b.txt"}}'"#}],
        "PostToolUse": [{"matcher": "write_to_file", "command": "echo after >> runs"}],
    });
    let settings = json!({"apiProvider": "replay", "replayFile": file, "hooks": hooks, "writeDelayMs": 0});
    let served = Served::start(&root, &settings, &[]);
    let site = served.site.clone();
    let host = Host::new(Client::attach(site.options(Some(ID))).unwrap(), &root);
    host.start("write");
    let ask = host.ask("tool");
    served.kill();
    drop(host);
    // The next engine's model begins at the first turn again.
    std::fs::write(&file, script(&[(&["<path>b.txt</path>"], &[], &done("Done."))])).unwrap();
    let served = site.serve(&["--resume"]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    let host = Host::new(Client::attach(site.options(Some(ID))).unwrap(), &root);
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Done.");
    assert_eq!(std::fs::read_to_string(root.join("runs")).unwrap(), "start\nbefore\nafter\n");
    assert!(root.join("b.txt").exists() && !root.join("a.txt").exists());
    drop(host);
    served.terminate();
}
