//! All integration tests as one binary: one module a subject in `tests/cases/`, with a small harness beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test may fail where it stands.

#[cfg(target_os = "linux")]
#[path = "cases/attach.rs"]
mod attach;
#[path = "cases/command_line.rs"]
mod command_line;
#[path = "cases/completing.rs"]
mod completing;
#[path = "cases/configuration_document.rs"]
mod configuration_document;
#[path = "cases/corpus.rs"]
mod corpus;
#[path = "cases/custom_modes.rs"]
mod custom_modes;
#[path = "cases/dry_run.rs"]
mod dry_run;
#[path = "cases/engine_events.rs"]
mod engine_events;
#[path = "cases/engine_host.rs"]
mod engine_host;
#[path = "cases/engine_lifecycle.rs"]
mod engine_lifecycle;
#[path = "cases/engine_model.rs"]
mod engine_model;
#[path = "cases/engine_prompt.rs"]
mod engine_prompt;
#[path = "cases/engine_provider.rs"]
mod engine_provider;
#[path = "cases/engine_requests.rs"]
mod engine_requests;
#[cfg(unix)]
#[path = "cases/engine_tasks.rs"]
mod engine_tasks;
#[path = "cases/execute_command.rs"]
mod execute_command;
#[path = "cases/harness.rs"]
mod harness;
#[cfg(target_os = "linux")]
#[path = "cases/hooks.rs"]
mod hooks;
#[cfg(target_os = "linux")]
#[path = "cases/hosts.rs"]
mod hosts;
#[cfg(target_os = "linux")]
#[path = "cases/kill.rs"]
mod kill;
#[path = "cases/loopback.rs"]
mod loopback;
#[path = "cases/mentions.rs"]
mod mentions;
#[path = "cases/parity_document.rs"]
mod parity_document;
#[path = "cases/prompt_snapshots.rs"]
mod prompt_snapshots;
#[path = "cases/protocol_document.rs"]
mod protocol_document;
#[path = "cases/provider_http.rs"]
mod provider_http;
#[path = "cases/providers/mod.rs"]
mod providers;
#[path = "cases/providers_document.rs"]
mod providers_document;
#[cfg(unix)]
#[path = "cases/reading_tools.rs"]
mod reading_tools;
#[path = "cases/recovery.rs"]
mod recovery;
#[path = "cases/rule_files.rs"]
mod rule_files;
#[path = "cases/scripted.rs"]
mod scripted;
#[path = "cases/secret_canary.rs"]
mod secret_canary;
#[cfg(target_os = "linux")]
#[path = "cases/serve_clients.rs"]
mod serve_clients;
#[cfg(target_os = "linux")]
#[path = "cases/serve_command.rs"]
mod serve_command;
#[cfg(target_os = "linux")]
#[path = "cases/serve_hostile.rs"]
mod serve_hostile;
#[cfg(target_os = "linux")]
#[path = "cases/serve_recovery.rs"]
mod serve_recovery;
#[cfg(target_os = "linux")]
#[path = "cases/serve_security.rs"]
mod serve_security;
#[cfg(unix)]
#[path = "cases/served.rs"]
mod served;
#[path = "cases/settings_kept.rs"]
mod settings_kept;
#[path = "cases/slow_host.rs"]
mod slow_host;
#[path = "cases/structure.rs"]
mod structure;
/// The frame of a tool run, shared with the golden cases.
#[cfg(unix)]
#[path = "vectors/stub.rs"]
mod stub;
#[path = "cases/support_prompts.rs"]
mod support_prompts;
#[path = "cases/task_asks.rs"]
mod task_asks;
#[path = "cases/task_checkpoints.rs"]
mod task_checkpoints;
#[path = "cases/task_condense.rs"]
mod task_condense;
#[path = "cases/task_context.rs"]
mod task_context;
#[path = "cases/task_diff.rs"]
mod task_diff;
#[path = "cases/task_events.rs"]
mod task_events;
#[path = "cases/task_quirks.rs"]
mod task_quirks;
#[path = "cases/task_stream.rs"]
mod task_stream;
#[path = "cases/task_turns.rs"]
mod task_turns;
#[path = "cases/texts.rs"]
mod texts;
#[cfg(target_os = "linux")]
#[path = "cases/tools.rs"]
mod tools;
