//! Runs the golden vectors (`tests/data/vectors`, or the folder in `LAPCE_AI_VECTORS`) area by area and prints
//! `area: N of M` for each, then a total. A case passes when its output is equal, or when it is one of the area's listed
//! deviations (`docs/deviations.md`). Selectors not built yet are printed as missing, not passed. Exit code 1 on any failure.
//!
//! Arguments filter by area or case name: `cargo test --test vectors -- apply_diff fuzzy`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test may fail where it stands.
#![allow(clippy::print_stdout)] // Its report is its purpose.

#[path = "vectors/access_listing.rs"]
mod access_listing;
#[path = "vectors/apply_diff.rs"]
mod apply_diff;
#[path = "vectors/assistant_parser.rs"]
mod assistant_parser;
#[path = "vectors/aws.rs"]
mod aws;
#[path = "vectors/command_approval.rs"]
mod command_approval;
#[path = "vectors/cost_tokens.rs"]
mod cost_tokens;
#[path = "vectors/env_todo_repetition.rs"]
mod env_todo_repetition;
#[path = "vectors/google.rs"]
mod google;
#[path = "vectors/misc.rs"]
mod misc;
#[path = "vectors/prompt_structure/mod.rs"]
mod prompt_structure;
#[path = "vectors/provider_requests.rs"]
mod provider_requests;
#[path = "vectors/sliding_condense.rs"]
mod sliding_condense;
#[path = "vectors/stub.rs"]
mod stub;
#[path = "vectors/support.rs"]
mod support;
#[path = "vectors/task_runs.rs"]
mod task_runs;
#[path = "vectors/text_utils.rs"]
mod text_utils;
#[path = "vectors/tool_results.rs"]
mod tool_results;
#[path = "vectors/transforms.rs"]
mod transforms;

use std::process::ExitCode;

use support::Area;

/// Every area in the order of the vectors' README; those without code have no runner.
fn areas() -> Vec<Area> {
    vec![
        assistant_parser::area(),
        apply_diff::area(),
        transforms::area(),
        provider_requests::area(),
        provider_requests::cloud(),
        cost_tokens::area(),
        sliding_condense::area(),
        text_utils::area(),
        command_approval::area(),
        access_listing::area(),
        Area::missing("definitions"),
        Area::missing("code_chunks"),
        tool_results::area(),
        env_todo_repetition::area(),
        Area::missing("ghost_parser"),
        misc::area(),
        prompt_structure::area(),
        task_runs::area(),
    ]
}

fn main() -> ExitCode {
    support::run(areas(), std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect())
}
