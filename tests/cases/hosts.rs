//! Hosts in other languages run the demo task against the shared library; the library's surface is what it should be.
//!
//! A tool that this machine lacks is named and its test does nothing.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

use crate::tools::{compile, has, library, link_library, root, run};

/// A folder with the library under its soname, a copy of the demo project, and room for a program.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        link_library(folder.path());
        // Where an attaching host finds it: beside the library.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lapce-ai"), folder.path().join("lapce-ai")).unwrap();
        copy(&root().join("examples/data/workspace"), &folder.path().join("workspace"));
        Stage { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles a host against the header and the library.
    fn compile(&self, compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
        compile(compiler, source, flags, self.folder.path())
    }

    /// Runs a host on the demo project, its engine in process, and checks what it did. Gives what it says.
    fn check(&self, mut command: Command) -> String {
        command.arg(root().join("examples/data/repair.jsonl")).arg(self.path("workspace")).arg(self.path("storage"));
        self.follow(&mut command)
    }

    /// The same with an engine in a process of its own, which the host starts.
    fn check_attached(&self, mut command: Command) {
        command.arg("--attach").arg(self.path("run"));
        self.check(command);
        assert!(self.engine().is_some(), "the engine outlives the host");
    }

    /// The process that serves here.
    fn engine(&self) -> Option<Pid> {
        let lock = fs::read_to_string(self.path("run/engine.lock")).ok()?;
        let pid = Pid::from_raw(lock.trim().parse().ok()?)?;
        rustix::process::test_kill_process(pid).is_ok().then_some(pid)
    }

    /// What the host said.
    fn follow(&self, command: &mut Command) -> String {
        command.env("CARGO_TARGET_DIR", self.path("target"));
        let output = run(command);
        let said = String::from_utf8_lossy(&output.stdout);
        for word in ["[list_files]", "[apply_diff]", "[execute_command]", "-> yes", "result: "] {
            assert!(said.contains(word), "no `{word}` in:\n{said}");
        }
        let repaired = fs::read_to_string(self.path("workspace/src/parse.rs")).unwrap();
        assert!(repaired.contains("'m' => Some(60),"), "{repaired}");
        said.into_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(engine) = self.engine() {
            let _ = rustix::process::kill_process(engine, Signal::KILL);
        }
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

/// Runs a test's command with the engine in process, and again attached. Gives what the first says.
fn in_both_modes(command: impl Fn(&Stage) -> Command) -> String {
    let stage = Stage::new();
    let said = stage.check(command(&stage));
    let stage = Stage::new();
    stage.check_attached(command(&stage));
    said
}

#[test]
fn the_c_host_has_no_memory_error_under_valgrind() {
    if !has("cc") || !has("valgrind") {
        return;
    }
    in_both_modes(|stage| {
        let program = stage.compile("cc", C, &["-std=c99"]);
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
        command.arg("--show-leak-kinds=definite").arg(program);
        command
    });
}

#[test]
fn the_c_host_has_no_memory_error_under_address_sanitizer() {
    if !has("cc") {
        return;
    }
    in_both_modes(|stage| {
        let sanitizers = ["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover"];
        Command::new(stage.compile("cc", C, &sanitizers))
    });
}

/// Stored tasks through the typed functions: listed, opened again, switched, closed.
#[test]
fn the_c_host_of_stored_tasks_runs() {
    if !has("cc") {
        return;
    }
    let (stage, other) = (Stage::new(), Stage::new());
    let sanitizers = ["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover"];
    let program = other.compile("cc", "examples/c/tasks.c", &sanitizers);
    let tasks = || {
        let mut command = Command::new(&program);
        command.args(["{}", "architect"]).arg(stage.path("storage"));
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    assert_eq!(tasks(), "no task is stored\n");
    stage.check(Command::new(stage.compile("cc", C, &sanitizers)));
    let said = tasks();
    assert!(said.starts_with("newest: ") && said.ends_with("resumed in mode architect\nclosed\n"), "{said}");
}

#[test]
fn the_cpp_host_runs() {
    if !has("c++") {
        return;
    }
    in_both_modes(|stage| Command::new(stage.compile("c++", CPP, &["-std=c++17"])));
}

#[test]
fn the_python_host_runs() {
    if !has("python3") {
        return;
    }
    let said = in_both_modes(|stage| {
        let mut command = Command::new("python3");
        command.arg(root().join("examples/python/agent.py"));
        command.env("LAPCE_AI_LIBRARY", stage.path("liblapce_ai.so.0"));
        command
    });
    // It counts by a call that needs no engine.
    assert!(said.contains("a task of 20 tokens"), "{said}");
}

/// A program without shared memory, over lines of JSON.
#[test]
fn the_node_host_runs() {
    if !has("node") {
        return;
    }
    let stage = Stage::new();
    let settings = serde_json::json!({
        "apiProvider": "replay", "replayFile": root().join("examples/data/repair.jsonl"),
    });
    fs::write(stage.path("settings.json"), settings.to_string()).unwrap();
    let mut engine = Command::new(env!("CARGO_BIN_EXE_lapce-ai"));
    engine.arg("serve").arg("--runtime-dir").arg(stage.path("run")).arg("--storage").arg(stage.path("storage"));
    engine.arg("--json").arg(stage.path("run/agent.sock")).arg("--settings").arg(stage.path("settings.json"));
    engine.args(["--ready-fd", "1"]).env("CARGO_TARGET_DIR", stage.path("target")).stdout(Stdio::piped());
    let mut engine = engine.spawn().unwrap();
    let mut ready = [0];
    engine.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(ready, [lapce_ai::engine::READY]);
    let mut host = Command::new("node");
    host.arg(root().join("examples/node/agent.mjs")).arg(stage.path("run/agent.sock")).arg(stage.path("workspace"));
    stage.follow(&mut host);
    rustix::process::kill_process(stage.engine().unwrap(), Signal::TERM).unwrap();
    assert!(engine.wait().unwrap().success());
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
