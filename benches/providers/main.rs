//! What the provider layer costs: `figure <name> <value> <unit>`, with plain `reqwest` as peer in the same run, whose model is a
//! local server in another process (this program again). `-- decode` measures the reading of answers alone.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod decode;
#[cfg(target_os = "linux")]
mod figures;
#[path = "../measure/mod.rs"]
mod measure;
#[cfg(target_os = "linux")]
mod server;
mod streams;

fn main() {
    if std::env::args().any(|argument| argument == "decode") {
        return decode::figures();
    }
    others();
}

#[cfg(target_os = "linux")]
fn others() {
    figures::main();
}

/// Memory of a process is read from `/proc`.
#[cfg(not(target_os = "linux"))]
fn others() {
    println!("# providers: all but `decode` is measured on Linux only");
}
