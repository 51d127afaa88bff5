//! All integration tests as one binary: one module a subject in `tests/cases/`, with a small harness beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test may fail where it stands.

#[cfg(unix)]
#[path = "cases/execute_command.rs"]
mod execute_command;
#[cfg(target_os = "linux")]
#[path = "cases/hosts.rs"]
mod hosts;
#[path = "cases/provider_http.rs"]
mod provider_http;
#[path = "cases/slow_host.rs"]
mod slow_host;
#[path = "cases/structure.rs"]
mod structure;
