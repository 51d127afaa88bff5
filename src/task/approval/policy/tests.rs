//! The table of spec 02 §11.2, row by row: what is asked, which switches approve it, after what time.

use serde_json::{Map, json};

use super::*;
use crate::protocol::message::UiKind;

/// Every switch of automatic approval but the master one.
const SWITCHES: [&str; 13] = [
    "alwaysAllowReadOnly",
    "alwaysAllowReadOnlyOutsideWorkspace",
    "alwaysAllowWrite",
    "alwaysAllowWriteOutsideWorkspace",
    "alwaysAllowWriteProtected",
    "alwaysAllowExecute",
    "alwaysAllowBrowser",
    "alwaysAllowMcp",
    "alwaysAllowModeSwitch",
    "alwaysAllowSubtasks",
    "alwaysApproveResubmit",
    "alwaysAllowFollowupQuestions",
    "alwaysAllowUpdateTodoList",
];

const READ: &str = "alwaysAllowReadOnly";
const READ_OUTSIDE: &str = "alwaysAllowReadOnlyOutsideWorkspace";
const WRITE: &str = "alwaysAllowWrite";
const WRITE_OUTSIDE: &str = "alwaysAllowWriteOutsideWorkspace";
const WRITE_PROTECTED: &str = "alwaysAllowWriteProtected";

/// Settings with exactly these switches on, the master switch too.
fn with(on: &[&str]) -> Settings {
    let mut values: Map<String, Value> =
        SWITCHES.iter().map(|name| ((*name).to_owned(), on.contains(name).into())).collect();
    values.extend([("allowedCommands".to_owned(), json!(["git"])), ("deniedCommands".to_owned(), json!(["git push"]))]);
    serde_json::from_value(Value::Object(values)).expect("settings")
}

fn asked(ask: Ask, text: &str, protected: bool, settings: &Settings) -> Verdict {
    let mut message = UiMessage::new(1, UiKind::Ask(ask), Some(text.into()));
    message.is_protected = protected.then_some(true);
    decide(ask, &message, settings, &Texts::builtin())
}

/// Response and time of what is answered.
fn verdict(ask: Ask, text: &str, settings: &Settings) -> Option<(AskResponse, u64)> {
    match asked(ask, text, false, settings) {
        Verdict::Ask => None,
        Verdict::Answer { after, answer, .. } => Some((answer.response, after.as_millis() as u64)),
    }
}

/// A row: with exactly `needed` the question is approved after `after` milliseconds; without any one of them, or with the master
/// switch off, the user is asked, whatever else is on.
fn row(ask: Ask, text: &str, protected: bool, needed: &[&str], after: u64) {
    let approved = |settings: &Settings| match asked(ask, text, protected, settings) {
        Verdict::Ask => None,
        Verdict::Answer { after, mode: None, answer, how: "approved" } => Some((answer, after.as_millis() as u64)),
        other => panic!("{ask:?} {text}: {other:?}"),
    };
    let yes = Answer { response: AskResponse::Yes, text: None, images: Vec::new() };
    assert_eq!(approved(&with(needed)), Some((yes.clone(), after)), "{ask:?} {text} with {needed:?}");
    assert_eq!(approved(&with(&SWITCHES)), Some((yes, after)), "{ask:?} {text} with all");
    for missing in needed {
        let others: Vec<&str> = SWITCHES.into_iter().filter(|name| name != missing).collect();
        assert_eq!(approved(&with(&others)), None, "{ask:?} {text} without {missing}");
    }
    let off = Settings { auto_approval_enabled: false, ..with(&SWITCHES) };
    assert_eq!(approved(&off), None, "{ask:?} {text} with the master switch off");
}

/// Whatever is on, the user is asked.
fn never(ask: Ask, text: &str) {
    assert_eq!(asked(ask, text, false, &with(&SWITCHES)), Verdict::Ask, "{ask:?} {text}");
}

fn tool(name: &str, outside: bool) -> String {
    json!({"tool": name, "isOutsideWorkspace": outside}).to_string()
}

