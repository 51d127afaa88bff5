//! A request from its opening to its end: what is sent, shown, counted and recorded, and how it fails (spec 02 §5 to §8).

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Mode, Place, both, done};
use crate::scripted::{ASK, after, all, answer, api, error, request_record, start, text, text_of, turn, ui, usage};

both! {
    a_request_is_recorded_with_what_it_sends,
    nothing_received_is_lost_before_a_failure,
    counts_are_summed_and_the_rest_of_a_stopped_answer_is_counted,
    every_failure_of_a_stream_ends_at_the_resume_question,
    an_error_about_the_window_is_an_ordinary_failure,
}

/// The settings under which the user is asked about every write.
fn asking() -> Value {
    json!({"alwaysAllowWrite": false})
}

fn words(id: &str) -> String {
    Texts::builtin().get(id)
}

/// Starts a task that must come to its resume question; what is stored then, for the user and for the model.
fn broken(place: &Place, settings: Value) -> (Vec<Value>, Vec<Value>) {
    let host = place.host(&[]);
    let (_, task) = start(&host, place, "work", settings);
    host.ask("resume_task");
    drop(host);
    place.close();
    (ui(place, &task), api(place, &task))
}

/// parity 02 §5: the record of a request has all that is sent, environment included, and the form of the conversation
/// parity 02 §2.1: the first message is the task with its images
fn a_request_is_recorded_with_what_it_sends(mode: Mode) {
    let place = mode.play(&turn(json!({"images": 1}), &[text(&done("ok")), usage(1, 1)]));
    let host = place.host(&[]);
    let image = "data:image/png;base64,AAAA";
    let begin = json!({"type": "task.start", "workspace": place.workspace, "text": "mend it", "images": [image]});
    let task = host.call(&begin).unwrap()["task"].as_str().unwrap().to_owned();
    assert_eq!(host.completed(), "ok");
    host.ask("completion_result");
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    assert_eq!((&ui[0]["say"], &ui[0]["text"], &ui[0]["images"]), (&json!("text"), &json!("mend it"), &json!([image])));
    let record = request_record(&ui, 0);
    let sent = record["request"].as_str().unwrap();
    assert!(sent.starts_with("<task>\nmend it\n</task>\n\n[Image]\n\n<environment_details>\n"), "{sent}");
    assert!(sent.ends_with("</environment_details>"), "{sent}");
    assert_eq!(record["apiProtocol"], "openai");
}

/// parity 02 §5: sources are shown under the answer and not told to the model
#[test]
fn sources_are_shown_and_not_part_of_the_conversation() {
    let sources =
        json!({"grounding": [{"title": "A", "url": "https://a.example"}, {"title": "B", "url": "https://b.example"}]});
    let place =
        Mode::InProcess.play(&[turn(json!({}), &[text("Found."), sources]), turn(json!({}), &[text(ASK)])].concat());
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "search", json!({}));
    host.ask("followup");
    drop(host);
    place.close();
    let shown = format!("{} [1](https://a.example), [2](https://b.example)", words("loop.sources"));
    assert!(ui(&place, &task).iter().any(|message| message["text"] == shown));
    assert!(!json!(api(&place, &task)).to_string().contains("a.example"));
}

/// parity 02 §6: a model without eyes gets a note in place of each image
#[test]
fn a_model_without_eyes_gets_a_note_in_place_of_images() {
    let line = format!("{}\n", json!({"model": {"id": "m", "info": {"contextWindow": 9000, "supportsImages": false}}}));
    let note = format!("[{}]", words("loop.image_placeholder"));
    let expect = json!({"images": 0, "last_user_contains": note});
    let place = Mode::InProcess.play(&(line + &turn(expect, &[text(&done("ok"))])));
    let host = place.host(&[]);
    let image = "data:image/png;base64,AAAA";
    host.call(&json!({"type": "task.start", "workspace": place.workspace, "text": "see", "images": [image]})).unwrap();
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §6: who refuses to try again finds the task at its resume question, the refusal in the record
#[test]
fn a_refused_retry_ends_the_run() {
    let place = Mode::InProcess.play(&turn(json!({}), &[error("no luck")]));
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({}));
    host.respond(host.ask("api_req_failed"), "no").unwrap();
    host.ask("resume_task");
    drop(host);
    place.close();
    let record = request_record(&ui(&place, &task), 0);
    assert_eq!((&record["cancelReason"], &record["cost"]), (&json!("streaming_failed"), &json!(0)));
    assert_eq!(record["streamingFailedMessage"], words("loop.retry_refused"));
}

