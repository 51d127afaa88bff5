//! ipc-channel and iceoryx2, each with both sides in processes of their own: the package `benches/peers`. It is built
//! here, on demand, because their hundred crates are nobody's dependency but this comparison's.

use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/peers");
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.toml");

/// Builds the package with cargo. Needs the network the first time.
pub fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--locked", "--manifest-path", MANIFEST, "--target-dir", TARGET]);
    run("building benches/peers", command.stdin(Stdio::null()));
}

/// Runs the package's program, which prints its own figures.
pub fn figures() {
    run("running benches/peers", &mut Command::new(Path::new(TARGET).join("release/peers")));
}

/// Failing costs nothing but these figures.
fn run(step: &str, command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => println!("# ipc_channel, iceoryx2 skipped: {step} failed, {status}"),
        Err(error) => println!("# ipc_channel, iceoryx2 skipped: {step} failed, {error}"),
    }
}
