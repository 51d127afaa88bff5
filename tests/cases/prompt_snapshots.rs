//! The system prompt of every built-in mode as it stands in `tests/data/prompts/<mode>.txt`, so that a change of any text or
//! layout is seen as a whole. `LAPCE_AI_BLESS=1 cargo test --test main prompt_snapshots` writes them anew.

use std::fs;

use lapce_ai::prompt::modes as words;
use lapce_ai::prompt::selection::{self, Conditions};
use lapce_ai::prompt::system::{self, SystemInputs};
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::settings::modes;
use lapce_ai::tools;
use serde_json::Map;

/// The prompt of a mode with default settings; `built` are the tools that exist.
fn prompt(slug: &str, built: &[ToolName]) -> String {
    let texts = Texts::builtin();
    let mode = modes::find(slug, &[]).unwrap();
    let words = words::for_prompt(&texts, &mode, &Map::new());
    let conditions = Conditions {
        diff: true,
        index: false,
        fast_apply: false,
        browser: false,
        mcp: false,
        todo_list: true,
        image_generation: false,
        slash_commands: false,
    };
    let mut described = selection::tools(&mode, &conditions);
    described.retain(|tool| built.contains(tool));
    let inputs = SystemInputs {
        cwd: "/home/user/project",
        home: "/home/user",
        os: "Linux 6.8",
        role: &words.role,
        mode_instructions: &words.instructions,
        modes: &words::lines(&texts, &[], &Map::new()),
        tools: &described,
        built,
        ..SystemInputs::default()
    };
    system::build(&texts, &inputs).unwrap()
}

fn built() -> Vec<ToolName> {
    tools::list().iter().map(|tool| tool.name()).collect()
}

/// parity 03 §1: roles and instructions of the built-in modes, each in its prompt
/// parity 03 §3: all sections in their order with their separators
/// parity 03 §4.1: links in Markdown
/// parity 03 §4.2: one tool a message, its form
/// parity 03 §4.10: the objective in five steps
#[test]
fn the_prompts_of_all_modes_are_as_reviewed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/prompts");
    for mode in modes::builtin() {
        let path = format!("{folder}/{}.txt", mode.slug);
        let prompt = prompt(&mode.slug, &built()) + "\n";
        if std::env::var_os("LAPCE_AI_BLESS").is_some() {
            fs::create_dir_all(folder).unwrap();
            fs::write(&path, &prompt).unwrap();
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        if let Some((at, (now, before))) =
            prompt.lines().zip(reviewed.lines()).enumerate().find(|(_, (now, before))| now != before)
        {
            panic!("{path}:{}: {before:?} is now {now:?}; LAPCE_AI_BLESS=1 writes it anew", at + 1);
        }
        assert_eq!(prompt.len(), reviewed.len(), "{path}: LAPCE_AI_BLESS=1 writes it anew");
    }
}

#[test]
fn every_mode_has_a_snapshot_and_no_other() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/prompts");
    let mut files: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut modes: Vec<String> = modes::builtin().into_iter().map(|mode| mode.slug + ".txt").collect();
    modes.sort();
    assert_eq!(files, modes);
}
/// parity 03 §2: with all tools of the default mode the prompt leaves room for the task in twenty kilobytes
#[test]
fn the_default_prompt_is_short() {
    let all = prompt("code", ToolName::ALL);
    assert!(all.len() < 18_500, "{} bytes", all.len());
}
