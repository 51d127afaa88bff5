//! What a host is told of a task beside its messages (docs/protocol.md, "Events"): each kind where it is due.

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Mode, both, done};
use crate::scripted::{ASK, all, answer, error, next, start, text, turn};

both! {
    the_todo_list_is_told_at_the_beginning_with_each_change_and_after_a_stop,
    a_subtask_is_told_with_its_parent_at_both_ends,
    the_mode_is_told_when_it_changes,
    the_queue_is_told_until_it_is_empty,
    a_retry_is_told_before_it_is_made,
    a_call_is_told_as_it_is_written,
}

const SPAWN: &str = "<new_task>\n<mode>ask</mode>\n<message>child work</message>\n<todos>[ ] look</todos>\n</new_task>";

fn todos(event: &Event) -> Option<Vec<(String, String)>> {
    match event {
        Event::Todo(todo) => {
            Some(todo.items.iter().map(|item| (item.content.clone(), format!("{:?}", item.status))).collect())
        }
        _ => None,
    }
}

fn contents(event: &Event) -> Option<Vec<String>> {
    todos(event).map(|items| items.into_iter().map(|(content, _)| content).collect())
}

/// parity 02 §12: the list is told when a task begins with one, when it changes, and when the task is opened again
/// parity 02 §19.11: a list that a task began with is in none of its messages, and lost with a resume
fn the_todo_list_is_told_at_the_beginning_with_each_change_and_after_a_stop(mode: Mode) {
    let update = "<update_todo_list>\n<todos>\n[x] read\n[ ] write\n</todos>\n</update_todo_list>";
    let turns = [turn(json!({}), &[text(ASK)]), turn(json!({}), &[text(update)]), turn(json!({}), &[text(ASK)])];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let begin = json!({"type": "task.start", "workspace": place.workspace, "text": "work", "todos": "[ ] read"});
    let session = host.call(&begin).unwrap()["session"].clone();
    assert_eq!(next(&host, contents), ["read"]);
    host.ask("followup");
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    assert_eq!(next(&host, contents), [""; 0], "it stood in no message");
    answer(&host, host.ask("resume_task"), "go on");
    assert_eq!(next(&host, contents), ["read", "write"]);
    host.ask("followup");
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    assert_eq!(next(&host, contents), ["read", "write"]);
    host.ask("resume_task");
}

/// parity 02 §16: both ends of a subtask name it and its parent; it begins with the todo list it was given
fn a_subtask_is_told_with_its_parent_at_both_ends(mode: Mode) {
    let turns = [
        turn(json!({}), &[text(SPAWN)]),
        turn(json!({"messages": 1}), &[text(&done("Child done."))]),
        turn(json!({}), &[text(&done("All done."))]),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let (_, parent) = start(&host, &place, "parent work", json!({"alwaysAllowSubtasks": true}));
    assert_eq!(host.completed(), "Child done.");
    assert_eq!(host.completed(), "All done.");
    let told = all(&host, |event| match event {
        Event::Subtask(subtask) => Some(subtask.clone()),
        _ => None,
    });
    let states: Vec<&str> = told.iter().map(|subtask| subtask.state.as_str()).collect();
    assert_eq!(states, ["started", "finished"]);
    assert!(told.iter().all(|subtask| subtask.parent.as_deref() == Some(&parent)), "{told:?}");
    assert!(told[0].task == told[1].task && told[0].task != parent);
    let lists = all(&host, |event| match event {
        Event::Todo(todo) => Some((todo.task.clone(), todo.items.len())),
        _ => None,
    });
    assert_eq!(lists, [(told[0].task.clone(), 1)]);
}

/// parity 02 §2.3: a stored task is opened in its mode
/// parity 02 §16: a mode that the host sets, and a model switches to
fn the_mode_is_told_when_it_changes(mode: Mode) {
    let switch = "<switch_mode>\n<mode_slug>architect</mode_slug>\n<reason>plan</reason>\n</switch_mode>";
    let turns = [turn(json!({}), &[text(switch)]), turn(json!({"mode": "architect"}), &[text(ASK)])];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let told = |event: &Event| match event {
        Event::Mode(changed) => Some(changed.mode.clone()),
        _ => None,
    };
    let (session, task) = start(&host, &place, "work", json!({"alwaysAllowModeSwitch": true}));
    assert_eq!(next(&host, told), "architect");
    host.ask("followup");
    host.call(&json!({"type": "task.set_mode", "session": session, "mode": "ask"})).unwrap();
    assert_eq!(next(&host, told), "ask");
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    host.call(&json!({"type": "task.resume", "task": task})).unwrap();
    assert_eq!(next(&host, told), "ask");
}

/// parity 02 §3: each change of the queue, and its end with the instance
fn the_queue_is_told_until_it_is_empty(mode: Mode) {
    let place = mode.play(&turn(json!({}), &[text(ASK)]));
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({}));
    host.ask("followup");
    let told = |event: &Event| match event {
        Event::Queue(queue) => Some(queue.texts.clone()),
        _ => None,
    };
    for (text, texts) in [("a", vec!["a"]), ("b", vec!["a", "b"])] {
        host.call(&json!({"type": "task.queue", "session": session, "text": text})).unwrap();
        assert_eq!(next(&host, told), texts);
    }
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    assert_eq!(next(&host, told), [""; 0]);
    host.ask("resume_task");
}

