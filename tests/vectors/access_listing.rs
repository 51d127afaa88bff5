//! `access_listing`: ignore and protect rules, modes and file restrictions, mentions, file lists, search layout. One function a
//! selector.

#[path = "access_listing/mentions.rs"]
pub mod references;

use std::path::Path;

use lapce_ai::prompt::mentions::{self, Reference};
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::{ParamName, Params, ToolName};
use lapce_ai::settings::modes::{self, DEFAULT_MODE};
use lapce_ai::tools::permissions::{self, NotAllowed};
use lapce_ai::tools::{list_files, search_files};
use lapce_ai::workspace::access::Access;
use lapce_ai::workspace::listing;
use lapce_ai::workspace::search::{self, Collector, Event, Line};
use serde_json::{Value, json};

use crate::support::{Area, Outcome, equal};

/// The workspace of the cases.
const WORKSPACE: &str = "/ws";

/// The area.
pub fn area() -> Area {
    Area::new("access_listing", run, &[]).compared_by(|input, ours, recorded| match text(input, "fn") {
        // The recorded arguments are those of a program that ours does not start.
        "search_format" => equal(&ours["text"], &recorded["text"]),
        _ => equal(ours, recorded),
    })
}

fn run(input: &Value) -> Outcome {
    match text(input, "fn") {
        "tool_allowed" => tool_allowed(input),
        "file_regex" => json!(permissions::path_matches(text(input, "path"), text(input, "regex"))).into(),
        "mode_list" => mode_list(input),
        "tools_for_groups" => tools_for_groups(input),
        "ignore_access" => json!(ignore_rules(input).accessible(text(input, "path"))).into(),
        "ignore_filter" => json!(ignore_rules(input).filter(strings(&input["paths"]))).into(),
        "ignore_instructions" => ignore_instructions(input),
        "ignore_command" => json!(ignore_rules(input).blocked_by_command(text(input, "command"))).into(),
        "protected" => json!(ignore_rules(input).is_protected(text(input, "path"))).into(),
        "format_files_list" => format_files_list(input),
        "search_format" => search_format(input),
        "truncate_line" => {
            let max = input["max"].as_u64().map_or(search::MAX_LINE, |max| max as usize);
            json!(coded_cut(&search::truncate(text(input, "line"), max))).into()
        }
        "mention_regex" => references(input, "value", mentions::mentions),
        "command_regex" => references(input, "name", mentions::commands),
        "unescape_spaces" => json!(mentions::unescape_spaces(text(input, "path"))).into(),
        "ignored_directory" => json!(listing::is_in_ignored_directory(text(input, "path"))).into(),
        "kilo_slash" => references::kilo_slash(input),
        "parse_mentions" => references::parse_mentions(input),
        other => Outcome::Missing(other.to_owned()),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn ignore_rules(input: &Value) -> Access {
    Access::from_text(Path::new(WORKSPACE), input["ignore"].as_str())
}

/// `none` stands for no rules at all, not even of an absent file.
fn rules_if_any(input: &Value) -> Option<Access> {
    (input["ignore"] != "none").then(|| ignore_rules(input))
}

fn coded_texts() -> Texts {
    Texts::builtin().with_pack(include_str!("codes/access_listing.txt")).unwrap_or_else(|error| panic!("{error}"))
}

fn coded_cut(text: &str) -> String {
    text.replace(" [truncated...]", "⟦LINE_TRUNCATED⟧")
}

fn references(input: &Value, key: &str, find: fn(&str) -> Vec<Reference<'_>>) -> Outcome {
    let text = text(input, "text");
    let shown = |found: Reference<'_>| {
        let index = text[..found.range.start].encode_utf16().count();
        json!({"index_utf16": index, "match": &text[found.range], key: found.value})
    };
    find(text).into_iter().map(shown).collect::<Value>().into()
}

fn ignore_instructions(input: &Value) -> Outcome {
    let block = ignore_rules(input).instructions("⟦PROSE⟧");
    let parts = block.as_deref().and_then(|block| block.split_once("\n\n(⟦PROSE⟧)\n\n"));
    parts.map_or(Value::Null, |(heading, tail)| json!({"heading": heading, "tail": tail})).into()
}

fn format_files_list(input: &Value) -> Outcome {
    let files: Vec<String> = strings(&input["files"]).into_iter().map(str::to_owned).collect();
    let access = rules_if_any(input);
    let (show_ignored, protection) = (input["show_ignored"] == true, input["with_protection"] == true);
    let lines = listing::lines(Path::new(text(input, "dir")), &files, access.as_ref(), show_ignored, protection);
    json!(list_files::format(&coded_texts(), &lines, input["did_hit_limit"] == true)).into()
}

fn search_format(input: &Value) -> Outcome {
    let mut collector = Collector::default();
    for line in input["rg_lines"].as_array().into_iter().flatten() {
        collector.push(event(line));
    }
    let access = rules_if_any(input);
    let cwd = Path::new(text(input, "cwd"));
    let shown = search_files::format(&coded_texts(), cwd, access.as_ref(), Ok(collector.finish()));
    json!({"text": coded_cut(&shown)}).into()
}

/// One line of ripgrep's output; it writes `bytes` for `text` where that is not UTF-8.
fn event(line: &Value) -> Event {
    let data = &line["data"];
    match (text(line, "type"), data["path"]["text"].as_str(), data["lines"]["text"].as_str()) {
        ("begin", Some(path), _) => Event::Begin { path: path.to_owned() },
        ("match" | "context", _, Some(shown)) => {
            Event::Line(Line { number: data["line_number"].as_u64().unwrap_or(0), text: shown.to_owned() })
        }
        ("end", ..) => Event::End,
        _ => Event::Unreadable,
    }
}

fn text<'a>(input: &'a Value, key: &str) -> &'a str {
    input[key].as_str().unwrap_or("")
}

