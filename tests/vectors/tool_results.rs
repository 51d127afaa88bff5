//! `tool_results`: result layouts, patches, and whole runs of tools in a stub frame.

use lapce_ai::edit::patch::pretty_patch;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{ContentBlock, ToolResponse};
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::task::label;
use lapce_ai::tools::context::ToolContext;
use lapce_ai::tools::{self, frame, response};
use lapce_ai::workspace::paths;
use regex::Regex;
use serde_json::{Value, json};

use crate::stub::Run;
use crate::support::{Area, Outcome};

/// The area.
pub fn area() -> Area {
    Area::new("tool_results", run, &[])
}

fn run(input: &Value) -> Outcome {
    match input["fn"].as_str().unwrap_or("") {
        "format" => format(input),
        "pretty_patch" => json!(pretty_patch(text(input, "old"), text(input, "new"))).into(),
        "write_result" => write_result(input),
        "read_file_label" => label(input),
        "read_file" if names_definitions(input) => Outcome::Missing("definitions".to_owned()),
        "read_file" => read_file(input),
        "write_to_file" => tool(ToolName::WriteToFile, input),
        "insert_content" => tool(ToolName::InsertContent, input),
        "search_and_replace" => tool(ToolName::SearchAndReplace, input),
        "apply_diff" => tool(ToolName::ApplyDiff, input),
        "ask_followup" => tool(ToolName::AskFollowupQuestion, input),
        other => Outcome::Missing(other.to_owned()),
    }
}

fn text<'a>(input: &'a Value, key: &str) -> &'a str {
    input[key].as_str().unwrap_or("")
}

/// The catalogue with the codes of the cases in place of sentences.
pub fn coded_texts() -> Texts {
    let texts = Texts::builtin();
    let mut pack = include_str!("codes/tools.txt").to_owned();
    if texts.has("read_file.error") {
        pack.push_str(include_str!("codes/read_file.txt"));
    }
    texts.with_pack(&pack).unwrap_or_else(|error| panic!("{error}"))
}

/// Codes that span layout, in the form of the cases.
fn coded(text: &str) -> String {
    let text = text
        .replace("\n\n«NAMES: ", "")
        .replace("\n\nNAMES»", "⟧")
        .replace('«', "⟦")
        .replace('»', "⟧")
        .replace("⟦CONDENSE_ACCEPTED⟧\n", "⟦CONDENSE_ACCEPTED⟧");
    let omission = Regex::new(r"(⟦OMISSION\|\d+\|-?\d+⟧)\n").expect("a pattern");
    let text = omission.replace_all(&text, "$1");
    let collected = Regex::new(r"(?m)^(.*) - Diff (\d+): ⟦DIFF_ERR\|(\w+)⟧$").expect("a pattern");
    let text = collected.replace_all(&text, "⟦DIFF_FAIL|$2|$1|$3⟧");
    let written =
        r"(?s)<file_write_result>\n<path>(.*?)</path>\n<operation>(\w+)</operation>\n.*?</file_write_result>\n";
    let written = Regex::new(written).expect("a pattern");
    written.replace_all(&text, "⟦WRITE_RESULT|$1|$2⟧").into_owned()
}

/// [`coded`] for every text in a value.
fn coded_value(value: Value) -> Value {
    match value {
        Value::String(text) => json!(coded(&text)),
        Value::Array(items) => items.into_iter().map(coded_value).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, coded_value(value))).collect(),
        other => other,
    }
}

fn format(input: &Value) -> Outcome {
    let texts = coded_texts();
    let arg = |at: usize| input["args"][at].as_str().unwrap_or("undefined");
    let list = |at: usize| -> Vec<String> { serde_json::from_value(input["args"][at].clone()).unwrap_or_default() };
    let formatted = match text(input, "name") {
        "toolDenied" => response::denied(&texts),
        "toolDeniedWithFeedback" => response::denied_with_feedback(&texts, arg(0)),
        "toolApprovedWithFeedback" => response::approved_with_feedback(&texts, arg(0)),
        "toolError" => response::tool_error(&texts, arg(0)),
        "rooIgnoreError" => response::ignored_path(&texts, arg(0)),
        "noToolsUsed" => response::no_tools_used(&texts),
        "tooManyMistakes" => response::too_many_mistakes(&texts, arg(0)),
        "missingToolParameterError" => response::missing_param(&texts, arg(0)),
        "lineCountTruncationError" => {
            let (is_new, diff) = (input["args"][1] == true, input["args"][2] == true);
            response::line_count_truncation(&texts, input["args"][0].as_u64().unwrap_or(0) as usize, is_new, diff)
        }
        "invalidMcpToolArgumentError" => response::invalid_mcp_json(&texts, arg(0), arg(1)),
        "unknownMcpToolError" => response::unknown_mcp_tool(&texts, arg(0), arg(1), &list(2)),
        "unknownMcpServerError" => response::unknown_mcp_server(&texts, arg(0), &list(1)),
        "duplicateFileReadNotice" => texts.get("resp.duplicate_file_read"),
        "contextTruncationNotice" => texts.get("resp.context_truncated"),
        "condense" => response::condense_accepted(&texts),
        "toolResult" => {
            return match response::tool_result(arg(0).to_owned(), &list(1)) {
                ToolResponse::Text(text) => json!(text).into(),
                ToolResponse::Blocks(blocks) => json!(blocks).into(),
            };
        }
        "imageBlocks" => {
            let blocks: Vec<_> = list(0).iter().map(|url| ContentBlock::image_from_data_url(url)).collect();
            return json!(blocks).into();
        }
        other => return Outcome::Missing(format!("format {other}")),
    };
    json!(coded(&formatted)).into()
}

