//! Rule, workflow and command files, whole-engine: listed, switched, read by the next request.

use std::path::Path;

use lapce_ai::engine::Received;
use lapce_ai::protocol::event::Event;
use lapce_ai::protocol::failure::ErrorKind;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};
use crate::scripted::{text, turn};

both! {
    files_are_switched_and_the_next_request_sees_it,
    a_prompt_of_the_users_own_takes_the_place_of_the_built_one,
    commands_are_listed,
    skills_are_named_and_read_when_needed,
}

fn place(mode: Mode, files: &[(&str, &str)]) -> Place {
    let place = mode.replay(&[&done("ok")]);
    for (path, text) in files {
        write(&place.workspace.join(path), text);
    }
    place
}

fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn prompt(host: &Host, place: &Place) -> String {
    let preview = json!({"type": "prompt.preview", "workspace": place.workspace, "mode": "code"});
    host.call(&preview).unwrap()["text"].as_str().unwrap().to_owned()
}

fn toggle(path: &Path, enabled: bool) -> Value {
    json!({"type": "rules.toggle", "path": path, "enabled": enabled})
}

/// parity 03 §checklist.14: a switch changes the layout of the next prompt and takes the file out of it
/// parity 03 §6.7: files are listed with their switches
/// parity 03 §6: rules of every kind in one prompt
fn files_are_switched_and_the_next_request_sees_it(mode: Mode) {
    let place = place(
        mode,
        &[
            (".kilocode/rules/a.md", "rule a"),
            (".kilocode/rules/b.md", "rule b"),
            (".kilocode/rules-code/m.md", "mode rule"),
            (".kilocode/workflows/w.md", "work"),
            ("../.kilocode/rules/g.md", "home rule"),
        ],
    );
    let host = place.host(&[]);
    let text = prompt(&host, &place);
    let heading = format!("# Rules from {}:\nrule a", place.workspace.join(".kilocode/rules/a.md").display());
    assert!(
        text.contains(&heading) && text.contains("rules-code directories:") && text.contains("home rule"),
        "{text}"
    );

    let file = place.workspace.join(".kilocode/rules/a.md");
    host.call(&toggle(&file, false)).unwrap();
    let text = prompt(&host, &place);
    let heading = format!("# Local Rules from {}:\nb.md\nrule b", place.workspace.join(".kilocode/rules").display());
    assert!(text.contains(&heading) && !text.contains("rule a"), "{text}");

    let list = json!({"type": "rules.list", "workspace": place.workspace, "mode": "code"});
    let listed = host.call(&list).unwrap();
    let rows: Vec<(&str, &str, bool, u64)> = listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let text = |key: &str| file[key].as_str().unwrap();
            (text("kind"), text("scope"), file["enabled"] == true, file["bytes"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("rule", "global", true, 9),
        ("rule", "project", false, 6),
        ("rule", "project", true, 6),
        ("mode_rule", "project", true, 9),
        ("workflow", "project", true, 4),
    ];
    assert_eq!(rows, expected);

    write(&place.workspace.join(".kilocode/rules/c.md"), "rule c");
    host.call(&toggle(&file, true)).unwrap();
    let text = prompt(&host, &place);
    assert!(text.contains("rule a") && text.contains("c.md\nrule c"), "{text}");
    for (path, kind) in [
        (place.workspace.join("a.md"), ErrorKind::InvalidRequest),
        (place.workspace.join(".kilocode/rules/../../a.md"), ErrorKind::InvalidRequest),
        (place.workspace.join(".kilocode/rules/none.md"), ErrorKind::NotFound),
    ] {
        let failed = host.call(&toggle(&path, false)).unwrap_err();
        assert_eq!(
            (failed.kind.as_str(), failed.place.as_deref()),
            (kind.as_str(), Some("rules.toggle.path")),
            "{}",
            path.display()
        );
    }
}

/// parity 03 §checklist.10: role, file, custom instructions, and no tools
/// parity 03 §9: switches do not count beside it; a fault of the file is told
/// parity 03 §quirks.3: switches do not count beside a prompt of the user's own
fn a_prompt_of_the_users_own_takes_the_place_of_the_built_one(mode: Mode) {
    let place = place(
        mode,
        &[(".kilocode/rules/a.md", "rule a"), (".kilocode/system-prompt-code", "Work in {{workspace}} as {{mode}}.\n")],
    );
    let host = place.host(&[]);
    host.call(&toggle(&place.workspace.join(".kilocode/rules/a.md"), false)).unwrap();
    let preview = json!({"type": "prompt.preview", "workspace": place.workspace, "mode": "code"});
    let preview = host.call(&preview).unwrap();
    let text = preview["text"].as_str().unwrap();
    let own = format!("\n\nWork in {} as code.\n\n\n====\n\nUSER'S CUSTOM INSTRUCTIONS", place.workspace.display());
    assert!(text.contains(&own) && text.ends_with("rule a") && !text.contains("# Tools"), "{text}");
    assert_eq!(preview["tools"], json!([]));
    std::fs::write(place.workspace.join(".kilocode/system-prompt-code"), vec![b'x'; 2 << 20]).unwrap();
    let failed =
        host.call(&json!({"type": "prompt.preview", "workspace": place.workspace, "mode": "code"})).unwrap_err();
    assert!(failed.message.contains("system-prompt-code"), "{}", failed.message);
}

/// parity 03 §15.1: built-in commands, the user's under other names, the project's in place of any
fn commands_are_listed(mode: Mode) {
    let place = place(
        mode,
        &[
            (".kilocode/commands/ship.md", "---\ndescription: Ship it\nargument-hint: target\n---\nDo."),
            ("../.kilocode/commands/init.md", "not shown"),
        ],
    );
    let host = place.host(&[]);
    let commands = host.call(&json!({"type": "command.list", "workspace": place.workspace})).unwrap();
    assert_eq!(commands["commands"][0]["name"], "init");
    assert_eq!(commands["commands"][0]["source"], "built-in");
    let ship = json!({
        "name": "ship", "source": "project", "path": place.workspace.join(".kilocode/commands/ship.md"),
        "description": "Ship it", "argument_hint": "target",
    });
    assert_eq!(commands["commands"].as_array().unwrap()[1..], [ship]);
}

/// Skills stand behind the rules; the model reads one as any file; the setting switches them off.
fn skills_are_named_and_read_when_needed(mode: Mode) {
    let line = "\n\n# Skills\n\n";
    let listed = "\n- notes: Write notes. (.kilocode/skills/n/SKILL.md)";
    let read = "<read_file>\n<args><file><path>.kilocode/skills/n/SKILL.md</path></file></args>\n</read_file>";
    let turns = [
        turn(json!({"system_contains": [line, listed, "rule a"]}), &[text(read)]),
        turn(json!({"last_user_contains": "Name the version first."}), &[text(&done("ok"))]),
    ];
    let place = mode.play(&turns.concat());
    for (path, content) in [
        (".kilocode/rules/a.md", "rule a"),
        (".kilocode/skills/n/SKILL.md", "---\nname: notes\ndescription: Write notes.\n---\nName the version first."),
        (".kilocode/skills/bad/SKILL.md", "no front matter"),
    ] {
        write(&place.workspace.join(path), content);
    }
    let host = place.host(&[]);
    host.start("write the notes");
    assert_eq!(host.completed(), "ok");
    let told = |event: &Received| match &event.event {
        Event::Log(log) => log.target == "rules" && log.message.contains("bad/SKILL.md"),
        _ => false,
    };
    assert_eq!(host.events().iter().filter(|event| told(event)).count(), 1);
    host.call(&json!({"type": "settings.set", "values": {"useSkills": false}})).unwrap();
    assert!(!prompt(&host, &place).contains("Skills"));
}

/// A large file and one of an older form are told of once, a damaged file of switches is set aside.
#[test]
fn what_is_left_out_is_told_once() {
    let place = place(Mode::InProcess, &[(".clinerules", "old rule"), ("AGENTS.md", &"x".repeat(2 << 20))]);
    write(&place.storage.join("rule_toggles.json"), "{");
    let host = place.host(&[]);
    for _ in 0..2 {
        assert!(prompt(&host, &place).contains("# Rules from .clinerules:\nold rule"));
    }
    let told = |name: &str| {
        host.until(|event| match &event.event {
            Event::Log(log) if log.target == "rules" && log.message.contains(name) => Some(()),
            _ => None,
        });
    };
    told("AGENTS.md");
    told(".clinerules");
    let about_rules = |event: &&Received| matches!(&event.event, Event::Log(log) if log.target == "rules");
    assert_eq!(host.events().iter().filter(about_rules).count(), 2);
    write(&place.workspace.join(".kilocode/rules/a.md"), "a");
    host.call(&toggle(&place.workspace.join(".kilocode/rules/a.md"), true)).unwrap();
    assert_eq!(std::fs::read(place.storage.join("rule_toggles.json.damaged-1")).unwrap(), b"{");
    assert!(prompt(&host, &place).contains("# Local Rules from "));
}
