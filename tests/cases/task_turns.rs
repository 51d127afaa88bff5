//! What the agent loop sends, counts and asks from turn to turn (spec 02 §4, §5, §8.3, §11), shown by whole runs of a scripted
//! model.

use std::path::Path;

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::event::{Condensed, Event};
use lapce_ai::tools::response;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    the_first_message_lists_the_files_and_later_ones_do_not,
    a_reply_without_a_tool_is_reminded_and_counts_until_the_user_is_asked,
    an_empty_reply_is_stored_and_the_task_goes_on,
    a_condensed_conversation_begins_with_its_summary,
    a_summary_that_is_no_smaller_changes_nothing_and_its_cost_is_told,
    another_profile_writes_the_summary,
    the_condense_tool_asks_and_takes_an_answer_as_feedback,
    a_message_queued_during_a_question_answers_the_next_one,
    the_user_answers_before_the_time_for_it_is_over,
    a_question_whose_time_is_over_takes_its_first_suggestion,
    the_user_is_asked_when_all_requests_are_used,
}

const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>first way</suggest>\n<suggest>second way</suggest>\n</follow_up>\n</ask_followup_question>";

/// A turn of a transcript: what it expects, the answer, and its usage.
fn turn(expect: Value, text: &str, usage: Value) -> String {
    let answer = if text.is_empty() { String::new() } else { format!("{}\n", json!({"text": text})) };
    format!("{}\n{answer}{}\n", json!({"expect": expect}), json!({"usage": usage}))
}

fn tokens(input: u64, output: u64) -> Value {
    json!({"inputTokens": input, "outputTokens": output})
}

/// The stored conversation of the only task, after the engine has ended.
fn conversation(place: &Place) -> Vec<Value> {
    place.close();
    let tasks: Vec<_> = std::fs::read_dir(place.storage.join("tasks")).unwrap().flatten().collect();
    let folder = tasks.iter().map(|entry| entry.path()).find(|path| has_conversation(path)).expect("a stored task");
    serde_json::from_slice(&std::fs::read(folder.join("api_conversation_history.json")).unwrap()).unwrap()
}

fn has_conversation(folder: &Path) -> bool {
    folder.join("api_conversation_history.json").exists()
}

fn answer(host: &Host, ask: u64, text: &str) {
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": text})).unwrap();
}

fn condensed(host: &Host) -> Condensed {
    host.until(|event| match &event.event {
        Event::Condense(condensed) => Some(condensed.clone()),
        _ => None,
    })
}

