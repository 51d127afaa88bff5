//! What a turn of a transcript expects of the request it answers.

use serde::Deserialize;

use crate::protocol::message::{ContentBlock, MessageContent, Role};
use crate::providers::ChatRequest;

/// Longest piece of a request that a mismatch shows, in characters.
const SHOWN: usize = 300;

/// Expected properties; absent ones are not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Number of messages.
    messages: Option<usize>,
    /// Model id.
    model: Option<String>,
    /// Mode slug of the metadata.
    mode: Option<String>,
    /// Images of the last user message.
    images: Option<usize>,
    /// Parts of the system prompt.
    system_contains: Texts,
    /// Parts of the last user message's text.
    last_user_contains: Texts,
    /// Texts the last user message must not have.
    last_user_lacks: Texts,
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Texts {
        Texts::Many(Vec::new())
    }
}

impl Texts {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Texts::One(text) => std::slice::from_ref(text),
            Texts::Many(texts) => texts,
        }
        .iter()
        .map(String::as_str)
    }
}

/// The first property that does not hold.
#[derive(Debug, PartialEq)]
pub struct Mismatch {
    /// Its name in the file.
    pub property: &'static str,
    /// What the file says.
    pub expected: String,
    /// What the request has.
    pub actual: String,
}

impl Expect {
    /// Looks at every property in the order of the fields.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check(&self, request: &ChatRequest, model: &str) -> Result<(), Mismatch> {
        let (text, images) = last_user(request);
        let mode = request.metadata.as_ref().and_then(|metadata| metadata.mode.as_deref()).unwrap_or("");
        same("messages", self.messages, request.messages.len())?;
        same("model", self.model.as_deref(), model)?;
        same("mode", self.mode.as_deref(), mode)?;
        same("images", self.images, images)?;
        contains("system_contains", &self.system_contains, &request.system)?;
        contains("last_user_contains", &self.last_user_contains, &text)?;
        match self.last_user_lacks.iter().find(|unwanted| text.contains(unwanted)) {
            Some(unwanted) => Err(mismatch("last_user_lacks", unwanted, &text)),
            None => Ok(()),
        }
    }
}

fn same<T: PartialEq + ToString>(property: &'static str, expected: Option<T>, actual: T) -> Result<(), Mismatch> {
    match expected {
        Some(expected) if expected != actual => Err(mismatch(property, &expected.to_string(), &actual.to_string())),
        _ => Ok(()),
    }
}

fn contains(property: &'static str, expected: &Texts, actual: &str) -> Result<(), Mismatch> {
    match expected.iter().find(|part| !actual.contains(part)) {
        Some(part) => Err(mismatch(property, part, actual)),
        None => Ok(()),
    }
}

fn mismatch(property: &'static str, expected: &str, actual: &str) -> Mismatch {
    let mut shown: String = actual.chars().take(SHOWN).collect();
    if shown.len() < actual.len() {
        shown.push('…');
    }
    Mismatch { property, expected: expected.to_owned(), actual: shown }
}

/// Text (parts joined by LF, those of tool results too) and number of images of the last user message.
fn last_user(request: &ChatRequest) -> (String, usize) {
    let Some(message) = request.messages.iter().rev().find(|message| message.role == Role::User) else {
        return (String::new(), 0);
    };
    let (mut texts, mut images) = (Vec::new(), 0);
    collect(&message.content, &mut texts, &mut images);
    (texts.join("\n"), images)
}

fn collect<'a>(content: &'a MessageContent, texts: &mut Vec<&'a str>, images: &mut usize) {
    let blocks = match content {
        MessageContent::Text(text) => return texts.push(text),
        MessageContent::Blocks(blocks) => blocks,
    };
    for block in blocks {
        match block {
            ContentBlock::Text { text } => texts.push(text),
            ContentBlock::Image { .. } => *images += 1,
            ContentBlock::ToolResult { content: Some(content), .. } => collect(content, texts, images),
            _ => {}
        }
    }
}
