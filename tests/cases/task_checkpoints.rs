//! Checkpoints of a task: when they are made, what a restore brings back, and how it is undone.

use std::fs;
use std::path::Path;

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done, script};

both! {
    edits_make_checkpoints_and_their_files_come_back,
    a_restore_of_the_task_cuts_its_conversation_and_is_undone,
    a_message_without_change_makes_no_checkpoint,
    a_checkpoint_beside_a_growing_message_does_not_cut_it,
    points_are_compared,
    a_restore_stops_a_task_that_streams,
    files_go_back_with_a_message,
    a_restore_that_was_cut_off_is_carried_out_by_who_opens_the_task_next,
    deleting_a_task_deletes_its_checkpoints,
    a_personal_folder_has_no_checkpoints_and_the_user_is_told_once,
    switched_off_there_are_none,
}

const QUESTION: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";

fn write(path: &str, content: &str) -> String {
    format!(
        "<write_to_file>\n<path>{path}</path>\n<content>\n{content}\n</content>\n<line_count>1</line_count>\n</write_to_file>"
    )
}

/// The files of a folder as text, by their names.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    found.sort();
    found
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn list(host: &Host, session: u64) -> Value {
    host.call(&json!({"type": "checkpoint.list", "session": session})).unwrap()
}

/// Ids of the checkpoints that a host shows.
fn shown(list: &Value) -> Vec<String> {
    let all = list["checkpoints"].as_array().unwrap().iter();
    all.filter(|c| c["suppressed"] == false).map(|c| c["checkpoint"].as_str().unwrap().to_owned()).collect()
}

fn restore(host: &Host, session: u64, checkpoint: &str, mode: &str) -> Value {
    let request = json!({"type": "checkpoint.restore", "session": session, "checkpoint": checkpoint, "mode": mode});
    host.call(&request).unwrap()
}

fn undo(host: &Host, session: u64) -> Value {
    host.call(&json!({"type": "checkpoint.undo", "session": session})).unwrap()
}

/// Kinds of the stored messages of a task, and how many the model knows.
fn stored(host: &Host, task: &Value) -> (Vec<String>, usize) {
    let got = host.call(&json!({"type": "task.get", "task": task})).unwrap();
    let kind = |m: &Value| m["say"].as_str().or(m["ask"].as_str()).unwrap().to_owned();
    let messages = got["messages"].as_array().unwrap().iter().map(kind).collect();
    (messages, got["conversation"].as_array().unwrap().len())
}

/// A task that has written `a.txt` twice and waits for the user.
fn twice_written(host: &Host, place: &Place) -> u64 {
    fs::write(place.workspace.join("user.txt"), "mine").unwrap();
    let session = host.start("write");
    host.ask("completion_result");
    session
}

const TWICE: [fn() -> String; 3] = [|| write("a.txt", "one"), || write("a.txt", "two"), || done("Written.")];

fn replay(mode: Mode) -> Place {
    let turns: Vec<String> = TWICE.iter().map(|turn| turn()).collect();
    mode.replay(&turns.iter().map(String::as_str).collect::<Vec<_>>())
}

/// parity 02 §18.14: an edit always makes a checkpoint, and so does a completion
/// parity 02 §15.5: the files of a checkpoint come back: edited, untracked and deleted ones
fn edits_make_checkpoints_and_their_files_come_back(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    let listed = list(&host, session);
    let points = shown(&listed);
    assert_eq!((points.len(), &listed["undo"]), (3, &json!(false)), "{listed}");
    let told = |event: &Event| match event {
        Event::Checkpoint(checkpoint) => Some(checkpoint.commit.clone()),
        _ => None,
    };
    let events: Vec<String> = host.events().iter().filter_map(|received| told(&received.event)).collect();
    assert_eq!(events, points);

    fs::write(place.workspace.join("extra.txt"), "untracked").unwrap();
    fs::remove_file(place.workspace.join("user.txt")).unwrap();
    let after = owned(&[("a.txt", "two"), ("extra.txt", "untracked")]);
    assert_eq!(files(&place.workspace), after);

    let restored = restore(&host, session, &points[1], "files");
    host.ask("resume_task");
    assert_eq!(restored["checkpoint"], points[1].as_str());
    let before = owned(&[("a.txt", "one"), ("user.txt", "mine")]);
    assert_eq!(files(&place.workspace), before);
    assert_eq!(list(&host, session)["undo"], true);

    undo(&host, session);
    assert_eq!(files(&place.workspace), after);
    // Undone twice, it is done again.
    undo(&host, session);
    assert_eq!(files(&place.workspace), before);
    let base = listed["base"].as_str().unwrap();
    restore(&host, session, base, "files");
    assert_eq!(files(&place.workspace), owned(&[("user.txt", "mine")]));
}

