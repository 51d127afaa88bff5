//! A session that is killed at any moment goes on where it was: a whole run is cut after each of its notes, and each time a
//! new session goes on from the notes and files there were.

#[path = "recovery/world.rs"]
mod world;

use std::collections::BTreeMap;

use lapce_ai::protocol::message::{ApiMessage, Ask, MessageContent, Role, Say, UiKind, UiMessage};
use serde_json::{Value, json};

use world::{Cut, Ended, Script, Turn, World, turn};

/// Every cut of this script, with each of these settings.
fn survives(script: Script, all: &[Value]) {
    for mut settings in all.iter().cloned() {
        settings.as_object_mut().unwrap().extend(script.settings.as_object().cloned().unwrap_or_default());
        let mut world = World::new(&script, &settings);
        let (whole, cuts) = world.run_whole();
        assert!(cuts.len() > 10, "{}: {} notes", script.name, cuts.len());
        for cut in &cuts {
            let went_on = world.run_from(cut);
            let problem = compare(&whole, &went_on).err();
            if let Some(problem) = problem {
                let (before, after) = (summary(&whole.ui), summary(&went_on.ui));
                panic!(
                    "{} ({settings}), cut after note {} {}: {problem}\nwhole: {before:#?}\nwent on: {after:#?}",
                    script.name,
                    cut.number,
                    String::from_utf8_lossy(&cut.last),
                );
            }
        }
        // A session that is killed a second time while it goes on.
        for cut in cuts.iter().step_by(11) {
            let again = world.cuts_from(cut);
            for second in again.iter().skip(cut.number % 9).step_by(9) {
                let went_on = world.run_from(second);
                if let Err(problem) = compare(&whole, &went_on) {
                    let after = summary(&went_on.ui);
                    panic!(
                        "{}, cut after note {} and {}: {problem}\n{after:#?}",
                        script.name, cut.number, second.number
                    );
                }
            }
        }
    }
}

fn approving() -> Value {
    json!({
        "autoApprovalEnabled": true, "alwaysAllowReadOnly": true, "alwaysAllowWrite": true, "alwaysAllowExecute": true,
        "allowedCommands": ["*"], "alwaysAllowModeSwitch": true, "alwaysAllowSubtasks": true,
        "alwaysAllowUpdateTodoList": true,
    })
}

fn compare(whole: &Ended, went_on: &Ended) -> Result<(), String> {
    let check = |right: bool, what: &str| if right { Ok(()) } else { Err(what.to_owned()) };
    if whole.files != went_on.files {
        return Err(format!("files {:?} / {:?}", went_on.files, whole.files));
    }
    check(whole.waiting == went_on.waiting, "another question waits at the end")?;
    check(whole.mode == went_on.mode, "another mode at the end")?;
    let ts: Vec<i64> = went_on.ui.iter().map(|message| message.ts).collect();
    check(ts.windows(2).all(|pair| pair[0] < pair[1]), "messages doubled or out of order")?;
    // Thinking is never said to be complete, nor is a call that repeats itself.
    let growing = |ui: &[UiMessage]| {
        let grows = |m: &&UiMessage| m.partial == Some(true) && m.kind != UiKind::Say(Say::Reasoning);
        ui.iter().filter(grows).count()
    };
    check(growing(&went_on.ui) <= growing(&whole.ui), "a message still grows")?;
    // Messages of a stored task are read from its files, and how a message grows is not noted.
    let comparable = |m: &&UiMessage| m.ts > 10;
    let told: Vec<&UiMessage> = went_on.ui.iter().filter(comparable).collect();
    let differs = |(shown, told): (&UiMessage, &&UiMessage)| {
        let grows = told.partial == Some(true) && (shown.ts, shown.kind) == (told.ts, told.kind);
        (!grows && shown != *told).then(|| format!("{shown:?} / {told:?}"))
    };
    let difference = went_on.shown.iter().zip(&told).find_map(differs);
    if went_on.shown.len() != told.len() || difference.is_some() {
        return Err(format!("the host has other messages: {difference:?} in {:?}", summary(&went_on.shown)));
    }
    check(went_on.open.len() == 1, "other questions are open at the host than the one at the end")?;
    roles(&went_on.api)?;
    for (kind, count) in counted(&whole.ui) {
        let now = counted(&went_on.ui).get(&kind).copied().unwrap_or(0);
        // A request that is sent again may show text again, and a call that was cut off is made again.
        // What a tool says when it has run is lost with its result; what is sent again is not told as sent again.
        let lost = ["command_output", "user_feedback_diff", "api_req_retried"].contains(&kind);
        let enough = if went_on.cut_off { lost || now >= count } else { now == count };
        if !enough {
            return Err(format!("{kind}: {now} instead of {count}"));
        }
    }
    let (all, now) = (texts(&whole.api), texts(&went_on.api));
    // What stands behind a call may have been given up.
    let same = all.len() == now.len()
        && all.iter().zip(&now).all(|(all, now)| all == now || all.starts_with(now) && now.contains("</"));
    if !went_on.cut_off && !same {
        return Err(format!("the conversation differs: {:#?} / {:#?}", texts(&went_on.api), texts(&whole.api)));
    }
    Ok(())
}

