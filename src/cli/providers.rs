//! `lapce-ai providers`.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::engine;

/// Which form.
#[derive(Args)]
pub struct Providers {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Providers {
    /// Prints the providers.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let list = engine::provider_list();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&list)?);
            return Ok(ExitCode::SUCCESS);
        }
        let row = |cells: [&str; 5]| {
            println!("{:<22} {:<34} {:<28} {:<22} {}", cells[0], cells[1], cells[2], cells[3], cells[4])
        };
        row(["NAME", "TITLE", "SPEAKS", "KEY", "DEFAULT MODEL"]);
        for provider in list["providers"].as_array().into_iter().flatten() {
            row(["name", "title", "api", "key", "default_model"].map(|field| provider[field].as_str().unwrap_or("-")));
        }
        Ok(ExitCode::SUCCESS)
    }
}
