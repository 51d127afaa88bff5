//! Condensing beside everything else that happens in a task (spec 02 §8.3).

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Mode, both, done};
use crate::loopback::{self, Reply, event_stream, piece, server};
use crate::scripted::{ASK, after, all, answer, api, model, start, text, text_of, turn, usage};

both! {
    what_is_said_while_the_tool_condenses_is_kept,
    what_is_said_while_the_user_condenses_is_kept,
}

/// Two answers without a tool and a question, after which the context is large.
fn large() -> String {
    let large = [turn(json!({}), &[text("one")]), turn(json!({}), &[text("two")])];
    model("m") + &large.concat() + &turn(json!({}), &[text(ASK), usage(500_000, 0)])
}

/// parity 02 §8.3: the answer that holds the call, complete only while its summary is written, stays behind the summary
/// parity 02 §3: a message queued meanwhile answers the next question
fn what_is_said_while_the_tool_condenses_is_kept(mode: Mode) {
    let offer = "<condense>\n<message>So far.</message>\n</condense>";
    let turns = [
        large(),
        after(&["one way"], &[text(offer), json!({"text": " tail", "delay_ms": 150})]),
        turn(json!({}), &[json!({"text": "The summary.", "delay_ms": 600})]),
        turn(json!({"messages": 7, "last_user_contains": "condense_response"}), &[text(&done("ok"))]),
        after(&["queued meanwhile"], &[text(&done("better"))]),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let (session, task) = start(&host, &place, "work", json!({"autoCondenseContext": false}));
    answer(&host, host.ask("followup"), "one way");
    host.respond(host.ask("condense"), "yes").unwrap();
    host.call(&json!({"type": "task.queue", "session": session, "text": "queued meanwhile"})).unwrap();
    assert_eq!(host.completed(), "ok");
    assert_eq!(host.completed(), "better");
    host.ask("completion_result");
    drop(host);
    place.close();
    let stored = api(&place, &task);
    let summary = stored.iter().position(|message| message["isSummary"] == true).unwrap();
    let called = stored.iter().position(|message| text_of(message).contains("<condense>")).unwrap();
    assert_eq!((summary, called), (1, 5), "{stored:#?}");
}

/// parity 02 §8.3: a condensing at the user's wish takes nothing of what the loop adds meanwhile
fn what_is_said_while_the_user_condenses_is_kept(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own.jsonl"), folder.path().join("other.jsonl"));
    let turns = [
        large(),
        after(&["one way"], &[text("Thinking"), json!({"text": " aloud.", "delay_ms": 150})]),
        turn(json!({}), &[text(ASK)]),
    ];
    std::fs::write(&own, turns.concat()).unwrap();
    std::fs::write(&other, turn(json!({}), &[json!({"text": "The summary.", "delay_ms": 600})])).unwrap();
    let settings = json!({
        "apiProvider": "replay", "replayFile": own, "condensingApiConfigId": "c1", "autoCondenseContext": false,
        "apiConfigs": {"other": {"id": "c1", "apiProvider": "replay", "replayFile": other}},
    });
    let place = mode.open(folder, settings);
    let host = place.host(&[]);
    let (session, task) = start(&host, &place, "work", json!({}));
    answer(&host, host.ask("followup"), "one way");
    let condense = host.submit(&json!({"type": "task.condense", "session": session}));
    host.ask("followup");
    let over = |received: &lapce_ai::engine::Received| match &received.event {
        Event::RequestDone(_) if received.about == condense => Some(()),
        _ => None,
    };
    if !host.events().iter().any(|received| over(received).is_some()) {
        host.until(over);
    }
    drop(host);
    place.close();
    let stored = api(&place, &task);
    let all: Vec<String> = stored.iter().map(text_of).collect();
    let place_of = |part: &str| all.iter().position(|text| text.contains(part));
    assert_eq!(place_of("The summary."), Some(1), "{all:#?}");
    assert!(place_of("Thinking aloud.").is_some_and(|at| at > 1), "{all:#?}");
}

/// A model that does not get on with a summary can be stopped, and the conversation is as it was.
#[test]
fn a_summary_that_is_being_written_is_stopped() {
    let question = loopback::answer(ASK);
    let hanging = Reply::Hang(format!("{}{}", event_stream(), piece("The beginning ")).into_bytes());
    let plain = |text: &str| Reply::Close(loopback::answer(text));
    let place =
        Mode::InProcess.remote(&server(vec![plain("one"), plain("two"), Reply::Close(question), hanging]), "key");
    let host = place.host(&[]);
    let (session, task) = start(&host, &place, "work", json!({}));
    host.ask("followup");
    let condense = host.submit(&json!({"type": "task.condense", "session": session}));
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    host.ask("resume_task");
    let answered = |received: &lapce_ai::engine::Received| match &received.event {
        Event::RequestFailed(failed) if received.about == condense => Some(failed.kind.clone()),
        _ => None,
    };
    let known = host.events().iter().find_map(answered);
    assert_eq!(known.unwrap_or_else(|| host.until(answered)), "not_found");
    place.close();
    let stored: Vec<Value> = api(&place, &task);
    assert_eq!(stored.len(), 6);
    assert!(stored.iter().all(|message| message.get("isSummary").is_none()));
}

/// parity 02 §8.2: past the threshold the conversation is condensed before the request
/// parity 02 §19.6: what cannot be condensed is said again before each request
#[test]
fn the_context_is_condensed_before_a_request_that_passes_the_threshold() {
    let line = format!("{}\n", json!({"model": {"id": "m", "info": {"contextWindow": 100_000, "maxTokens": 1000}}}));
    let turns = [
        turn(json!({}), &[text("one"), usage(60_000, 0)]),
        turn(json!({"messages": 3}), &[text("two"), usage(61_000, 0)]),
        turn(json!({"messages": 5}), &[text("three"), usage(62_000, 0)]),
        turn(json!({"messages": 4}), &[text("In short."), usage(1, 5)]),
        turn(json!({"messages": 5}), &[text(&done("ok"))]),
    ];
    let place = Mode::InProcess.play(&(line + &turns.concat()));
    let host = place.host(&[]);
    start(
        &host,
        &place,
        "work",
        json!({"autoCondenseContext": true, "autoCondenseContextPercent": 50, "consecutiveMistakeLimit": 0}),
    );
    assert_eq!(host.completed(), "ok");
    let told = all(&host, |event| match event {
        Event::Condense(told) => Some((told.summary.clone(), told.error.is_some())),
        _ => None,
    });
    assert_eq!(told, [(String::new(), true), (String::new(), true), ("In short.".into(), false)]);
}
