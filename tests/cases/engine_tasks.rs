//! The life of a task, whole-engine: stopped, failed, resumed, queued to, taken back, deleted, listed, exported; subtasks; profiles.

use std::path::{Path, PathBuf};

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};
use crate::loopback::{Reply, event_stream, piece, server};

both! {
    a_task_is_taken_back_to_a_message,
    profiles_change_during_a_task,
    queued_messages_are_changed_and_taken_out,
}

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";
const SPAWN: &str = "<new_task>\n<mode>ask</mode>\n<message>child work</message>\n</new_task>";
const WRITE: &str =
    "<write_to_file>\n<path>new.txt</path>\n<content>hello</content>\n<line_count>1</line_count>\n</write_to_file>";

/// A transcript: of each turn what it expects and what it plays.
fn transcript(turns: &[(Value, Value)]) -> String {
    turns.iter().map(|(expect, piece)| format!("{}\n{piece}\n", json!({ "expect": expect }))).collect()
}

fn says(text: &str) -> Value {
    json!({ "text": text })
}

fn contains(texts: &[&str]) -> Value {
    json!({ "last_user_contains": texts })
}

/// An engine whose folder may already hold tasks; `prepare` gets the storage.
fn prepared(transcript: &str, prepare: impl FnOnce(&Path)) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("transcript.jsonl");
    std::fs::write(&file, transcript).unwrap();
    let storage = folder.path().canonicalize().unwrap().join("storage");
    std::fs::create_dir_all(storage.join("tasks")).unwrap();
    prepare(&storage);
    Mode::InProcess.open(folder, json!({"apiProvider": "replay", "replayFile": file}))
}

fn read(file: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn ui(place: &Place, task: &str) -> Vec<Value> {
    read(place.storage.join("tasks").join(task).join("ui_messages.json")).as_array().unwrap().clone()
}

fn api(place: &Place, task: &str) -> Vec<Value> {
    read(place.storage.join("tasks").join(task).join("api_conversation_history.json")).as_array().unwrap().clone()
}

fn only_task(host: &Host) -> String {
    let list = host.call(&json!({"type": "task.list"})).unwrap();
    list["tasks"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned()
}

fn message(host: &Host, session: u64, text: &str) {
    host.call(&json!({"type": "task.message", "session": session, "text": text})).unwrap();
}

/// Id of the next complete message of this kind.
fn said(host: &Host, kind: &str) -> u64 {
    host.until(|event| matches!(&event.event, Event::MessageEnd(end) if end.kind == kind).then_some(event.about))
}

/// parity 02 §18.10: the queue is looked at when a question begins, and its text approves a tool as feedback
/// parity 02 §3: a message queued while a question waits stays for a later one
#[test]
fn a_queued_message_approves_the_next_tool_question_with_its_text() {
    let turns = [
        (json!({}), says(ASK)),
        (contains(&["<answer>\none\n</answer>"]), says(WRITE)),
        (contains(&["with tabs, please"]), says(&done("Written."))),
    ];
    let place = Mode::InProcess.play(&transcript(&turns));
    let host = place.host(&[]);
    let session = host.start_with("write", json!({"alwaysAllowWrite": false}));
    let ask = host.ask("followup");
    host.call(&json!({"type": "task.queue", "session": session, "text": "with tabs, please"})).unwrap();
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "one"})).unwrap();
    assert_eq!(host.completed(), "Written.");
    let asked = host.events().iter().any(|event| matches!(&event.event, Event::Ask(ask) if ask.kind == "tool"));
    assert!(!asked, "the queued message answers in place of the user");
    assert!(std::fs::read_to_string(place.workspace.join("new.txt")).unwrap().starts_with("hello"));
}

