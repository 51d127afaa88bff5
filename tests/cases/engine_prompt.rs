//! The system prompt of a task, and the request that shows it beforehand.

use serde_json::{Value, json};

use crate::harness::{Mode, both, done};
use crate::scripted::{request_record, ui};

both! {
    a_task_sends_the_prompt_that_was_shown,
    a_prompt_is_shown_for_a_folder_and_a_mode,
}

/// parity 03 §2: what a task sends is what its preview shows; with the first message it stays under twenty kilobytes
fn a_task_sends_the_prompt_that_was_shown(mode: Mode) {
    let place = mode.replay(&[]);
    for name in ["main.py", "README.md", "src/shop.py", "tests/test_shop.py"] {
        let file = place.workspace.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "text\n").unwrap();
    }
    let host = place.host(&[]);
    let shown = host.call(&json!({"type": "prompt.preview", "workspace": place.workspace, "mode": "code"})).unwrap();
    let prompt = shown["text"].as_str().unwrap();
    let turn = json!({"expect": {"system_contains": prompt}});
    let transcript = place.workspace.with_file_name("shown.jsonl");
    std::fs::write(&transcript, format!("{turn}\n{}\n", json!({"text": done("ok")}))).unwrap();
    let begin = json!({
        "type": "task.start", "workspace": place.workspace, "text": "Find the total's fault.",
        "settings": {"apiProvider": "replay", "replayFile": transcript},
    });
    let task = host.call(&begin).unwrap()["task"].as_str().unwrap().to_owned();
    assert_eq!(host.completed(), "ok");
    host.ask("completion_result");
    drop(host);
    place.close();
    let record = request_record(&ui(&place, &task), 0);
    let sent = record["request"].as_str().unwrap();
    assert!(sent.contains("tests/test_shop.py"), "{sent}");
    assert!(prompt.len() + sent.len() < 20_000, "{} and {} bytes", prompt.len(), sent.len());
    let tools: Vec<&str> = shown["tools"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(tools.iter().all(|tool| prompt.contains(&format!("\n\n## {tool}\n"))), "{tools:?}");
}

/// parity 03 §2: a preview is refused for what is no mode or no workspace
fn a_prompt_is_shown_for_a_folder_and_a_mode(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let preview = |workspace: &str, mode: Value| {
        let mut request = json!({"type": "prompt.preview", "workspace": workspace});
        if !mode.is_null() {
            request["mode"] = mode;
        }
        host.call(&request)
    };
    let workspace = place.workspace.to_str().unwrap();
    assert_eq!(preview(workspace, Value::Null).unwrap()["mode"], "code");
    let ask = preview(workspace, json!("ask")).unwrap();
    assert!(ask["tools"].as_array().unwrap().iter().all(|tool| tool != "execute_command"), "{ask}");
    let names: Vec<&str> =
        ask["sections"].as_array().unwrap().iter().filter_map(|part| part["name"].as_str()).collect();
    assert_eq!((names[0], names.last().copied(), names.contains(&"mcp")), ("role", Some("custom_instructions"), false));
    for (workspace, mode, at) in [
        (workspace, json!("nope"), "prompt.preview.mode"),
        ("/no/such/folder", Value::Null, "prompt.preview.workspace"),
    ] {
        let refused = preview(workspace, mode).unwrap_err();
        assert_eq!((refused.kind.as_str(), refused.place.as_deref()), ("not_found", Some(at)), "{refused:?}");
    }
    drop(host);
    place.close();
}
