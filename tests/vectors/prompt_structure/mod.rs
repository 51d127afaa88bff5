//! `prompt_structure`: line skeletons of everything the model is told. One file a subject; `skeleton` compares.

mod commit;
mod disk;
mod instructions;
mod skeleton;
mod support;
mod system;

use serde_json::{Value, json};

use crate::support::{Area, Outcome};

/// The area.
pub fn area() -> Area {
    Area::new("prompt_structure", run, &[]).compared_by(|_, ours, recorded| skeleton::matches(ours, recorded))
}

fn run(input: &Value) -> Outcome {
    match input["fn"].as_str().unwrap_or("") {
        "system_prompt" => system::prompt(input),
        "preview" => system::preview(input),
        "tool_descriptions" => system::tool_descriptions(input),
        "section" => system::section(input),
        "modes_section" => system::modes_section(input),
        "mcp_section" => system::mcp_section(input),
        "mode_details" => system::mode_details(input),
        "custom_instructions" => instructions::instructions(input),
        "user_message" => instructions::user_message(input),
        "run_slash_command" => instructions::run_slash_command(input),
        "fetch_instructions" => support::fetch_instructions(input),
        "support_prompt" => support::support_prompt(input),
        "enhance" => support::enhance(input),
        "commit_prompt" => commit::commit_prompt(input),
        "response" => support::response(input),
        other => Outcome::Missing(other.to_owned()),
    }
}

/// A text as the recorded outputs have it: one entry a line.
fn lines(text: &str) -> Value {
    json!(text.split('\n').collect::<Vec<_>>())
}