/// parity 02 §18.11: a stop in a stream adds no assistant message; what was partial stays partial
/// parity 02 §2.3: a stopped task waits in a new instance to be resumed
#[test]
fn a_stop_in_a_stream_adds_nothing_of_the_assistant() {
    let hanging = Reply::Hang(format!("{}{}", event_stream(), piece("I think ")).into_bytes());
    let place = Mode::InProcess.remote(&server(vec![hanging]), "key");
    let host = place.host(&[]);
    let session = host.start("think");
    host.until(|event| matches!(event.event, Event::MessageDelta(_)).then_some(()));
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_task");
    let task = only_task(&host);
    place.close();
    let api = api(&place, &task);
    assert_eq!(api.iter().map(|message| message["role"].as_str().unwrap()).collect::<Vec<_>>(), ["user"]);
    let ui = ui(&place, &task);
    let partial = ui.iter().find(|message| message["text"] == "I think").unwrap_or_else(|| panic!("{ui:#?}"));
    assert_eq!(partial["partial"], true);
    assert_eq!(ui.last().unwrap()["ask"], "resume_task");
}

/// parity 02 §18.12: a stream that fails is recorded in its request with reason and message, and the task waits to be resumed
/// parity 02 §19.19: the old environment is sent again
/// parity 02 §18.13: a resumed task sends the old user blocks, the new message and a new environment in one message
/// parity 02 §7.4: the answer that was cut off is not part of the conversation
#[test]
fn a_stream_that_fails_is_recorded_and_a_message_resumes_it() {
    let resumed = json!({
        "messages": 1,
        "last_user_contains": ["<task>\nmend it\n</task>", "<user_message>\nonly the parser\n</user_message>", "# Current Time"],
    });
    let turns = [(json!({}), json!({"text": "Let me"})), (resumed, says(&done("Mended.")))];
    let script = transcript(&turns).replacen(
        "{\"text\":\"Let me\"}",
        "{\"text\":\"Let me\"}\n{\"error\":{\"message\":\"the line broke\"}}",
        1,
    );
    let place = Mode::InProcess.play(&script);
    let host = place.host(&[]);
    let session = host.start("mend it");
    host.ask("resume_task");
    message(&host, session, "only the parser");
    assert_eq!(host.completed(), "Mended.");
    let task = only_task(&host);
    place.close();
    let ui = ui(&place, &task);
    let request = ui.iter().find(|message| message["say"] == "api_req_started").unwrap();
    let info: Value = serde_json::from_str(request["text"].as_str().unwrap()).unwrap();
    assert_eq!(info["cancelReason"], "streaming_failed", "{info}");
    assert_eq!(info["streamingFailedMessage"], "the line broke", "{info}");
    let user = &api(&place, &task)[0];
    let environments = user["content"].as_array().unwrap().iter();
    let environments =
        environments.filter(|block| block["text"].as_str().unwrap().starts_with("<environment_details>"));
    assert_eq!(environments.count(), 2, "the old one is sent again (Q19): {user}");
    assert!(!json!(api(&place, &task)).to_string().contains("Let me"));
}

/// parity 02 §18.15: the subtask's result first, then the tool's result with the environment
/// parity 02 §16: the parent is paused, takes the result, and goes back to its mode
#[test]
fn a_parent_has_two_user_messages_after_its_subtask() {
    let turns = [
        (json!({"mode": "code"}), says(SPAWN)),
        (
            json!({"mode": "ask", "messages": 1, "last_user_contains": "<task>\nchild work\n</task>"}),
            says(&done("Child done.")),
        ),
        (json!({"mode": "code", "messages": 4, "last_user_contains": "# Current Time"}), says(&done("All done."))),
    ];
    let place = Mode::InProcess.play(&transcript(&turns));
    let host = place.host(&[]);
    host.start_with("parent work", json!({"alwaysAllowSubtasks": false}));
    let ask = host.ask("tool");
    host.respond(ask, "yes").unwrap();
    let child = subtask(&host, "started");
    assert_eq!(host.completed(), "Child done.");
    let ask = host.ask("tool");
    host.respond(ask, "yes").unwrap();
    let parent = parent_of_finished(&host);
    assert_eq!(host.completed(), "All done.");
    place.close();
    let api = api(&place, &parent);
    let roles: Vec<_> = api.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "user", "assistant"]);
    assert_eq!(api[2]["content"][0]["text"], "[new_task completed] Result: Child done.");
    let last = api[3]["content"].as_array().unwrap().last().unwrap();
    assert!(last["text"].as_str().unwrap().starts_with("<environment_details>"), "{last}");
    let history = read(place.storage.join("task_history.json"));
    let item = history.as_array().unwrap().iter().find(|item| item["id"] == child.as_str()).unwrap();
    assert_eq!(
        (&item["parentTaskId"], &item["rootTaskId"], &item["number"]),
        (&json!(parent), &json!(parent), &json!(2))
    );
}

