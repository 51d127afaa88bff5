//! The tools that read the workspace, in a frame that records: what the user is asked, what the model gets, and that nothing
//! on the disk can make them hang or grow.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::tool::ToolName;
use lapce_ai::tools;
use lapce_ai::tools::context::ToolContext;
use serde_json::{Value, json};

use crate::stub::Run;

/// What one call gave.
struct Given {
    /// What the model gets, as text.
    result: String,
    /// What was asked, said and reported.
    events: Vec<Value>,
}

impl Given {
    /// The payload of the question to the user.
    fn question(&self) -> &Value {
        let question = self.events.iter().find(|event| event[0] == "ask" || event[0] == "approve").expect("a question");
        &question[if question[0] == "ask" { 2 } else { 1 }]
    }
}

fn call(tool: ToolName, input: Value, prepare: impl FnOnce(&Path)) -> Given {
    let texts = Texts::builtin().with_pack("").expect("an empty pack");
    let run = Run::new(tool, &input, texts);
    prepare(run.cwd());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tool = tools::find(tool).expect("this build has it");
    runtime.block_on(tool.run(run.call(), &run)).expect("nothing was aborted");
    let results = run.results.lock().expect("not poisoned");
    let result = results.iter().map(|result| result.as_str().map_or(result.to_string(), str::to_owned)).collect();
    let events = run.events.lock().expect("not poisoned").iter().map(|event| run.mapped(event)).collect();
    Given { result, events }
}

fn args(files: &[(&str, &str)]) -> Value {
    let file = |(path, range): &(&str, &str)| {
        let range = if range.is_empty() { String::new() } else { format!("<line_range>{range}</line_range>") };
        format!("<file><path>{path}</path>{range}</file>")
    };
    json!({"args": files.iter().map(file).collect::<String>()})
}

fn text(id: &str) -> String {
    Texts::builtin().get(id)
}