/// parity 02 §7.1: a chunk that came before the failure is shown, and what it cost counts (D03, D04)
/// parity 02 §7.4: the text that was growing is complete, and not part of the conversation
fn nothing_received_is_lost_before_a_failure(mode: Mode) {
    let pieces =
        [text("Let "), text("me"), json!({"usage": {"inputTokens": 40, "totalCost": 0.25}}), error("the line broke")];
    let (ui, api) = broken(&mode.play(&turn(json!({}), &pieces)), json!({}));
    let shown = ui.iter().find(|message| message["text"] == "Let me").unwrap_or_else(|| panic!("{ui:#?}"));
    assert_ne!(shown["partial"], true);
    let record = request_record(&ui, 0);
    assert_eq!((&record["tokensIn"], &record["cost"]), (&json!(40), &json!(0.25)), "{record}");
    assert_eq!(api.len(), 1);
}

/// parity 02 §7.3: several counts are one; none at all is said to be missing
/// parity 02 §7.3: an answer that a tool cut off is read on for its usage
fn counts_are_summed_and_the_rest_of_a_stopped_answer_is_counted(mode: Mode) {
    let call = "<list_files>\n<path>.</path>\n</list_files>";
    let turns = [
        turn(json!({}), &[text("Hm."), usage(10, 1), usage(5, 2)]),
        turn(json!({}), &[text("Hm.")]),
        turn(
            json!({}),
            &[text(call), json!({"text": "a", "delay_ms": 60}), json!({"text": "b", "delay_ms": 60}), usage(7, 3)],
        ),
        after(&["[list_files"], &[text(ASK)]),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({}));
    host.ask("followup");
    host.until(|received| matches!(&received.event, Event::Usage(usage) if usage.tokens_in == 22).then_some(()));
    drop(host);
    place.close();
    let ui = ui(&place, &task);
    let of = |number: usize| {
        let record = request_record(&ui, number);
        (record["tokensIn"].as_u64().unwrap(), record["tokensOut"].as_u64().unwrap(), record["usageMissing"].clone())
    };
    assert_eq!(of(0), (15, 3, json!(false)));
    assert_eq!(of(1), (0, 0, json!(true)));
    assert_eq!(of(2), (7, 3, json!(false)));
    let note = format!("\n\n[{}]", words("loop.interrupted_by_tool"));
    let stored = api(&place, &task);
    let called = stored.iter().map(text_of).find(|text| text.contains("<list_files>")).unwrap();
    assert!(called.ends_with(&note), "{called}");
}

/// parity 02 §7: a tool that the user refuses ends the reading of its answer
#[test]
fn a_refusal_ends_the_answer() {
    let write =
        "<write_to_file>\n<path>a.txt</path>\n<content>x</content>\n<line_count>1</line_count>\n</write_to_file>";
    let later = json!({"text": " and so on", "delay_ms": 100, "repeat": 1000});
    let turns = [turn(json!({}), &[text(write), later]), turn(json!({}), &[text(&done("ok"))])];
    let place = Mode::InProcess.play(&turns.concat());
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", asking());
    host.respond(host.ask("tool"), "no").unwrap();
    assert_eq!(host.completed(), "ok");
    host.ask("completion_result");
    drop(host);
    place.close();
    let called = text_of(&api(&place, &task)[1]);
    assert!(called.ends_with(&format!("\n\n[{}]", words("loop.interrupted_by_feedback"))), "{called}");
    assert!(!place.workspace.join("a.txt").exists());
}