/// The task of the next `subtask` event of this state.
fn subtask(host: &Host, state: &str) -> String {
    host.until(|event| match &event.event {
        Event::Subtask(subtask) if subtask.state == state => Some(subtask.task.clone()),
        _ => None,
    })
}

/// The parent that goes on after the next subtask that is finished.
fn parent_of_finished(host: &Host) -> String {
    host.until(|event| match &event.event {
        Event::Subtask(subtask) if subtask.state == "finished" => subtask.parent.clone(),
        _ => None,
    })
}

/// parity 02 §2.3: a subtask that is cleared, deleted or stopped leaves its parent in order
#[test]
fn a_subtask_that_is_cleared_or_deleted_lets_its_parent_go_on() {
    for delete in [false, true] {
        let turns = [
            (json!({}), says(SPAWN)),
            (json!({"messages": 1}), says(ASK)),
            (json!({"mode": "code", "messages": 4}), says(&done("Without it."))),
        ];
        let place = Mode::InProcess.play(&transcript(&turns));
        let host = place.host(&[]);
        let session = host.start("parent work");
        let child = subtask(&host, "started");
        host.ask("followup");
        if delete {
            let parent = only_parent(&host);
            let failed = host.call(&json!({"type": "task.delete", "task": parent})).unwrap_err();
            assert_eq!(failed.kind, "busy", "{}", failed.message);
            let deleted = host.call(&json!({"type": "task.delete", "task": child})).unwrap();
            assert_eq!(deleted, json!({"deleted": [child], "kept": []}));
        } else {
            host.call(&json!({"type": "task.clear", "session": session})).unwrap();
        }
        let parent = parent_of_finished(&host);
        assert_eq!(host.completed(), "Without it.");
        place.close();
        let told = api(&place, &parent)[2]["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(told.starts_with("[new_task completed] Result: "), "{told}");
        assert_eq!(place.storage.join("tasks").join(&child).exists(), !delete);
        assert_eq!(read(place.storage.join("task_history.json")).to_string().contains(&child), !delete);
    }
}

/// The listed task that no other started.
fn only_parent(host: &Host) -> String {
    let list = host.call(&json!({"type": "task.list"})).unwrap();
    let tasks = list["tasks"].as_array().unwrap();
    let parent = tasks.iter().find(|item| item.get("parentTaskId").is_none_or(Value::is_null)).unwrap();
    parent["id"].as_str().unwrap().to_owned()
}

/// parity 02 §2.3: a stopped subtask keeps its parent, which goes on when the subtask is done
#[test]
fn a_stopped_subtask_keeps_its_parent() {
    let turns = [
        (json!({}), says(SPAWN)),
        (json!({"messages": 1}), says(ASK)),
        (json!({"mode": "ask"}), says(&done("After a stop."))),
        (json!({"mode": "code", "messages": 4}), says(&done("Parent done."))),
    ];
    let place = Mode::InProcess.play(&transcript(&turns));
    let host = place.host(&[]);
    let session = host.start("parent work");
    host.ask("followup");
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    let ask = host.ask("resume_task");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "After a stop.");
    assert_eq!(host.completed(), "Parent done.");
}

