//! Dry runs: what one collects is shown, and reaches the files only when told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done, script};

both! {
    a_dry_run_changes_nothing_until_files_and_hunks_are_applied,
    conflicts_are_reported_by_hunk_and_nothing_is_lost,
    a_dry_run_survives_its_engine,
    commands_of_a_dry_run_are_asked_for_and_told_what_they_saw,
    mentions_show_what_was_collected,
    applying_is_undone_by_checkpoints,
    what_is_not_collected_is_refused,
    subtasks_collect_into_the_same_dry_run,
}

pub fn write(path: &str, content: &str) -> String {
    let lines = content.lines().count();
    format!(
        "<write_to_file>\n<path>{path}</path>\n<content>\n{content}\n</content>\n<line_count>{lines}</line_count>\n</write_to_file>"
    )
}

pub fn replace(path: &str, search: &str, replace: &str) -> String {
    format!(
        "<apply_diff>\n<path>{path}</path>\n<diff>\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n</diff>\n</apply_diff>"
    )
}

fn insert(path: &str, line: usize, content: &str) -> String {
    format!(
        "<insert_content>\n<path>{path}</path>\n<line>{line}</line>\n<content>{content}</content>\n</insert_content>"
    )
}

fn read(path: &str) -> String {
    format!("<read_file>\n<path>{path}</path>\n</read_file>")
}

/// A transcript whose turns are each played when the request fits.
fn expecting(turns: &[(Value, String)]) -> String {
    let lines =
        |(expect, turn): &(Value, String)| format!("{}\n{}\n", json!({"expect": expect}), json!({"text": turn}));
    turns.iter().map(lines).collect()
}

/// All files below a folder.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => {
                files.insert(entry.path(), Vec::new());
                files.extend(tree(&entry.path()));
            }
            false => drop(files.insert(entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    files
}

pub fn numbers() -> String {
    (1..=40).map(|line| format!("line {line}\r\n")).collect()
}

/// Starts a dry run and gives its session and task.
fn start_dry(host: &Host<'_>, place: &Place, settings: Value) -> (u64, String) {
    let mut all = json!({"autoApprovalEnabled": true, "alwaysAllowReadOnly": true});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let request =
        json!({"type": "task.start", "workspace": place.workspace, "text": "go", "dry_run": true, "settings": all});
    let started = host.call(&request).unwrap();
    (started["session"].as_u64().unwrap(), started["task"].as_str().unwrap().to_owned())
}

pub fn diff(host: &Host<'_>, session: u64) -> Value {
    host.call(&json!({"type": "task.diff", "session": session})).unwrap()
}

pub fn file<'a>(diff: &'a Value, path: &str) -> &'a Value {
    let files = diff["files"].as_array().unwrap();
    files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path} in {diff:#}"))
}

