//! Going on with a stored task (spec 02 §2.2).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::conversation::Conversation;
use super::host::TaskEvent;
use super::instance::Task;
use super::messages::Extra;
use super::recovery::Note;
use super::rewind::Rewind;
use super::run::task_content;
use super::stored::Stored;
use super::todo;
use crate::protocol::message::{
    ApiMessage, Ask, AskResponse, ContentBlock, MessageContent, Role, Say, UiKind, UiMessage,
};

impl Task {
    /// Loads the conversations, goes back to an earlier point of them if one is given, asks whether to go on, and runs.
    pub async fn resume(self: Arc<Self>, mut stored: Stored, rewind: Option<Rewind>) {
        let noting = self.services.host.keeps_notes();
        let before: Vec<i64> = stored.ui.iter().map(|message| message.ts).take_while(|_| noting).collect();
        rewind.iter().for_each(|rewind| rewind.cut(&mut stored));
        let Stored { mut ui, api, ahead, .. } = stored;
        shorten(&mut ui);
        let said = match &rewind {
            Some(Rewind::To(_, said)) => said.clone(),
            _ => None,
        };
        self.note(|task| {
            let left: HashSet<i64> = ui.iter().map(|message| message.ts).collect();
            let removed = before.into_iter().filter(|ts| !left.contains(ts)).collect();
            let after = ui.last().map_or(i64::MIN, |last| last.ts);
            Note::Resuming { task, after, removed, kept: rewind.is_some().then_some(api.len()), said: said.clone() }
        });
        let completed = is_completed(&ui);
        let todos = ui.todo_lists().find_map(|message| todo::from_messages(std::slice::from_ref(&message)));
        // Also when there is none: an earlier instance may have had a list.
        self.emit(TaskEvent::Todos { task: self.id.clone(), items: todos.clone().unwrap_or_default() });
        {
            let mut state = self.state();
            state.todos = todos;
            state.skip_previous_response = ui.last().is_some_and(|last| last.kind == UiKind::Say(Say::CondenseContext));
            ui.rearranged();
            state.ui = ui;
            state.api = api.into();
            if let Some(said) = said {
                // The queue of a fresh instance has room for one.
                let _ = state.queue.add(said);
            }
        }
        self.persist_ui();
        if ahead || rewind.is_some() {
            self.persist_api();
        }
        match rewind {
            Some(Rewind::Anew(text, images)) => self.begin_anew(text, images),
            _ => self.ask_to_resume(completed).await,
        }
    }

    /// Runs with another text for the task, which stands in its first message already.
    fn begin_anew(self: Arc<Self>, text: String, images: Vec<String>) {
        if let Some(first) = self.state().ui.first() {
            self.note_ui(first);
            self.emit(TaskEvent::MessageUpdated { task: self.id.clone(), message: first.clone() });
        }
        self.run(task_content(&text, &images));
    }

    /// Asks whether to go on with the loaded conversations, and does.
    pub(super) async fn ask_to_resume(self: Arc<Self>, completed: bool) {
        let ask = if completed { Ask::ResumeCompletedTask } else { Ask::ResumeTask };
        let Ok(answer) = self.ask(ask, None, false, None, None).await else { return };
        let mut feedback = None;
        if answer.response == AskResponse::Message {
            if self.say(Say::UserFeedback, answer.text.clone(), &answer.images, None, Extra::default()).is_err() {
                return;
            }
            feedback = Some((answer.text.unwrap_or_default(), answer.images));
        }
        let mut content = self.take_unanswered();
        if let Some((text, images)) = feedback {
            let texts = &self.services.surroundings.texts;
            if !text.is_empty() {
                let label = texts.get("resume.new_instructions");
                let text = format!("\n\n{label}:\n<user_message>\n{text}\n</user_message>");
                content.push(ContentBlock::Text { text });
            }
            content.extend(images.iter().map(|url| ContentBlock::image_from_data_url(url)));
        }
        if content.is_empty() {
            content.push(ContentBlock::text(self.services.surroundings.texts.get("resume.placeholder")));
        }
        self.persist_api();
        self.run(content);
    }

    /// The blocks of a last user message that the model has not answered, taken out of the history. A task that was stopped before
    /// its first request has none: it begins with its text.
    fn take_unanswered(&self) -> Vec<ContentBlock> {
        let mut state = self.state();
        if state.api.is_empty()
            && let Some(first) = state.ui.first().filter(|first| first.kind == UiKind::Say(Say::Text))
        {
            return task_content(
                first.text.as_deref().unwrap_or_default(),
                first.images.as_deref().unwrap_or_default(),
            );
        }
        let api = state.api.edit();
        modernise(api);
        match api.pop_if(|last| last.role == Role::User).map(|last| last.content) {
            Some(MessageContent::Text(text)) => vec![ContentBlock::Text { text }],
            Some(MessageContent::Blocks(blocks)) => blocks,
            None => Vec::new(),
        }
    }
}

