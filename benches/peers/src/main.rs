//! What inter-process libraries take for what the ring does, each with its far side in a process of its own. Records
//! are 64 bytes; started by `benches/transport`.

#[path = "../../measure/far.rs"]
mod far;
mod iceoryx2;
mod ipc_channel;
#[path = "../../measure/mod.rs"]
mod measure;

const BODY: [u8; 64] = *b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["far", "ipc_channel", server, wake] => ipc_channel::far(server, wake),
        ["far", "iceoryx2", name, wake] => iceoryx2::far(name, wake),
        _ => {
            measure::load();
            ipc_channel::figures();
            iceoryx2::figures();
            measure::load();
        }
    }
}
