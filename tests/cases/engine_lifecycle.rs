//! Tasks that are stopped, cleared, queued to, resumed; clients that go; engines that close in the middle of things.

use std::time::{Duration, Instant};

use lapce_ai::protocol::event::{Event, SessionState};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Host, Mode, both, done};
use crate::loopback::{Reply, answer, event_stream, piece, server};

both! {
    a_stopped_stream_waits_to_be_resumed_and_goes_on,
    a_stop_withdraws_the_question,
    #[cfg(unix)] a_stop_ends_the_command_with_its_children,
    #[cfg(unix)] a_flooding_command_is_stopped,
    a_cleared_task_ends_its_session,
    a_message_answers_the_question_that_waits,
    queued_messages_are_told_and_wait_for_the_stream,
    a_stored_task_is_resumed_by_the_next_engine,
    closing_does_not_wait_for_a_provider_that_hangs,
    #[cfg(unix)] closing_ends_a_command_that_hangs,
    a_client_that_goes_takes_its_sessions_along_and_no_others,
    two_clients_run_fifty_sessions_each,
}

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";

fn state(host: &Host, wanted: SessionState) {
    host.until(|event| matches!(&event.event, Event::SessionState(changed) if changed.state == wanted).then_some(()));
}

fn cancel(session: u64) -> Value {
    json!({"type": "task.cancel", "session": session})
}

fn hanging() -> Reply {
    Reply::Hang(format!("{}{}", event_stream(), piece("I think ")).into_bytes())
}

fn a_stopped_stream_waits_to_be_resumed_and_goes_on(mode: Mode) {
    let base = server(vec![hanging(), Reply::Close(answer(&done("Resumed.")))]);
    let place = mode.remote(&base, "key");
    let host = place.host(&[]);
    let session = host.start("think");
    host.until(|event| matches!(event.event, Event::MessageDelta(_)).then_some(()));
    host.call(&cancel(session)).unwrap();
    let ask = host.ask("resume_task");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Resumed.");
}

fn a_stop_withdraws_the_question(mode: Mode) {
    let place = mode.replay(&[ASK]);
    let host = place.host(&[]);
    let session = host.start("ask me");
    let ask = host.ask("followup");
    host.call(&cancel(session)).unwrap();
    host.ask("resume_task");
    assert_eq!(host.respond(ask, "yes").unwrap_err().kind, "stale");
    let resolved = host.events().iter().any(|e| e.about == ask && matches!(e.event, Event::AskResolved(_)));
    assert!(resolved, "the host still shows the question");
}

#[cfg(unix)]
fn a_stop_ends_the_command_with_its_children(mode: Mode) {
    let run = "<execute_command>\n<command>sh -c 'echo $$ > pid; echo begun; sleep 1000' & wait</command>\n</execute_command>";
    let place = mode.replay(&[run]);
    let host = place.host(&[]);
    let session = host.start("run");
    host.until(|event| matches!(&event.event, Event::ToolOutput(text) if text.contains("begun")).then_some(()));
    let pid = std::fs::read_to_string(place.workspace.join("pid")).unwrap();
    host.call(&cancel(session)).unwrap();
    host.ask("resume_task");
    ended(pid.trim());
}

/// Waits until no process of this id runs.
#[cfg(unix)]
fn ended(pid: &str) {
    let until = Instant::now() + DEADLINE;
    let runs = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    while runs() {
        assert!(Instant::now() < until, "process {pid} still runs");
        std::thread::yield_now();
    }
}

#[cfg(unix)]
fn a_flooding_command_is_stopped(mode: Mode) {
    let place = mode.replay(&["<execute_command>\n<command>yes</command>\n</execute_command>"]);
    let host = place.host(&[]);
    let session = host.start("flood");
    host.until(|event| matches!(event.event, Event::ToolOutput(_)).then_some(()));
    host.call(&cancel(session)).unwrap();
    host.ask("resume_task");
}

fn a_cleared_task_ends_its_session(mode: Mode) {
    let place = mode.replay(&[ASK]);
    let host = place.host(&[]);
    let session = host.start("ask me");
    host.ask("followup");
    host.call(&json!({"type": "task.clear", "session": session})).unwrap();
    state(&host, SessionState::Idle);
    let failed = host.call(&json!({"type": "task.message", "session": session, "text": "x"})).unwrap_err();
    assert!(["stale", "closed", "not_found"].contains(&failed.kind.as_str()), "{}", failed.kind);
}

