//! What a dry run leaves to settings, hooks and queued messages: nothing that works on more than the collected texts.

use crate::protocol::message::{Ask, AskResponse};
use crate::task::approval::policy::Verdict;

/// The decision about a question of a dry run. Commands, tools of MCP servers and the browser work on real files and real
/// services, so that only the user may allow them, whatever is allowed elsewhere.
pub(in crate::task) fn adjust(verdict: Verdict, ask: Ask) -> Verdict {
    match &verdict {
        Verdict::Answer { answer, .. } if is_real(ask) && answer.response == AskResponse::Yes => Verdict::Ask,
        _ => verdict,
    }
}

/// Whether a yes to this question has effects that a dry run cannot collect.
pub(in crate::task) fn is_real(ask: Ask) -> bool {
    matches!(ask, Ask::Command | Ask::UseMcpServer | Ask::BrowserActionLaunch)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tools::context::Answer;

    #[test]
    fn what_is_real_is_for_the_user() {
        let given = |response, after| Verdict::Answer {
            after,
            mode: None,
            answer: Answer { response, text: None, images: Vec::new() },
            how: "approved",
        };
        for (ask, response, is_asked) in [
            (Ask::Command, AskResponse::Yes, true),
            (Ask::UseMcpServer, AskResponse::Yes, true),
            (Ask::BrowserActionLaunch, AskResponse::Yes, true),
            (Ask::Command, AskResponse::No, false),
            (Ask::Tool, AskResponse::Yes, false),
            (Ask::Followup, AskResponse::Message, false),
        ] {
            for after in [Duration::ZERO, Duration::from_secs(1)] {
                let adjusted = adjust(given(response, after), ask);
                assert_eq!(matches!(adjusted, Verdict::Ask), is_asked, "{ask:?} {response:?}");
            }
        }
    }
}
