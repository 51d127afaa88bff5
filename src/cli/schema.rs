//! `lapce-ai schema`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Failure;
use crate::protocol::schema;

/// Which schema.
#[derive(Args)]
pub struct Schema {
    /// What to describe.
    of: Of,
}

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// What a host may submit.
    Requests,
    /// What the engine reports.
    Events,
    /// Every setting.
    Settings,
}

impl Schema {
    /// Prints the schema.
    pub fn execute(&self) -> Result<ExitCode, Failure> {
        let schema = match self.of {
            Of::Requests => schema::requests(),
            Of::Events => schema::events(),
            Of::Settings => crate::settings::schema::json_schema(),
        };
        println!("{}", serde_json::to_string_pretty(&schema)?);
        Ok(ExitCode::SUCCESS)
    }
}
