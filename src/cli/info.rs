//! `lapce-ai info`.

use std::process::ExitCode;

use super::Failure;

/// Prints what this build is, as JSON.
pub fn execute() -> Result<ExitCode, Failure> {
    println!("{}", serde_json::to_string_pretty(&crate::engine::info())?);
    Ok(ExitCode::SUCCESS)
}