/// Roles alternate, but for the result of a subtask, which comes as a message of its own.
fn roles(api: &[ApiMessage]) -> Result<(), String> {
    let mut last = Role::Assistant;
    for message in api {
        let subtask = text(message).starts_with("[new_task completed]");
        if message.role == last && !(subtask || last == Role::User && text_before(api, message)) {
            return Err(format!("two messages of {last:?} in a row"));
        }
        last = message.role;
    }
    Ok(())
}

/// The message before this one is the result of a subtask.
fn text_before(api: &[ApiMessage], message: &ApiMessage) -> bool {
    let at = api.iter().position(|known| std::ptr::eq(known, message)).unwrap_or(0);
    at > 0 && text(&api[at - 1]).starts_with("[new_task completed]")
}

fn text(message: &ApiMessage) -> String {
    match &message.content {
        MessageContent::Text(text) => text.clone(),
        MessageContent::Blocks(blocks) => {
            blocks.first().map(|b| json!(b)["text"].as_str().unwrap_or("").to_owned()).unwrap_or_default()
        }
    }
}

/// What was said, without environment details and without where an answer was cut.
fn texts(api: &[ApiMessage]) -> Vec<String> {
    let blocks = |message: &ApiMessage| match &message.content {
        MessageContent::Text(text) => vec![text.clone()],
        MessageContent::Blocks(blocks) => {
            let texts = blocks.iter().filter_map(|block| json!(block)["text"].as_str().map(str::to_owned));
            texts.filter(|text| !text.starts_with("<environment_details>")).collect()
        }
    };
    let without_cut = |text: String| text.split("\n\n[Cut off here").next().unwrap_or_default().to_owned();
    api.iter().flat_map(blocks).map(without_cut).collect()
}

/// How many messages there are of each kind. The number of questions about output depends on how it came in pieces.
fn counted(ui: &[UiMessage]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for message in ui.iter().filter(|message| message.kind != UiKind::Ask(Ask::CommandOutput)) {
        *counts.entry(kind(message)).or_default() += 1;
    }
    counts
}

fn kind(message: &UiMessage) -> &'static str {
    match message.kind {
        UiKind::Ask(ask) => ask.as_str(),
        UiKind::Say(say) => say.as_str(),
    }
}

fn summary(ui: &[UiMessage]) -> Vec<String> {
    let line = |m: &UiMessage| {
        let text: String = m.text.as_deref().unwrap_or("").chars().take(60).collect();
        format!("{} {} {:?} {text}", m.ts, kind(m), m.partial)
    };
    ui.iter().map(line).collect()
}

