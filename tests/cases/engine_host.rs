//! A host that takes part: it shows edits, answers wrongly, twice, for others, or not at all.

use lapce_ai::engine::ClientOptions;
use lapce_ai::protocol::event::{Event, HostRequest, ToolStatus};
use serde_json::{Value, json};

use crate::harness::{Host, Mode, both, done};

both! {
    a_host_shows_and_applies_edits,
    answers_that_make_no_sense_are_survived,
    a_question_is_answered_by_its_own_host_only,
    a_host_that_never_answers_is_done_without,
    a_user_relays_a_model_elsewhere,
    a_relay_without_reply_is_a_failed_request,
    unknown_capabilities_are_refused,
}

const EDITS: &[&str] = &["edit.propose", "edit.apply", "edit.revert", "diagnostics.get", "tabs.get"];
const WRITE: &str =
    "<write_to_file>\n<path>a.txt</path>\n<content>\none\n</content>\n<line_count>1</line_count>\n</write_to_file>";

/// Answers host requests by `answers`, approves asks, until the task is completed. Gives the methods asked for.
fn follow(host: &Host, answers: impl Fn(&HostRequest) -> Value) -> Vec<String> {
    let mut methods = Vec::new();
    loop {
        let next = host.until(|event| match &event.event {
            Event::HostRequest(request) => Some(Some((event.about, Some(request.clone())))),
            Event::Ask(ask) if ask.kind != "completion_result" => Some(Some((event.about, None))),
            Event::TaskCompleted(_) => Some(None),
            _ => None,
        });
        match next {
            None => return methods,
            Some((ask, None)) => drop(host.respond(ask, "yes")),
            Some((id, Some(request))) => {
                assert!(request.deadline_ms > 0 && request.parameters.value().is_object(), "{request:?}");
                let mut answer = answers(&request);
                answer["type"] = "host.respond".into();
                answer["host_request"] = id.into();
                host.call(&answer).unwrap();
                assert_eq!(host.call(&answer).unwrap_err().kind, "stale", "answered twice");
                methods.push(request.method);
            }
        }
    }
}

fn write_ended(host: &Host) -> ToolStatus {
    let end = |event: &lapce_ai::engine::Received| match &event.event {
        Event::ToolEnd(end) if end.tool == "write_to_file" => Some(end.status),
        _ => None,
    };
    host.events().iter().find_map(end).expect("the call ended")
}

fn a_host_shows_and_applies_edits(mode: Mode) {
    let place = mode.replay(&[WRITE, &done("Shown.")]);
    let host = place.host(EDITS);
    host.start_with("write", json!({"alwaysAllowWrite": false}));
    let file = place.workspace.join("a.txt");
    let methods = follow(&host, |request| {
        let parameters = request.parameters.value();
        match request.method.as_str() {
            "edit.apply" => {
                std::fs::write(&file, "one\n").unwrap();
                json!({"result": {"text": "one\n"}})
            }
            "edit.propose" => {
                assert_eq!(parameters["path"], file.to_str().unwrap(), "{parameters}");
                json!({"result": {}})
            }
            "diagnostics.get" => json!({"result": {"files": []}}),
            _ => json!({"result": {"tabs": []}}),
        }
    });
    for method in ["edit.propose", "edit.apply", "diagnostics.get", "tabs.get"] {
        assert!(methods.iter().any(|asked| asked == method), "{method} not in {methods:?}");
    }
    assert_eq!(write_ended(&host), ToolStatus::Ok);
}

fn a_user_relays_a_model_elsewhere(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&["relay.ask"]);
    host.start_with("Say it.", json!({"apiProvider": "human-relay"}));
    let methods = follow(&host, |request| {
        let prompt = request.parameters.value()["prompt"].as_str().unwrap_or("").to_owned();
        assert!(prompt.contains("# Tools") && prompt.contains("Say it."), "{prompt}");
        json!({"result": {"text": done("Relayed.")}})
    });
    assert_eq!(methods, ["relay.ask"]);
}

fn a_relay_without_reply_is_a_failed_request(mode: Mode) {
    for (capabilities, answer) in [
        (&["relay.ask"][..], Some(json!({"result": {}}))),
        (&["relay.ask"], Some(json!({"error": "no clipboard"}))),
        (&[], None),
    ] {
        let place = mode.replay(&[]);
        let host = place.host(capabilities);
        host.start_with("Say it.", json!({"apiProvider": "human-relay"}));
        if let Some(mut answer) = answer {
            let asked = host.until(|event| matches!(event.event, Event::HostRequest(_)).then_some(event.about));
            answer["type"] = "host.respond".into();
            answer["host_request"] = asked.into();
            host.call(&answer).unwrap();
        }
        host.ask("api_req_failed");
    }
}

fn answers_that_make_no_sense_are_survived(mode: Mode) {
    for nonsense in [
        json!({"error": "no"}),
        json!({"result": null}),
        json!({"result": 5}),
        json!({"result": []}),
        json!({"result": {"text": 7, "files": [{"path": 1, "diagnostics": "x"}, null], "tabs": {}}}),
        json!({"result": {"files": [{"path": "/x", "diagnostics": [{"range": [-1, 2.5, "x"], "message": 4}, 1]}]}}),
    ] {
        let place = mode.replay(&[WRITE, &done("Survived.")]);
        let host = place.host(EDITS);
        host.start("write");
        follow(&host, |_| nonsense.clone());
        assert_eq!(write_ended(&host), ToolStatus::Error, "{nonsense}");
    }
}

fn a_question_is_answered_by_its_own_host_only(mode: Mode) {
    let place = mode.replay(&[WRITE, &done("Mine.")]);
    let (host, stranger) = (place.host(&["tabs.get"]), place.host(&["tabs.get"]));
    host.start("write");
    let id = host.until(|event| matches!(event.event, Event::HostRequest(_)).then_some(event.about));
    let answer = json!({"type": "host.respond", "host_request": id, "result": {}});
    assert_eq!(stranger.call(&answer).unwrap_err().kind, "stale");
    host.call(&answer).unwrap();
    follow(&host, |_| json!({"result": {}}));
}

fn a_host_that_never_answers_is_done_without(mode: Mode) {
    // Cancelled while the host is asked: the session does not wait for it.
    let place = mode.replay(&[WRITE, &done("x")]);
    let host = place.host(EDITS);
    let session = host.start("write");
    host.until(|event| matches!(event.event, Event::HostRequest(_)).then_some(()));
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_task");
    place.close();
}

fn unknown_capabilities_are_refused(mode: Mode) {
    let place = mode.replay(&[]);
    let options = ClientOptions { capabilities: vec!["edit.guess".into()], ..ClientOptions::default() };
    let refused = place.client(options).err().expect("it is refused");
    assert!(refused.contains("`edit.guess`"), "{refused}");
}