fn a_task_is_taken_back_to_a_message(mode: Mode) {
    let turns = [
        (json!({}), says(ASK)),
        (contains(&["the first"]), says(&done("First."))),
        (json!({"last_user_contains": "the second", "last_user_lacks": "the first"}), says(&done("Second."))),
        (json!({"messages": 1, "last_user_contains": "<task>\nanother task\n</task>"}), says(&done("Anew."))),
    ];
    let place = mode.play(&transcript(&turns));
    let host = place.host(&[]);
    let session = host.start("choose");
    let task = said(&host, "text");
    host.ask("followup");
    message(&host, session, "the first");
    let answer = said(&host, "user_feedback");
    assert_eq!(host.completed(), "First.");
    let completion = host.ask("completion_result");
    let edit = |message: u64, text: &str| json!({"type": "task.edit_message", "session": session, "message": message, "text": text});
    for (request, kind) in [
        (edit(7, "x"), "not_found"),
        (edit(u64::MAX >> 11, "x"), "not_found"),
        (json!({"type": "task.delete_message", "session": session, "message": task}), "invalid_request"),
    ] {
        assert_eq!(host.call(&request).unwrap_err().kind, kind, "{request}");
    }
    host.call(&edit(answer, "the second")).unwrap();
    assert_eq!(host.respond(completion, "yes").unwrap_err().kind, "stale");
    assert_eq!(host.completed(), "Second.");
    let answer = said_before(&host, "user_feedback");
    host.call(&json!({"type": "task.delete_message", "session": session, "message": answer})).unwrap();
    host.ask("resume_task");
    host.call(&edit(task, "another task")).unwrap();
    assert_eq!(host.completed(), "Anew.");
    let id = only_task(&host);
    host.ask("completion_result");
    place.close();
    let ui = ui(&place, &id);
    assert_eq!((&ui[0]["text"], &ui[0]["ts"]), (&json!("another task"), &json!(task)));
    assert!(!json!(ui).to_string().contains("the second"), "{ui:#?}");
    assert_eq!(api(&place, &id).len(), 2);
}

/// Id of the last complete message of this kind so far.
fn said_before(host: &Host, kind: &str) -> u64 {
    let is = |event: &lapce_ai::engine::Received| matches!(&event.event, Event::MessageEnd(end) if end.kind == kind);
    host.events().iter().rev().find(|event| is(event)).unwrap().about
}

fn profiles_change_during_a_task(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let profile = |name: &str, turns: &[(Value, Value)]| {
        let file = folder.path().join(format!("{name}.jsonl"));
        std::fs::write(&file, transcript(turns)).unwrap();
        json!({"id": format!("id-{name}"), "apiProvider": "replay", "replayFile": file})
    };
    let fast = profile("fast", &[(json!({}), says(ASK)), (contains(&["back"]), says(&done("Fast.")))]);
    let slow = profile("slow", &[(contains(&["go"]), says(ASK))]);
    let settings = json!({"apiConfigs": {"fast": fast, "slow": slow}, "apiProvider": "openai"});
    let place = mode.open(folder, settings);
    let host = place.host(&[]);
    let start =
        |profile: &str| json!({"type": "task.start", "workspace": place.workspace, "text": "x", "profile": profile});
    let failed = host.call(&start("none")).unwrap_err();
    assert_eq!((failed.kind.as_str(), failed.place.as_deref()), ("not_found", Some("task.start.profile")));
    let session = host.call(&start("fast")).unwrap()["session"].as_u64().unwrap();
    host.ask("followup");
    let set = |profile: &str| json!({"type": "task.set_profile", "session": session, "profile": profile});
    let failed = host.call(&set("none")).unwrap_err();
    assert_eq!((failed.kind.as_str(), failed.place.as_deref()), ("not_found", Some("task.set_profile.profile")));
    let in_force = |wanted: &str| {
        let told = host.until(|event| match &event.event {
            Event::Profile(changed) => Some(changed.profile.clone()),
            _ => None,
        });
        assert_eq!(told, wanted);
        let get = json!({"type": "settings.get", "session": session, "keys": ["currentApiConfigName"]});
        assert_eq!(host.call(&get).unwrap()["values"]["currentApiConfigName"], wanted);
    };
    // A mode remembers the profile it was last used with.
    let mode = |slug: &str| json!({"type": "task.set_mode", "session": session, "mode": slug});
    host.call(&mode("ask")).unwrap();
    host.call(&set("slow")).unwrap();
    in_force("slow");
    host.call(&mode("code")).unwrap();
    in_force("fast");
    host.call(&mode("ask")).unwrap();
    in_force("slow");
    message(&host, session, "go");
    host.ask("followup");
    host.call(&set("fast")).unwrap();
    in_force("fast");
    message(&host, session, "back");
    assert_eq!(host.completed(), "Fast.");
}