/// parity 02 §15: a dry run leaves the workspace as it is; its files and hunks are applied and dropped one by one
fn a_dry_run_changes_nothing_until_files_and_hunks_are_applied(mode: Mode) {
    let turns = [
        replace("a.txt", "line 3", "LINE 3"),
        replace("a.txt", "line 30", "LINE 30"),
        insert("a.txt", 15, "inserted"),
        write("new/deep/b.txt", "one\ntwo"),
        replace("new/deep/b.txt", "two", "TWO"),
        read("new/deep/b.txt"),
        read("a.txt"),
        "<list_files>\n<path>.</path>\n<recursive>true</recursive>\n</list_files>".to_owned(),
        "<search_files>\n<path>.</path>\n<regex>TWO|LINE 30|line 30</regex>\n</search_files>".to_owned(),
        write("../outside.txt", "out"),
        done("finished"),
    ];
    let expects = [
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({"last_user_contains": ["1 | one", "2 | TWO"]}),
        json!({"last_user_contains": ["3 | LINE 3", "15 | inserted", "31 | LINE 30"]}),
        json!({"last_user_contains": "new/deep/b.txt"}),
        json!({"last_user_contains": ["TWO", "LINE 30"], "last_user_lacks": "| line 30"}),
        json!({}),
    ];
    let place = mode.play(&expecting(&expects.into_iter().zip(turns).collect::<Vec<_>>()));
    fs::write(place.workspace.join("a.txt"), numbers()).unwrap();
    fs::write(place.workspace.join("gone.txt"), "x\n").unwrap();
    let before = tree(&place.workspace);
    let host = place.host(&[]);
    let (session, _) = start_dry(&host, &place, json!({"alwaysAllowWriteOutsideWorkspace": true}));
    assert_eq!(host.completed(), "finished");
    assert_eq!(tree(&place.workspace), before);
    let outside = place.workspace.parent().unwrap().join("outside.txt");
    assert!(!outside.exists());

    let all = diff(&host, session);
    assert_eq!(all["dry_run"], true);
    let (a, b) = (file(&all, "a.txt"), file(&all, "new/deep/b.txt"));
    assert_eq!((&a["status"], &b["status"]), (&json!("modified"), &json!("added")));
    assert_eq!((&a["added"], &a["removed"], &b["added"]), (&json!(3), &json!(2), &json!(2)));
    let hunks: Vec<&str> = a["hunks"].as_array().unwrap().iter().map(|hunk| hunk["id"].as_str().unwrap()).collect();
    assert_eq!(hunks.len(), 3, "{a:#}");
    assert!(a["hunks"][0]["text"].as_str().unwrap().contains("-line 3\r\n+LINE 3\r\n"));
    let told = host.events().into_iter().rev().find_map(|event| match event.event {
        Event::Diff(diff) => Some(diff),
        _ => None,
    });
    assert_eq!(told.map(|diff| (diff.files.len(), diff.added, diff.removed)), Some((3, 6, 2)));

    // One file, then one hunk, then one dropped.
    let applied =
        host.call(&json!({"type": "dry_run.apply", "session": session, "files": ["new/deep/b.txt"]})).unwrap();
    assert_eq!(applied["conflicts"], json!([]));
    let written = fs::read_to_string(place.workspace.join("new/deep/b.txt")).unwrap();
    assert_eq!(written.trim_end(), "one\nTWO");
    let applied = host.call(&json!({"type": "dry_run.apply", "session": session, "hunks": [hunks[1]]})).unwrap();
    assert_eq!(applied["applied"], json!([{"path": "a.txt", "hunks": [hunks[1]]}]));
    let expected = numbers().replace("line 14\r\n", "line 14\r\ninserted\r\n");
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), expected);
    let left: Vec<&Value> = file(&applied["left"], "a.txt")["hunks"].as_array().unwrap().iter().collect();
    assert_eq!(left.iter().map(|hunk| hunk["id"].as_str().unwrap()).collect::<Vec<_>>(), [hunks[0], hunks[2]]);
    let dropped = host.call(&json!({"type": "dry_run.drop", "session": session, "hunks": [hunks[0]]})).unwrap();
    assert_eq!(dropped["dropped"], json!(["a.txt"]));
    // The rest.
    let applied = host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    assert_eq!((&applied["conflicts"], &applied["left"]["files"]), (&json!([]), &json!([])));
    assert_eq!(
        fs::read_to_string(place.workspace.join("a.txt")).unwrap(),
        expected.replace("line 30\r\n", "LINE 30\r\n")
    );
    assert_eq!(fs::read_to_string(&outside).unwrap().trim_end(), "out");
    place.close();
}

/// parity 02 §15: in a dry run a file that changed is merged by hunks; what does not fit stays collected
fn conflicts_are_reported_by_hunk_and_nothing_is_lost(mode: Mode) {
    let place = mode.replay(&[
        &replace("a.txt", "line 3", "LINE 3"),
        &replace("a.txt", "line 30", "LINE 30"),
        &replace("gone.txt", "x", "y"),
        &write("made.txt", "mine"),
        &done("finished"),
    ]);
    let a = place.workspace.join("a.txt");
    fs::write(&a, numbers()).unwrap();
    fs::write(place.workspace.join("gone.txt"), "x\n").unwrap();
    let host = place.host(&[]);
    let (session, _) = start_dry(&host, &place, json!({}));
    host.completed();
    let theirs = numbers().replace("line 3\r\n", "theirs\r\n").replace("line 1\r\n", "first\r\nline 1\r\n");
    fs::write(&a, &theirs).unwrap();
    fs::remove_file(place.workspace.join("gone.txt")).unwrap();
    fs::write(place.workspace.join("made.txt"), "theirs\n").unwrap();
    let applied = host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    let reasons: BTreeMap<&str, &str> = applied["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| (conflict["path"].as_str().unwrap(), conflict["reason"].as_str().unwrap()))
        .collect();
    let expected = [("a.txt", "changed"), ("gone.txt", "deleted"), ("made.txt", "exists")];
    assert_eq!(reasons, BTreeMap::from(expected), "{applied:#}");
    assert_eq!(fs::read_to_string(&a).unwrap(), theirs.replace("line 30\r\n", "LINE 30\r\n"));
    assert!(!place.workspace.join("gone.txt").exists());
    assert_eq!(fs::read_to_string(place.workspace.join("made.txt")).unwrap(), "theirs\n");
    assert_eq!(applied["left"]["files"].as_array().unwrap().len(), 3);
    assert_eq!(file(&applied["left"], "a.txt")["hunks"].as_array().unwrap().len(), 1);
    // Put back, it fits again.
    fs::write(&a, fs::read_to_string(&a).unwrap().replace("theirs\r\n", "line 3\r\n")).unwrap();
    let applied = host.call(&json!({"type": "dry_run.apply", "session": session, "files": ["a.txt"]})).unwrap();
    assert_eq!(applied["conflicts"], json!([]));
    assert!(fs::read_to_string(&a).unwrap().contains("LINE 3\r\n"));
    let dropped = host.call(&json!({"type": "dry_run.drop", "session": session})).unwrap();
    assert_eq!(dropped["left"]["files"], json!([]));
    place.close();
}

/// parity 02 §15: edits collected in a dry run outlive the engine, and a resumed task goes on collecting
fn a_dry_run_survives_its_engine(mode: Mode) {
    let place = mode.replay(&[&write("a.txt", "one"), &done("finished")]);
    let host = place.host(&[]);
    let (_, task) = start_dry(&host, &place, json!({}));
    host.completed();
    drop(host);
    let place = place.reopened(&[&replace("a.txt", "one", "two"), &done("again")]);
    let host = place.host(&[]);
    let stored = host.call(&json!({"type": "task.diff", "task": task})).unwrap();
    assert_eq!((&stored["dry_run"], &file(&stored, "a.txt")["added"]), (&json!(true), &json!(1)));
    let settings = json!({"autoApprovalEnabled": true, "alwaysAllowWrite": true, "writeDelayMs": 0});
    let resumed = host.call(&json!({"type": "task.resume", "task": task, "settings": settings})).unwrap();
    let session = resumed["session"].as_u64().unwrap();
    let ask = host.until(|event| matches!(&event.event, Event::Ask(_)).then_some(event.about));
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "go on"})).unwrap();
    assert_eq!(host.completed(), "again");
    assert!(tree(&place.workspace).is_empty());
    let text = file(&diff(&host, session), "a.txt")["hunks"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("+two"), "{text}");
    host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap().trim_end(), "two");
    place.close();
}