/// parity 02 §15.5: the conversation ends before the checkpoint; what it had cost is told
fn a_restore_of_the_task_cuts_its_conversation_and_is_undone(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    let points = shown(&list(&host, session));
    let task = restore(&host, session, &points[1], "task")["task"].clone();
    host.ask("resume_task");
    let (cut, known) = stored(&host, &task);
    assert_eq!(cut.iter().filter(|kind| *kind == "checkpoint_saved").count(), 1, "{cut:?}");
    assert!(cut.contains(&"api_req_deleted".to_owned()) && !cut.contains(&"completion_result".to_owned()), "{cut:?}");
    // The task, the first answer, the result that was sent with the second request; and the second answer, if it had been read to
    // its end before the checkpoint was saved.
    assert!((3..=4).contains(&known), "{known}");
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "one");

    undo(&host, session);
    host.ask("resume_completed_task");
    let (whole, known) = stored(&host, &task);
    assert_eq!(whole.iter().filter(|kind| *kind == "checkpoint_saved").count(), 3, "{whole:?}");
    assert!(whole.contains(&"completion_result".to_owned()));
    assert_eq!(known, 6);
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "two");
}

/// parity 02 §18.14: a message of the user makes a checkpoint only if a file has changed
fn a_message_without_change_makes_no_checkpoint(mode: Mode) {
    let place = mode.replay(&[QUESTION, QUESTION, QUESTION, &done("Answered.")]);
    let host = place.host(&[]);
    let session = host.start("ask");
    let answer = |ask: u64| {
        host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "this"})).unwrap();
    };
    answer(host.ask("followup"));
    let second = host.ask("followup");
    // Answered when the repository is there: what comes after that is a change.
    let changed = host.call(&json!({"type": "checkpoint.diff", "session": session})).unwrap();
    assert_eq!(changed["files"], json!([]));
    assert_eq!(list(&host, session)["checkpoints"], json!([]));
    fs::write(place.workspace.join("new.txt"), "new").unwrap();
    answer(second);
    host.until(|event| matches!(event.event, Event::Checkpoint(_)).then_some(()));
    let listed = list(&host, session);
    assert_eq!(listed["checkpoints"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(shown(&listed), Vec::<String>::new(), "{listed}");
}

/// The model's answer begins while the checkpoint of the user's message is saved, and goes on after it.
fn a_checkpoint_beside_a_growing_message_does_not_cut_it(mode: Mode) {
    let lines = [
        json!({"expect": {}}),
        json!({"text": QUESTION}),
        json!({"expect": {}}),
        json!({"text": "I look"}),
        json!({"text": format!(" at it.\n{QUESTION}"), "delay_ms": 400}),
        json!({"expect": {}}),
        json!({"text": "<ask_followup_question>\n<question>And"}),
        json!({"text": " then?</question>\n<follow_up>\n<suggest>two</suggest>\n</follow_up>\n</ask_followup_question>", "delay_ms": 400}),
        json!({"expect": {"last_user_contains": "this"}}),
        json!({ "text": done("Answered.") }),
    ];
    let place = mode.play(&lines.map(|line| line.to_string()).join("\n"));
    let host = place.host(&[]);
    let session = host.start("ask");
    let question = host.ask("followup");
    // The repository is there.
    list(&host, session);
    host.call(&json!({"type": "checkpoint.diff", "session": session})).unwrap();
    let answer = |ask: u64, file: &str| {
        fs::write(place.workspace.join(file), "new").unwrap();
        host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "this"})).unwrap();
    };
    answer(question, "one.txt");
    answer(host.ask("followup"), "two.txt");
    // A question grows as a message does, and is answered under its own number.
    answer(host.ask("followup"), "three.txt");
    assert_eq!(host.completed(), "Answered.");
    let mut texts = Vec::new();
    let mut growing = Vec::new();
    for received in host.events() {
        match &received.event {
            Event::MessageBegin(_) => growing.push(received.about),
            Event::MessageEnd(end) => {
                growing.retain(|id| *id != received.about);
                let said = end.text.clone().filter(|text| end.kind == "text" && !["", "ask"].contains(&text.as_str()));
                texts.extend(said);
            }
            _ => {}
        }
    }
    assert_eq!(texts, ["I look at it."]);
    assert_eq!(growing, [0; 0]);
    assert_eq!(list(&host, session)["checkpoints"].as_array().map(Vec::len), Some(4));
}

