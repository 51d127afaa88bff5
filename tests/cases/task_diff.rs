//! The cumulative diff of a task: with checkpoints, between two of them, and without.

use std::fs;

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::dry_run::{diff, file, numbers, replace, write};
use crate::harness::{Mode, both, done};

both! {
    the_diff_of_an_ordinary_task_begins_with_its_first_change,
    with_checkpoints_the_diff_sees_what_commands_changed,
}

/// parity 02 §15.7: the cumulative diff counts from the state before the first change, also without checkpoints and after a restart
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
    let settings = json!({"autoApprovalEnabled": true, "enableCheckpoints": false});
    let session = host.start_with("go", settings);
    host.completed();
    let changed = diff(&host, session);
    assert_eq!((&changed["dry_run"], &changed["from"]), (&json!(false), &Value::Null));
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
    let refused = host.call(&json!({"type": "task.diff", "session": session, "to": "0123456789"})).unwrap_err();
    assert_eq!(refused.kind, "not_found");
    drop(host);
    let place = place.reopened(&[]);
    let stored = place.host(&[]).call(&json!({"type": "task.diff", "task": task.unwrap()})).unwrap();
    assert_eq!(stored["files"].as_array().unwrap().len(), 2);
    place.close();
}

/// parity 02 §15.7: with checkpoints the cumulative diff sees commands, and what checkpoints leave out is seen all the same
fn with_checkpoints_the_diff_sees_what_commands_changed(mode: Mode) {
    let place = mode.replay(&[
        &replace("a.txt", "line 3", "first"),
        "<execute_command>\n<command>rm gone.txt; echo made > made.txt</command>\n</execute_command>",
        &replace("a.txt", "first", "second"),
        &write("ignored.txt", "left out"),
        &done("finished"),
    ]);
    fs::write(place.workspace.join("a.txt"), numbers()).unwrap();
    fs::write(place.workspace.join("gone.txt"), "gone\n").unwrap();
    fs::write(place.workspace.join(".gitignore"), "ignored.txt\n").unwrap();
    let host = place.host(&[]);
    let session = host.start_with("go", json!({"autoApprovalEnabled": true}));
    host.completed();
    let listed = host.call(&json!({"type": "checkpoint.list", "session": session})).unwrap();
    let all = diff(&host, session);
    assert_eq!(all["from"], listed["base"]);
    let rows = |diff: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        diff["files"].as_array().unwrap().iter().map(|file| (text(&file["path"]), text(&file["status"]))).collect()
    };
    let owned = |path: &str, status: &str| (path.to_owned(), status.to_owned());
    let expected = [
        owned("a.txt", "modified"),
        owned("gone.txt", "deleted"),
        owned("made.txt", "added"),
        owned("ignored.txt", "added"),
    ];
    assert_eq!(rows(&all), expected, "{all:#}");
    let text = file(&all, "a.txt")["hunks"][0]["text"].as_str().unwrap();
    assert!(text.contains("-line 3\r\n+second\r\n"), "{text}");
    assert_eq!((&all["added"], &all["removed"]), (&json!(3), &json!(2)));

    // Between two: before the second edit, and before the third.
    let points = listed["checkpoints"].as_array().unwrap();
    let (from, to) = (&points[1]["checkpoint"], &points[2]["checkpoint"]);
    let request = json!({"type": "task.diff", "session": session, "from": from, "to": to});
    let between = host.call(&request).unwrap();
    assert_eq!((&between["from"], &between["to"]), (from, to));
    assert_eq!(rows(&between), [owned("a.txt", "modified")]);
    assert!(file(&between, "a.txt")["hunks"][0]["text"].as_str().unwrap().contains("-first\r\n+second\r\n"));
    let unknown = json!({"type": "task.diff", "session": session, "from": "0123456789012345678901234567890123456789"});
    assert_eq!(host.call(&unknown).unwrap_err().kind, "not_found");

    // Of a stored task too.
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    drop(host);
    let place = place.reopened(&[]);
    let host = place.host(&[]);
    assert_eq!(host.call(&json!({"type": "task.diff", "task": task})).unwrap(), all);
    assert_eq!(host.call(&json!({"type": "task.diff", "task": task, "from": from, "to": to})).unwrap(), between);
    place.close();
}
