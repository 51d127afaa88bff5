//! What hooks change about the approval of a call.

use serde_json::Value;

use super::verdict::Decision;
use crate::protocol::message::{Ask, AskResponse, UiKind, UiMessage};
use crate::settings::Settings;
use crate::task::approval::policy::Verdict;
use crate::tools::context::Answer;

/// The policy's verdict about the question of a call for which hooks decided this.
///
/// A hook that wants the user asked is obeyed, and so is one that allows, if settings let hooks approve. Neither touches a
/// refusal, and no hook approves what is protected or outside the workspace.
pub(in crate::task) fn adjust(
    verdict: Verdict,
    decision: Option<Decision>,
    message: &UiMessage,
    settings: &Settings,
) -> Verdict {
    let UiKind::Ask(Ask::Tool | Ask::Command | Ask::BrowserActionLaunch | Ask::UseMcpServer) = message.kind else {
        return verdict;
    };
    match (decision, &verdict) {
        (Some(Decision::Ask), Verdict::Answer { answer, .. }) if answer.response == AskResponse::Yes => Verdict::Ask,
        (Some(Decision::Allow), Verdict::Ask) if settings.hooks_may_approve && !is_guarded(message) => {
            Verdict::Answer {
                after: std::time::Duration::ZERO,
                mode: None,
                answer: Answer { response: AskResponse::Yes, text: None, images: Vec::new() },
                how: "approved",
            }
        }
        _ => verdict,
    }
}

/// Whether the question is about something protected or outside the workspace. What cannot be read counts as such.
fn is_guarded(message: &UiMessage) -> bool {
    if message.is_protected == Some(true) {
        return true;
    }
    if message.kind != UiKind::Ask(Ask::Tool) {
        return false;
    }
    let payload: Option<Value> = message.text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    payload.is_none_or(|payload| names_guarded(&payload))
}

fn names_guarded(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            matches!(name.as_str(), "isOutsideWorkspace" | "isProtected") && *value != false || names_guarded(value)
        }),
        Value::Array(items) => items.iter().any(names_guarded),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::text::Texts;
    use crate::task::approval::policy;
    use serde_json::json;

    #[test]
    fn hooks_ask_and_approve_within_their_limits() {
        use Decision::{Allow, Ask as Asks, Deny};
        let read = json!({"tool": "readFile", "isOutsideWorkspace": false}).to_string();
        let batch = json!({"tool": "readFile", "batchFiles": [{"isOutsideWorkspace": true}]}).to_string();
        let outside = json!({"tool": "newFileCreated", "isOutsideWorkspace": true}).to_string();
        let write = json!({"tool": "newFileCreated", "isOutsideWorkspace": false}).to_string();
        let (yes, no) = (Some(AskResponse::Yes), Some(AskResponse::No));
        for (ask, text, protected, decision, may, expected) in [
            (Ask::Tool, read.as_str(), false, None, true, yes),
            (Ask::Tool, &read, false, Some(Asks), true, None),
            (Ask::Tool, &read, false, Some(Asks), false, None),
            (Ask::Tool, &read, false, Some(Deny), true, yes),
            (Ask::Tool, &write, false, Some(Allow), true, yes),
            (Ask::Tool, &write, false, Some(Allow), false, None),
            (Ask::Tool, &write, true, Some(Allow), true, None),
            (Ask::Tool, &outside, false, Some(Allow), true, None),
            (Ask::Tool, &batch, false, Some(Asks), true, None),
            (Ask::Tool, "no JSON", false, Some(Allow), true, None),
            (Ask::Command, "ls", false, Some(Allow), true, yes),
            (Ask::Command, "rm -rf x", false, Some(Allow), true, no),
            (Ask::Command, "rm -rf x", false, Some(Asks), true, no),
            (Ask::Followup, "{}", false, Some(Allow), true, None),
            (Ask::CompletionResult, "", false, Some(Allow), true, None),
        ] {
            let settings =
                Settings { hooks_may_approve: may, denied_commands: vec!["rm".into()], ..Settings::default() };
            let mut message = UiMessage::new(1, UiKind::Ask(ask), Some(text.into()));
            message.is_protected = Some(protected);
            let verdict = policy::decide(ask, &message, &settings, &Texts::builtin());
            let found = match adjust(verdict, decision, &message, &settings) {
                Verdict::Ask => None,
                Verdict::Answer { answer, .. } => Some(answer.response),
            };
            assert_eq!(found, expected, "{ask:?} {text} {decision:?} {may}");
        }
    }
}
