//! Dry runs and cumulative diffs: what a task changes is shown, and what a dry run collects reaches the files only when told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    a_dry_run_changes_nothing_until_files_and_hunks_are_applied,
    conflicts_are_reported_by_hunk_and_nothing_is_lost,
    a_dry_run_survives_its_engine,
    commands_of_a_dry_run_are_asked_for_and_told_what_they_saw,
    the_diff_of_an_ordinary_task_begins_with_its_first_change,
    what_is_not_collected_is_refused,
    subtasks_collect_into_the_same_dry_run,
}

fn write(path: &str, content: &str) -> String {
    let lines = content.lines().count();
    format!(
        "<write_to_file>\n<path>{path}</path>\n<content>\n{content}\n</content>\n<line_count>{lines}</line_count>\n</write_to_file>"
    )
}

fn replace(path: &str, search: &str, replace: &str) -> String {
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

fn numbers() -> String {
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

fn diff(host: &Host<'_>, session: u64) -> Value {
    host.call(&json!({"type": "task.diff", "session": session})).unwrap()
}

fn file<'a>(diff: &'a Value, path: &str) -> &'a Value {
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
    let script: String = turns
        .iter()
        .zip(&expects)
        .map(|(turn, expect)| format!("{}\n{}\n", json!({"expect": expect}), json!({"text": turn})))
        .collect();
    let place = mode.play(&script);
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

/// parity 02 §11.2: in a dry run a command is asked for whatever the settings allow, and its result says what it did not see
fn commands_of_a_dry_run_are_asked_for_and_told_what_they_saw(mode: Mode) {
    let script = [
        (json!({}), "<execute_command>\n<command>echo hello</command>\n</execute_command>".to_owned()),
        (json!({"last_user_contains": ["hello", "dry run"]}), done("finished")),
    ];
    let script: String = script
        .iter()
        .map(|(expect, turn)| format!("{}\n{}\n", json!({"expect": expect}), json!({"text": turn})))
        .collect();
    let place = mode.play(&script);
    let host = place.host(&[]);
    let allowed = json!({"alwaysAllowExecute": true, "allowedCommands": ["*"]});
    start_dry(&host, &place, allowed);
    let ask = host.ask("command");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "finished");
    place.close();
}

/// parity 02 §15.7: the cumulative diff counts from the state before the first change, also after a restart
fn the_diff_of_an_ordinary_task_begins_with_its_first_change(mode: Mode) {
    let place = mode.replay(&[
        &replace("a.txt", "line 3", "first"),
        &replace("a.txt", "first", "second"),
        &write("b.txt", "new"),
        &write("c.txt", "kept"),
        &done("finished"),
    ]);
    fs::write(place.workspace.join("a.txt"), numbers()).unwrap();
    fs::write(place.workspace.join("c.txt"), "kept\n").unwrap();
    let host = place.host(&[]);
    let settings = json!({"autoApprovalEnabled": true});
    let session = host.start_with("go", settings);
    host.completed();
    let changed = diff(&host, session);
    assert_eq!(changed["dry_run"], false);
    let text = file(&changed, "a.txt")["hunks"][0]["text"].as_str().unwrap();
    assert!(text.contains("-line 3\r\n+second\r\n"), "{text}");
    assert_eq!(file(&changed, "b.txt")["status"], "added");
    assert_eq!((&changed["added"], &changed["removed"]), (&json!(2), &json!(1)), "{changed:#}");
    fs::remove_file(place.workspace.join("a.txt")).unwrap();
    let only = host.call(&json!({"type": "task.diff", "session": session, "files": ["a.txt"]})).unwrap();
    assert_eq!(file(&only, "a.txt")["status"], "deleted");
    assert_eq!(only["files"].as_array().unwrap().len(), 1);
    let task = host.events().into_iter().find_map(|event| match event.event {
        Event::Diff(diff) => Some(diff.task),
        _ => None,
    });
    drop(host);
    let place = place.reopened(&[]);
    let stored = place.host(&[]).call(&json!({"type": "task.diff", "task": task.unwrap()})).unwrap();
    assert_eq!(stored["files"].as_array().unwrap().len(), 2);
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