fn a_message_answers_the_question_that_waits(mode: Mode) {
    let place = mode.replay(&[ASK, &done("Heard.")]);
    let host = place.host(&[]);
    let session = host.start("ask me");
    host.ask("followup");
    let message = json!({"type": "task.message", "session": session, "text": "the second"});
    assert_eq!(host.call(&message).unwrap()["queued"], false);
    assert_eq!(host.completed(), "Heard.");
}

fn queued_messages_are_told_and_wait_for_the_stream(mode: Mode) {
    let base = server(vec![hanging()]);
    let place = mode.remote(&base, "key");
    let host = place.host(&[]);
    let session = host.start("think");
    host.until(|event| matches!(event.event, Event::MessageDelta(_)).then_some(()));
    host.call(&json!({"type": "task.queue", "session": session, "text": "later"})).unwrap();
    let texts = host.until(|event| match &event.event {
        Event::Queue(queue) => Some(queue.texts.clone()),
        _ => None,
    });
    assert_eq!(texts, ["later"]);
}

fn a_stored_task_is_resumed_by_the_next_engine(mode: Mode) {
    let place = mode.replay(&[ASK]);
    {
        let host = place.host(&[]);
        host.start("remember the parser");
        host.ask("followup");
    }
    let place = place.reopened(&[&done("Remembered.")]);
    let host = place.host(&[]);
    let list = host.call(&json!({"type": "task.list", "query": "parser"})).unwrap();
    let task = list["tasks"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
    let stored = host.call(&json!({"type": "task.get", "task": task})).unwrap();
    assert!(stored["messages"].to_string().contains("remember the parser"), "{stored}");
    let resumed = host.call(&json!({"type": "task.resume", "task": task})).unwrap();
    assert_eq!(resumed["task"], task.as_str());
    let ask = host.ask("resume_task");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Remembered.");
    host.ask("completion_result");
    host.call(&json!({"type": "task.clear", "session": resumed["session"]})).unwrap();
    host.call(&json!({"type": "task.delete", "task": task})).unwrap();
    assert_eq!(host.call(&json!({"type": "task.get", "task": task})).unwrap_err().kind, "not_found");
    assert!(!place.storage.join("tasks").join(&task).exists());
}

fn closing_does_not_wait_for_a_provider_that_hangs(mode: Mode) {
    let place = mode.remote(&server(vec![hanging()]), "key");
    let host = place.host(&[]);
    host.start("think");
    host.until(|event| matches!(event.event, Event::MessageDelta(_)).then_some(()));
    place.close();
    place.close();
}

#[cfg(unix)]
fn closing_ends_a_command_that_hangs(mode: Mode) {
    let run = "<execute_command>\n<command>echo $$ > pid; echo begun; exec sleep 1000</command>\n</execute_command>";
    let place = mode.replay(&[run]);
    let host = place.host(&[]);
    host.start("run");
    host.until(|event| matches!(&event.event, Event::ToolOutput(text) if text.contains("begun")).then_some(()));
    let pid = std::fs::read_to_string(place.workspace.join("pid")).unwrap();
    place.close();
    ended(pid.trim());
}

fn a_client_that_goes_takes_its_sessions_along_and_no_others(mode: Mode) {
    let place = mode.replay(&[ASK, &done("Stayed.")]);
    let (stays, goes) = (place.host(&[]), place.host(&[]));
    stays.start("stay");
    let ask = stays.ask("followup");
    for _ in 0..5 {
        goes.start("go");
    }
    // Requests that are still in the ring count too.
    for _ in 0..5 {
        goes.submit(&json!({"type": "task.start", "workspace": place.workspace, "text": "go"}));
    }
    drop(goes);
    let until = Instant::now() + DEADLINE;
    while place.stats()["sessions"] != 1 {
        assert!(Instant::now() < until, "{}", place.stats());
        std::thread::yield_now();
    }
    stays.respond(ask, "yes").unwrap();
    assert_eq!(stays.completed(), "Stayed.");
}

fn two_clients_run_fifty_sessions_each(mode: Mode) {
    let place = mode.replay(&[ASK, &done("Done.")]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let host = place.host(&[]);
                for _ in 0..50 {
                    host.submit(&json!({"type": "task.start", "workspace": place.workspace, "text": "x"}));
                }
                for _ in 0..50 {
                    let ask = host.ask("followup");
                    host.submit(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": "one"}));
                }
                let completed = || host.events().iter().filter(|e| matches!(e.event, Event::TaskCompleted(_))).count();
                while completed() < 50 {
                    let before = completed();
                    host.until(|event| matches!(event.event, Event::TaskCompleted(_)).then_some(()));
                    assert!(completed() >= before);
                    if completed() < 50 {
                        host.client.wait(Some(Duration::from_millis(100)), Duration::ZERO);
                    }
                }
            });
        }
    });
}