fn queued_messages_are_changed_and_taken_out(mode: Mode) {
    let place = mode.replay(&[ASK]);
    let host = place.host(&[]);
    let session = host.start("x");
    host.ask("followup");
    let queue = |fields: Value| {
        let mut request = json!({"type": "task.queue", "session": session});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        host.call(&request)
    };
    let ids: Vec<Value> = ["a", "b"].map(|text| queue(json!({ "text": text })).unwrap()["id"].clone()).to_vec();
    assert_eq!(queue(json!({"text": ""})).unwrap(), json!({"id": null}), "nothing to queue");
    assert_eq!(queue(json!({"message": ids[1], "text": "B"})).unwrap(), json!({"done": true}));
    assert_eq!(queue(json!({"message": ids[0], "remove": true})).unwrap(), json!({"done": true}));
    assert_eq!(queue(json!({"message": ids[0], "remove": true})).unwrap(), json!({"done": false}));
    let last = host.events().into_iter().rev().find_map(|event| match event.event {
        Event::Queue(queue) => Some((queue.texts, queue.ids)),
        _ => None,
    });
    assert_eq!(last, Some((vec!["B".to_owned()], vec![ids[1].as_str().unwrap().to_owned()])));
}

/// parity 02 §13: a long history is listed from its index alone
#[test]
fn ten_thousand_tasks_are_listed_without_opening_one() {
    let items: Vec<Value> = (0..10_000)
        .map(|n| json!({"id": format!("t-{n}"), "number": 1, "ts": n + 1, "task": format!("task {n}"), "tokensIn": 0, "tokensOut": 0, "totalCost": 0}))
        .collect();
    // No task has a folder.
    let place =
        prepared("", |storage| std::fs::write(storage.join("task_history.json"), json!(items).to_string()).unwrap());
    let host = place.host(&[]);
    let (mut cursor, mut seen) = (Value::Null, Vec::new());
    loop {
        let mut request = json!({"type": "task.list", "limit": 1000});
        if !cursor.is_null() {
            request["cursor"] = cursor;
        }
        let page = host.call(&request).unwrap();
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|item| item["ts"].as_i64().unwrap()));
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, (1..=10_000).rev().collect::<Vec<i64>>());
    assert_eq!(std::fs::read_dir(place.storage.join("tasks")).unwrap().count(), 0, "listing makes no folders");
    let found = host.call(&json!({"type": "task.list", "query": "9999"})).unwrap();
    assert_eq!(found["tasks"].as_array().unwrap().len(), 1);
}

/// parity 02 §2.3: favourites are not deleted, other tasks of the same request are
#[test]
fn favourites_stay() {
    let item =
        |id: &str, favourite: bool| json!({"id": id, "number": 1, "ts": 5, "task": id, "isFavorited": favourite});
    let place = prepared("", |storage| {
        let items = json!([item("a", false), item("b", true), item("c", false)]);
        std::fs::write(storage.join("task_history.json"), items.to_string()).unwrap();
        for id in ["a", "b", "c"] {
            std::fs::create_dir(storage.join("tasks").join(id)).unwrap();
        }
    });
    let host = place.host(&[]);
    assert_eq!(host.call(&json!({"type": "task.delete", "task": "b"})).unwrap_err().kind, "busy");
    let deleted = host.call(&json!({"type": "task.delete", "tasks": ["a", "b", "c", "../x"]})).unwrap();
    assert_eq!(deleted, json!({"deleted": ["a", "c"], "kept": ["b", "../x"]}));
    let left: Vec<_> =
        std::fs::read_dir(place.storage.join("tasks")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["b"]);
}

