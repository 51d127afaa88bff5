//! A model that answers badly: every answer is told so, no file outside is touched, and the task goes on.

use lapce_ai::protocol::event::Event;

use crate::harness::{Mode, Place, both, done};

both! {
    broken_calls_are_answered,
    nothing_outside_the_workspace_is_written_without_a_question,
    #[cfg(unix)] strange_files_are_answered,
}

/// Plays one bad answer, then the end. Whatever is asked about it is approved.
fn goes_on(place: &Place, name: &str) {
    let host = place.host(&[]);
    host.start("try");
    loop {
        let ask = host.until(|event| match &event.event {
            Event::Ask(ask) => Some(Some((event.about, ask.kind.clone()))),
            Event::TaskCompleted(done) => {
                assert_eq!(done.result, "Went on.", "{name}");
                Some(None)
            }
            _ => None,
        });
        match ask {
            None => return,
            Some((_, kind)) if kind == "completion_result" => {}
            Some((ask, _)) => drop(host.respond(ask, "yes")),
        }
    }
}

fn broken_calls_are_answered(mode: Mode) {
    for bad in [
        "<write_to_file><path>x",
        "<write_to_file></write_to_file>",
        "<write_to_file>\n<path></path>\n<content></content>\n</write_to_file>",
        "</write_to_file></path><content>",
        "<no_such_tool><x>1</x></no_such_tool>",
        "<browser_action><action>launch</action></browser_action>",
        "<codebase_search><query>x</query></codebase_search>",
        "<execute_command></execute_command>",
        "<apply_diff><path>none.txt</path><diff>nonsense</diff></apply_diff>",
        "<apply_diff><path>a.txt</path></apply_diff>",
        "<insert_content><path>a.txt</path><line>minus one</line><content>x</content></insert_content>",
        "<search_and_replace><path>a.txt</path><search>(</search><replace>x</replace><use_regex>true</use_regex></search_and_replace>",
        "<ask_followup_question></ask_followup_question>",
        "<attempt_completion></attempt_completion>",
        "<read_file><args><file><path>../../../etc/passwd</path></file></args></read_file>",
        "<read_file><args><file></args></read_file>",
        "<list_files><path>/nowhere</path></list_files>",
        "<search_files><path>.</path><regex>(</regex></search_files>",
        "<switch_mode><mode_slug>nonsense</mode_slug></switch_mode>",
        "<new_task><mode>nonsense</mode><message>x</message></new_task>",
        "<update_todo_list><todos>nonsense</todos></update_todo_list>",
        "nothing but words",
        " ",
        "\u{0}\u{1}<<<>>>&amp;</",
    ] {
        let place = mode.replay(&[bad, &done("Went on.")]);
        std::fs::write(place.workspace.join("a.txt"), "one\ntwo\n").unwrap();
        goes_on(&place, bad);
        assert_eq!(std::fs::read_to_string(place.workspace.join("a.txt")).unwrap(), "one\ntwo\n", "{bad}");
    }
}

fn nothing_outside_the_workspace_is_written_without_a_question(mode: Mode) {
    for path in ["../outside/a.txt", "link/a.txt"] {
        let call = format!(
            "<write_to_file>\n<path>{path}</path>\n<content>\nx\n</content>\n<line_count>1</line_count>\n</write_to_file>"
        );
        let place = mode.replay(&[&call, &done("Went on.")]);
        let outside = place.storage.parent().unwrap().join("outside");
        std::fs::create_dir(&outside).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&outside, place.workspace.join("link")).unwrap();
        let host = place.host(&[]);
        // Writing inside is approved by the harness; outside it must be asked about.
        host.start("escape");
        let asked = host.until(|event| match &event.event {
            Event::Ask(ask) => Some(Some((event.about, ask.kind.clone()))),
            Event::TaskCompleted(_) => Some(None),
            _ => None,
        });
        // An editor that shows a new file makes it, empty (spec 05 §2.2).
        let written = std::fs::read(outside.join("a.txt")).unwrap_or_default();
        assert!(written.is_empty(), "{path} was written; asked: {asked:?}");
        let (ask, _) = asked.unwrap_or_else(|| panic!("{path}: nothing was asked"));
        host.respond(ask, "no").unwrap();
        host.until(|event| matches!(event.event, Event::TaskCompleted(_)).then_some(()));
        assert!(!outside.join("a.txt").exists(), "{path} is still there");
    }
}

#[cfg(unix)]
fn strange_files_are_answered(mode: Mode) {
    use std::os::unix::fs::PermissionsExt;

    for tool in ["read_file", "apply_diff", "insert_content", "search_and_replace"] {
        for file in ["fifo", "binary", "sparse", "locked", "folder", "loop"] {
            let call = match tool {
                "read_file" => format!("<read_file><args><file><path>{file}</path></file></args></read_file>"),
                "apply_diff" => format!(
                    "<apply_diff><path>{file}</path><diff>\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n</diff></apply_diff>"
                ),
                "insert_content" => {
                    format!("<insert_content><path>{file}</path><line>1</line><content>x</content></insert_content>")
                }
                _ => format!(
                    "<search_and_replace><path>{file}</path><search>x</search><replace>y</replace></search_and_replace>"
                ),
            };
            let place = mode.replay(&[&call, &done("Went on.")]);
            let at = |name: &str| place.workspace.join(name);
            match file {
                "fifo" => drop(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap()),
                "binary" => std::fs::write(at("binary"), [0, 0xff, 0xfe, 0, 1, 2]).unwrap(),
                "sparse" => std::fs::File::create(at("sparse")).unwrap().set_len(80 << 20).unwrap(),
                "locked" => {
                    std::fs::write(at("locked"), "x").unwrap();
                    std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o000)).unwrap();
                }
                "folder" => std::fs::create_dir(at("folder")).unwrap(),
                _ => std::os::unix::fs::symlink("loop", at("loop")).unwrap(),
            }
            goes_on(&place, &format!("{tool} {file}"));
        }
    }
}