/// parity 02 §11.2: reading tools, inside of the workspace and outside
#[test]
fn reading_is_approved_by_its_switch_and_outside_by_another_one_too() {
    for name in [
        "readFile",
        "listFiles",
        "listFilesTopLevel",
        "listFilesRecursive",
        "listCodeDefinitionNames",
        "searchFiles",
        "codebaseSearch",
        "runSlashCommand",
    ] {
        row(Ask::Tool, &tool(name, false), false, &[READ], 0);
        row(Ask::Tool, &tool(name, true), false, &[READ, READ_OUTSIDE], 0);
    }
}

/// parity 04 §checklist.17: a protected file needs a switch of its own
/// parity 02 §11.2: writing tools wait, and need a switch each for outside and for protected files
#[test]
fn writing_is_approved_after_its_delay_by_one_switch_for_each_danger() {
    for name in
        ["editedExistingFile", "appliedDiff", "newFileCreated", "searchAndReplace", "insertContent", "generateImage"]
    {
        row(Ask::Tool, &tool(name, false), false, &[WRITE], 1000);
        row(Ask::Tool, &tool(name, true), false, &[WRITE, WRITE_OUTSIDE], 1000);
        row(Ask::Tool, &tool(name, false), true, &[WRITE, WRITE_PROTECTED], 1000);
        row(Ask::Tool, &tool(name, true), true, &[WRITE, WRITE_OUTSIDE, WRITE_PROTECTED], 1000);
    }
    let soon = Settings { write_delay_ms: 7, ..with(&[WRITE]) };
    assert_eq!(verdict(Ask::Tool, &tool("appliedDiff", false), &soon), Some((AskResponse::Yes, 7)));
}

/// parity 02 §11.2: todo lists, instructions, modes, subtasks
#[test]
fn what_steers_the_task_is_approved_by_its_own_switch() {
    let instructions = |content: &str| json!({"tool": "fetchInstructions", "content": content}).to_string();
    row(Ask::Tool, &tool("updateTodoList", false), false, &["alwaysAllowUpdateTodoList"], 0);
    row(Ask::Tool, &instructions("create_mode"), false, &["alwaysAllowModeSwitch"], 0);
    row(Ask::Tool, &instructions("create_mcp_server"), false, &["alwaysAllowMcp"], 0);
    row(Ask::Tool, &tool("switchMode", false), false, &["alwaysAllowModeSwitch"], 0);
    row(Ask::Tool, &tool("newTask", false), false, &["alwaysAllowSubtasks"], 0);
    row(Ask::Tool, &tool("finishTask", false), false, &["alwaysAllowSubtasks"], 0);
    never(Ask::Tool, &instructions("anything else"));
}

/// parity 02 §11.2: browser and MCP; a tool of a server needs that tool's own consent too
#[test]
fn browser_and_servers_are_approved_by_their_switches() {
    row(Ask::BrowserActionLaunch, "https://example.org", false, &["alwaysAllowBrowser"], 0);
    row(Ask::UseMcpServer, &json!({"type": "access_mcp_resource"}).to_string(), false, &["alwaysAllowMcp"], 0);
    never(Ask::UseMcpServer, &json!({"type": "use_mcp_tool", "serverName": "s", "toolName": "t"}).to_string());
    for unreadable in ["", "{}", "no JSON"] {
        never(Ask::UseMcpServer, unreadable);
    }
}

/// parity 02 §11.2: commands by switch and list
/// parity 02 §11.3: the list of allowed prefixes approves, what neither list names is asked
#[test]
fn commands_are_approved_by_switch_and_list() {
    row(Ask::Command, "git status", false, &["alwaysAllowExecute"], 0);
    row(Ask::Command, "git log && git diff", false, &["alwaysAllowExecute"], 0);
    never(Ask::Command, "ls");
    never(Ask::Command, "git status && ls");
    never(Ask::Command, "git log ${x@P}");
}