fn done(result: &str) -> Turn {
    turn(&format!("Now I am done.\n<attempt_completion>\n<result>\n{result}\n</result>\n</attempt_completion>"))
}

fn write(path: &str, content: &str) -> Turn {
    turn(&format!(
        "I write it.\n<write_to_file>\n<path>{path}</path>\n<content>\n{content}\n</content>\n<line_count>1</line_count>\n</write_to_file>\nand a tail"
    ))
    .with_effect(path, content)
}

#[test]
fn text_and_reading() {
    survives(
        Script {
            name: "text and reading",
            files: &[("a.txt", "alpha\n")],
            tasks: vec![(
                "look",
                vec![
                    turn("Just words, no tool."),
                    turn(
                        "<thinking>hm</thinking>Let me see.\n<read_file>\n<args>\n<file>\n<path>a.txt</path>\n</file>\n</args>\n</read_file>",
                    ),
                    turn("<list_files>\n<path>.</path>\n</list_files>\nmore text behind it"),
                    done("seen"),
                ],
            )],
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn editing() {
    survives(Script {
        name: "editing",
        files: &[("a.txt", "alpha\nbeta\n")],
        tasks: vec![(
            "edit",
            vec![
                write("new/deep/b.txt", "fresh"),
                turn("<apply_diff>\n<path>a.txt</path>\n<diff>\n<<<<<<< SEARCH\n:start_line:1\n-------\nalpha\n=======\nALPHA\nalpha2\n>>>>>>> REPLACE\n</diff>\n</apply_diff>")
                    .with_effect("a.txt", "ALPHA"),
                done("edited"),
            ],
        )],
        ..Script::default()
    }, &[json!({}), approving()]);
}

#[test]
fn a_rejected_edit() {
    survives(
        Script {
            name: "rejection",
            files: &[("a.txt", "alpha\n")],
            tasks: vec![("reject", vec![write("no/secret.txt", "x"), write("a.txt", "rejected too"), done("well")])],
            ..Script::default()
        },
        &[json!({})],
    );
}

#[cfg(unix)]
#[test]
fn a_command() {
    survives(
        Script {
            name: "command",
            files: &[],
            tasks: vec![(
                "run",
                vec![
                    turn("<execute_command>\n<command>echo once >> log.txt; echo out</command>\n</execute_command>")
                        .with_effect("log.txt", "once"),
                    done("ran"),
                ],
            )],
            ..Script::default()
        },
        &[json!({}), approving()],
    );
}

#[test]
fn questions_and_lists() {
    survives(
        Script {
            name: "questions",
            files: &[],
            tasks: vec![(
                "ask",
                vec![
                    turn(
                        "<ask_followup_question>\n<question>Colour?</question>\n<follow_up><suggest>red</suggest></follow_up>\n</ask_followup_question>",
                    ),
                    turn("<update_todo_list>\n<todos>\n[ ] one\n[x] two\n</todos>\n</update_todo_list>"),
                    turn("<switch_mode>\n<mode_slug>architect</mode_slug>\n<reason>plan</reason>\n</switch_mode>"),
                    done("asked"),
                ],
            )],
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn a_subtask() {
    survives(
        Script {
            name: "subtask",
            files: &[],
            tasks: vec![
                (
                    "parent",
                    vec![
                        turn("<new_task>\n<mode>ask</mode>\n<message>child</message>\n</new_task>"),
                        write("parent.txt", "after"),
                        done("all"),
                    ],
                ),
                ("child", vec![turn("<list_files>\n<path>.</path>\n</list_files>"), done("part")]),
            ],
            ..Script::default()
        },
        &[json!({}), approving()],
    );
}

fn read(path: &str) -> Turn {
    turn(&format!("<read_file>\n<args>\n<file>\n<path>{path}</path>\n</file>\n</args>\n</read_file>"))
}

#[test]
fn questions_about_requests() {
    survives(
        Script {
            name: "a failing request, limits of requests",
            files: &[("a.txt", "alpha\n")],
            tasks: vec![("fail", vec![read("a.txt"), done("seen")])],
            settings: json!({"allowedMaxRequests": 1, "alwaysApproveResubmit": false}),
            fails_once: true,
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn questions_about_mistakes() {
    survives(
        Script {
            name: "mistakes and repetitions",
            files: &[("a.txt", "alpha\n")],
            tasks: vec![(
                "err",
                vec![
                    turn("One word."),
                    turn("Two words."),
                    turn("Three words here."),
                    read("a.txt"),
                    read("a.txt"),
                    read("a.txt"),
                    read("a.txt"),
                    done("enough"),
                ],
            )],
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn a_stored_task() {
    survives(
        Script {
            name: "stored",
            files: &[("a.txt", "alpha\n")],
            tasks: vec![(
                "stored",
                vec![turn("<list_files>\n<path>.</path>\n</list_files>"), read("a.txt"), done("again")],
            )],
            stored: true,
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn queued_messages() {
    survives(
        Script {
            name: "queued",
            files: &[],
            tasks: vec![(
                "queue",
                vec![
                    turn(
                        "<ask_followup_question>\n<question>Queue?</question>\n<follow_up><suggest>red</suggest></follow_up>\n</ask_followup_question>",
                    ),
                    write("b.txt", "with words"),
                    done("queued"),
                ],
            )],
            ..Script::default()
        },
        &[json!({})],
    );
}

#[test]
fn a_stopped_task_waits_at_its_resume_question() {
    let script = Script {
        name: "stopped",
        files: &[],
        tasks: vec![("stop", vec![write("cancel.txt", "never"), done("not")])],
        ..Script::default()
    };
    let mut world = World::new(&script, &json!({}));
    let (whole, cuts) = world.run_whole();
    assert_eq!(whole.waiting, Some(Ask::ResumeTask));
    for cut in &cuts {
        let went_on = world.run_from(cut);
        assert_eq!((went_on.waiting, went_on.open.len()), (whole.waiting, 1), "cut after note {}", cut.number);
        roles(&went_on.api).unwrap();
    }
}

/// Whatever kills a session again and again is not done again and again; a question that waits is given more time.
#[test]
fn the_third_restoring_asks_instead() {
    let script =
        Script { name: "circle", tasks: vec![("circle", vec![read("a.txt"), done("x")])], ..Script::default() };
    let mut world = World::new(&script, &approving());
    let (_, cuts) = world.run_whole();
    for cut in &cuts {
        let went_on = world.run_after_restores(cut, if cut.waits() { 16 } else { 2 });
        let on = matches!(went_on.waiting, Some(Ask::ResumeTask | Ask::ResumeCompletedTask));
        assert!(on, "cut after note {}: {:?}", cut.number, went_on.waiting);
        assert_eq!(went_on.open.len(), 1);
        let task = texts(&went_on.api).first().cloned();
        assert_eq!(task.as_deref(), Some("<task>\ncircle\n</task>"), "cut after note {}", cut.number);
    }
}

/// The host may answer before the session has found back to its question.
#[test]
fn an_early_answer_counts() {
    let script = Script { name: "early", tasks: vec![("early", vec![read("a.txt"), done("x")])], ..Script::default() };
    let mut world = World::new(&script, &json!({}));
    let (whole, cuts) = world.run_whole();
    let waits: Vec<&Cut> = cuts.iter().filter(|cut| String::from_utf8_lossy(&cut.last).contains("opened")).collect();
    assert!(!waits.is_empty());
    for cut in &waits[..waits.len() - 1] {
        let went_on = world.run_with_early_answer(cut);
        compare(&whole, &went_on).unwrap_or_else(|problem| panic!("cut after note {}: {problem}", cut.number));
    }
}
