//! Prompts beside a task: support prompts, enhancement, fetched instructions; and answers of §19 in full.

use lapce_ai::prompt::enhance::with_history;
use lapce_ai::prompt::fetch::{McpPlaces, Places};
use lapce_ai::prompt::support::SupportPrompt;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::UiMessage;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::tools::context::ToolContext;
use lapce_ai::tools::{self, response as answers};
use serde_json::{Map, Value, json};

use super::lines;
use crate::stub::Run;
use crate::support::Outcome;

/// Values that the reference hands to a kind of prompt even when it has none: then they are `undefined`.
fn handed(prompt: SupportPrompt) -> &'static [&'static str] {
    match prompt {
        SupportPrompt::Explain | SupportPrompt::Fix | SupportPrompt::Improve => {
            &["filePath", "startLine", "endLine", "userInput", "selectedText"]
        }
        SupportPrompt::TerminalAddToContext | SupportPrompt::TerminalFix | SupportPrompt::TerminalExplain => {
            &["userInput", "terminalContent"]
        }
        _ => &[],
    }
}

pub fn support_prompt(input: &Value) -> Outcome {
    let name = input["type"].as_str().unwrap_or("");
    let Some(prompt) = SupportPrompt::parse(name) else { return Outcome::Missing(format!("support prompt {name}")) };
    let own = input["custom"].as_object();
    let mut values = input["params"].as_object().cloned().unwrap_or_default();
    for name in handed(prompt) {
        values.entry(*name).or_insert_with(|| "undefined".into());
    }
    let text = prompt.create(&Texts::builtin(), own, &values).expect("valid texts");
    json!({"lines": lines(&text)}).into()
}

pub fn enhance(input: &Value) -> Outcome {
    let texts = Texts::builtin();
    let messages: Vec<UiMessage> = input["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(at, message)| {
            let mut message = message.clone();
            message["ts"] = json!(message["ts"].as_i64().unwrap_or(at as i64));
            serde_json::from_value(message).expect("a message")
        })
        .collect();
    let text = input["text"].as_str().unwrap_or("");
    let text = match input["include_history"] == false {
        true => text.to_owned(),
        false => with_history(&texts, text, messages.iter()),
    };
    let own = input["custom"].as_object();
    let values = Map::from_iter([("userInput".to_owned(), text.into())]);
    let prompt = SupportPrompt::Enhance.create(&texts, own, &values).expect("valid texts");
    json!({"lines": lines(&prompt)}).into()
}

pub fn fetch_instructions(input: &Value) -> Outcome {
    let Some(tool) = tools::find(ToolName::FetchInstructions) else { return Outcome::Missing("the tool".into()) };
    let mut params = Map::new();
    if let Some(task) = input["task"].as_str() {
        params.insert("task".into(), task.into());
    }
    let diff = input["diff_enabled"] != false && input["diff"].is_string();
    let call = json!({"params": params, "approve": input["approve"], "state": {"diffEnabled": diff}});
    let pack = "[[fetch.missing_mcp_or_diff]]\nfetch.missing_mcp_or_diff";
    let mut run = Run::new(ToolName::FetchInstructions, &call, Texts::builtin().with_pack(pack).expect("a pack"));
    let enabled = |server: &&Value| server["disabled"] != true;
    let names = |list: &Vec<Value>| -> Vec<String> {
        list.iter().filter(enabled).filter_map(|server| Some(server["name"].as_str()?.to_owned())).collect()
    };
    run.places = Places {
        modes_file: Some("/gs/settings/custom_modes.yaml".into()),
        mcp: input["mcp_servers"].as_array().map(|servers| McpPlaces {
            directory: "/mcp-servers".into(),
            settings_file: "/gs/settings/mcp_settings.json".into(),
            servers: names(servers),
        }),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(tool.run(run.call(), &run)).expect("nothing was aborted");
    let events = run.events.lock().expect("not poisoned");
    let asks: Vec<&Value> = events.iter().filter(|event| event[0] == "approve").map(|event| &event[1]).collect();
    if let Some(error) = events.iter().find(|event| event[0] == "error") {
        return json!({"error": error[2], "asks": asks, "lines": null}).into();
    }
    let results = run.results.lock().expect("not poisoned");
    let text: Vec<&str> = results.iter().filter_map(Value::as_str).collect();
    json!({"lines": lines(&text.join("\n")), "asks": asks}).into()
}

pub fn response(input: &Value) -> Outcome {
    let texts = Texts::builtin();
    let (args, text) = (&input["args"], |at: usize| input["args"][at].as_str().unwrap_or("undefined"));
    let text = match input["response"].as_str().unwrap_or("") {
        "noToolsUsed" => answers::no_tools_used(&texts),
        "missingToolParameterError" => answers::missing_param(&texts, text(0)),
        "lineCountTruncationError" => {
            let lines = args[0].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
            answers::line_count_truncation(&texts, lines, args[1] == true, args[2] == true)
        }
        "toolDenied" => answers::denied(&texts),
        "toolDeniedWithFeedback" => answers::denied_with_feedback(&texts, text(0)),
        "toolApprovedWithFeedback" => answers::approved_with_feedback(&texts, text(0)),
        "toolError" => answers::tool_error(&texts, text(0)),
        "tooManyMistakes" => answers::too_many_mistakes(&texts, text(0)),
        "rooIgnoreError" => answers::ignored_path(&texts, text(0)),
        "condense" => answers::condense_accepted(&texts),
        other => return Outcome::Missing(format!("response {other}")),
    };
    json!({"lines": lines(&text)}).into()
}