/// parity 02 §9.1: in a dry run a mention shows what was collected
fn mentions_show_what_was_collected(mode: Mode) {
    let place = mode.play(&expecting(&[
        (json!({}), write("b.txt", "collected")),
        (json!({}), done("finished")),
        (json!({"last_user_contains": "1 | collected"}), done("again")),
    ]));
    let host = place.host(&[]);
    start_dry(&host, &place, json!({}));
    let ask = host.ask("completion_result");
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "See @/b.txt"})).unwrap();
    host.until(|received| matches!(&received.event, Event::TaskCompleted(end) if end.result == "again").then_some(()));
    place.close();
}

/// parity 02 §11.2: in a dry run a command is asked for whatever the settings allow, and its result says what it did not see
fn commands_of_a_dry_run_are_asked_for_and_told_what_they_saw(mode: Mode) {
    let question = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>a</suggest>\n</follow_up>\n</ask_followup_question>";
    let place = mode.play(&expecting(&[
        (json!({}), question.to_owned()),
        (json!({}), "<execute_command>\n<command>true</command>\n</execute_command>".to_owned()),
        (json!({"last_user_contains": "dry run", "last_user_lacks": "Later"}), done("finished")),
        (json!({"last_user_contains": "Later"}), done("again")),
    ]));
    let host = place.host(&[]);
    let allowed = json!({"alwaysAllowExecute": true, "allowedCommands": ["*"]});
    let (session, _) = start_dry(&host, &place, allowed);
    let ask = host.ask("followup");
    // Anywhere else, what waits would allow the command.
    host.call(&json!({"type": "task.queue", "session": session, "text": "Later"})).unwrap();
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "a"})).unwrap();
    let ask = host.ask("command");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "finished");
    assert_eq!(host.completed(), "again");
    place.close();
}

fn what_is_not_collected_is_refused(mode: Mode) {
    let place = mode.replay(&[&write("a.txt", "one"), &done("finished")]);
    let host = place.host(&[]);
    let (session, _) = start_dry(&host, &place, json!({}));
    host.completed();
    for (request, place) in [
        (json!({"type": "dry_run.apply", "session": session, "files": ["a.txt", "none"]}), "files"),
        (json!({"type": "dry_run.drop", "session": session, "hunks": ["0000"]}), "hunks"),
    ] {
        let failed = host.call(&request).unwrap_err();
        assert!(failed.kind == "invalid_request" && failed.message.starts_with(place), "{failed:?}");
    }
    assert_eq!(diff(&host, session)["files"].as_array().unwrap().len(), 1);
    assert!(tree(&place.workspace).is_empty());
    let failed = host.call(&json!({"type": "task.diff", "task": "none"})).unwrap_err();
    assert_eq!(failed.kind, "not_found");
    place.close();
}

