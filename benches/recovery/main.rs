//! How long a host is without its engine when that is killed, and how long attaching takes: `lapce-ai serve` in a process
//! of its own, ended with `kill -9` while a task of the host waits for an approval. The time ends when the host has the
//! answer to a request about that task.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
#[path = "../measure/mod.rs"]
mod measure;
#[cfg(target_os = "linux")]
mod place;

#[cfg(target_os = "linux")]
fn main() {
    figures::main();
}

/// The engine's process is found by the credentials of its socket.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("# recovery: measured on Linux only");
}
