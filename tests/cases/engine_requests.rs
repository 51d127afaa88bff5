//! What the engine does with requests that are wrong: each is answered, names the place, and changes nothing for the next.

use lapce_ai::engine::SubmitError;
use lapce_ai::protocol::request::{Request, RequestKind};
use serde_json::json;

use crate::harness::{Mode, both, done};

both! {
    stale_ids_unknown_tasks_and_wrong_values_are_named,
    sessions_of_requests_that_failed_are_gone,
    what_is_not_built_is_not_supported,
    large_requests_go_beside_the_ring_and_too_large_ones_are_refused,
    an_ask_is_answered_once,
    an_unknown_mode_changes_nothing,
}

#[test]
fn malformed_json_is_refused_with_its_place() {
    for (text, place) in [
        ("", "json"),
        ("{", "json"),
        ("[]", "json"),
        ("null", "json"),
        ("\u{0}", "json"),
        ("{}", "type"),
        (r#"{"type": 5}"#, "type"),
        (r#"{"type": "task.nothing"}"#, "type"),
        (r#"{"type": "engine.info", "x": 1}"#, "engine.info"),
        (r#"{"type": "task.cancel"}"#, "task.cancel"),
        (r#"{"type": "task.cancel", "session": "1"}"#, "task.cancel.session"),
        (r#"{"type": "task.cancel", "session": -1}"#, "task.cancel.session"),
        (r#"{"type": "task.start", "text": "x"}"#, "task.start"),
        (r#"{"type": "task.start", "workspace": "relative", "text": "x"}"#, "task.start.workspace"),
        (r#"{"type": "task.start", "workspace": "/tmp", "text": "x", "images": ["no"]}"#, "task.start.images[0]"),
        (r#"{"type": "task.start", "workspace": "/tmp", "text": "x", "settings": []}"#, "task.start.settings"),
        (r#"{"type": "task.respond", "ask": 1, "response": "maybe"}"#, "task.respond.response"),
        (r#"{"type": "task.get", "task": ""}"#, "task.get.task"),
        (r#"{"type": "host.respond", "host_request": 1}"#, "host.respond"),
    ] {
        let error = Request::from_json(text).unwrap_err();
        assert!(error.place.starts_with(place), "{text}: {error}");
    }
    let deep = format!(r#"{{"type":"settings.set","values":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Request::from_json(&deep).unwrap_err().place, "json");
}

fn stale_ids_unknown_tasks_and_wrong_values_are_named(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let workspace = &place.workspace;
    for (request, kind, at) in [
        (json!({"type": "task.cancel", "session": 0}), "stale", Some("session")),
        (json!({"type": "task.clear", "session": u64::MAX}), "stale", Some("session")),
        (json!({"type": "task.message", "session": 7, "text": "x"}), "stale", Some("session")),
        (json!({"type": "task.set_mode", "session": 7, "mode": "ask"}), "stale", Some("session")),
        (json!({"type": "settings.get", "session": 7}), "stale", Some("session")),
        (json!({"type": "task.respond", "ask": 5, "response": "yes"}), "stale", Some("ask")),
        (json!({"type": "host.respond", "host_request": 5, "result": 1}), "stale", Some("host_request")),
        (json!({"type": "task.get", "task": "nothing"}), "not_found", None),
        (json!({"type": "task.delete", "task": "../../etc"}), "not_found", None),
        (json!({"type": "task.resume", "task": "nothing"}), "not_found", None),
        (json!({"type": "task.resume", "task": "nothing", "workspace": workspace}), "not_found", None),
        (
            json!({"type": "task.start", "workspace": workspace.join("nowhere"), "text": "x"}),
            "not_found",
            Some("task.start.workspace"),
        ),
        (
            json!({"type": "task.start", "workspace": workspace, "text": "x", "mode": "no such"}),
            "not_found",
            Some("task.start.mode"),
        ),
        (
            json!({"type": "task.start", "workspace": workspace, "text": "x", "settings": {"writeDelayMs": "x"}}),
            "settings",
            Some("task.start.settings.writeDelayMs"),
        ),
        (
            json!({"type": "settings.set", "values": {"alwaysAllowWrite": "yes"}}),
            "settings",
            Some("settings.set.values.alwaysAllowWrite"),
        ),
        (
            json!({"type": "task.start", "workspace": workspace, "text": "x", "profile": "p"}),
            "not_found",
            Some("task.start.profile"),
        ),
        (json!({"type": "task.edit_message", "session": 7, "message": 1, "text": "x"}), "stale", Some("session")),
        (json!({"type": "task.delete_message", "session": 7, "message": 1}), "stale", Some("session")),
        (json!({"type": "task.export", "task": "nothing"}), "not_found", None),
        (json!({"type": "task.diff", "session": 7}), "stale", Some("session")),
        (json!({"type": "dry_run.apply", "session": 7}), "stale", Some("session")),
        (json!({"type": "dry_run.drop", "session": 7, "hunks": ["a"]}), "stale", Some("session")),
        (
            json!({"type": "completion.create", "messages": [{"role": "nobody"}]}),
            "invalid_request",
            Some("completion.create.messages"),
        ),
    ] {
        let failed = host.call(&request).expect_err(&request.to_string());
        assert_eq!((failed.kind.as_str(), failed.place.as_deref()), (kind, at), "{request}: {}", failed.message);
        assert_ne!(failed.code, 0);
    }
    let stats = host.call(&json!({"type": "engine.stats"})).unwrap();
    assert!(stats["failed_requests"].as_u64() >= Some(18), "{stats}");
}

fn sessions_of_requests_that_failed_are_gone(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    for _ in 0..20 {
        host.call(&json!({"type": "task.resume", "task": "nothing", "workspace": place.workspace})).unwrap_err();
    }
    // Sessions end behind their answers; each look at the counters gives them time.
    let none = (0..100_000).any(|_| host.call(&json!({"type": "engine.stats"})).unwrap()["sessions"] == 0);
    assert!(none, "sessions that nobody knows live on");
}

fn what_is_not_built_is_not_supported(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    for kind in RequestKind::ALL.iter().filter(|kind| !kind.is_built()) {
        let failed = host.call(&json!({"type": kind.as_str(), "anything": {"at": ["all"]}})).unwrap_err();
        assert_eq!(failed.kind, "not_supported", "{}", kind.as_str());
        assert!(failed.message.contains(kind.as_str()));
    }
}

fn large_requests_go_beside_the_ring_and_too_large_ones_are_refused(mode: Mode) {
    let place = mode.replay(&[&done("read")]);
    let host = place.host(&[]);
    // Larger than the ring of requests, within the limit of a text.
    host.start(&"long ".repeat(200_000));
    assert_eq!(host.completed(), "read");
    let text = |bytes: usize| json!({"type": "task.start", "workspace": "/", "text": "x".repeat(bytes)}).to_string();
    assert_eq!(Request::from_json(&text((4 << 20) + 1)).unwrap_err().place, "task.start.text");
    assert!(Request::from_json(&text(4 << 20)).is_ok());
    let images: Vec<String> = (0..6).map(|_| format!("data:image/png;base64,{}", "A".repeat(15 << 20))).collect();
    let huge = lapce_ai::protocol::request::TaskStart { workspace: "/".into(), images, ..Default::default() };
    assert!(matches!(host.client.submit(&Request::TaskStart(huge)), Err(SubmitError::TooLarge { .. })));
    assert!(host.call(&json!({"type": "engine.info"})).is_ok());
}

fn an_ask_is_answered_once(mode: Mode) {
    let question = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>";
    let place = mode.replay(&[question, &done("one")]);
    let (host, stranger) = (place.host(&[]), place.host(&[]));
    let session = host.start("choose");
    let ask = host.ask("followup");
    assert_eq!(stranger.respond(ask, "yes").unwrap_err().kind, "stale", "an ask of another client");
    let cancel = json!({"type": "task.cancel", "session": session});
    assert_eq!(stranger.call(&cancel).unwrap_err().kind, "stale", "a session of another client");
    let answer = json!({"type": "task.respond", "ask": ask, "response": "message", "text": "one"});
    host.call(&answer).unwrap();
    assert_eq!(host.call(&answer).unwrap_err().kind, "stale");
    assert_eq!(host.completed(), "one");
}

fn an_unknown_mode_changes_nothing(mode: Mode) {
    let place = mode.replay(&[&done("ok")]);
    let host = place.host(&[]);
    let session = host.start("x");
    let failed = host.call(&json!({"type": "task.set_mode", "session": session, "mode": "nonsense"})).unwrap_err();
    assert_eq!((failed.kind.as_str(), failed.place.as_deref()), ("not_found", Some("task.set_mode.mode")));
    let settings = json!({"type": "settings.get", "session": session, "keys": ["mode"]});
    assert_eq!(host.call(&settings).unwrap(), json!({"values": {"mode": "code"}}));
}