/// parity 02 §15: in a dry run a subtask reads and adds to what its parent collected
fn subtasks_collect_into_the_same_dry_run(mode: Mode) {
    let place = mode.replay(&[
        &write("a.txt", "one"),
        "<new_task>\n<mode>code</mode>\n<message>sub</message>\n</new_task>",
        &replace("a.txt", "one", "two"),
        &done("sub done"),
        &done("finished"),
    ]);
    let host = place.host(&[]);
    let (session, _) = start_dry(&host, &place, json!({"alwaysAllowSubtasks": true}));
    assert_eq!(host.completed(), "sub done");
    assert_eq!(host.completed(), "finished");
    assert!(tree(&place.workspace).is_empty());
    let text = file(&diff(&host, session), "a.txt")["hunks"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("+two"), "{text}");
    place.close();
}

/// parity 02 §15.5: what was applied is undone like a restore; collected edits alone make no checkpoint
fn applying_is_undone_by_checkpoints(mode: Mode) {
    let place = mode.replay(&[
        &replace("a.txt", "old", "new"),
        &write("b.txt", "made"),
        "<execute_command>\n<command>echo run > c.txt</command>\n</execute_command>",
        &done("finished"),
    ]);
    fs::write(place.workspace.join("a.txt"), "old\n").unwrap();
    let host = place.host(&[]);
    let (session, _) = start_dry(&host, &place, json!({}));
    let ask = host.ask("command");
    let checkpoints = || {
        let listed = host.call(&json!({"type": "checkpoint.list", "session": session})).unwrap();
        listed["checkpoints"].as_array().unwrap().clone()
    };
    assert_eq!(checkpoints(), [] as [Value; 0], "edits that change no file");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "finished");
    assert_eq!(checkpoints().len(), 1, "the command changed a file");
    let before = tree(&place.workspace);

    let applied = host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    let after = tree(&place.workspace);
    assert_eq!((before.len(), after.len()), (2, 3));
    let checkpoint = &checkpoints()[1];
    assert_eq!((&checkpoint["checkpoint"], &checkpoint["suppressed"]), (&applied["checkpoint"], &json!(true)));
    for expected in [&before, &after] {
        host.call(&json!({"type": "checkpoint.undo", "session": session})).unwrap();
        assert_eq!(&tree(&place.workspace), expected);
    }
    let restore =
        json!({"type": "checkpoint.restore", "session": session, "checkpoint": applied["checkpoint"], "mode": "files"});
    host.call(&restore).unwrap();
    assert_eq!(tree(&place.workspace), before);
    // Nothing is left to apply, and nothing is saved for that.
    let count = checkpoints().len();
    let again = host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    assert_eq!((&again["applied"], &again["checkpoint"], checkpoints().len()), (&json!([]), &Value::Null, count));
    place.close();
}

/// parity 02 §15: a dry run whose engine is killed goes on collecting, with what it had
#[cfg(target_os = "linux")]
#[test]
fn a_killed_dry_run_goes_on_collecting() {
    use crate::served::Served;
    use lapce_ai::engine::Client;

    const ID: &str = "00112233445566778899aabbccddee78";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (turns, workspace) = (root.join("transcript.jsonl"), root.join("workspace"));
    fs::create_dir(&workspace).unwrap();
    fs::write(&turns, script(&[&write("a.txt", "one"), &replace("a.txt", "one", "two")])).unwrap();
    let served = Served::start(&root, &json!({"apiProvider": "replay", "replayFile": turns, "writeDelayMs": 0}), &[]);
    let site = served.site.clone();
    let host = Host::new(Client::attach(site.options(Some(ID))).unwrap(), &workspace);
    let start = json!({"type": "task.start", "workspace": workspace, "text": "go", "dry_run": true});
    let session = host.call(&start).unwrap()["session"].as_u64().unwrap();
    host.respond(host.ask("tool"), "yes").unwrap();
    let ask = host.until(|received| match &received.event {
        Event::Ask(ask) if ask.tool.as_deref() == Some("appliedDiff") => Some(received.about),
        _ => None,
    });
    served.kill();
    drop(host);
    // The next engine's model begins at the first turn again.
    fs::write(&turns, script(&[&done("finished")])).unwrap();
    let served = site.serve(&["--resume"]).unwrap_or_else(|(code, said)| panic!("{code:?}: {said}"));
    let host = Host::new(Client::attach(site.options(Some(ID))).unwrap(), &workspace);
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "finished");
    let collected = diff(&host, session);
    let text = file(&collected, "a.txt")["hunks"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("+two"), "{text}");
    assert!(tree(&workspace).is_empty());
    host.call(&json!({"type": "dry_run.apply", "session": session})).unwrap();
    assert_eq!(fs::read_to_string(workspace.join("a.txt")).unwrap().trim_end(), "two");
    drop(host);
    served.terminate();
}
