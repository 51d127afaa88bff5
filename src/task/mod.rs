//! The agent loop (spec 01, 02): sessions, tasks, one turn, the assistant-message parser, the presenter, approvals.
//!
//! A [`session::Session`] is a stack of tasks. It runs as one future and talks to the outside through three things: commands that
//! come in ([`session::Command`]), events that go out ([`host::TaskHost::emit`]), and host requests. It never blocks on the
//! host: what waits, waits for an answer, for time, or for the provider.

pub mod approval;
pub mod host;
pub mod parser;
pub mod session;
