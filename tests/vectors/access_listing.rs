//! `access_listing`: ignore and protect rules, modes and file restrictions, mentions, file lists, search layout. One function a
//! selector.

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::{ParamName, Params, ToolName};
use lapce_ai::settings::modes::{self, DEFAULT_MODE};
use lapce_ai::tools::permissions::{self, NotAllowed};
use serde_json::{Value, json};

use crate::support::{Area, Outcome};

/// The area.
pub fn area() -> Area {
    Area::new("access_listing", run, &[])
}

fn run(input: &Value) -> Outcome {
    match text(input, "fn") {
        "tool_allowed" => tool_allowed(input),
        "file_regex" => json!(permissions::path_matches(text(input, "path"), text(input, "regex"))).into(),
        "mode_list" => mode_list(input),
        "tools_for_groups" => tools_for_groups(input),
        other => Outcome::Missing(other.to_owned()),
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