/// parity 02 §6: attempt, time and reason of a retry; its countdown ends before the request
fn a_retry_is_told_before_it_is_made(mode: Mode) {
    let failure = json!({"error": {"message": "busy", "status": 429, "details": {"errorDetails": [{
        "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0s",
    }]}}});
    let turns = [turn(json!({}), &[failure]), turn(json!({"messages": 1}), &[text(&done("ok"))])];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({"alwaysApproveResubmit": true}));
    let retry = next(&host, |event| match event {
        Event::Retry(retry) => Some((retry.attempt, retry.in_ms, retry.reason.clone())),
        _ => None,
    });
    assert_eq!(retry, (1, 1000, "busy".into()));
    assert_eq!(host.completed(), "ok");
    let counted = all(&host, |event| match event {
        Event::MessageEnd(end) if end.kind == "api_req_retry_delayed" => end.text.clone(),
        _ => None,
    });
    assert!(matches!(&counted[..], [text] if text.starts_with("busy\n\n")), "{counted:?}");
}

/// parity 02 §7.2: what the model adds to a call is told as it comes
fn a_call_is_told_as_it_is_written(mode: Mode) {
    let pieces = ["Look: <read_file>\n<args>\n<file>\n", "<path>a.t", "xt</path>\n</file>\n</args>\n</read_file>"];
    let pieces: Vec<Value> = pieces.iter().map(|piece| json!({"text": piece, "delay_ms": 1})).collect();
    let place = mode.play(&[turn(json!({}), &pieces), turn(json!({}), &[text(&done("ok"))])].concat());
    std::fs::write(place.workspace.join("a.txt"), "x\n").unwrap();
    let host = place.host(&[]);
    start(&host, &place, "work", json!({}));
    assert_eq!(host.completed(), "ok");
    let calls: Vec<(u64, String)> = host
        .events()
        .iter()
        .filter_map(|received| match &received.event {
            Event::ToolBegin(begin) => Some((received.about, format!("begin {}", begin.tool))),
            Event::ToolDelta(text) => Some((received.about, text.clone())),
            Event::ToolEnd(end) => Some((received.about, format!("end {:?}", end.status))),
            _ => None,
        })
        .filter(|(call, _)| *call == 1)
        .collect();
    let told: Vec<&str> = calls.iter().map(|(_, text)| text.as_str()).collect();
    let [first, written @ .., last] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*first, *last), ("begin read_file", "end Ok"));
    assert_eq!(written.concat().trim(), "<args>\n<file>\n<path>a.txt</path>\n</file>\n</args>");
}

/// parity 02 §7.4: a failed request is shown with its error and asked about where retries are not approved
#[test]
fn a_failed_request_is_asked_about() {
    let turns = [turn(json!({}), &[error("no luck")]), turn(json!({"messages": 1}), &[text(&done("ok"))])];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({}));
    let (ask, shown) = host.until(|received| match &received.event {
        Event::Ask(ask) if ask.kind == "api_req_failed" => Some((received.about, ask.text.clone())),
        _ => None,
    });
    assert_eq!(shown, "no luck");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "ok");
    assert!(all(&host, |event| matches!(event, Event::Retry(_)).then_some(())).is_empty());
}
