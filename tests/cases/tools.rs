//! What tests run beside the library: the tools of this machine, and the shared library itself.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The package's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library that was built with this test: beside it, or one folder up.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    let candidates = [folder.join("liblapce_ai.so"), folder.parent().unwrap().join("liblapce_ai.so")];
    let newest =
        candidates.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).max();
    newest.expect("the shared library is built with the tests").1
}

/// Whether the tool is there; says so when it is not.
pub fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        skipped(&format!("`{tool}` is not installed"));
    }
    is_there
}

/// Says why a test does nothing, past the capture of test output: it must be seen.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Compiles a host against the header and the library in `folder`, where the library lies under its names.
pub fn compile(compiler: &str, source: &str, flags: &[&str], folder: &Path) -> PathBuf {
    let program = folder.join("agent");
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"]).args(flags);
    command.arg("-I").arg(root().join("include")).arg(root().join(source)).arg("-o").arg(&program);
    command.arg("-L").arg(folder).arg("-llapce_ai");
    command.arg(format!("-Wl,-rpath,{}", folder.display()));
    run(&mut command);
    program
}

/// Puts the library into `folder`, under the names that compilers and loaders look for.
pub fn link_library(folder: &Path) {
    for name in ["liblapce_ai.so", "liblapce_ai.so.0"] {
        std::os::unix::fs::symlink(library(), folder.join(name)).unwrap();
    }
}
