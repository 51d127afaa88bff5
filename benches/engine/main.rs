//! What the engine costs a host: `figure <name> <value> <unit>`, the middle of all rounds. The model is a local server in
//! another process (this program again). `-- child <figure> <server>` measures one figure alone, to be profiled.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod library;
#[cfg(target_os = "linux")]
#[path = "../measure/mod.rs"]
mod measure;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod usage;

#[cfg(target_os = "linux")]
fn main() {
    figures::main();
}

/// Memory and CPU of a process are read from `/proc`.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("# engine: measured on Linux only");
}
