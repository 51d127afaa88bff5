//! What the ring costs, with what else a program would take in its place, in the same run. Every record is 64 bytes.
//!
//! In one process: `ring`, `rtrb`. Two real processes, the far one this program again: `unix_socket`, `node_json` (a
//! Node.js child), and the `libraries` ipc-channel and iceoryx2, which are a package of their own so that nothing else
//! has to build them.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

mod allocations;
mod libraries;
#[path = "../measure/mod.rs"]
mod measure;
mod ring;
mod rtrb;

#[cfg(unix)]
#[path = "../measure/far.rs"]
mod far;
#[cfg(unix)]
mod node_json;
#[cfg(unix)]
mod unix_socket;

pub const BODY: [u8; 64] = *b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(unix)]
        ["far", "unix_socket.echo"] => unix_socket::echo(),
        #[cfg(unix)]
        ["far", "unix_socket.flood"] => unix_socket::flood(),
        _ => all(),
    }
}

fn all() {
    // Before the load is read: building them is work.
    let libraries = libraries::build();
    measure::load();
    ring::figures();
    rtrb::figures();
    #[cfg(unix)]
    unix_socket::figures();
    if let Some(libraries) = libraries {
        libraries::figures(&libraries);
    }
    #[cfg(unix)]
    node_json::figures();
    allocations::figures();
    measure::load();
}