/// parity 02 §15.7: two checkpoints, or one and the workspace, are compared by file
/// parity 02 §15.8: a completion names what it changed
fn points_are_compared(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    fs::write(place.workspace.join("extra.data"), b"\0\x01").unwrap();
    let points = shown(&list(&host, session));
    let summary = |diff: Value| -> Vec<(String, String, Value, Value)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |f: &Value| (text(&f["path"]), text(&f["status"]), f["before"].clone(), f["after"].clone());
        diff["files"].as_array().unwrap().iter().map(row).collect()
    };
    let row =
        |path: &str, status: &str, before: Value, after: Value| (path.to_owned(), status.to_owned(), before, after);
    let diff = |fields: Value| {
        let mut request = json!({"type": "checkpoint.diff", "session": session});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        host.call(&request)
    };
    let between = summary(diff(json!({"from": points[1], "to": points[2]})).unwrap());
    assert_eq!(between, [row("a.txt", "modified", json!("one"), json!("two"))]);
    let since =
        [row("a.txt", "added", Value::Null, json!("two")), row("extra.data", "added", Value::Null, Value::Null)];
    assert_eq!(summary(diff(json!({})).unwrap()), since);
    let unknown = diff(json!({"from": "0123456789012345678901234567890123456789"})).unwrap_err();
    assert_eq!(unknown.kind, "not_found");

    // Of a stored task too.
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    let range = |host: &Host| {
        let got = host.call(&json!({"type": "task.get", "task": task})).unwrap();
        let messages = got["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .find(|m| m["say"] == "completion_result")
            .map(|m| m["metadata"]["kiloCode"]["commitRange"].clone())
    };
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    assert_eq!(range(&host), Some(json!({"from": points[0], "to": points[2]})));
    let stored = host.call(&json!({"type": "checkpoint.diff", "task": task, "from": points[0]})).unwrap();
    assert_eq!(summary(stored), since);
    let listed = host.call(&json!({"type": "checkpoint.list", "task": task})).unwrap();
    assert_eq!(shown(&listed), points);
    for request in ["checkpoint.list", "checkpoint.diff"] {
        assert_eq!(host.call(&json!({"type": request, "task": "nothing"})).unwrap_err().kind, "not_found");
    }
}

/// parity 02 §15.5: a restore stops a task that runs
fn a_restore_stops_a_task_that_streams(mode: Mode) {
    let slow = json!({"text": "Thinking about it ", "delay_ms": 20, "repeat": 100_000});
    let place = mode.play(&format!("{}{{\"expect\":{{}}}}\n{slow}\n", script(&[&write("a.txt", "one")])));
    let host = place.host(&[]);
    let session = host.start("write");
    host.until(|event| matches!(&event.event, Event::MessageDelta(text) if text.contains("Thinking")).then_some(()));
    let points = shown(&list(&host, session));
    restore(&host, session, &points[0], "task");
    host.ask("resume_task");
    assert_eq!(files(&place.workspace), []);
    undo(&host, session);
    assert_eq!(files(&place.workspace), owned(&[("a.txt", "one")]));
}

