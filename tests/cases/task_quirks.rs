//! Quirks of the reference that are kept (spec 02 §19), one by one.

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Mode, done};
use crate::loopback::{Reply, event_stream, piece, server};
use crate::scripted::{ASK, after, all, answer, api, next, request_record, start, text, text_of, turn, ui, usage};

/// parity 02 §9: tasks are expanded, answers to questions are not
/// parity 02 §19.1: an answer is not expanded, a task is, and once more when it is resumed
/// parity 03 §16.1: answers to questions stay as they are
/// parity 03 §quirks.15: words between `<answer>` tags are not looked through
#[test]
fn answers_are_not_expanded_and_a_resumed_task_is_expanded_again() {
    let turns = [
        after(&["<file_content path=\"a.txt\">"], &[text(ASK)]),
        turn(
            json!({"last_user_contains": "<answer>\n@/b.txt\n</answer>", "last_user_lacks": "<file_content"}),
            &[text(ASK)],
        ),
    ];
    let place = Mode::InProcess.play(&turns.concat());
    std::fs::write(place.workspace.join("a.txt"), "see @/b.txt too\n").unwrap();
    std::fs::write(place.workspace.join("b.txt"), "deep\n").unwrap();
    let host = place.host(&[]);
    start(&host, &place, "read @/a.txt now", json!({}));
    answer(&host, host.ask("followup"), "@/b.txt");
    host.ask("followup");
    drop(host);

    let turns = [
        turn(
            json!({"last_user_contains": "a.txt", "last_user_lacks": "<file_content path=\"b.txt\">"}),
            &[text("Hm"), json!({"error": {"message": "broken"}})],
        ),
        after(&["<file_content path=\"b.txt\">"], &[text(&done("ok"))]),
    ];
    let place = Mode::InProcess.play(&turns.concat());
    std::fs::write(place.workspace.join("a.txt"), "see @/b.txt too\n").unwrap();
    std::fs::write(place.workspace.join("b.txt"), "deep\n").unwrap();
    let host = place.host(&[]);
    start(&host, &place, "read @/a.txt now", json!({}));
    host.respond(host.ask("resume_task"), "yes").unwrap();
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §19.2: visible files and open tabs stand in one line, separated by commas
/// parity 02 §10: editors that the host names
#[test]
fn visible_files_and_tabs_are_separated_by_commas() {
    let lists = ["# VSCode Visible Files\na.txt,b.txt\n", "# VSCode Open Tabs\nc.txt,a.txt\n"];
    let place = Mode::InProcess.play(&after(&lists, &[text(&done("ok"))]));
    let host = place.host(&["tabs.get"]);
    start(&host, &place, "work", json!({}));
    let request = host.until(|received| {
        matches!(&received.event, Event::HostRequest(request) if request.method == "tabs.get").then_some(received.about)
    });
    let path = |name: &str| place.workspace.join(name);
    let result = json!({"visible": [path("a.txt"), path("b.txt")], "open": [path("c.txt"), path("a.txt")]});
    host.call(&json!({"type": "host.respond", "host_request": request, "result": result})).unwrap();
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §19.3: a request that the user stopped has no reason of its end, but its cost (D04)
#[test]
fn a_stopped_request_has_no_reason() {
    let hanging = Reply::Hang(format!("{}{}", event_stream(), piece("I think ")).into_bytes());
    let place = Mode::InProcess.remote(&server(vec![hanging]), "key");
    let host = place.host(&[]);
    let (session, task) = start(&host, &place, "think", json!({}));
    host.until(|event| matches!(event.event, Event::MessageDelta(_)).then_some(()));
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_task");
    place.close();
    let record = request_record(&ui(&place, &task), 0);
    assert_eq!((record.get("cancelReason"), &record["cost"]), (None, &json!(0)), "{record}");
}

/// parity 02 §19.7: a summary is asked for without the first message, of what comes between it and the last three
#[test]
fn a_summary_leaves_out_the_first_message() {
    let turns = [
        turn(json!({}), &[text("one")]),
        turn(json!({}), &[text("two")]),
        turn(json!({}), &[text(ASK), usage(500_000, 0)]),
        // Two of the conversation and the request for a summary.
        turn(
            json!({"messages": 3, "last_user_lacks": ["<task>", "<environment_details>"]}),
            &[text("Short."), usage(1, 1)],
        ),
    ];
    let place = Mode::InProcess.play(&(crate::scripted::model("m") + &turns.concat()));
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({"autoCondenseContext": false}));
    host.ask("followup");
    host.call(&json!({"type": "task.condense", "session": session})).unwrap();
    let summary = next(&host, |event| match event {
        Event::Condense(condensed) => Some(condensed.summary.clone()),
        _ => None,
    });
    assert_eq!(summary, "Short.");
}

/// parity 02 §19.8: a request that is made again counts too, and a message is no consent
#[test]
fn retries_count_against_the_limit_of_requests() {
    let turns = [turn(json!({}), &[json!({"error": {"message": "busy"}})])];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({"allowedMaxRequests": 1}));
    host.respond(host.ask("api_req_failed"), "yes").unwrap();
    let ask = host.ask("auto_approval_max_req_reached");
    // While it waits, a message is queued: no message answers it.
    let reply = host.call(&json!({"type": "task.message", "session": session, "text": "go on"})).unwrap();
    assert_eq!(reply, json!({"queued": true}));
    host.respond(ask, "no").unwrap();
    // The new instance asks whether to go on; the queue is gone with the old one.
    host.ask("resume_task");
}

