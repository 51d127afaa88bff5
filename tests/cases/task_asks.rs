//! Questions and statements of a task: which wait, which end others, what a host may answer (spec 02 §1 to §2.4).

use lapce_ai::engine::Received;
use lapce_ai::protocol::event::{AskOutcome, Event, SessionState};
use serde_json::{Value, json};

use crate::harness::{Host, Mode, both, done};
use crate::scripted::{ASK, after, all, answer, next, start, text, turn, ui, usage};

both! {
    a_task_goes_from_running_to_completed,
    a_newer_message_ends_a_question,
    an_answered_question_is_marked_and_no_longer_waits,
    a_long_wait_is_a_state_of_the_session,
}

const WRITE: &str =
    "<write_to_file>\n<path>a.txt</path>\n<content>x</content>\n<line_count>1</line_count>\n</write_to_file>";

/// The states told so far, with their reasons.
fn states(host: &Host) -> Vec<(SessionState, Option<String>)> {
    all(host, |event| match event {
        Event::SessionState(changed) => Some((changed.state, changed.reason.clone())),
        _ => None,
    })
}

/// parity 02 §2: a task runs, streams, and waits with its result; more to do goes back to running
/// parity 02 §4: it never ends by itself
fn a_task_goes_from_running_to_completed(mode: Mode) {
    let turns = [turn(json!({}), &[text(&done("one"))]), after(&["and more"], &[text(&done("two"))])];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({}));
    assert_eq!(host.completed(), "one");
    let completed = |received: &Received| match &received.event {
        Event::SessionState(changed) if changed.state == SessionState::Completed => Some(changed.reason.clone()),
        _ => None,
    };
    assert_eq!(host.until(completed).as_deref(), Some("completion_result"));
    let told: Vec<SessionState> = states(&host).into_iter().map(|(state, _)| state).collect();
    let running = told.iter().position(|state| *state == SessionState::Running).unwrap();
    let streaming = told.iter().position(|state| *state == SessionState::Streaming).unwrap();
    assert!(running < streaming, "{told:?}");
    host.call(&json!({"type": "task.message", "session": session, "text": "and more"})).unwrap();
    assert_eq!(host.completed(), "two");
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    let gone = host.call(&json!({"type": "task.message", "session": session, "text": "hello?"})).unwrap_err();
    assert_eq!(gone.kind, "stale");
}

/// parity 02 §1: ids, number, mode and folder of a task and of its subtask
/// parity 02 §19.15: a subtask knows its root by id, also when it is opened again
/// parity 02 §19.10: the parent is listed with its subtask's mode until it goes on
#[test]
fn a_task_and_its_subtask_are_listed_with_what_they_are() {
    let spawn = |mode: &str| format!("<new_task>\n<mode>{mode}</mode>\n<message>child work</message>\n</new_task>");
    let turns = [
        turn(json!({"mode": "code"}), &[text(&spawn("ask"))]),
        turn(json!({"mode": "ask"}), &[text(ASK)]),
        turn(json!({"mode": "ask"}), &[text(&done("Child."))]),
        turn(json!({"mode": "code"}), &[text(&done("Parent."))]),
    ];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    let (session, parent) = start(&host, &place, "parent work", json!({"alwaysAllowSubtasks": true}));
    let child = next(&host, |event| match event {
        Event::Subtask(subtask) => Some(subtask.task.clone()),
        _ => None,
    });
    host.ask("followup");
    let item = |task: &str| host.call(&json!({"type": "task.get", "task": task})).unwrap()["item"].clone();
    let of_child = |item: &Value| {
        let keys = ["task", "number", "parentTaskId", "rootTaskId", "mode"];
        keys.map(|key| item[key].clone())
    };
    let expected = [json!("child work"), json!(2), json!(parent), json!(parent), json!("ask")];
    assert_eq!(of_child(&item(&child)), expected);
    let first = item(&parent);
    assert_eq!((&first["number"], &first["mode"]), (&json!(1), &json!("ask")));
    assert_eq!(first["workspace"], place.workspace.to_str().unwrap());
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    answer(&host, host.ask("resume_task"), "go on");
    assert_eq!(host.completed(), "Child.");
    assert_eq!(of_child(&item(&child)), expected, "as before");
    assert_eq!(host.completed(), "Parent.");
    assert_eq!(item(&parent)["mode"], "code");
}