/// parity 04 §8: a denied command is refused with automatic approval off
/// parity 02 §18.9: the deny list holds with automatic approval off, the longer prefix wins
/// parity 02 §11.3: the longest denied prefix is named to the model
#[test]
fn a_denied_command_is_refused_even_with_approval_off() {
    let off = Settings { auto_approval_enabled: false, ..with(&[]) };
    for settings in [off.clone(), with(&[]), with(&SWITCHES)] {
        for command in ["git push origin", "git status; git push"] {
            let Verdict::Answer { after, answer, how, .. } = asked(Ask::Command, command, false, &settings) else {
                panic!("{command} is asked")
            };
            assert_eq!((after, answer.response, how), (Duration::ZERO, AskResponse::No, "denied"));
            assert!(answer.text.expect("a reason").contains("git push"));
        }
    }
    assert_eq!(verdict(Ask::Command, "git status", &off), None);
    let longer =
        Settings { allowed_commands: vec!["git".into(), "git push origin".into()], ..with(&["alwaysAllowExecute"]) };
    assert_eq!(verdict(Ask::Command, "git push origin", &longer), Some((AskResponse::Yes, 0)));
    assert_eq!(verdict(Ask::Command, "git push", &longer), Some((AskResponse::No, 0)));
}

/// parity 02 §11.2: a question takes its first suggestion after the time set, with its mode if switching is approved
#[test]
fn a_followup_takes_its_first_suggestion_after_the_timeout() {
    let question = json!({"question": "?", "suggest": [{"answer": "A", "mode": "ask"}, {"answer": "B"}]}).to_string();
    let on = with(&["alwaysAllowFollowupQuestions"]);
    assert_eq!(verdict(Ask::Followup, &question, &on), Some((AskResponse::Message, 60_000)));
    let soon = Settings { followup_auto_approve_timeout_ms: 5, ..on.clone() };
    assert_eq!(verdict(Ask::Followup, &question, &soon), Some((AskResponse::Message, 5)));
    let answered = |settings: &Settings| match asked(Ask::Followup, &question, false, settings) {
        Verdict::Answer { mode, answer, .. } => (mode, answer.text),
        Verdict::Ask => panic!("asked"),
    };
    assert_eq!(answered(&on), (None, Some("A".into())));
    let switching = with(&["alwaysAllowFollowupQuestions", "alwaysAllowModeSwitch"]);
    assert_eq!(answered(&switching), (Some("ask".into()), Some("A".into())));
    // Without suggestions it is a bare yes.
    row(Ask::Followup, "{}", false, &["alwaysAllowFollowupQuestions"], 0);
}

/// parity 02 §11.2: everything else is asked whatever is approved
#[test]
fn everything_else_is_never_answered() {
    for ask in [
        Ask::CommandOutput,
        Ask::ApiReqFailed,
        Ask::MistakeLimitReached,
        Ask::CompletionResult,
        Ask::ResumeTask,
        Ask::ResumeCompletedTask,
        Ask::Condense,
        Ask::ReportBug,
        Ask::AutoApprovalMaxReqReached,
        Ask::PaymentRequiredPrompt,
        Ask::InvalidModel,
    ] {
        never(ask, "");
    }
    for text in [tool("somethingNew", false), "no JSON".into(), "[]".into(), String::new()] {
        never(Ask::Tool, &text);
    }
}

/// parity 04 §8: one of the switches, and the master switch, must be on
/// parity 02 §11: with every switch off, or the master switch, nothing is approved
/// parity 04 §2.1: defaults of automatic approval (D15)
/// parity 02 §17: what writes, runs or leaves the machine asks until the user says otherwise (D15)
#[test]
fn what_writes_runs_or_leaves_asks_by_default() {
    let settings = Settings::default();
    for (ask, text, approved) in [
        (Ask::Tool, tool("readFile", false), true),
        (Ask::Tool, tool("switchMode", false), true),
        (Ask::Tool, tool("newTask", false), true),
        (Ask::Tool, tool("updateTodoList", false), true),
        (Ask::Tool, tool("readFile", true), false),
        (Ask::Tool, tool("newFileCreated", false), false),
        (Ask::Command, "git log".into(), false),
        (Ask::BrowserActionLaunch, "https://example.org".into(), false),
        (Ask::UseMcpServer, json!({"type": "access_mcp_resource"}).to_string(), false),
        (Ask::Followup, "{}".into(), false),
    ] {
        assert_eq!(verdict(ask, &text, &settings).is_some(), approved, "{ask:?} {text}");
        assert_eq!(verdict(ask, &text, &with(&[])), None, "{ask:?} {text}");
    }
}
