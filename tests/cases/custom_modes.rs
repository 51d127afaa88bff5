//! Custom modes in whole runs: files of the user and of the project, changed while a task works.

use std::fs;

use lapce_ai::protocol::event::Event;
use serde_json::{Value, json};

use crate::harness::{Host, Mode, Place, both, done};

both! {
    a_task_works_in_a_custom_mode,
    the_projects_mode_wins_over_the_users,
    a_mode_file_is_edited_while_a_task_works,
    a_mode_that_vanishes_becomes_code,
    modes_of_every_source_and_switches_between_them,
    modes_are_listed_written_exported_imported_and_deleted,
}

const WRITER: &str = "customModes:
  - slug: writer
    name: Doc Writer
    roleDefinition: You write the handbook.
    whenToUse: For handbooks.
    customInstructions: Keep sentences short.
    groups:
      - read
      - - edit
        - fileRegex: \\.md$
          description: handbook pages only
";

/// A turn that expects this of the request.
fn turn(expect: &Value, answer: &str) -> String {
    format!("{}\n{}\n", json!({"expect": expect}), json!({"text": answer}))
}

fn write(path: &str, content: &str) -> String {
    format!(
        "<write_to_file>\n<path>{path}</path>\n<content>\n{content}\n</content>\n<line_count>1</line_count>\n</write_to_file>"
    )
}

fn project(place: &Place, text: &str) {
    fs::write(place.workspace.join(".kilocodemodes"), text).unwrap();
}

fn global(place: &Place, text: &str) {
    let folder = place.storage.join("settings");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("custom_modes.yaml"), text).unwrap();
}

fn start(host: &Host<'_>, place: &Place, mode: &str) -> u64 {
    let request = json!({"type": "task.start", "workspace": place.workspace, "text": "go", "mode": mode});
    host.call(&request).unwrap()["session"].as_u64().unwrap()
}

/// parity 03 §11: role, instructions and tools of a custom mode; what its file restriction says to the model
/// parity 03 §10: a mode of a file in a whole run
fn a_task_works_in_a_custom_mode(mode: Mode) {
    let system = [
        "You write the handbook.",
        "Keep sentences short.",
        "\"Doc Writer\" mode (writer) - For handbooks.",
        "## write_to_file",
    ];
    let place = mode.play(&format!(
        "{}{}{}{}",
        turn(&json!({"mode": "writer", "system_contains": system}), &write("a.txt", "no")),
        turn(
            &json!({"last_user_contains": ["Doc Writer", "\\.md$", "(handbook pages only)", "a.txt"]}),
            &write("a.md", "yes"),
        ),
        turn(&json!({}), "<execute_command>\n<command>touch b</command>\n</execute_command>"),
        turn(&json!({"last_user_contains": ["writer", "execute_command"]}), &done("written")),
    ));
    project(&place, WRITER);
    let host = place.host(&[]);
    start(&host, &place, "writer");
    assert_eq!(host.completed(), "written");
    assert_eq!(fs::read_to_string(place.workspace.join("a.md")).unwrap().trim(), "yes");
    assert!(!place.workspace.join("a.txt").exists() && !place.workspace.join("b").exists());
}

/// parity 03 §10.4: the project's mode of a slug replaces the user's, both go before a built-in one
fn the_projects_mode_wins_over_the_users(mode: Mode) {
    let place = mode.play(
        &format!(
            "{}{}",
            turn(
                &json!({"system_contains": ["You write the handbook.", "Other - For tests", "Mine - For me"]}),
                "<switch_mode>\n<mode_slug>code</mode_slug>\n</switch_mode>"
            ),
            turn(&json!({"mode": "code", "system_contains": "I am code now."}), &done("x")),
        )
        .replace("Other - For tests", "\\\"Other\\\" mode (other) - For tests")
        .replace("Mine - For me", "\\\"Mine\\\" mode (code) - For me"),
    );
    project(&place, WRITER);
    let users = WRITER.replace("handbook", "diary")
        + "  - {slug: other, name: Other, roleDefinition: O, whenToUse: For tests, groups: [read]}\n"
        + "  - {slug: code, name: Mine, roleDefinition: I am code now., whenToUse: For me, groups: [read, edit]}\n";
    global(&place, &users);
    let host = place.host(&[]);
    start(&host, &place, "writer");
    assert_eq!(host.completed(), "x");
}