/// A task in the form in which the reference leaves it.
fn reference_task(storage: &Path, workspace: &Path) -> (Value, Value, Value) {
    let folder = storage.join("tasks/0b9d4f0e-2f5e-4f0e-8b1e-0c6b6f4a7a01");
    std::fs::create_dir(&folder).unwrap();
    let request = json!({"request": "<task>\nmend\n</task>", "apiProtocol": "anthropic", "tokensIn": 12, "tokensOut": 3, "cacheWrites": 2, "cacheReads": 1, "cost": 0.25});
    let ui = json!([
        {"ts": 1000, "type": "say", "say": "text", "text": "mend", "images": []},
        {"ts": 1010, "type": "say", "say": "api_req_started", "text": request.to_string()},
        {"ts": 1020, "type": "say", "say": "text", "text": "Done so far.", "partial": false, "conversationHistoryIndex": 1, "metadata": {"kiloCode": {"x": 1}}},
        {"ts": 1030, "type": "say", "say": "checkpoint_saved", "text": "abc", "checkpoint": {"from": "a", "to": "abc", "suppressMessage": true}},
        {"ts": 1040, "type": "say", "say": "api_req_started", "text": json!({"request": "again", "apiProtocol": "anthropic"}).to_string()},
        {"ts": 1045, "type": "say", "say": "reasoning", "text": "hm", "partial": true},
        {"ts": 1050, "type": "ask", "ask": "resume_task"},
    ]);
    let api = json!([
        {"role": "user", "content": [{"type": "text", "text": "<task>\nmend\n</task>"}], "ts": 1011},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "a.txt"}}], "ts": 1021},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "the text"}]}], "ts": 1041},
    ]);
    let metadata = json!({"files_in_context": [{"path": "a.txt", "record_state": "active", "record_source": "read_tool", "roo_read_date": 1015, "roo_edit_date": null, "user_edit_date": null}]});
    let item = json!({
        "id": "0b9d4f0e-2f5e-4f0e-8b1e-0c6b6f4a7a01", "rootTaskId": "r", "parentTaskId": "p", "number": 4, "ts": 1050, "task": "mend",
        "tokensIn": 12, "tokensOut": 3, "cacheWrites": 2, "cacheReads": 1, "totalCost": 0.25, "size": 7, "workspace": workspace,
        "mode": "debug", "isFavorited": true, "someday": {"new": 1},
    });
    std::fs::write(folder.join("ui_messages.json"), ui.to_string()).unwrap();
    std::fs::write(folder.join("api_conversation_history.json"), api.to_string()).unwrap();
    std::fs::write(folder.join("task_metadata.json"), metadata.to_string()).unwrap();
    std::fs::write(storage.join("task_history.json"), json!([item]).to_string()).unwrap();
    (ui, metadata, item)
}

