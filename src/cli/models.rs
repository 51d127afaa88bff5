//! `lapce-ai models`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, call};
use crate::engine;

/// Whose models, and how they are shown.
#[derive(Args)]
pub struct Models {
    /// Provider, by its name; without it, all that have a built-in table.
    provider: Option<String>,
    /// Fetch the list if the provider publishes one.
    #[arg(long, requires = "provider")]
    fetch: bool,
    /// JSON file of settings, for keys and addresses.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Models {
    /// Prints the models. Exit code 1 when the list cannot be had.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let providers = engine::provider_list();
        let with_table = providers["providers"].as_array().into_iter().flatten().filter(|one| one["models"] == "table");
        let names: Vec<&str> = match &self.provider {
            Some(name) => vec![name],
            None => with_table.filter_map(|provider| provider["name"].as_str()).collect(),
        };
        let mut lists = Vec::new();
        for name in names {
            let request = json!({"type": "model.list", "provider": name, "fetch": self.fetch});
            lists.push(call::call(call::settings(self.settings.as_deref())?, &request)?);
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&lists)?);
        } else {
            lists.iter().for_each(print);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One list as a table; prices are US dollars a million tokens.
fn print(list: &Value) {
    println!("{} (default {})", list["provider"].as_str().unwrap_or(""), list["default_model"].as_str().unwrap_or("-"));
    println!("  {:<58} {:>9} {:>8} {:>8} {:>8}  TAKES", "MODEL", "CONTEXT", "OUTPUT", "IN $", "OUT $");
    for model in list["models"].as_array().into_iter().flatten() {
        let number = |field: &str| model[field].as_f64().map_or_else(|| "-".to_owned(), |number| number.to_string());
        let takes = [("supportsImages", "images"), ("supportsPromptCache", "cache")];
        let takes: Vec<&str> = takes.iter().filter(|(flag, _)| model[flag] == true).map(|(_, name)| *name).collect();
        println!(
            "  {:<58} {:>9} {:>8} {:>8} {:>8}  {}",
            model["id"].as_str().unwrap_or(""),
            number("contextWindow"),
            number("maxTokens"),
            number("inputPrice"),
            number("outputPrice"),
            takes.join(", ")
        );
    }
    println!();
}
