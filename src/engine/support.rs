//! `prompt.enhance`: support prompts (spec 03 §13), those that a model answers and those that a host starts a task with.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::completion::{self, Auxiliary};
use super::core::Core;
use super::router::{Outcome, object, stale};
use super::surroundings;
use crate::prompt::enhance::{MOST_MESSAGES, counts, with_history};
use crate::prompt::support::{SupportPrompt, command_of};
use crate::prompt::text::TextError;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::PromptEnhance;
use crate::settings::Settings;
use crate::task::host::SettingsSource;

/// The setting with the user's own templates.
const OWN_PROMPTS: &str = "customSupportPrompts";

/// Makes the prompt, and asks a model when it is one that a model answers here.
pub async fn enhance(core: Arc<Core>, client: Arc<Attachment>, request: PromptEnhance) -> Outcome {
    let at = |place: &str, message: String| RequestFailed {
        place: Some(format!("prompt.enhance.{place}")),
        ..RequestFailed::new(ErrorKind::InvalidRequest, message)
    };
    let kind = request.kind.as_deref().unwrap_or(SupportPrompt::Enhance.as_str());
    let prompt = SupportPrompt::parse(kind).filter(|prompt| *prompt != SupportPrompt::CommitMessage);
    let Some(prompt) = prompt else {
        return Err(at("kind", format!("there is no support prompt `{kind}` here")));
    };
    let session = match request.session {
        None => None,
        Some(id) => Some(core.session(id, &client).ok_or_else(|| stale("session"))?),
    };
    let settings = session.as_ref().map_or_else(|| core.settings.current(), |session| session.settings.current());
    let own = session.as_ref().and_then(|session| session.settings.texts());
    let texts = own.as_deref().unwrap_or_else(|| core.texts());
    let mut values = object(request.values.as_ref(), "prompt.enhance.values")?;
    let mut text = request.text;
    if matches!(prompt, SupportPrompt::Enhance | SupportPrompt::TerminalGenerate) && text.trim().is_empty() {
        return Err(at("text", texts.get("support.failed.no_text")));
    }
    if prompt == SupportPrompt::Enhance
        && includes_history(&settings)
        && let Some(task) = session.as_ref().and_then(|session| session.handle.current())
    {
        text = with_history(texts, &text, task.last_messages(counts, MOST_MESSAGES).iter());
    }
    values.insert("userInput".into(), text.into());
    if prompt == SupportPrompt::TerminalGenerate {
        place_of_terminal(&mut values);
    }
    let made = prompt.create(texts, own_prompts(&settings), &values).map_err(|error| broken(&error))?;
    let (text, usage) = match prompt {
        SupportPrompt::Enhance => {
            (completion::single(&core, &settings, Auxiliary::Enhancement, &made).await?, "answer")
        }
        SupportPrompt::TerminalGenerate => {
            let answer = completion::single(&core, &settings, Auxiliary::TerminalCommand, &made).await?;
            (command_of(&answer), "answer")
        }
        SupportPrompt::AddToContext | SupportPrompt::TerminalAddToContext => (made, "input"),
        SupportPrompt::Condense => (made, "setting"),
        _ => (made, "task"),
    };
    Ok(json!({"text": text, "use": usage}))
}

/// The user's own templates.
pub fn own_prompts(settings: &Settings) -> Option<&Map<String, Value>> {
    settings.other.get(OWN_PROMPTS).and_then(Value::as_object)
}

/// A text that cannot be made a prompt of.
pub fn broken(error: &TextError) -> RequestFailed {
    RequestFailed::new(ErrorKind::Internal, error.to_string())
}

fn includes_history(settings: &Settings) -> bool {
    settings.other.get("includeTaskHistoryInEnhance").and_then(Value::as_bool).unwrap_or(true)
}

/// What the host does not say of its terminal.
fn place_of_terminal(values: &mut Map<String, Value>) {
    let known = [
        ("operatingSystem", surroundings::platform().to_owned()),
        ("currentDirectory", "~".to_owned()),
        ("shell", surroundings::terminal_shell()),
    ];
    for (name, value) in known {
        values.entry(name).or_insert_with(|| value.into());
    }
}
