//! Which questions are answered without the user (spec 02 §11.2).

use std::time::Duration;

use serde_json::Value;

use super::command::{self, Decision};
use crate::prompt::text::{Texts, context};
use crate::protocol::message::{Ask, AskResponse, UiMessage};
use crate::settings::Settings;
use crate::tools::context::Answer;

/// What the policy says about a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The user decides.
    Ask,
    /// Answer it, unless the user does so first.
    Answer {
        /// After this time.
        after: Duration,
        /// After switching to this mode.
        mode: Option<String>,
        /// With this.
        answer: Answer,
        /// `approved` or `denied`.
        how: &'static str,
    },
}

impl Verdict {
    /// Whether it is answered at once, so that nobody needs to hear of the question.
    pub fn is_immediate(&self) -> bool {
        matches!(self, Verdict::Answer { after, .. } if after.is_zero())
    }

    /// Milliseconds until it is answered without the user.
    pub fn after_ms(&self) -> Option<u64> {
        match self {
            Verdict::Ask => None,
            Verdict::Answer { after, .. } => u64::try_from(after.as_millis()).ok(),
        }
    }
}

/// Decides about a complete question.
pub fn decide(ask: Ask, message: &UiMessage, settings: &Settings, texts: &Texts) -> Verdict {
    let text = message.text.as_deref().unwrap_or_default();
    // The refusal of a denied command holds also with automatic approval off.
    let decision =
        (ask == Ask::Command).then(|| command::decide(text, &settings.allowed_commands, &settings.denied_commands));
    if decision == Some(Decision::Deny) {
        let reason = command::denied_prefix(text, &settings.denied_commands)
            .map(|prefix| texts.render("approve.auto_denied", context! { prefix }));
        return answer(AskResponse::No, reason, Duration::ZERO, "denied");
    }
    if !enabled(settings) {
        return Verdict::Ask;
    }
    match ask {
        Ask::Followup if settings.always_allow_followup_questions => followup(text, settings),
        Ask::BrowserActionLaunch if settings.always_allow_browser => approve(Duration::ZERO),
        Ask::UseMcpServer if settings.always_allow_mcp && mcp_allowed(text, settings) => approve(Duration::ZERO),
        Ask::Command if settings.always_allow_execute && decision == Some(Decision::Approve) => approve(Duration::ZERO),
        Ask::Tool => tool(text, message.is_protected == Some(true), settings),
        _ => Verdict::Ask,
    }
}

/// The master switch and at least one category.
fn enabled(settings: &Settings) -> bool {
    settings.auto_approval_enabled
        && (settings.always_allow_read_only
            || settings.always_allow_write
            || settings.always_allow_execute
            || settings.always_allow_browser
            || settings.always_allow_mcp
            || settings.always_allow_mode_switch
            || settings.always_allow_subtasks
            || settings.always_approve_resubmit
            || settings.always_allow_followup_questions
            || settings.always_allow_update_todo_list)
}

fn approve(after: Duration) -> Verdict {
    answer(AskResponse::Yes, None, after, "approved")
}

fn answer(response: AskResponse, text: Option<String>, after: Duration, how: &'static str) -> Verdict {
    Verdict::Answer { after, mode: None, answer: Answer { response, text, images: Vec::new() }, how }
}

/// The first suggestion after the timeout; without suggestions a bare yes.
fn followup(text: &str, settings: &Settings) -> Verdict {
    let question: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(suggestion) = question["suggest"].as_array().and_then(|all| all.first()) else {
        return approve(Duration::ZERO);
    };
    let mode = suggestion["mode"].as_str().filter(|_| settings.always_allow_mode_switch).map(str::to_owned);
    Verdict::Answer {
        after: Duration::from_millis(settings.followup_auto_approve_timeout_ms),
        mode,
        answer: Answer {
            response: AskResponse::Message,
            text: suggestion["answer"].as_str().map(str::to_owned),
            images: Vec::new(),
        },
        how: "approved",
    }
}

/// Resources follow the switch; a tool also needs its own `alwaysAllow`, which no connected server has yet.
fn mcp_allowed(text: &str, _settings: &Settings) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|request| request["type"] == "access_mcp_resource")
}

fn tool(text: &str, protected: bool, settings: &Settings) -> Verdict {
    let Ok(tool) = serde_json::from_str::<Value>(text) else { return Verdict::Ask };
    let outside = tool["isOutsideWorkspace"] == true;
    let mut delay = Duration::ZERO;
    let approved = match tool["tool"].as_str().unwrap_or_default() {
        "updateTodoList" => settings.always_allow_update_todo_list,
        "fetchInstructions" => match tool["content"].as_str() {
            Some("create_mode") => settings.always_allow_mode_switch,
            Some("create_mcp_server") => settings.always_allow_mcp,
            _ => false,
        },
        "switchMode" => settings.always_allow_mode_switch,
        "newTask" | "finishTask" => settings.always_allow_subtasks,
        "readFile"
        | "listFiles"
        | "listFilesTopLevel"
        | "listFilesRecursive"
        | "listCodeDefinitionNames"
        | "searchFiles"
        | "codebaseSearch"
        | "runSlashCommand"
        | "gitStatus"
        | "gitDiff" => {
            settings.always_allow_read_only && (!outside || settings.always_allow_read_only_outside_workspace)
        }
        "editedExistingFile" | "appliedDiff" | "newFileCreated" | "searchAndReplace" | "insertContent"
        | "generateImage" => {
            delay = Duration::from_millis(settings.write_delay_ms);
            settings.always_allow_write
                && (!outside || settings.always_allow_write_outside_workspace)
                && (!protected || settings.always_allow_write_protected)
        }
        _ => false,
    };
    if approved { approve(delay) } else { Verdict::Ask }
}

#[cfg(test)]
mod tests;
