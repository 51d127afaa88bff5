//! What a prompt that is to be enhanced says of the conversation (spec 03 §13.4).

use super::text::Texts;
use crate::protocol::message::{Say, UiKind, UiMessage};

/// Messages that are shown at most, the last ones.
pub const MOST_MESSAGES: usize = 10;
/// Length of a message from which on it is cut, in UTF-16 units.
const LONGEST: usize = 500;

/// Whether a message is part of what is shown: a question, or words of the assistant.
pub fn counts(message: &UiMessage) -> bool {
    let kind = matches!(message.kind, UiKind::Ask(_) | UiKind::Say(Say::Text));
    kind && message.text.as_ref().is_some_and(|text| !text.is_empty())
}

/// The text with the last messages that count behind it.
pub fn with_history<'a>(texts: &Texts, text: &str, messages: impl DoubleEndedIterator<Item = &'a UiMessage>) -> String {
    let mut lines: Vec<String> =
        messages.rev().filter(|message| counts(message)).take(MOST_MESSAGES).map(line).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    lines.reverse();
    format!("{text}\n\n{}\n{}", texts.get("support.enhance.history_lead"), lines.join("\n"))
}

fn line(message: &UiMessage) -> String {
    let speaker = if matches!(message.kind, UiKind::Ask(_)) { "User" } else { "Assistant" };
    let text = message.text.as_deref().unwrap_or_default();
    let mut units = 0;
    let cut = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > LONGEST
    });
    match cut {
        Some((at, _)) => format!("{speaker}: {}...", &text[..at]),
        None => format!("{speaker}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::Ask;

    fn message(kind: UiKind, text: &str) -> UiMessage {
        UiMessage::new(0, kind, Some(text.to_owned()))
    }

    /// parity 03 §13.4: the last ten questions and words, each cut at 500 units
    #[test]
    fn the_last_messages_follow_the_text() {
        let texts = Texts::builtin();
        let long = "é".repeat(501);
        let mut messages: Vec<UiMessage> =
            (0..12).map(|n| message(UiKind::Say(Say::Text), &format!("old {n}"))).collect();
        messages.push(message(UiKind::Say(Say::ApiReqStarted), "no"));
        messages.push(message(UiKind::Say(Say::Text), ""));
        messages.push(UiMessage::new(0, UiKind::Ask(Ask::Followup), None));
        messages.push(message(UiKind::Ask(Ask::Followup), "which one?"));
        messages.push(message(UiKind::Say(Say::Text), &long));
        let text = with_history(&texts, "do it", messages.iter());
        let lead = texts.get("support.enhance.history_lead");
        let old: Vec<String> = (4..12).map(|n| format!("Assistant: old {n}")).collect();
        let expected =
            format!("do it\n\n{lead}\n{}\nUser: which one?\nAssistant: {}...", old.join("\n"), "é".repeat(500));
        assert_eq!(text, expected);
        assert_eq!(with_history(&texts, "do it", [].iter()), "do it");
    }
}
