//! What the ring costs, with what else a program would take in its place, in the same run; `-- <group>` measures one group
//! alone. Every record is 64 bytes.
//!
//! In one process: `ring`, `rtrb`. Two real processes, the far one this program again: `serve` (the ring),
//! `unix_socket`, `node_json` (a Node.js child), and the `libraries` ipc-channel and iceoryx2, which are a package of
//! their own so that nothing else has to build them.
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
mod serve;
#[cfg(unix)]
mod unix_socket;

pub const BODY: [u8; 64] = *b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What is measured, in this order.
const GROUPS: &[(&str, fn())] = &[
    ("ring", ring::figures),
    ("rtrb", rtrb::figures),
    #[cfg(unix)]
    ("serve", serve::figures),
    #[cfg(unix)]
    ("unix_socket", unix_socket::figures),
    ("libraries", libraries::figures),
    #[cfg(unix)]
    ("node_json", node_json::figures),
    ("allocations", allocations::figures),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(unix)]
        ["far", "serve", socket, wake] => serve::far(socket, wake),
        #[cfg(unix)]
        ["far", "unix_socket.echo"] => unix_socket::echo(),
        #[cfg(unix)]
        ["far", "unix_socket.flood"] => unix_socket::flood(),
        [] => figures(GROUPS),
        [name] => figures(&[*GROUPS.iter().find(|(group, _)| *group == name).unwrap()]),
        _ => panic!("one group at most"),
    }
}

fn figures(groups: &[(&str, fn())]) {
    if groups.iter().any(|(name, _)| *name == "libraries") {
        // Before the load is read: building them is work.
        libraries::build();
    }
    measure::load();
    groups.iter().for_each(|(_, figures)| figures());
    measure::load();
}
