//! What long tasks cost a host: `figure <name> <value> <unit>`. Two tasks of 500 turns, each of which reads 100 KB, run in one
//! engine; then one of them is resumed in a fresh process. Stops are measured while the model streams, a command runs and an
//! approval waits. The model is a local server in another process (this program again). `-- child <name> <server>` measures
//! one alone, to be profiled; `LAPCE_AI_BENCH_TURNS` makes the tasks shorter.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
#[path = "../measure/mod.rs"]
mod measure;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
#[path = "../engine/usage.rs"]
#[allow(dead_code, reason = "shared with benches/engine, which uses all of it")]
mod usage;

#[cfg(target_os = "linux")]
fn main() {
    figures::main();
}

/// Memory of a process is read from `/proc`.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("# tasks: measured on Linux only");
}
