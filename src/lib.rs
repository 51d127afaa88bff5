//! # lapce-ai
//!
//! An AI coding agent as a native library. A host (an editor, a script, a test) opens an engine, submits
//! requests and polls events from a shared-memory ring; inside, an owned tokio runtime runs the agent loop,
//! its tools and the AI providers. C hosts use `include/lapce_ai.h`; Rust hosts may use the same rooms directly.
//!
//! The rooms, from the host inwards (each may use only what stands below it; `ARCHITECTURE.md` has the map):
//!
//! - [`ffi`]: the C surface, nothing else; [`cli`]: the `lapce-ai` binary
//! - [`transport`]: slot ring, regions, doorbell; [`engine`]: runtime, sessions, outbox, host requests
//! - [`task`]: the agent loop: state, one turn, assistant-message parser, presenter, approvals
//! - [`prompt`]: the system prompt and every text a model or user reads; [`tools`]: one file a tool;
//!   [`providers`]: AI providers and their stream decoders
//! - [`edit`]: search/replace blocks, patches, edit view; [`terminal`]: processes and their output
//! - [`code`]: what is known about the code of a workspace
//! - [`git`]: the shadow repository, in which checkpoints lie
//! - [`workspace`]: paths, ignore and protect rules, listing, search, reading
//! - [`settings`]: settings in force; [`protocol`]: requests, events, messages, names
//! - [`ecma`]: ECMAScript string semantics, which the behaviour specification counts in (a leaf)
#![deny(unsafe_code)]

pub mod cli;
pub mod code;
pub mod ecma;
pub mod edit;
pub mod engine;
#[allow(unsafe_code)] // The C boundary: raw pointers come from the host; each use states its reason.
pub mod ffi;
pub mod git;
pub mod prompt;
pub mod protocol;
pub mod providers;
pub mod settings;
pub mod task;
pub mod terminal;
pub mod tools;
#[allow(unsafe_code)] // Shared memory and atomics over raw regions; each use states its reason.
pub mod transport;
pub mod workspace;