fn write_result(input: &Value) -> Outcome {
    let (path, is_new) = (text(input, "path"), input["is_new"] == true);
    let user_edits = input["user_edits"].as_str().filter(|patch| !patch.is_empty());
    let result = frame::write_result(&coded_texts(), path, is_new, user_edits, text(input, "problems"));
    let readable = paths::readable("/ws".as_ref(), "/home/user".as_ref(), path);
    let says: Vec<Value> = user_edits
        .map(|patch| json!(["user_feedback_diff", frame::user_edits_payload(&readable, is_new, patch)]))
        .into_iter()
        .collect();
    json!({"text": result, "says": says}).into()
}

fn tool(name: ToolName, input: &Value) -> Outcome {
    let Some(tool) = tools::find(name) else { return Outcome::Missing(name.to_string()) };
    let run = Run::new(name, input, coded_texts());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(tool.run(run.call(), &run)).expect("nothing was aborted");
    let mut events: Vec<Value> = run.events.lock().expect("not poisoned").iter().map(error_event).collect();
    let mistakes = *run.mistakes.lock().expect("not poisoned");
    if mistakes > 0 {
        events.push(json!(["mistakes", mistakes]));
    }
    let results = run.results.lock().expect("not poisoned").clone();
    coded_value(run.mapped(&json!({"results": results, "events": events}))).into()
}

/// The stub's state may lack `maxReadFileLine`; the reference then counts it as 0 where it words the advice about ranges. Our
/// settings always have it.
fn read_file(input: &Value) -> Outcome {
    match tool(ToolName::ReadFile, input) {
        Outcome::Output(output) if input["state"]["maxReadFileLine"].is_null() => {
            let advice = Regex::new(r"(⟦TOO_LARGE\|\d+\|\d+\|)false⟧").expect("a pattern");
            let text = output.to_string();
            serde_json::from_str::<Value>(&advice.replace_all(&text, "${1}true⟧")).expect("still JSON").into()
        }
        other => other,
    }
}

/// Whether a cut file has definitions to list, which needs the parsers of languages.
fn names_definitions(input: &Value) -> bool {
    const LANGUAGES: [&str; 10] = ["py", "js", "ts", "tsx", "rs", "go", "java", "c", "cpp", "rb"];
    let Some(max) = input["state"]["maxReadFileLine"].as_u64() else { return false };
    let args = text(&input["params"], "args");
    input["files"].as_object().into_iter().flatten().any(|(path, content)| {
        let is_code = path.rsplit_once('.').is_some_and(|(_, extension)| LANGUAGES.contains(&extension));
        let lines = content.as_str().map_or(0, |content| content.lines().count() as u64);
        let named = args.contains(&format!("<path>{path}</path>")) || input["params"]["path"] == **path;
        named && is_code && lines > max
    })
}

fn label(input: &Value) -> Outcome {
    let run = Run::new(ToolName::ReadFile, input, coded_texts());
    let label = label::describe(run.call(), &run.settings(), run.texts());
    json!(label.replace(". ⟦PREFER_MULTI⟧", ".⟦PREFER_MULTI⟧")).into()
}

/// Errors by the label of their action, as the cases name them.
fn error_event(event: &Value) -> Value {
    if event[0] != "error" {
        return event.clone();
    }
    let (action, error) = (event[1].as_str().unwrap_or(""), event[2].clone());
    match action {
        "parsing read_file args" => json!(["error", "PARSING_ARGS", error]),
        "writing file" => json!(["error", "WRITING", error]),
        "insert content" => json!(["error", "INSERTING", error]),
        "search and replace" => json!(["error", "REPLACING", "⟦BAD_REGEX⟧"]),
        "asking question" => json!(["error", "ASKING", error]),
        "applying diff" => json!(["error", "APPLYING", error]),
        other => match other.strip_prefix("reading file ") {
            Some(path) => json!(["error", format!("READING|{path}"), error]),
            None => event.clone(),
        },
    }
}
