//! ipc-channel and iceoryx2, each with both sides in processes of their own: the package `benches/peers`. It is built
//! here, on demand, because their hundred crates are nobody's dependency but this comparison's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds the package with cargo; gives its program. Needs the network the first time.
pub fn build() -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        println!("# ipc_channel, iceoryx2 skipped: compared on Linux only");
        return None;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/peers");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.toml");
    let arguments = ["build", "--quiet", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target];
    match Command::new(cargo).args(arguments).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Some(Path::new(target).join("release/peers")),
        Ok(status) => skipped(&format!("cargo could not build benches/peers, {status}")),
        Err(error) => skipped(&format!("cargo does not start, {error}")),
    }
}

/// Runs the package's program, which prints its own figures.
pub fn figures(program: &Path) {
    match Command::new(program).status() {
        Ok(status) if status.success() => {}
        Ok(status) => drop(skipped(&format!("benches/peers failed, {status}"))),
        Err(error) => drop(skipped(&format!("benches/peers does not start, {error}"))),
    }
}

fn skipped(reason: &str) -> Option<PathBuf> {
    println!("# ipc_channel, iceoryx2 skipped: {reason}");
    None
}