/// parity 02 §19.11: a list that the user refused comes back when the task is opened again
#[test]
fn a_refused_todo_list_comes_back() {
    let update = "<update_todo_list>\n<todos>\n[ ] refused\n</todos>\n</update_todo_list>";
    let place = Mode::InProcess.play(&[turn(json!({}), &[text(update)]), turn(json!({}), &[text(ASK)])].concat());
    let host = place.host(&[]);
    let (session, _) = start(&host, &place, "work", json!({"alwaysAllowUpdateTodoList": false}));
    host.respond(host.ask("tool"), "no").unwrap();
    host.ask("followup");
    let todos = |event: &Event| match event {
        Event::Todo(todo) => Some(todo.items.iter().map(|item| item.content.clone()).collect::<Vec<_>>()),
        _ => None,
    };
    assert!(all(&host, todos).is_empty());
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    assert_eq!(next(&host, todos), ["refused"]);
}

/// parity 02 §19.16: the form of the conversation in a record is that of the task's beginning
#[test]
fn the_form_in_a_record_stays_that_of_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.jsonl");
    std::fs::write(&file, turn(json!({}), &[text(ASK)])).unwrap();
    let other = json!({"id": "o", "apiProvider": "anthropic", "apiKey": "k", "anthropicBaseUrl": "http://127.0.0.1:9"});
    let own = json!({"id": "p", "apiProvider": "replay", "replayFile": file});
    let place = Mode::InProcess
        .open(folder, json!({"apiConfigs": {"own": own, "other": other}, "currentApiConfigName": "own"}));
    let host = place.host(&[]);
    let (session, task) = start(&host, &place, "work", json!({}));
    let ask = host.ask("followup");
    host.call(&json!({"type": "task.set_profile", "session": session, "profile": "other"})).unwrap();
    answer(&host, ask, "x");
    host.ask("api_req_failed");
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    let forms: Vec<Value> = (0..2).map(|number| request_record(&ui, number)["apiProtocol"].clone()).collect();
    assert_eq!(forms, ["openai", "openai"]);
}