/// parity 02 §7.4: an error with a message, with facts alone, in an open edit, in a condensing: reason and message are recorded
/// parity 02 §19.5: a condensing that fails is a failure of the stream
fn every_failure_of_a_stream_ends_at_the_resume_question(mode: Mode) {
    let open = "<write_to_file>\n<path>new.txt</path>\n<content>half of";
    let facts = json!({"error": {"message": "", "status": 500, "code": "E5"}});
    let cases: [(Vec<Value>, &str); 3] = [
        (vec![text("Hm"), error("the line broke")], "the line broke"),
        (vec![text("Hm"), facts], "{\n  \"status\": 500,\n  \"code\": \"E5\"\n}"),
        (vec![text(open), json!({"text": " it", "delay_ms": 20}), error("gone")], "gone"),
    ];
    for (pieces, message) in cases {
        let place = mode.play(&turn(json!({}), &pieces));
        let (ui, api) = broken(&place, json!({}));
        let record = request_record(&ui, 0);
        assert_eq!(record["cancelReason"], "streaming_failed", "{message}");
        assert_eq!(record["streamingFailedMessage"], message);
        assert_eq!(api.len(), 1, "{message}");
        assert!(!place.workspace.join("new.txt").exists(), "an open edit is taken back");
    }
    let line = format!("{}\n", json!({"model": {"id": "m", "info": {"contextWindow": 100_000, "maxTokens": 1000}}}));
    let large = [turn(json!({}), &[text("1"), usage(9, 0)]), turn(json!({}), &[text("2"), usage(9, 0)])].concat();
    let large = large + &turn(json!({}), &[text("3"), usage(60_000, 0)]);
    let place = mode.play(&(line + &large + &turn(json!({}), &[error("no summary")])));
    let (ui, _) = broken(&place, json!({"autoCondenseContextPercent": 50, "consecutiveMistakeLimit": 0}));
    assert_eq!(request_record(&ui, 3)["streamingFailedMessage"], "no summary");
    assert!(!ui.iter().any(|message| message["ask"] == "api_req_failed"));
}

/// parity 02 §8.5: nothing is taken out of the conversation for it, the user decides
fn an_error_about_the_window_is_an_ordinary_failure(mode: Mode) {
    let full = json!({"error": {"message": "maximum context length exceeded", "status": 400, "code": "context_length_exceeded"}});
    let turns = [
        turn(json!({}), &[text("one"), usage(10, 1)]),
        turn(json!({"messages": 3}), &[full]),
        turn(json!({"messages": 3}), &[text(&done("ok"))]),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    start(&host, &place, "work", json!({}));
    host.respond(host.ask("api_req_failed"), "yes").unwrap();
    assert_eq!(host.completed(), "ok");
    assert!(all(&host, |event| matches!(event, Event::Condense(_)).then_some(())).is_empty());
}

/// parity 02 §8: past the window an even half of the messages goes before the request; the first stays
#[test]
fn past_the_window_half_of_the_messages_goes() {
    let line = format!("{}\n", json!({"model": {"id": "m", "info": {"contextWindow": 10_000, "maxTokens": 100}}}));
    let turns = [
        turn(json!({}), &[text("one"), usage(10, 1)]),
        turn(json!({"messages": 3}), &[text("two"), usage(9_500, 1)]),
        turn(json!({"messages": 3}), &[text(ASK), usage(10, 1)]),
        turn(json!({"messages": 5, "last_user_contains": "<answer>"}), &[text(&done("ok"))]),
    ];
    let place = Mode::InProcess.play(&(line + &turns.concat()));
    let host = place.host(&[]);
    let (_, task) = start(&host, &place, "work", json!({"autoCondenseContext": false}));
    answer(&host, host.ask("followup"), "x");
    assert_eq!(host.completed(), "ok");
    host.ask("completion_result");
    drop(host);
    place.close();
    let stored = api(&place, &task);
    assert!(text_of(&stored[0]).starts_with("<task>\nwork"));
    assert!(!stored.iter().any(|message| text_of(message) == "one"), "{stored:#?}");
}
