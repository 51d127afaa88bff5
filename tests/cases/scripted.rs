//! What tests of whole runs with a scripted model share: transcripts, and the files that a task leaves.

use std::path::PathBuf;

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Place};

/// A call that asks the user.
pub const ASK: &str = "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>first way</suggest>\n<suggest>second way</suggest>\n</follow_up>\n</ask_followup_question>";

/// A turn of a transcript: what it expects, and the pieces it plays.
pub fn turn(expect: Value, pieces: &[Value]) -> String {
    let pieces: String = pieces.iter().map(|piece| format!("{piece}\n")).collect();
    format!("{}\n{pieces}", json!({ "expect": expect }))
}

/// A turn that expects these texts in the last user message.
pub fn after(texts: &[&str], pieces: &[Value]) -> String {
    turn(json!({ "last_user_contains": texts }), pieces)
}

/// A piece of text.
pub fn text(text: &str) -> Value {
    json!({ "text": text })
}

/// A piece of usage.
pub fn usage(input: u64, output: u64) -> Value {
    json!({"usage": {"inputTokens": input, "outputTokens": output}})
}

/// A failure of the request.
pub fn error(message: &str) -> Value {
    json!({"error": {"message": message}})
}

/// The line that says what the model is; a window that no test fills.
pub fn model(id: &str) -> String {
    format!("{}\n", json!({"model": {"id": id, "info": {"contextWindow": 4_000_000}}}))
}

/// Starts a task with these settings; its session and its id.
pub fn start(host: &Host, place: &Place, text: &str, settings: Value) -> (u64, String) {
    let request = json!({"type": "task.start", "workspace": place.workspace, "text": text, "settings": settings});
    let started = host.call(&request).unwrap();
    (started["session"].as_u64().unwrap(), started["task"].as_str().unwrap().to_owned())
}

/// Answers an ask by a message.
pub fn answer(host: &Host, ask: u64, text: &str) {
    host.call(&json!({"type": "task.respond", "ask": ask, "response": "message", "text": text})).unwrap();
}

/// What the next event is for which `pick` gives something.
pub fn next<T>(host: &Host, pick: impl Fn(&Event) -> Option<T>) -> T {
    host.until(|received| pick(&received.event))
}

/// All that `pick` finds in the events so far.
pub fn all<T>(host: &Host, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
    host.events().iter().filter_map(|received| pick(&received.event)).collect()
}

/// The stored messages of a task, for the user.
pub fn ui(place: &Place, task: &str) -> Vec<Value> {
    stored(place, task, "ui_messages.json")
}

/// The stored conversation of a task with the model.
pub fn api(place: &Place, task: &str) -> Vec<Value> {
    stored(place, task, "api_conversation_history.json")
}

fn stored(place: &Place, task: &str, name: &str) -> Vec<Value> {
    let file: PathBuf = place.storage.join("tasks").join(task).join(name);
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The record of the request with this number, from 0.
pub fn request_record(ui: &[Value], number: usize) -> Value {
    let record = ui.iter().filter(|message| message["say"] == "api_req_started").nth(number).unwrap();
    serde_json::from_str(record["text"].as_str().unwrap()).unwrap()
}

/// All text of an API message.
pub fn text_of(message: &Value) -> String {
    let blocks = message["content"].as_array().into_iter().flatten();
    let texts: Vec<&str> =
        blocks.filter_map(|block| block["text"].as_str()).chain(message["content"].as_str()).collect();
    texts.join("\n")
}
