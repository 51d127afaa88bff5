//! The main job in one run: an agent repairs a small project whose tests fail.
//!
//! It copies `examples/data/workspace` to a temporary folder, opens an engine, starts the task, shows what streams in, approves
//! what the agent asks, and then checks by itself that the tests pass. With `OPENAI_API_KEY` set, that provider is the
//! model (`OPENAI_BASE_URL`, `OPENAI_MODEL` as usual); else the recorded model of `examples/data/repair.jsonl` plays, and
//! everything but the model is real.

#![allow(clippy::print_stdout, clippy::print_stderr)] // It shows what happens.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions};
use lapce_ai::protocol::event::{Event, SessionState};
use lapce_ai::protocol::request::Request;
use serde_json::{Value, json};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let scratch = Scratch::new()?;
    let workspace = scratch.0.join("timespan");
    copy(&data.join("workspace"), &workspace)?;
    if tests_pass(&workspace)? {
        return Err("the demo project's tests pass already".into());
    }
    println!("workspace: {} (its tests fail)", workspace.display());

    let opened = Instant::now();
    let storage = Some(scratch.0.join("storage"));
    let engine = Engine::open(EngineOptions { storage, settings: model(&data), ..EngineOptions::default() })?;
    let client = engine.client(ClientOptions::default())?;
    let start = json!({
        "type": "task.start",
        "workspace": workspace,
        "text": "A test of this project fails. Find out why, repair the code, and run the tests.",
    });
    client.submit(&Request::from_json(&start.to_string())?)?;
    let summary = Host { client: &client, opened, summary: Summary::default(), begun: 0 }.follow()?;
    engine.close(Duration::from_secs(2));

    if !tests_pass(&workspace)? {
        return Err("the agent says it is done, but the tests still fail".into());
    }
    println!("\n\ntests pass now: {}", workspace.display());
    println!(
        "turns {}   tool calls {}   tokens {} in, {} out   first event {:.2} ms   resident memory {} MB",
        summary.turns,
        summary.tools,
        summary.tokens.0,
        summary.tokens.1,
        summary.first_event_ms,
        resident_mb()
    );
    println!("task completed");
    Ok(())
}

/// Settings of the model: a real one with a key in the environment, else the recorded one.
fn model(data: &Path) -> serde_json::Map<String, Value> {
    let settings = match env::var("OPENAI_API_KEY") {
        Ok(key) if !key.is_empty() => json!({
            "apiProvider": "openai",
            "openAiApiKey": key,
            "openAiBaseUrl": env::var("OPENAI_BASE_URL").unwrap_or_else(|_| "https://api.openai.com/v1".into()),
            "openAiModelId": env::var("OPENAI_MODEL").unwrap_or_else(|_| "gpt-4.1".into()),
        }),
        _ => json!({"apiProvider": "replay", "replayFile": data.join("repair.jsonl")}),
    };
    settings.as_object().cloned().unwrap_or_default()
}

#[derive(Default)]
struct Summary {
    turns: u32,
    tools: u32,
    tokens: (u64, u64),
    first_event_ms: f64,
}

/// A host: shows events, approves what is asked, stops at the result.
struct Host<'a> {
    client: &'a Client,
    opened: Instant,
    summary: Summary,
    /// Id of the last message that streamed.
    begun: u64,
}

impl Host<'_> {
    fn follow(mut self) -> Result<Summary, Box<dyn Error>> {
        loop {
            let Some(received) = self.client.receive()? else {
                self.client.wait(None, Duration::ZERO);
                continue;
            };
            if self.summary.first_event_ms == 0.0 {
                self.summary.first_event_ms = self.opened.elapsed().as_secs_f64() * 1000.0;
            }
            if self.show(received.about, received.event)? {
                return Ok(self.summary);
            }
        }
    }

    /// Shows one event. True when the task is completed.
    fn show(&mut self, about: u64, event: Event) -> Result<bool, Box<dyn Error>> {
        match event {
            Event::MessageDelta(text) | Event::ReasoningDelta(text) | Event::ToolOutput(text) => print!("{text}"),
            Event::MessageBegin(_) => {
                self.begun = about;
                println!();
            }
            // A message that never streamed comes whole.
            Event::MessageEnd(message) if about != self.begun && message.kind == "text" => {
                println!("\n{}", message.text.unwrap_or_default());
            }
            Event::ToolBegin(tool) => {
                self.summary.tools += 1;
                print!("\n[{}]", tool.tool);
            }
            Event::ToolEnd(tool) => print!(" {} ({} ms)", tool.summary, tool.duration_ms),
            Event::Ask(ask) if !["completion_result", "command_output"].contains(&ask.kind.as_str()) => {
                print!("\n? {} {} -> yes", ask.kind, ask.tool.unwrap_or(ask.text));
                let answer = json!({"type": "task.respond", "ask": about, "response": "yes"});
                self.client.submit(&Request::from_json(&answer.to_string())?)?;
            }
            Event::SessionState(session) if session.state == SessionState::Streaming => self.summary.turns += 1,
            Event::SessionState(session) if session.state == SessionState::Failed => {
                return Err(session.reason.unwrap_or_default().into());
            }
            // An ask that was answered meanwhile (by a rule, by a newer message) is no fault.
            Event::RequestFailed(failed) if failed.kind == "stale" => {}
            Event::RequestFailed(failed) => return Err(failed.message.into()),
            Event::TaskCompleted(task) => {
                self.summary.tokens = (task.tokens_in, task.tokens_out);
                return Ok(true);
            }
            _ => {}
        }
        std::io::stdout().flush()?;
        Ok(false)
    }
}

fn tests_pass(workspace: &Path) -> Result<bool, std::io::Error> {
    let output = Command::new("cargo").args(["test", "--offline", "--quiet"]).current_dir(workspace).output()?;
    Ok(output.status.success())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A temporary folder that goes away with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let folder = env::temp_dir().join(format!("lapce-ai-quickstart-{}", process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder.canonicalize()?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that cannot be removed stays in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
