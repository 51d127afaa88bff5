//! Commands and terminals (spec 06 §D): process groups, merged output, limits, exit codes, and an end for every command.
//!
//! A *terminal* is a numbered working directory in which one command runs at a time; [`Terminals`] keeps them, their owners
//! (tasks) and what finished commands left unread. A [`Process`] is one command: its output, whether it is hot, how it
//! ended. Commands are started by a [`Launcher`]; [`Direct`] runs them in the engine's own processes, and a host with
//! terminals of its own is another launcher. [`Piped`] is a program that others speak to over its pipes; [`git`](git()) is one that is only asked.
//!
//! Nothing here words a text, asks a user or reads the environment: the environment of commands is an argument. At most
//! [`MEMORY_LIMIT`] bytes of output of a command are kept in memory (deviation D17).

pub mod compress;
mod direct;
mod exit;
mod git;
mod hot;
mod output;
mod piped;
mod process;
mod registry;
mod spill;
mod tree;

#[cfg(test)]
mod tests;

pub use compress::{Limits, backspaces, carriage_returns, compress, compress_captured, run_length, truncate};
pub use direct::Direct;
pub use exit::{Exit, Signal};
pub use git::{GitError, git};
pub use output::{Captured, MEMORY_LIMIT};
pub use piped::{Piped, Program};
pub use process::{Event, Launch, Launched, Launcher, Process};
pub use registry::{Busy, Finished, Running, TerminalError, Terminals, Unread};
pub use spill::LOG_LIMIT;
