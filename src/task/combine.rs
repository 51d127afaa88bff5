//! UI messages joined for display and counting: commands with their output, MCP calls with their responses, requests with
//! their legacy ends (spec 01 §3). Pure functions.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::protocol::message::{Ask, Say, UiKind, UiMessage};

/// What stands between a command and its output.
const OUTPUT_MARK: &str = "Output:";

/// *combine-command-sequences*: the output of commands and the responses of MCP servers become part of what asked for them.
pub fn combine_command_sequences(messages: &[UiMessage]) -> Vec<UiMessage> {
    let mut combined = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        let text = message.text.as_deref().unwrap_or("");
        let later = messages.get(at + 1..).unwrap_or_default();
        let text = match message.kind {
            UiKind::Ask(Ask::Command) => with_output(text, later),
            UiKind::Ask(Ask::UseMcpServer) => with_responses(text, later),
            _ => continue,
        };
        if text.is_some() {
            combined.insert(message.ts, UiMessage { text, ..message.clone() });
        }
    }
    let kept = messages.iter().filter(|message| !is_output(message.kind) && !is_response(message.kind));
    kept.map(|message| combined.get(&message.ts).unwrap_or(message).clone()).collect()
}

/// *combine-api-requests*: what a legacy `api_req_finished` tells goes into the last request that is still open.
pub fn combine_api_requests(messages: &[UiMessage]) -> Vec<UiMessage> {
    if messages.len() <= 1 {
        return messages.to_vec();
    }
    let mut combined: Vec<UiMessage> = Vec::with_capacity(messages.len());
    let mut open = Vec::new();
    for message in messages {
        if message.kind != UiKind::Say(Say::ApiReqFinished) {
            if message.kind == UiKind::Say(Say::ApiReqStarted) {
                open.push(combined.len());
            }
            combined.push(message.clone());
            continue;
        }
        if let Some(request) = open.pop().and_then(|at| combined.get_mut(at)) {
            let mut merged = object(request.text.as_deref());
            merged.extend(object(message.text.as_deref()));
            request.text = Some(Value::Object(merged).to_string());
        }
    }
    combined
}

/// The command with its output; `None` if there is none.
fn with_output(command: &str, later: &[UiMessage]) -> Option<String> {
    let mut combined = command.to_owned();
    let mut previous: Option<&UiMessage> = None;
    let own = later.iter().take_while(|message| message.kind != UiKind::Ask(Ask::Command));
    for message in own.filter(|message| is_output(message.kind)) {
        let text = |message: &UiMessage| message.text.clone().unwrap_or_default();
        let output = text(message);
        if previous.is_none() {
            combined.push('\n');
            combined.push_str(OUTPUT_MARK);
        }
        let repeats = previous.is_some_and(|before| before.kind != message.kind && text(before) == output);
        if !output.is_empty() && !repeats {
            // The first mark counts, even one in the command itself.
            let marked = combined.find(OUTPUT_MARK).map_or(0, |at| at + OUTPUT_MARK.len());
            if previous.is_some() && combined.len() > marked {
                combined.push('\n');
            }
            combined.push_str(&output);
        }
        previous = Some(message);
    }
    previous.map(|_| combined)
}

/// The MCP call with its responses; `None` if there are none.
fn with_responses(call: &str, later: &[UiMessage]) -> Option<String> {
    let own = later.iter().take_while(|message| message.kind != UiKind::Ask(Ask::UseMcpServer));
    let responses: Vec<&str> =
        own.filter(|message| is_response(message.kind)).map(|message| message.text.as_deref().unwrap_or("")).collect();
    if responses.is_empty() {
        return None;
    }
    let mut call = object(Some(call));
    call.insert("response".into(), responses.join("\n").into());
    Some(Value::Object(call).to_string())
}

fn is_output(kind: UiKind) -> bool {
    matches!(kind, UiKind::Ask(Ask::CommandOutput) | UiKind::Say(Say::CommandOutput))
}

fn is_response(kind: UiKind) -> bool {
    kind == UiKind::Say(Say::McpServerResponse)
}

/// The object that a text holds; an empty one if it holds none.
fn object(text: Option<&str>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(messages: &[(UiKind, &str)], combine: fn(&[UiMessage]) -> Vec<UiMessage>) -> Vec<String> {
        let numbered = (1..).zip(messages);
        let messages: Vec<UiMessage> =
            numbered.map(|(ts, (kind, text))| UiMessage::new(ts, *kind, Some((*text).into()))).collect();
        combine(&messages).into_iter().filter_map(|message| message.text).collect()
    }

    #[test]
    fn output_joins_its_command() {
        let command = |text| (UiKind::Ask(Ask::Command), text);
        let asked = |text| (UiKind::Ask(Ask::CommandOutput), text);
        let said = |text| (UiKind::Say(Say::CommandOutput), text);
        for (messages, expected) in [
            (vec![command("ls"), asked(""), asked("a")], vec!["ls\nOutput:a"]),
            (vec![command("ls"), asked("a"), said("a"), said("a")], vec!["ls\nOutput:a\na"]),
            (vec![command("echo Output:"), asked(""), asked("a")], vec!["echo Output:\nOutput:\na"]),
            (vec![said("lost"), command("a"), command("b"), said("c")], vec!["a", "b\nOutput:c"]),
        ] {
            assert_eq!(texts(&messages, combine_command_sequences), expected, "{messages:?}");
        }
    }

    #[test]
    fn each_end_closes_one_request() {
        let started = |text| (UiKind::Say(Say::ApiReqStarted), text);
        let finished = |text| (UiKind::Say(Say::ApiReqFinished), text);
        let messages = [
            started(r#"{"a":1}"#),
            started(r#"{"b":1}"#),
            finished(r#"{"b":2}"#),
            finished("[]"),
            finished(r#"{"c":3}"#),
        ];
        assert_eq!(texts(&messages, combine_api_requests), [r#"{"a":1}"#, r#"{"b":2}"#]);
    }
}