/// parity 02 §15.6: with a message that is deleted, the files of the first checkpoint behind it come back
fn files_go_back_with_a_message(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    let messages = host.call(&json!({"type": "task.get", "task": task})).unwrap()["messages"].clone();
    let requests = messages.as_array().unwrap().iter().filter(|message| message["say"] == "api_req_started");
    let second = requests.map(|message| message["ts"].clone()).nth(1).unwrap();
    let request = json!({"type": "task.delete_message", "session": session, "message": second, "restore": true});
    host.call(&request).unwrap();
    host.ask("resume_task");
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "one");
    assert_eq!(shown(&list(&host, session)).len(), 1);
    undo(&host, session);
    host.ask("resume_completed_task");
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "two");
    assert_eq!(shown(&list(&host, session)).len(), 3);
}

/// parity 02 §15.5: a restore that the death of the engine cut off is carried out, never half
fn a_restore_that_was_cut_off_is_carried_out_by_who_opens_the_task_next(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    let points = shown(&list(&host, session));
    let task = restore(&host, session, &points[1], "task")["task"].clone();
    host.ask("resume_task");
    let (cut, known) = stored(&host, &task);
    // As if the engine had died between the files and the conversation.
    let record = place.storage.join("tasks").join(task.as_str().unwrap()).join("checkpoint_restore.json");
    let mut written: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    undo(&host, session);
    host.ask("resume_completed_task");
    assert_ne!(stored(&host, &task).1, known);
    written["outcome"] = json!("pending");
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    fs::write(&record, written.to_string()).unwrap();
    drop(host);

    let place = place.reopened(&[]);
    let host = place.host(&[]);
    let session = host.call(&json!({"type": "task.resume", "task": task})).unwrap()["session"].as_u64().unwrap();
    host.ask("resume_task");
    let comparable =
        |kinds: Vec<String>| -> Vec<String> { kinds.into_iter().filter(|k| !k.starts_with("resume")).collect() };
    let (again, known_again) = stored(&host, &task);
    assert_eq!((comparable(again), known_again), (comparable(cut), known));
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "one");
    undo(&host, session);
    assert_eq!(fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "two");
}

fn deleting_a_task_deletes_its_checkpoints(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = twice_written(&host, &place);
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    let folder = place.storage.join("tasks").join(task.as_str().unwrap());
    assert!(folder.join("checkpoints/.git").is_dir());
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    host.call(&json!({"type": "task.delete", "task": task})).unwrap();
    assert!(!folder.exists());
}

/// parity 02 §15.1: the home folder is refused, the task goes on without checkpoints
fn a_personal_folder_has_no_checkpoints_and_the_user_is_told_once(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let home = place.workspace.parent().unwrap();
    let started = host.call(&json!({"type": "task.start", "workspace": home, "text": "write"})).unwrap();
    host.ask("completion_result");
    let session = started["session"].as_u64().unwrap();
    assert_eq!(fs::read_to_string(home.join("a.txt")).unwrap(), "two");
    assert_eq!(list(&host, session), json!({"checkpoints": [], "undo": false}));
    let told = |event: &&Event| matches!(event, Event::Log(log) if log.message.starts_with("Checkpoints are off"));
    assert_eq!(host.events().iter().map(|received| &received.event).filter(told).count(), 1);
    for request in [
        json!({"type": "checkpoint.undo", "session": session}),
        json!({"type": "checkpoint.restore", "session": session, "checkpoint": "abcdef0"}),
    ] {
        assert_eq!(host.call(&request).unwrap_err().kind, "not_found", "{request}");
    }
    let refused = host.call(&json!({"type": "checkpoint.diff", "session": session})).unwrap_err();
    assert_eq!(refused.kind, "not_supported");
}

fn switched_off_there_are_none(mode: Mode) {
    let place = replay(mode);
    let host = place.host(&[]);
    let session = host.start_with("write", json!({"enableCheckpoints": false}));
    host.ask("completion_result");
    let told = |event: &Event| matches!(event, Event::Checkpoint(_) | Event::Log(_));
    assert!(!host.events().iter().any(|received| told(&received.event)));
    assert_eq!(list(&host, session), json!({"checkpoints": [], "undo": false}));
    let task = host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["id"].clone();
    assert!(!place.storage.join("tasks").join(task.as_str().unwrap()).join("checkpoints").exists());
}
