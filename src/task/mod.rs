//! The agent loop (spec 01, 02): sessions, tasks, one turn, the assistant-message parser, the presenter, approvals.
//!
//! A [`session::Session`] is a stack of tasks. It runs as one future and talks to the outside through three things: commands that
//! come in ([`session::Command`]), events that go out ([`host::TaskHost::emit`]), and host requests. It never blocks on the
//! host: what waits, waits for an answer, for time, or for the provider.

pub mod api_history;
pub mod approval;
mod backoff;
mod calendar;
pub mod changes;
pub mod checkpoints;
mod combine;
pub mod condense;
mod context;
mod context_files;
mod conversation;
pub mod environment;
pub mod export;
mod frame;
pub mod history;
pub mod hooks;
pub mod host;
mod instance;
pub mod label;
mod manager;
pub mod mentions;
mod messages;
pub mod parser;
mod pool;
mod presenter;
mod queue;
pub mod recovery;
pub mod repetition;
mod request;
mod resume;
mod rewind;
mod run;
pub mod session;
mod size;
mod store;
pub mod stored;
mod stream;
pub mod text;
pub mod todo;
mod turn;
mod usage;
pub mod window;

pub use combine::{combine_api_requests, combine_command_sequences};
pub use instance::{TaskSnapshot, TaskView, ToolCount};
pub use usage::{token_usage, usage_changed};