fn custom_modes(input: &Value) -> &[Value] {
    input["custom_modes"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The parser knows no parameter `operations`; another mark of an edit stands for it. `requirements` is the map of the dispatcher, or `false` for none fulfilled; only `apply_diff` has one.
fn tool_allowed(input: &Value) -> Outcome {
    let Some(tool) = ToolName::parse(text(input, "tool")) else { return json!(false).into() };
    let params: Params = input["params"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = if name == "operations" { "line" } else { name };
            Some((ParamName::parse(name)?, value.as_str()?.to_owned()))
        })
        .collect();
    let requirements = &input["requirements"];
    let always = modes::ALWAYS_AVAILABLE.contains(&tool);
    let unfulfilled = *requirements == json!(false) || requirements[tool.as_str()] == false;
    let checked = match unfulfilled && !always {
        true => Err(NotAllowed::Tool { tool, mode: text(input, "mode").to_owned() }),
        false => permissions::check(tool, &params, text(input, "mode"), custom_modes(input), true),
    };
    match checked {
        Ok(()) => json!(true).into(),
        Err(NotAllowed::Tool { tool, mode }) if input["via"] == "validate" => {
            json!({"threw": {"code": "NOT_ALLOWED", "tool": tool.as_str(), "mode": mode}}).into()
        }
        Err(NotAllowed::Tool { .. }) => json!(false).into(),
        Err(NotAllowed::File { tool, mode, pattern, description, path }) => {
            let note = || mode.builtin.then(|| Texts::builtin().get(&format!("mode.{}.edit_note", mode.slug)));
            let code = json!({
                "code": "FILE_RESTRICTION",
                "tool": tool.as_str(),
                "mode": mode.name,
                "pattern": pattern,
                "description": description.clone().or_else(note),
                "path": path,
            });
            json!({"threw": code}).into()
        }
        // The reference would go on for ever.
        Err(undecided @ NotAllowed::Undecided { .. }) => json!({"threw": undecided.to_string()}).into(),
    }
}

fn mode_list(input: &Value) -> Outcome {
    let custom = custom_modes(input);
    let slugs: Vec<Value> = modes::all(custom).iter().map(|mode| json!([mode.slug, mode.name])).collect();
    let is_custom = |slug: &str| modes::find(slug, custom).is_some_and(|mode| !mode.builtin);
    json!({"slugs": slugs, "custom": [is_custom(DEFAULT_MODE), is_custom("md"), is_custom("nope")]}).into()
}

fn tools_for_groups(input: &Value) -> Outcome {
    let tools = modes::tools_of(&modes::parse_groups(&input["groups"]));
    json!(tools.iter().map(|tool| tool.as_str()).collect::<Vec<_>>()).into()
}
