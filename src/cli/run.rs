//! `lapce-ai run`: one task, followed in the terminal.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, call};
use crate::engine::{Client, ClientOptions, Engine, EngineOptions};
use crate::protocol::event::{Ask, Event, SessionState};
use crate::protocol::request::Request;

/// One task.
#[derive(Args)]
pub struct Run {
    /// What the agent is to do.
    task: String,
    /// Folder to work in.
    #[arg(long, default_value = ".")]
    workspace: PathBuf,
    /// JSON file of settings (provider, model, key, approvals).
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Mode to start in.
    #[arg(long)]
    mode: Option<String>,
    /// Approve everything the agent asks. Without it each question is put to you.
    #[arg(long)]
    yes: bool,
}

impl Run {
    /// Runs the task. Exit code 1 when it fails or you refuse to go on.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let settings = call::settings(self.settings.as_deref())?;
        let engine = Engine::open(EngineOptions { settings, ..EngineOptions::default() })?;
        let client = engine.client(ClientOptions::default())?;
        let start = json!({
            "type": "task.start",
            "workspace": self.workspace.canonicalize()?,
            "text": self.task,
            "mode": self.mode,
        });
        submit(&client, &start)?;
        let code = self.follow(&client)?;
        engine.close(Duration::from_secs(2));
        Ok(code)
    }

    fn follow(&self, client: &Client) -> Result<ExitCode, Failure> {
        let mut begun = 0;
        loop {
            let Some(received) = client.receive()? else {
                client.wait(None, Duration::ZERO);
                continue;
            };
            match received.event {
                Event::MessageDelta(text) | Event::ReasoningDelta(text) | Event::ToolOutput(text) => print!("{text}"),
                Event::MessageBegin(_) => {
                    begun = received.about;
                    println!();
                }
                Event::MessageEnd(message) if received.about != begun && message.kind == "text" => {
                    println!("\n{}", message.text.unwrap_or_default());
                }
                Event::ToolBegin(tool) => print!("\n[{}]", tool.tool),
                Event::ToolEnd(tool) => print!(" {}", tool.summary),
                Event::Ask(ask) if ask.kind == "completion_result" => return Ok(ExitCode::SUCCESS),
                Event::Ask(ask) if ask.kind == "command_output" => {}
                Event::Ask(ask) => {
                    let answer = self.answer(received.about, &ask)?;
                    submit(client, &answer)?;
                }
                Event::SessionState(session) if session.state == SessionState::Failed => {
                    return Err(session.reason.unwrap_or_default().into());
                }
                // An ask that was answered meanwhile is no fault.
                Event::RequestFailed(failed) if failed.kind == "stale" => {}
                Event::RequestFailed(failed) => return Err(failed.message.into()),
                Event::TaskCompleted(task) => {
                    println!("\n\n{}\n", task.result);
                    println!("tokens {} in, {} out; ${:.4}", task.tokens_in, task.tokens_out, task.cost);
                }
                _ => {}
            }
            std::io::stdout().flush()?;
        }
    }

    /// Asks at the terminal: an empty line or `y` approves, `n` refuses, anything else is a message to the agent.
    fn answer(&self, ask: u64, question: &Ask) -> Result<Value, Failure> {
        println!("\n? {}: {}", question.kind, question.path.as_deref().unwrap_or(&question.text));
        if self.yes && question.kind != "followup" {
            return Ok(json!({"type": "task.respond", "ask": ask, "response": "yes"}));
        }
        if !std::io::stdin().is_terminal() {
            return Err("the agent asks, and there is no terminal to answer from (try --yes)".into());
        }
        for (number, suggestion) in question.suggestions.iter().enumerate() {
            println!("  {}. {}", number + 1, suggestion.text);
        }
        print!("[y/n/message] ");
        std::io::stdout().flush()?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        let line = line.trim();
        let chosen = line.parse::<usize>().ok().and_then(|number| question.suggestions.get(number.wrapping_sub(1)));
        Ok(match (line, chosen) {
            ("" | "y" | "yes", _) => json!({"type": "task.respond", "ask": ask, "response": "yes"}),
            ("n" | "no", _) => json!({"type": "task.respond", "ask": ask, "response": "no"}),
            (_, Some(suggestion)) => {
                json!({"type": "task.respond", "ask": ask, "response": "message", "text": suggestion.text})
            }
            (text, None) => json!({"type": "task.respond", "ask": ask, "response": "message", "text": text}),
        })
    }
}

fn submit(client: &Client, request: &Value) -> Result<(), Failure> {
    let mut request = request.clone();
    if let Value::Object(fields) = &mut request {
        fields.retain(|_, value| !value.is_null());
    }
    client.submit(&Request::from_json(&request.to_string())?)?;
    Ok(())
}
