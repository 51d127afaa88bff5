//! Hosts in other languages run the demo task against the shared library; the library's surface is what it should be.
//!
//! A tool that this machine lacks is named and its test does nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library that was built with this test: beside it, or one folder up.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    let candidates = [folder.join("liblapce_ai.so"), folder.parent().unwrap().join("liblapce_ai.so")];
    let newest =
        candidates.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).max();
    newest.expect("the shared library is built with the tests").1
}

/// Whether the tool is there; says so when it is not.
fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        // Written past the capture of test output: a skipped host must be seen.
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: `{tool}` is not installed");
    }
    is_there
}

fn run(command: &mut Command) -> Output {
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

/// A folder with the library under its soname, a copy of the demo project, and room for a program.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        for name in ["liblapce_ai.so", "liblapce_ai.so.0"] {
            std::os::unix::fs::symlink(library(), folder.path().join(name)).unwrap();
        }
        copy(&root().join("examples/data/workspace"), &folder.path().join("workspace"));
        Stage { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles a host against the header and the library.
    fn compile(&self, compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
        let program = self.path("agent");
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"]).args(flags);
        command.arg("-I").arg(root().join("include")).arg(root().join(source)).arg("-o").arg(&program);
        command.arg("-L").arg(self.folder.path()).arg("-llapce_ai");
        command.arg(format!("-Wl,-rpath,{}", self.folder.path().display()));
        run(&mut command);
        program
    }

    /// Runs a host on the demo project and checks what it says and did.
    fn check(&self, command: &mut Command) {
        command.arg(root().join("examples/data/repair.jsonl")).arg(self.path("workspace")).arg(self.path("storage"));
        command.env("CARGO_TARGET_DIR", self.path("target"));
        let output = run(command);
        let said = String::from_utf8_lossy(&output.stdout);
        for word in ["[list_files]", "[apply_diff]", "[execute_command]", "-> yes", "result: "] {
            assert!(said.contains(word), "no `{word}` in:\n{said}");
        }
        let repaired = fs::read_to_string(self.path("workspace/src/parse.rs")).unwrap();
        assert!(repaired.contains("'m' => Some(60),"), "{repaired}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

const C: &str = "examples/c/agent.c";
const CPP: &str = "examples/cpp/agent.cpp";

#[test]
fn the_c_host_has_no_memory_error_under_valgrind() {
    if !has("cc") || !has("valgrind") {
        return;
    }
    let stage = Stage::new();
    let program = stage.compile("cc", C, &["-std=c99"]);
    let options = ["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"];
    stage.check(Command::new("valgrind").args(options).arg("--show-leak-kinds=definite").arg(program));
}

#[test]
fn the_c_host_has_no_memory_error_under_address_sanitizer() {
    if !has("cc") {
        return;
    }
    let stage = Stage::new();
    let program = stage.compile("cc", C, &["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover"]);
    stage.check(&mut Command::new(program));
}

#[test]
fn the_cpp_host_runs() {
    if !has("c++") {
        return;
    }
    let stage = Stage::new();
    let program = stage.compile("c++", CPP, &["-std=c++17"]);
    stage.check(&mut Command::new(program));
}

#[test]
fn the_python_host_runs() {
    if !has("python3") {
        return;
    }
    let stage = Stage::new();
    let agent = root().join("examples/python/agent.py");
    stage.check(Command::new("python3").arg(agent).env("LAPCE_AI_LIBRARY", stage.path("liblapce_ai.so.0")));
}

#[test]
fn the_header_compiles_as_c99_and_cpp17() {
    for (compiler, language, standard) in [("cc", "c", "-std=c99"), ("c++", "c++", "-std=c++17")] {
        if has(compiler) {
            let mut command = Command::new(compiler);
            command.args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-x", language, standard]);
            let folder = tempfile::tempdir().unwrap();
            let source = folder.path().join("header");
            fs::write(
                &source,
                "#include \"lapce_ai.h\"\nint main(void) { return lai_abi_version() != LAI_ABI_VERSION; }\n",
            )
            .unwrap();
            run(command.arg("-I").arg(root().join("include")).arg(source));
        }
    }
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    if !has("nm") {
        return;
    }
    let output = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library()));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut exported: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    let listed = fs::read_to_string(root().join("include/lapce_ai.symbols")).unwrap();
    assert_eq!(exported, listed.lines().collect::<Vec<_>>());
}

#[test]
fn the_library_names_its_abi_and_stays_loaded() {
    if !has("readelf") {
        return;
    }
    let output = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("soname: [liblapce_ai.so.0]"), "{text}");
    assert!(text.contains("NODELETE"), "{text}");
}

/// A forked child may not use the handles of its parent, and is told so.
#[test]
fn a_forked_child_is_refused() {
    if !has("cc") {
        return;
    }
    let stage = Stage::new();
    let program = stage.compile("cc", "tests/data/hosts/fork.c", &["-std=c99"]);
    run(Command::new(program).arg(stage.path("storage")));
}
