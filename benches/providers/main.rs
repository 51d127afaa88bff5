//! What the provider layer costs: `figure <name> <value> <unit>`, with plain `reqwest` as peer in the same run. The model is a
//! local server in another process (this program again).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() {
    figures::main();
}

/// Memory of a process is read from `/proc`.
#[cfg(not(target_os = "linux"))]
fn main() {
    println!("# providers: measured on Linux only");
}
