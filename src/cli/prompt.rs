//! `lapce-ai prompt`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, call};

/// Whose prompt, and how it is shown.
#[derive(Args)]
pub struct Prompt {
    /// Slug of the mode; without it, the one in force.
    #[arg(long)]
    mode: Option<String>,
    /// Folder of the workspace.
    #[arg(long, default_value = ".")]
    workspace: PathBuf,
    /// JSON file of settings.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Print the sizes of its sections and its tools instead of the text.
    #[arg(long, conflicts_with = "json")]
    sizes: bool,
    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,
}

impl Prompt {
    /// Prints the prompt. Exit code 1 when there is no such mode or workspace.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let workspace = std::path::absolute(&self.workspace)?;
        let workspace = workspace.to_str().ok_or("the workspace's path is not UTF-8")?;
        let mut request = json!({"type": "prompt.preview", "workspace": workspace});
        if let Some(mode) = &self.mode {
            request["mode"] = mode.as_str().into();
        }
        let preview = call::call(call::settings(self.settings.as_deref())?, &request)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&preview)?);
        } else if self.sizes {
            print_sizes(&preview);
        } else {
            println!("{}", preview["text"].as_str().unwrap_or(""));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_sizes(preview: &Value) {
    let row = |name: &str, bytes: &Value| println!("{name:<22} {:>7}", bytes.as_u64().unwrap_or(0));
    for section in preview["sections"].as_array().into_iter().flatten() {
        row(section["name"].as_str().unwrap_or(""), &section["bytes"]);
    }
    row("in all", &preview["bytes"]);
    let tools: Vec<&str> = preview["tools"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    println!("\ntools: {}", tools.join(", "));
}