/// parity 02 §2.4: a statement that comes while a tool asks withdraws the question; the tool reports it to the model
fn a_newer_message_ends_a_question(mode: Mode) {
    let thinking = json!({"reasoning": "On the other hand", "delay_ms": 300});
    let turns = [turn(json!({}), &[text(WRITE), thinking]), turn(json!({}), &[text(&done("ok"))])];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({"alwaysAllowWrite": false}));
    let ask = host.ask("tool");
    let outcome = next(&host, |event| match event {
        Event::AskResolved(resolved) => Some(resolved.outcome),
        _ => None,
    });
    assert_eq!(outcome, AskOutcome::Superseded);
    assert_eq!(host.respond(ask, "yes").unwrap_err().kind, "stale");
    assert_eq!(host.completed(), "ok");
    assert_ne!(std::fs::read_to_string(place.workspace.join("a.txt")).unwrap_or_default(), "x");
}

/// parity 02 §2.4: who answers marks the question as answered; a second answer has nothing to go to
fn an_answered_question_is_marked_and_no_longer_waits(mode: Mode) {
    let place = mode.play(&[turn(json!({}), &[text(ASK)]), turn(json!({}), &[text(&done("ok"))])].concat());
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({}));
    let ask = host.ask("followup");
    answer(&host, ask, "this way");
    assert_eq!(host.respond(ask, "yes").unwrap_err().kind, "stale");
    assert_eq!(host.completed(), "ok");
    host.ask("completion_result");
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    let question = ui.iter().find(|message| message["ask"] == "followup").unwrap();
    assert_eq!(question["isAnswered"], true);
    let at = ui.iter().position(|message| message["ask"] == "followup").unwrap();
    assert_eq!((&ui[at + 1]["say"], &ui[at + 1]["text"]), (&json!("user_feedback"), &json!("this way")));
}

/// parity 02 §2.4: a question that waits a second changes the status by its class, its answer changes it back
fn a_long_wait_is_a_state_of_the_session(mode: Mode) {
    let turns = [
        turn(json!({}), &[text(ASK)]),
        turn(json!({}), &[error_of_the_request()]),
        turn(json!({}), &[text(&done("ok")), usage(1, 1)]),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({}));
    let wait = |state: SessionState, reason: &str| {
        host.until(|received| match &received.event {
            Event::SessionState(changed) if changed.state == state => {
                assert_eq!(changed.reason.as_deref(), Some(reason));
                Some(())
            }
            _ => None,
        });
    };
    let ask = host.ask("followup");
    wait(SessionState::WaitingForAnswer, "followup");
    answer(&host, ask, "x");
    let ask = host.ask("api_req_failed");
    wait(SessionState::Idle, "api_req_failed");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "ok");
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_completed_task");
    wait(SessionState::Idle, "resume_completed_task");
}

fn error_of_the_request() -> Value {
    json!({"error": {"message": "busy"}})
}

/// parity 02 §5: at the limit of mistakes in a row any answer begins the count anew; a message reaches the model
#[test]
fn the_limit_of_mistakes_is_reached_again_after_each_answer() {
    let mistake = turn(json!({}), &[text("no tool")]);
    let turns = [mistake.repeat(4), after(&["in small steps"], &[text(&done("ok"))])];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({"consecutiveMistakeLimit": 2}));
    host.respond(host.ask("mistake_limit_reached"), "no").unwrap();
    answer(&host, host.ask("mistake_limit_reached"), "in small steps");
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §5: without a limit nobody is asked
#[test]
fn five_mistakes_in_a_row_ask_nobody_without_a_limit() {
    let turns = [turn(json!({}), &[text("no tool")]).repeat(5), turn(json!({"messages": 11}), &[text(&done("ok"))])];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({"consecutiveMistakeLimit": 0}));
    assert_eq!(host.completed(), "ok");
}