/// parity 02 §2.2: a task of the reference is taken up where it was, and left in the reference's form
/// parity 02 §13: keys that are not ours survive (D08)
#[test]
fn a_task_of_the_reference_is_taken_up_and_left_in_its_form() {
    let expect = json!({
        "mode": "debug", "messages": 3,
        "last_user_contains": ["[read_file Result]\n\nthe text", "<user_message>\ngo on\n</user_message>", "<environment_details>"],
    });
    let script = transcript(&[(expect, says(&done("Mended.")))]);
    let mut written = None;
    let place = prepared(&script, |storage| {
        written = Some(reference_task(storage, &storage.parent().unwrap().join("workspace")));
    });
    let (ui_before, metadata, item) = written.unwrap();
    let task = item["id"].as_str().unwrap();
    let host = place.host(&[]);
    let resumed = host.call(&json!({"type": "task.resume", "task": task})).unwrap();
    host.ask("resume_task");
    message(&host, resumed["session"].as_u64().unwrap(), "go on");
    assert_eq!(host.completed(), "Mended.");
    host.ask("completion_result");
    place.close();
    let ui = ui(&place, task);
    // What an interrupted run left at the end is gone; the rest is as it was, key by key.
    let kept: Vec<&Value> = ui_before.as_array().unwrap().iter().take(4).collect();
    assert_eq!(ui.iter().take(4).collect::<Vec<_>>(), kept);
    let kinds: Vec<&str> = ui[4..].iter().filter_map(|m| m["say"].as_str().or(m["ask"].as_str())).collect();
    assert_eq!(kinds[..3], ["resume_task", "user_feedback", "api_req_started"], "{ui:#?}");
    let keys = ["ts", "type", "ask", "say", "text", "images", "partial", "isProtected", "metadata", "checkpoint"];
    let unknown = ui[4..].iter().flat_map(|m| m.as_object().unwrap().keys()).find(|key| !keys.contains(&key.as_str()));
    assert_eq!(unknown, None);
    let api = api(&place, task);
    assert_eq!(
        api[0],
        json!({"role": "user", "content": [{"type": "text", "text": "<task>\nmend\n</task>"}], "ts": 1011})
    );
    let call = "<read_file>\n<path>\na.txt\n</path>\n</read_file>";
    assert_eq!(api[1], json!({"role": "assistant", "content": [{"type": "text", "text": call}], "ts": 1021}));
    assert_eq!(api.len(), 4, "the unanswered user message was sent again, and answered");
    assert_eq!(read(place.storage.join("tasks").join(task).join("task_metadata.json")), metadata);
    let history = read(place.storage.join("task_history.json"));
    let now = history[0].as_object().unwrap();
    let (mut had, mut has): (Vec<_>, Vec<_>) = (item.as_object().unwrap().keys().collect(), now.keys().collect());
    had.sort();
    has.sort();
    assert_eq!(has, had);
    for key in [
        "id",
        "rootTaskId",
        "parentTaskId",
        "number",
        "task",
        "workspace",
        "mode",
        "isFavorited",
        "someday",
        "cacheWrites",
    ] {
        assert_eq!(now[key], item[key], "{key}");
    }
    assert!(now["ts"].as_i64() > Some(1050) && now["size"].as_u64() > Some(1000), "{now:?}");
    assert_eq!(now["totalCost"], 0.25);
}

/// parity 02 §13: the API conversation of an old version is read under its old name, which then goes
#[test]
fn a_conversation_under_its_old_name_is_adopted() {
    let script = transcript(&[(contains(&["<task>\nmend\n</task>"]), says(&done("Mended.")))]);
    let place = prepared(&script, |storage| {
        let (_, _, item) = reference_task(storage, &storage.parent().unwrap().join("workspace"));
        let folder = storage.join("tasks").join(item["id"].as_str().unwrap());
        std::fs::remove_file(folder.join("api_conversation_history.json")).unwrap();
        let old = json!([{"role": "user", "content": "<task>\nmend\n</task>"}]);
        std::fs::write(folder.join("claude_messages.json"), old.to_string()).unwrap();
    });
    let host = place.host(&[]);
    let task = only_task(&host);
    host.call(&json!({"type": "task.resume", "task": task})).unwrap();
    let ask = host.ask("resume_task");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Mended.");
    assert!(!place.storage.join("tasks").join(&task).join("claude_messages.json").exists());
}

/// parity 02 §13: a damaged file is named and stays as it is
#[test]
fn damaged_files_are_named_and_left_alone() {
    for name in ["api_conversation_history.json", "ui_messages.json"] {
        let place = prepared("", |storage| {
            let (_, _, item) = reference_task(storage, &storage.parent().unwrap().join("workspace"));
            std::fs::write(storage.join("tasks").join(item["id"].as_str().unwrap()).join(name), "[{\"ts\":").unwrap();
        });
        let host = place.host(&[]);
        let task = only_task(&host);
        for kind in ["task.resume", "task.get", "task.export"] {
            let failed = host.call(&json!({"type": kind, "task": task})).unwrap_err();
            assert_eq!(failed.kind, "io", "{kind}: {}", failed.message);
            assert!(failed.message.contains(name), "{kind}: {}", failed.message);
        }
        place.close();
        let file = place.storage.join("tasks").join(&task).join(name);
        assert_eq!(std::fs::read_to_string(file).unwrap(), "[{\"ts\":");
    }
}

