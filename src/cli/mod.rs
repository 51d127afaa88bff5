//! The `lapce-ai` binary: one file a subcommand. A thin host of the engine, without logic of its own.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A command line program prints.

mod call;
mod config;
mod info;
mod models;
mod prompt;
mod providers;
mod run;
mod schema;
#[cfg(unix)]
mod serve;
mod text;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An AI coding agent as a native library; this program runs it from a terminal.
#[derive(Parser)]
#[command(name = "lapce-ai", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Give the agent a task in a workspace and follow it here.
    Run(run::Run),
    /// Run the engine in a process of its own, which editors attach to.
    #[cfg(unix)]
    Serve(serve::Serve),
    /// Show what this build is: version, ABI, providers, tools.
    Info,
    /// List the AI providers.
    Providers(providers::Providers),
    /// List models with their limits and prices.
    Models(models::Models),
    /// Show the system prompt of a mode, its sections and tools.
    Prompt(prompt::Prompt),
    /// Show, keep, import and export settings.
    Config(config::Config),
    /// List, show, check and export the texts that models and users read.
    Text(text::Text),
    /// Print the JSON schema of requests, events or settings.
    Schema(schema::Schema),
}

/// A failure, as it is shown.
type Failure = Box<dyn std::error::Error>;

/// Runs the command line. Exit code 0: done; 1: failed; 2: wrong arguments; 3: an engine serves already.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => run.execute(),
        #[cfg(unix)]
        Command::Serve(serve) => serve.execute(),
        Command::Info => info::execute(),
        Command::Providers(providers) => providers.execute(),
        Command::Models(models) => models.execute(),
        Command::Prompt(prompt) => prompt.execute(),
        Command::Config(config) => config.execute(),
        Command::Text(text) => text.execute(),
        Command::Schema(schema) => schema.execute(),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("lapce-ai: {failure}");
            ExitCode::FAILURE
        }
    }
}