/// parity 03 §10.4: a changed file is seen by the next request, and hosts are told; a fault in it is told too
fn a_mode_file_is_edited_while_a_task_works(mode: Mode) {
    let with = |role: &str| {
        WRITER.replace("You write the handbook.", role).replace(
            "      - - edit\n        - fileRegex: \\.md$\n          description: handbook pages only\n",
            "      - edit\n",
        )
    };
    let broken = with("Second.") + "  - slug: b d\n    name: B\n";
    let place = mode.play(&format!(
        "{}{}{}",
        turn(&json!({"system_contains": "First."}), &write(".kilocodemodes", &broken)),
        turn(&json!({"system_contains": "Second."}), &write(".kilocodemodes", "customModes: [")),
        turn(&json!({"mode": "writer", "system_contains": "Second."}), &done("seen")),
    ));
    project(&place, &with("First."));
    let host = place.host(&[]);
    let settings = json!({"alwaysAllowWriteProtected": true});
    let request = json!({"type": "task.start", "workspace": place.workspace, "text": "go", "mode": "writer", "settings": settings});
    host.call(&request).unwrap();
    host.until(|event| match &event.event {
        Event::SettingsChanged(changed) => {
            assert_eq!(changed.keys, ["customModes"]);
            Some(())
        }
        _ => None,
    });
    let told = |wanted: &str| {
        host.until(|event| match &event.event {
            Event::Log(log) if log.target == "modes" && log.message.contains(wanted) => Some(log.message.clone()),
            _ => None,
        })
    };
    let message = told("customModes.1.slug");
    assert!(message.contains(".kilocodemodes") && message.contains("line "), "{message}");
    assert_eq!(host.completed(), "seen");
    let unread = host.events().into_iter().any(|event| {
        matches!(&event.event, Event::Log(log) if log.target == "modes" && log.message.contains("stay as they were"))
    });
    assert!(unread);
}

/// parity 03 §10.5: the mode of a task is taken away while it works
fn a_mode_that_vanishes_becomes_code(mode: Mode) {
    let place = mode.play(&format!(
        "{}{}",
        turn(&json!({"mode": "writer"}), "<list_files>\n<path>.</path>\n</list_files>"),
        turn(&json!({"mode": "code"}), &done("as code")),
    ));
    project(&place, WRITER);
    let host = place.host(&[]);
    // The listing waits for its approval meanwhile.
    let settings = json!({"alwaysAllowReadOnly": false});
    let request = json!({"type": "task.start", "workspace": place.workspace, "text": "go", "mode": "writer", "settings": settings});
    let session = host.call(&request).unwrap()["session"].as_u64().unwrap();
    let ask = host.ask("tool");
    fs::remove_file(place.workspace.join(".kilocodemodes")).unwrap();
    host.respond(ask, "yes").unwrap();
    let now = host.until(|event| match &event.event {
        Event::Mode(changed) => Some(changed.mode.clone()),
        _ => None,
    });
    assert_eq!(now, "code");
    assert_eq!(host.completed(), "as code");
    let failed = host.call(&json!({"type": "task.set_mode", "session": session, "mode": "writer"})).unwrap_err();
    assert_eq!(failed.kind, "not_found");
}

/// parity 04 §5.4: tools and requests switch to custom modes of files, and to the profile each was last used with
fn modes_of_every_source_and_switches_between_them(mode: Mode) {
    let place = mode.replay(&[]);
    project(&place, WRITER);
    let host = place.host(&[]);
    // Each profile has a script of its own: which one answers shows which one is in force.
    let profile = |id: &str, turns: String| {
        let file = place.storage.parent().unwrap().join(format!("{id}.jsonl"));
        fs::write(&file, turns).unwrap();
        json!({"id": id, "apiProvider": "replay", "replayFile": file})
    };
    let one = turn(
        &json!({"mode": "ask"}),
        "<switch_mode>\n<mode_slug>writer</mode_slug>\n<reason>words</reason>\n</switch_mode>",
    );
    let two = [
        turn(
            &json!({"mode": "writer", "last_user_contains": "Doc Writer"}),
            "<new_task>\n<mode>plain</mode>\n<message>small</message>\n</new_task>",
        ),
        turn(&json!({"mode": "plain"}), &done("small done")),
        turn(&json!({"mode": "writer"}), &done("all done")),
    ];
    let profiles = json!({"One": profile("one", one), "Two": profile("two", two.concat())});
    let settings = json!({
        "apiConfigs": profiles,
        "currentApiConfigName": "One", "modeApiConfigs": {"writer": "two"},
        "customModes": [{"slug": "plain", "name": "Plain", "roleDefinition": "P", "groups": []}],
    });
    let request =
        json!({"type": "task.start", "workspace": place.workspace, "text": "go", "mode": "ask", "settings": settings});
    let session = host.call(&request).unwrap()["session"].as_u64().unwrap();
    let mut results = Vec::new();
    while results.last().is_none_or(|last| last != "all done") {
        results.push(host.completed());
    }
    let now =
        host.call(&json!({"type": "settings.get", "session": session, "keys": ["modeApiConfigs", "mode"]})).unwrap();
    assert_eq!(now["values"]["modeApiConfigs"], json!({"ask": "one", "writer": "two", "plain": "two"}));
}