/// parity 02 §19.17: what was partial when another message came stays so in the file, and the whole text follows
#[test]
fn what_another_message_interrupts_stays_partial() {
    let pieces =
        [text("Begun"), json!({"reasoning": "hm", "delay_ms": 20}), json!({"text": " and ended.", "delay_ms": 20})];
    let place = Mode::InProcess.play(&[turn(json!({}), &pieces), turn(json!({}), &[text(ASK)])].concat());
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({}));
    host.ask("followup");
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    let at = ui.iter().position(|message| message["text"] == "Begun").unwrap_or_else(|| panic!("{ui:#?}"));
    assert_eq!(
        (&ui[at]["partial"], &ui[at + 1]["say"], &ui[at + 1]["partial"]),
        (&json!(true), &json!("reasoning"), &json!(true))
    );
    assert_eq!(ui[at + 2]["text"], "Begun and ended.");
    assert_ne!(ui[at + 2]["partial"], true);
}

/// parity 02 §19.22: a result that streams in with a command is told twice, and the command is shown and never run
#[test]
fn a_completion_with_a_command_is_told_twice() {
    let pieces = [
        text("<attempt_completion>\n<result>\nDone.\n</result>\n<command>touch ran"),
        json!({"text": "</command>\n</attempt_completion>", "delay_ms": 30}),
    ];
    let place = Mode::InProcess.play(&turn(json!({}), &pieces));
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({}));
    assert_eq!((host.completed(), host.completed()), ("Done.".into(), "Done.".into()));
    host.ask("completion_result");
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    assert_eq!(ui.iter().filter(|message| message["say"] == "completion_result").count(), 2);
    let command = ui.iter().find(|message| message["ask"] == "command").unwrap();
    assert_eq!(command["partial"], true);
    assert!(!place.workspace.join("ran").exists());
}

/// parity 02 §19.23: a subtask that ends before its parent's stream is told to the model before the answer that started it
#[test]
fn a_subtask_may_end_before_its_parents_answer() {
    let spawn = "<new_task>\n<mode>ask</mode>\n<message>child work</message>\n</new_task>";
    let turns = [
        turn(json!({}), &[text(spawn), json!({"usage": {"inputTokens": 1}, "delay_ms": 1500})]),
        turn(json!({"messages": 1}), &[text(&done("Child."))]),
        turn(json!({"messages": 4}), &[text(&done("Parent."))]),
    ];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    let (_, parent) = start(&host, &place, "parent work", json!({"alwaysAllowSubtasks": true}));
    assert_eq!((host.completed(), host.completed()), ("Child.".into(), "Parent.".into()));
    host.ask("completion_result");
    drop(host);
    place.close();
    let stored = api(&place, &parent);
    let roles: Vec<&str> = stored.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(&roles[..4], ["user", "user", "assistant", "user"]);
    assert_eq!(text_of(&stored[1]), "[new_task completed] Result: Child.");
}

/// parity 02 §20: every text of the loop is in the catalogue under its id
#[test]
fn every_text_of_the_loop_has_its_id() {
    let texts = lapce_ai::prompt::text::Texts::builtin();
    for (group, ids) in [
        (
            "loop",
            "mistake_guidance newrule_problem no_assistant_message rate_limit retry_attempt retry_in retry_now unknown_error sources \
             no_response_placeholder image_placeholder interrupted_by_feedback interrupted_by_tool retry_refused limit_refused",
        ),
        ("resume", "new_instructions placeholder"),
        ("approve", "auto_denied"),
        ("condense", "not_enough recent failed grew handler_invalid prompt request continue"),
        ("env", "no_visible no_tabs recent time timezone desktop files_disabled no_todo todo_intro todo_outro"),
        ("mention", "fetch_error"),
        ("task", "canceled deleted incomplete no_messages"),
        ("new_task", "created policy"),
        ("todo", "updated declined user_edited"),
        ("completion", "feedback"),
    ] {
        for id in ids.split_whitespace() {
            assert!(texts.has(&format!("{group}.{id}")), "{group}.{id}");
        }
    }
}