/// parity 02 §13: a task whose files are gone is marked in the list
#[test]
fn a_task_without_files_is_marked() {
    let place = prepared("", |storage| {
        let (_, _, item) = reference_task(storage, &storage.parent().unwrap().join("workspace"));
        std::fs::remove_dir_all(storage.join("tasks").join(item["id"].as_str().unwrap())).unwrap();
    });
    let host = place.host(&[]);
    let task = only_task(&host);
    assert_eq!(host.call(&json!({"type": "task.resume", "task": task})).unwrap_err().kind, "not_found");
    assert_eq!(host.call(&json!({"type": "task.list"})).unwrap()["tasks"][0]["fileNotfound"], true);
}

/// parity 04 §9.1: tasks are stored in the custom folder
/// parity 04 §quirks.11: modes and checkpoints are not
/// parity 02 §13: tasks are stored in the custom folder
#[test]
fn tasks_are_stored_where_the_user_wants_them() {
    let place = Mode::InProcess.replay(&[&done("Here.")]);
    let host = place.host(&[]);
    let custom = place.workspace.parent().unwrap().join("custom/place");
    host.call(&json!({"type": "settings.set", "values": {"customStoragePath": custom}})).unwrap();
    host.start("x");
    assert_eq!(host.completed(), "Here.");
    host.ask("completion_result");
    let task = only_task(&host);
    let mode = json!({"slug": "mine", "name": "Mine", "roleDefinition": "r", "groups": []});
    host.call(&json!({"type": "mode.set", "source": "global", "mode": mode})).unwrap();
    assert!(place.storage.join("settings/custom_modes.yaml").exists() && !custom.join("settings").exists());
    place.close();
    assert!(custom.join("tasks").join(&task).join("ui_messages.json").exists());
    // But for the checkpoints, which stay with the engine (spec 04 §9.1).
    assert!(!place.storage.join("tasks").join(&task).join("ui_messages.json").exists());
}

#[test]
fn a_task_is_given_out_as_text_and_as_it_is_stored() {
    let place = prepared("", |storage| {
        reference_task(storage, &storage.parent().unwrap().join("workspace"));
    });
    let host = place.host(&[]);
    let task = only_task(&host);
    let text = host.call(&json!({"type": "task.export", "task": task})).unwrap();
    assert!(
        text["name"].as_str().unwrap().starts_with("kilo_code_task_")
            && text["name"].as_str().unwrap().ends_with(".md")
    );
    let expected = "**User:**\n\n<task>\nmend\n</task>\n\n---\n\n**Assistant:**\n\n[Tool Use: read_file]\nPath: a.txt\n\n---\n\n**User:**\n\n[Tool]\nthe text\n\n";
    assert_eq!(text["text"], expected);
    let whole = host.call(&json!({"type": "task.export", "task": task, "format": "json"})).unwrap();
    assert_eq!(whole["item"]["id"], task.as_str());
    assert_eq!((whole["messages"].as_array().unwrap().len(), whole["conversation"].as_array().unwrap().len()), (7, 3));
}

/// parity 02 §2.2: a task stopped before its first request begins with its text
#[test]
fn a_task_stopped_before_its_first_request_begins_with_its_text() {
    let script = transcript(&[(contains(&["<task>\nmend\n</task>"]), says(&done("Begun.")))]);
    let place = prepared(&script, |storage| {
        let (ui, _, item) = reference_task(storage, &storage.parent().unwrap().join("workspace"));
        let folder = storage.join("tasks").join(item["id"].as_str().unwrap());
        std::fs::write(folder.join("ui_messages.json"), json!([ui[0]]).to_string()).unwrap();
        std::fs::write(folder.join("api_conversation_history.json"), "[]").unwrap();
    });
    let host = place.host(&[]);
    let task = only_task(&host);
    host.call(&json!({"type": "task.resume", "task": task})).unwrap();
    let ask = host.ask("resume_task");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Begun.");
}