/// Whether the task's last word, resume questions apart, was its completion.
pub(super) fn is_completed(ui: &[UiMessage]) -> bool {
    let last = ui.iter().rfind(|message| !is_resume_ask(message));
    last.is_some_and(|last| last.kind == UiKind::Ask(Ask::CompletionResult))
}

/// Whether the message asks whether to go on.
pub(super) fn is_resume_ask(message: &UiMessage) -> bool {
    matches!(message.kind, UiKind::Ask(Ask::ResumeTask | Ask::ResumeCompletedTask))
}

/// Drops what an interrupted run left at the end.
fn shorten(ui: &mut Conversation) {
    while ui.pop_if(is_resume_ask) {}
    while ui.pop_if(|last| last.kind == UiKind::Say(Say::Reasoning)) {}
    let Some(last) = ui.iter().rposition(|m| m.kind == UiKind::Say(Say::ApiReqStarted)) else { return };
    let text = ui.whole(last).and_then(|message| message.into_owned().text);
    let info: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if info.get("cost").is_none() && info.get("cancelReason").is_none() {
        ui.remove(last);
    }
}

/// Turns native tool calls of old histories into text.
pub(super) fn modernise(messages: &mut [ApiMessage]) {
    let mut names: HashMap<String, String> = HashMap::new();
    let lists = messages.iter_mut().filter_map(|message| match &mut message.content {
        MessageContent::Blocks(blocks) => Some(blocks),
        MessageContent::Text(_) => None,
    });
    for block in lists.flatten() {
        let text = match block {
            ContentBlock::ToolUse { id, name, input } => {
                names.insert(id.clone(), name.clone());
                let pairs: Vec<String> = input
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| {
                        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        format!("<{key}>\n{value}\n</{key}>")
                    })
                    .collect();
                format!("<{name}>\n{}\n</{name}>", pairs.join("\n"))
            }
            ContentBlock::ToolResult { tool_use_id, content, .. } => {
                let texts: Vec<&str> = match content {
                    Some(MessageContent::Text(text)) => vec![text.as_str()],
                    Some(MessageContent::Blocks(inner)) => inner
                        .iter()
                        .filter_map(|block| match block {
                            ContentBlock::Text { text } => Some(text.as_str()),
                            _ => None,
                        })
                        .collect(),
                    None => Vec::new(),
                };
                let name = names.get(tool_use_id).map_or("Unknown Tool", String::as_str);
                format!("[{name} Result]\n\n{}", texts.join("\n\n"))
            }
            _ => continue,
        };
        *block = ContentBlock::Text { text };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn say(say: Say, text: &str) -> UiMessage {
        UiMessage::new(1, UiKind::Say(say), Some(text.into()))
    }

    /// parity 02 §2.2: resume questions, reasoning and an open request at the end go
    #[test]
    fn the_end_of_an_interrupted_run_is_dropped() {
        let resume = UiMessage::new(1, UiKind::Ask(Ask::ResumeTask), None);
        let mut ui = Conversation::from(vec![
            say(Say::Text, "t"),
            say(Say::ApiReqStarted, r#"{"request":"x"}"#),
            say(Say::Text, "partial"),
            say(Say::Reasoning, "hm"),
            resume.clone(),
            resume,
        ]);
        shorten(&mut ui);
        assert_eq!(*ui, [say(Say::Text, "t"), say(Say::Text, "partial")]);
        let requests = [r#"{"cost":0}"#, r#"{"cancelReason":"x"}"#].map(|text| say(Say::ApiReqStarted, text));
        let mut paid = Conversation::from(requests.to_vec());
        shorten(&mut paid);
        assert_eq!(paid.len(), 2);
    }

    /// parity 02 §2.2: native tool calls of an old history become text
    #[test]
    fn native_calls_become_text() {
        let mut message: ApiMessage = serde_json::from_value(json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "1", "name": "read_file", "input": {"path": "a", "line": 3}},
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
        ]}))
        .expect("a message");
        modernise(std::slice::from_mut(&mut message));
        let expected = MessageContent::Blocks(vec![
            ContentBlock::text("<read_file>\n<path>\na\n</path>\n<line>\n3\n</line>\n</read_file>"),
            ContentBlock::text("[read_file Result]\n\nx\n\ny"),
        ]);
        assert_eq!(message.content, expected);
    }
}