/// parity 03 §10.5: requests of a host that manages modes
/// parity 03 §10.6: an export taken in by another workspace, with its rules
/// parity 03 §10.1: the two files, each where it belongs
/// parity 03 §quirks.12: rules of `.kilocode` survive their mode, those of `.roo` go
fn modes_are_listed_written_exported_imported_and_deleted(mode: Mode) {
    let place = mode.replay(&[]);
    let host = place.host(&[]);
    let workspace = &place.workspace;
    let slugs = || -> Vec<(String, String)> {
        let list = host.call(&json!({"type": "mode.list", "workspace": workspace})).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list["modes"].as_array().unwrap()[5..].iter().map(|mode| (text(&mode["slug"]), text(&mode["source"]))).collect()
    };
    let pair = |slug: &str, source: &str| (slug.to_owned(), source.to_owned());
    assert_eq!(slugs(), []);
    let writer = json!({"slug": "writer", "name": "Writer", "roleDefinition": "You write.", "groups": ["read", ["edit", {"fileRegex": "\\.md$"}]]});
    host.call(&json!({"type": "mode.set", "mode": writer})).unwrap();
    assert_eq!(slugs(), [pair("writer", "global")]);
    let changed = |event: &lapce_ai::engine::Received| matches!(&event.event, Event::SettingsChanged(_)).then_some(());
    host.until(changed);

    // Rules of the user go with the mode; the import puts them into the project.
    let home = place.storage.parent().unwrap();
    let rules = home.join(".kilocode/rules-writer");
    fs::create_dir_all(&rules).unwrap();
    fs::write(rules.join("style.md"), "Be short.\n").unwrap();
    let export =
        host.call(&json!({"type": "mode.get", "mode": "writer", "workspace": workspace, "export": true})).unwrap();
    assert_eq!(export["name"], "writer.yaml");
    let import = json!({"type": "mode.set", "workspace": workspace, "import": export["text"]});
    let stale = workspace.join(".kilocode/rules-writer/old.md");
    fs::create_dir_all(stale.parent().unwrap()).unwrap();
    fs::write(&stale, "old").unwrap();
    host.call(&import).unwrap();
    assert_eq!(slugs(), [pair("writer", "project")]);
    assert!(!stale.exists());
    assert_eq!(fs::read_to_string(stale.with_file_name("style.md")).unwrap(), "Be short.");

    // A file that cannot be read is not written over.
    let file = workspace.join(".kilocodemodes");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, "customModes: [").unwrap();
    let failed = host.call(&import).unwrap_err();
    assert_eq!(failed.kind, "settings");
    assert!(failed.message.contains(".kilocodemodes"), "{}", failed.message);
    assert_eq!(fs::read_to_string(&file).unwrap(), "customModes: [");
    let list = host.call(&json!({"type": "mode.list", "workspace": workspace})).unwrap();
    assert_eq!(list["problems"][0]["place"], "customModes");
    fs::write(&file, good + "  - slug: half\n").unwrap();
    let list = host.call(&json!({"type": "mode.list", "workspace": workspace})).unwrap();
    assert_eq!(
        (&list["problems"][0]["mode"], &list["problems"][0]["place"]),
        (&json!("half"), &json!("customModes.1.name"))
    );

    for (request, kind, at) in [
        (json!({"type": "mode.set", "mode": {"slug": "x y"}}), "settings", Some("mode.set.mode.slug")),
        (json!({"type": "mode.set", "source": "project", "mode": writer}), "invalid_request", None),
        (json!({"type": "mode.set", "workspace": workspace, "import": "x"}), "settings", Some("mode.set.import")),
        (json!({"type": "mode.get", "mode": "nope"}), "not_found", Some("mode.get.mode")),
        (json!({"type": "mode.delete", "mode": "code"}), "not_found", Some("mode.delete.mode")),
    ] {
        let failed = host.call(&request).unwrap_err();
        assert_eq!((failed.kind.as_str(), failed.place.as_deref()), (kind, at), "{request}: {}", failed.message);
    }

    // The rules that are deleted with a mode are those of the older folder.
    fs::create_dir_all(workspace.join(".roo/rules-writer")).unwrap();
    let deleted = host.call(&json!({"type": "mode.delete", "mode": "writer", "workspace": workspace})).unwrap();
    assert_eq!(deleted["files"].as_array().unwrap().len(), 2);
    assert!(!workspace.join(".roo/rules-writer").exists() && stale.with_file_name("style.md").exists());
    assert_eq!(slugs(), []);
    assert!(fs::read_to_string(&file).unwrap().contains("slug: half"));
}
