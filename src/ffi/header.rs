//! Makes `include/lapce_ai.h` and `include/lapce_ai.symbols` from this module and compares them with the committed files;
//! `LAPCE_AI_BLESS=1` writes them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::protocol::event::EventKind;
use crate::protocol::field::Field;
use crate::protocol::request::RequestKind;

/// The files of the surface, in the order of the header.
const SOURCES: [&str; 10] =
    ["status", "strings", "error", "options", "engine", "event", "client", "attach", "request", "tokens"];

const FIRST_PAGE: &str = "\
/* lapce-ai: an AI coding agent as a library. Generated from src/ffi: do not edit.
 *
 * Threads
 *   A lai_engine may be used from any thread at once. A lai_client may submit (lai_client_submit, lai_task_..., ...) from
 *   any thread at once; lai_client_next, _release and _wait belong to one thread at a time, a second one gets LAI_ERR_BUSY.
 *   The library calls nothing back: a host polls, or sleeps on lai_client_fd.
 *
 * Lifetimes
 *   What a ..._new function or a `T **` output gives is owned by the host and freed by the matching ..._free; all accept NULL.
 *   lai_engine and lai_client are handles: one that was freed, or never was one, is an error and not a crash.
 *   A lai_event and every lai_str taken from it are valid until lai_client_release gives the event back; a lai_str taken
 *   from a lai_error or lai_string until that is freed. What goes in is copied before the call returns.
 *   A client may outlive its engine: it reads what is left, then LAI_ERR_CLOSED.
 *
 * Calls
 *   Outputs are written only on LAI_OK. `error` may be NULL; on a negative status it becomes an object to free.
 *   Option structs begin with struct_size = sizeof(struct); zero everywhere else means default.
 *   Texts are UTF-8 with a length and need no terminating NUL; {NULL, 0} is an absent text.
 *   After fork the child must not use handles (LAI_ERR_FORKED). No function throws, longjmps, prints, or exits.
 *
 * A loop
 *   lai_engine_new, lai_client_new, lai_task_start; then: lai_client_next until it gives 0, lai_client_release, sleep
 *   on lai_client_fd or lai_client_wait. Answer `ask` events by lai_task_respond.
 *
 * An engine in its own process
 *   lai_client_attach instead of lai_engine_new and lai_client_new; the rest is the same. When it dies, lai_client_next and
 *   _wait give what was left and then LAI_ERR_LOST: lai_client_reattach goes on where it stood (docs/serve.md).
 */";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("LAPCE_AI_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "{} is not current: run the tests once with LAPCE_AI_BLESS=1", path.display());
}

/// Constants that come from tables: kinds of requests and events, fields.
fn constants() -> String {
    let upper = |name: &str| name.replace('.', "_").to_uppercase();
    let mut text = String::new();
    let mut section = |title: &str, prefix: &str, rows: Vec<(&str, u16)>| {
        let _ = writeln!(text, "/* {title} */");
        for (name, number) in rows {
            let _ = writeln!(text, "#define LAI_{prefix}_{} {number}u", upper(name));
        }
        text.push('\n');
    };
    let mut events: Vec<_> = EventKind::ALL.iter().map(|kind| (kind.as_str(), kind.number())).collect();
    events.sort_by_key(|row| row.1);
    section("Kinds of events.", "EVENT", events);
    section("Fields of events.", "FIELD", Field::ALL.iter().map(|field| (field.as_str(), field.number())).collect());
    let mut requests: Vec<_> = RequestKind::ALL.iter().map(|kind| (kind.as_str(), kind.number())).collect();
    requests.sort_by_key(|row| row.1);
    section("Kinds of requests.", "REQUEST", requests);
    text
}

/// The sizes a C compiler must find, too.
const ASSERTIONS: &str = "
#if UINTPTR_MAX == 0xffffffffffffffffu
/* A compiler that lays these out otherwise cannot use this library. */
typedef char lai_assert_str[sizeof(lai_str) == 16 ? 1 : -1];
typedef char lai_assert_event[sizeof(lai_event) == 56 && offsetof(lai_event, kind) == 40 ? 1 : -1];
typedef char lai_assert_engine[sizeof(lai_engine_options) == 64 && offsetof(lai_engine_options, settings) == 48 ? 1 : -1];
typedef char lai_assert_client[sizeof(lai_client_options) == 40 && offsetof(lai_client_options, capabilities) == 24 ? 1 : -1];
typedef char lai_assert_attach[sizeof(lai_attach_options) == 160 && offsetof(lai_attach_options, settings) == 144 ? 1 : -1];
typedef char lai_assert_task[sizeof(lai_task_options) == 120 && offsetof(lai_task_options, todos) == 104 ? 1 : -1];
typedef char lai_assert_completion[sizeof(lai_completion_options) == 72 && offsetof(lai_completion_options, profile) == 56 ? 1 : -1];
#endif
";

fn header() -> String {
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(FIRST_PAGE.to_owned()),
        include_guard: Some("LAPCE_AI_H".to_owned()),
        after_includes: Some(format!("\n{}", constants())),
        trailer: Some(ASSERTIONS.to_owned()),
        cpp_compat: true,
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(str::to_owned).to_vec(),
        documentation_style: cbindgen::DocumentationStyle::C,
        style: cbindgen::Style::Type,
        usize_is_size_t: true,
        line_length: 120,
        ..cbindgen::Config::default()
    };
    let builder = SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |builder, name| {
        builder.with_src(root().join(format!("src/ffi/{name}.rs")))
    });
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    without_rust_notes(&String::from_utf8(bytes).unwrap())
}

/// Leaves out the `# Safety` sections: what they say stands on the first page, in the words of C.
fn without_rust_notes(header: &str) -> String {
    let mut text = String::new();
    let mut skipping = false;
    for line in header.lines() {
        let content = line.trim().trim_start_matches('*').trim();
        skipping = (skipping || content == "# Safety") && !line.trim_start().starts_with("*/");
        if skipping {
            continue;
        }
        if line.trim_start().starts_with("*/") && text.ends_with(" *\n") {
            text.truncate(text.len() - 3);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names of all functions the sources export.
fn symbols() -> Vec<String> {
    let mut names: Vec<String> = SOURCES
        .iter()
        .flat_map(|name| {
            let source = std::fs::read_to_string(root().join(format!("src/ffi/{name}.rs"))).unwrap();
            let names = source.split("extern \"C\" fn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned());
            names.collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_header_is_current() {
    compare(&root().join("include/lapce_ai.h"), &header());
}

#[test]
fn the_symbol_list_is_current() {
    compare(&root().join("include/lapce_ai.symbols"), &(symbols().join("\n") + "\n"));
}