#[test]
fn several_files_are_chosen_singly() {
    let input = json!({
        "params": args(&[("a.txt", ""), ("b.txt", "2-3")]),
        "files": {"a.txt": "one\n", "b.txt": "1\n2\n3\n4\n"},
        "askResp": {"response": "messageResponse", "text": r#"{"a.txt": false, "b.txt (lines 2 to 3)": true}"#},
    });
    let given = call(ToolName::ReadFile, input, |_| {});
    let keys: Vec<&str> = given.question()["batchFiles"]
        .as_array()
        .expect("several")
        .iter()
        .map(|file| file["key"].as_str().expect("a key"))
        .collect();
    assert_eq!(keys, ["a.txt", "b.txt (lines 2 to 3)"]);
    let denied = format!("<file><path>a.txt</path><status>{}</status></file>", text("read_file.denied"));
    let shown = "<file><path>b.txt</path>\n<content lines=\"2-3\">\n2 | 2\n3 | 3\n</content>\n</file>";
    assert_eq!(given.result, format!("{}\n<files>\n{denied}\n{shown}\n</files>", text("resp.denied")));
}

#[test]
fn a_denial_with_feedback_reaches_the_model() {
    let input = json!({
        "params": {"path": "a.txt"},
        "files": {"a.txt": "secret\n"},
        "askResp": {"response": "noButtonClicked", "text": "read b instead"},
    });
    let given = call(ToolName::ReadFile, input, |_| {});
    assert!(given.result.contains("<feedback>\nread b instead\n</feedback>"), "{}", given.result);
    assert!(!given.result.contains("secret"));
    assert!(given.events.contains(&json!(["say", "user_feedback", "read b instead"])));
}

#[test]
fn what_leads_out_of_the_workspace_is_asked_for_as_such() {
    for (path, outside) in [("in.txt", false), ("link", true), ("../elsewhere", true), ("folder/hosts", true)] {
        let given = call(ToolName::ReadFile, json!({"params": args(&[(path, "")]), "files": {"in.txt": "x"}}), |ws| {
            symlink("/etc/hosts", ws.join("link")).expect("linked");
            symlink("/etc", ws.join("folder")).expect("linked");
        });
        assert_eq!(given.question()["isOutsideWorkspace"], outside, "{path}");
    }
    for tool in [ToolName::ListFiles, ToolName::SearchFiles] {
        let input = json!({"params": {"path": "folder", "regex": "zzz-nothing", "file_pattern": "hosts"}});
        let given = call(tool, input, |ws| symlink("/etc", ws.join("folder")).expect("linked"));
        assert_eq!(given.question()["isOutsideWorkspace"], true, "{tool}");
    }
}

#[test]
fn pipes_folders_and_huge_files_neither_block_nor_fill_memory() {
    let input = json!({"params": args(&[("pipe", ""), ("huge", ""), ("huge", "1-2"), ("folder", ""), ("none", ""), ("loop", "")])});
    let given = call(ToolName::ReadFile, input, |ws| {
        assert!(std::process::Command::new("mkfifo").arg(ws.join("pipe")).status().expect("a program").success());
        File::create(ws.join("huge")).expect("made").set_len(1 << 40).expect("a sparse file");
        fs::create_dir(ws.join("folder")).expect("made");
        symlink("loop", ws.join("loop")).expect("linked");
    });
    assert!(given.result.contains("<file><path>huge</path>\n<binary_file format=\"bin\">"), "{}", given.result);
    for path in ["pipe", "folder", "none", "loop"] {
        assert!(given.result.contains(&format!("<file><path>{path}</path><error>")), "{path}: {}", given.result);
    }
}

#[test]
fn a_text_that_is_too_large_is_refused_and_its_beginning_can_be_read() {
    let prepare = |ws: &Path| {
        fs::write(ws.join("big"), "line\n".repeat(200)).expect("written");
        File::options().write(true).open(ws.join("big")).expect("opened").set_len(1 << 40).expect("a sparse file");
    };
    let given = call(ToolName::ReadFile, json!({"params": args(&[("big", "")])}), prepare);
    assert!(given.result.contains("<error>"), "{}", given.result);
    let given = call(ToolName::ReadFile, json!({"params": args(&[("big", "2-3")])}), prepare);
    assert!(given.result.contains("\n2 | line\n3 | line\n"), "{}", given.result);
}

#[test]
fn binary_files_are_named_not_shown() {
    let files = json!({"a.dat": [0, 1, 2, 3], "b": [0, 255]});
    let given = call(ToolName::ReadFile, json!({"params": args(&[("a.dat", ""), ("b", "")]), "files": files}), |_| {});
    assert!(
        given.result.contains("<binary_file format=\"dat\">") && given.result.contains("<binary_file format=\"bin\">")
    );
}

#[test]
fn images_obey_the_limits_of_the_call() {
    let files = json!({"a.png": vec![0; 600_000], "b.PNG": vec![0; 600_000]});
    let run = |images: bool, state: Value| {
        let params = args(&[("a.png", ""), ("b.PNG", "")]);
        call(ToolName::ReadFile, json!({"params": params, "files": files, "images": images, "state": state}), |_| {})
            .result
    };
    let attached = |result: &str| result.matches("\"type\":\"image\"").count();
    let all = run(true, json!({}));
    assert_eq!(attached(&all), 2, "{}", &all[..200]);
    assert_eq!(attached(&run(true, json!({"maxTotalImageSize": 1}))), 1);
    assert_eq!(attached(&run(true, json!({"maxImageFileSize": 0.5}))), 0);
    let none = run(false, json!({}));
    assert_eq!(none.matches(&text("read_file.image.unsupported_model")).count(), 2, "{none}");
}

#[test]
fn listing_marks_what_is_ignored_and_protected() {
    let files = json!({"AGENTS.md": "", "b.log": "", "src/a.rs": "", "src/b.log": ""});
    let run = |recursive: &str, state: Value| {
        let params = json!({"path": ".", "recursive": recursive});
        call(
            ToolName::ListFiles,
            json!({"params": params, "files": files, "ignore": "*.log\n", "state": state}),
            |_| {},
        )
    };
    assert_eq!(run("", json!({})).result, "🛡\u{fe0f} AGENTS.md\nsrc/");
    let shown = run("TRUE", json!({"showRooIgnoredFiles": true}));
    assert_eq!(shown.result, "🛡\u{fe0f} AGENTS.md\n🔒 b.log\nsrc/\nsrc/a.rs\n🔒 src/b.log");
    assert_eq!(shown.question()["tool"], "listFilesRecursive");
    assert_eq!(shown.question()["content"], shown.result);
}

#[test]
fn searching_shows_what_may_be_read() {
    let files = json!({"a.rs": "fn a() {}\nlet needle;\n", "b.log": "needle\n", "sub/c.rs": "needle\n"});
    let run = |regex: &str, approve: bool| {
        let params = json!({"path": ".", "regex": regex, "file_pattern": "*.rs"});
        let input = json!({"params": params, "files": files, "ignore": "*.log\nsub\n", "approve": approve});
        call(ToolName::SearchFiles, input, |_| {})
    };
    let found = run("needle", true);
    assert!(found.result.ends_with("\n\n# a.rs\n  1 | fn a() {}\n  2 | let needle;\n----"), "{}", found.result);
    assert_eq!(found.question()["content"], found.result);
    assert_eq!(run("needle", false).result, "");
    assert_eq!(run("(", true).result, text("search.no_results_error"));
}

#[test]
fn missing_parameters_are_named() {
    for (tool, params, missing) in [
        (ToolName::ReadFile, json!({}), "args"),
        (ToolName::ListFiles, json!({}), "path"),
        (ToolName::SearchFiles, json!({"regex": "x"}), "path"),
        (ToolName::SearchFiles, json!({"path": "."}), "regex"),
    ] {
        let given = call(tool, json!({"params": params}), |_| {});
        assert!(given.result.contains(&format!("⟦MISSING|{tool}|{missing}")), "{}", given.result);
    }
}