/// parity 02 §18.1: task, images and files in the first message, no files in the second
fn the_first_message_lists_the_files_and_later_ones_do_not(mode: Mode) {
    let files = "# Current Workspace Directory";
    let first =
        json!({"messages": 1, "images": 1, "last_user_contains": ["<task>\nfix it\n</task>", files, "here.txt"]});
    let second = json!({"messages": 3, "last_user_contains": "<environment_details>", "last_user_lacks": files});
    let place = mode.play(&[turn(first, "Hm.", tokens(1, 1)), turn(second, &done("ok"), tokens(1, 1))].concat());
    std::fs::write(place.workspace.join("here.txt"), "x").unwrap();
    let host = place.host(&[]);
    let image = "data:image/png;base64,AAAA";
    let start = json!({"type": "task.start", "workspace": place.workspace, "text": "fix it", "images": [image]});
    host.call(&start).unwrap();
    assert_eq!(host.completed(), "ok");
    drop(host);
    let stored = conversation(&place);
    let kinds: Vec<&str> =
        stored[0]["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "image", "text"]);
}

/// parity 02 §4: a reply without a tool is followed by another request, until the user is asked
/// parity 02 §18.2: reminder and environment alone; the third mistake asks before the fourth request
fn a_reply_without_a_tool_is_reminded_and_counts_until_the_user_is_asked(mode: Mode) {
    let turns = [
        turn(json!({"messages": 1}), "one", tokens(1, 1)),
        turn(json!({"messages": 3}), "two", tokens(1, 1)),
        turn(json!({"messages": 5}), "three", tokens(1, 1)),
        turn(json!({"messages": 7, "last_user_contains": "in small steps"}), &done("ok"), tokens(1, 1)),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    host.start("work");
    answer(&host, host.ask("mistake_limit_reached"), "in small steps");
    assert_eq!(host.completed(), "ok");
    drop(host);
    let stored = conversation(&place);
    let content = stored[2]["content"].as_array().unwrap();
    assert_eq!(content.len(), 2);
    assert_eq!(content[0]["text"], response::no_tools_used(&Texts::builtin()));
    assert!(content[1]["text"].as_str().unwrap().starts_with("<environment_details>\n"));
}

/// parity 02 §18.3: a failure note as the assistant's message, and another request
fn an_empty_reply_is_stored_and_the_task_goes_on(mode: Mode) {
    let turns = [turn(json!({}), "", tokens(5, 0)), turn(json!({"messages": 3}), &done("ok"), tokens(1, 1))];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    host.start("work");
    assert_eq!(host.completed(), "ok");
    drop(host);
    let stored = conversation(&place);
    assert_eq!(stored[1]["role"], "assistant");
    let note = stored[1]["content"][0]["text"].as_str().unwrap();
    assert!(note.starts_with("Failure:"), "{note}");
}

/// Two replies without a tool and a question, at which `context` tokens are in use; then what follows.
fn until_a_question(context: u64, rest: &[String]) -> String {
    let turns = [
        turn(json!({}), "one", tokens(10, 5)),
        turn(json!({}), "two", tokens(10, 5)),
        turn(json!({}), ASK, tokens(context, 0)),
    ];
    turns.concat() + &rest.concat()
}

/// parity 02 §18.7: six messages can be condensed
/// parity 02 §8.3: a condensing at the user's wish, its event and the next request
fn a_condensed_conversation_begins_with_its_summary(mode: Mode) {
    let rest = [
        turn(json!({"messages": 3}), " What was done. ", json!({"outputTokens": 7, "totalCost": 0.5})),
        turn(json!({"messages": 6, "last_user_contains": "go on"}), &done("ok"), tokens(1, 1)),
    ];
    let place = mode.play(&until_a_question(500_000, &rest));
    let host = place.host(&[]);
    let session = host.start_with("work", json!({"autoCondenseContext": false}));
    host.ask("followup");
    host.call(&json!({"type": "task.condense", "session": session})).unwrap();
    let told = condensed(&host);
    assert_eq!((told.summary.as_str(), told.cost, told.error), ("What was done.", 0.5, None));
    assert_eq!(told.tokens_before, 500_000);
    assert!(told.tokens_after < told.tokens_before);
    host.call(&json!({"type": "task.message", "session": session, "text": "go on"})).unwrap();
    assert_eq!(host.completed(), "ok");
    drop(host);
    let stored = conversation(&place);
    assert_eq!(stored[1]["isSummary"], true);
    assert_eq!(stored[1]["content"], "What was done.");
}

/// parity 02 §18.8: the conversation stays, the cost is told
fn a_summary_that_is_no_smaller_changes_nothing_and_its_cost_is_told(mode: Mode) {
    let rest = [turn(json!({"messages": 3}), "Long.", json!({"outputTokens": 900_000, "totalCost": 0.25}))];
    let place = mode.play(&until_a_question(50, &rest));
    let host = place.host(&[]);
    let session = host.start("work");
    host.ask("followup");
    host.call(&json!({"type": "task.condense", "session": session})).unwrap();
    let told = condensed(&host);
    assert_eq!((told.cost, told.summary.as_str(), told.error.is_some()), (0.25, "", true));
    drop(host);
    let stored = conversation(&place);
    assert_eq!(stored.len(), 6);
    assert!(stored.iter().all(|message| message.get("isSummary").is_none()));
}

/// parity 02 §8.3: the profile chosen for condensing writes the summary, the task's own model goes on where it was
fn another_profile_writes_the_summary(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own.jsonl"), folder.path().join("other.jsonl"));
    std::fs::write(&own, until_a_question(500_000, &[])).unwrap();
    let summary = turn(json!({"messages": 3}), "From the other.", json!({"outputTokens": 3}));
    std::fs::write(&other, summary).unwrap();
    let settings = json!({
        "apiProvider": "replay", "replayFile": own, "condensingApiConfigId": "c1", "autoCondenseContext": false,
        "apiConfigs": {"cheap": {"id": "c1", "apiProvider": "replay", "replayFile": other}},
    });
    let place = mode.open(folder, settings);
    let host = place.host(&[]);
    let session = host.start("work");
    host.ask("followup");
    host.call(&json!({"type": "task.condense", "session": session})).unwrap();
    assert_eq!(condensed(&host).summary, "From the other.");
}

/// parity 02 §8.3: feedback on the summary goes to the model, a yes condenses
fn the_condense_tool_asks_and_takes_an_answer_as_feedback(mode: Mode) {
    let offer = "<condense>\n<message>So far so good.</message>\n</condense>";
    let turns = [
        turn(json!({}), offer, tokens(10, 5)),
        turn(json!({"last_user_contains": "<feedback>\nname the tests\n</feedback>"}), offer, tokens(10, 5)),
        turn(json!({"last_user_contains": "condense_response"}), &done("ok"), tokens(10, 5)),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    host.start("work");
    answer(&host, host.ask("condense"), "name the tests");
    host.respond(host.ask("condense"), "yes").unwrap();
    assert!(condensed(&host).error.is_some(), "three messages are not enough");
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §18.10: it waits for the next question, approves a tool, and its text is feedback
fn a_message_queued_during_a_question_answers_the_next_one(mode: Mode) {
    let write =
        "<write_to_file>\n<path>a.txt</path>\n<content>x</content>\n<line_count>1</line_count>\n</write_to_file>";
    let turns = [
        turn(json!({}), ASK, tokens(1, 1)),
        turn(json!({"last_user_contains": "<answer>\nthe second\n</answer>"}), write, tokens(1, 1)),
        turn(json!({"last_user_contains": "and mind the tests"}), &done("ok"), tokens(1, 1)),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let session = host.start_with("work", json!({"alwaysAllowWrite": false}));
    let ask = host.ask("followup");
    host.call(&json!({"type": "task.queue", "session": session, "text": "and mind the tests"})).unwrap();
    answer(&host, ask, "the second");
    assert_eq!(host.completed(), "ok");
    assert!(place.workspace.join("a.txt").exists());
}

/// parity 02 §11.2: the event names the time, an answer of the user ends the wait
fn the_user_answers_before_the_time_for_it_is_over(mode: Mode) {
    let turns = [
        turn(json!({}), ASK, tokens(1, 1)),
        turn(json!({"last_user_contains": "<answer>\nmine\n</answer>"}), &done("ok"), tokens(1, 1)),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    let hour = 3_600_000;
    host.start_with("work", json!({"alwaysAllowFollowupQuestions": true, "followupAutoApproveTimeoutMs": hour}));
    let (ask, expires) = host.until(|event| match &event.event {
        Event::Ask(ask) if ask.kind == "followup" => Some((event.about, ask.expires_ms)),
        _ => None,
    });
    assert_eq!(expires, Some(hour));
    answer(&host, ask, "mine");
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §11.2: the first suggestion is taken when the time is over
fn a_question_whose_time_is_over_takes_its_first_suggestion(mode: Mode) {
    let turns = [
        turn(json!({}), ASK, tokens(1, 1)),
        turn(json!({"last_user_contains": "<answer>\nfirst way\n</answer>"}), &done("ok"), tokens(1, 1)),
    ];
    let place = mode.play(&turns.concat());
    let host = place.host(&[]);
    host.start_with("work", json!({"alwaysAllowFollowupQuestions": true, "followupAutoApproveTimeoutMs": 1}));
    assert_eq!(host.completed(), "ok");
}

/// parity 02 §11.1: the user lets the task go on, and the count begins anew
fn the_user_is_asked_when_all_requests_are_used(mode: Mode) {
    let text = |text: &str| turn(json!({}), text, tokens(1, 1));
    let place = mode.play(&[text("one"), text("two"), text(&done("ok"))].concat());
    let host = place.host(&[]);
    host.start_with("work", json!({"allowedMaxRequests": 1}));
    host.respond(host.ask("auto_approval_max_req_reached"), "yes").unwrap();
    assert_eq!(host.completed(), "ok");
}
