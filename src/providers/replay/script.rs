//! The transcript format (`docs/replay.md`): JSON lines, read whole and checked before the first turn is played.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use super::expect::Expect;
use crate::providers::{GroundingSource, Model, ModelInfo, ProviderError, StreamChunk, Usage, Wording};

/// Largest transcript, in bytes.
const FILE_LIMIT: u64 = 64 << 20;
/// Most plays of one repeated chunk.
const REPEAT_LIMIT: u32 = 10_000_000;
/// Longest delay, in milliseconds: one day.
const DELAY_LIMIT: u64 = 86_400_000;

/// A transcript: the model it plays and its turns in order.
#[derive(Debug)]
pub struct Script {
    file: String,
    model: Model,
    turns: Vec<Turn>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Line of the file it begins at, from 1.
    pub line: usize,
    /// What it expects of the request.
    pub expect: Expect,
    /// What it plays.
    pub steps: Vec<Step>,
}

/// One line of a turn.
#[derive(Clone, Debug)]
pub struct Step {
    /// Milliseconds to wait first, each time.
    pub delay_ms: Option<u64>,
    /// How many times; at least 1.
    pub repeat: u32,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Nothing but the delay.
    Wait,
    /// Yields a chunk.
    Chunk(StreamChunk),
    /// Fails and ends the turn.
    Fail(ProviderError),
}

/// Why a transcript cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("{file}: {cause}")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system says.
        cause: String,
    },
    /// A line does not follow the format.
    #[error("{file}:{line}: {cause}")]
    Line {
        /// Path of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
}

impl ScriptError {
    /// In the words of the catalogue.
    pub fn worded(&self, wording: &Wording) -> ProviderError {
        match self {
            ScriptError::Unreadable { file, cause } => {
                ProviderError::worded(wording, "provider.replay.unreadable", &[("file", file), ("cause", cause)])
            }
            ScriptError::Line { file, line, cause } => ProviderError::worded(
                wording,
                "provider.replay.line",
                &[("file", file), ("line", &line.to_string()), ("cause", cause)],
            ),
        }
    }
}

/// A line as it stands in the file: one of the kinds, with its modifiers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    model: Option<ModelLine>,
    expect: Option<Expect>,
    text: Option<String>,
    reasoning: Option<String>,
    usage: Option<Usage>,
    grounding: Option<Vec<GroundingSource>>,
    error: Option<ErrorLine>,
    delay_ms: Option<u64>,
    repeat: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelLine {
    id: Option<String>,
    #[serde(default)]
    info: Option<ModelInfo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorLine {
    #[serde(default)]
    message: String,
    status: Option<u16>,
    code: Option<String>,
    #[serde(default)]
    details: serde_json::Map<String, Value>,
}

/// What a line is.
enum Content {
    Model(ModelLine),
    Expect(Expect),
    Step(Step),
}

impl Script {
    /// Reads and checks the transcript at `path`.
    ///
    /// # Errors
    /// An unreadable file, one of more than 64 MiB, or the first wrong line.
    pub fn read(path: &str) -> Result<Script, ScriptError> {
        let unreadable =
            |cause: std::io::Error| ScriptError::Unreadable { file: path.into(), cause: cause.to_string() };
        let file = File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_LIMIT {
            return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
        }
        Script::parse(path, &text)
    }

    /// Checks the transcript `text`; `file` names it in errors.
    ///
    /// # Errors
    /// The first wrong line.
    pub fn parse(file: &str, text: &str) -> Result<Script, ScriptError> {
        let mut script = Script { file: file.into(), model: default_model(), turns: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if line_text.is_empty() || line_text.starts_with('#') {
                continue;
            }
            script.add(index + 1, line_text).map_err(|cause| ScriptError::Line {
                file: file.into(),
                line: index + 1,
                cause,
            })?;
        }
        Ok(script)
    }

    /// Name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The model it plays.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its turns in order.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    fn add(&mut self, number: usize, text: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match line.content()? {
            Content::Model(_) if !self.turns.is_empty() => {
                return Err("`model` must stand before the first turn".into());
            }
            Content::Model(model) => {
                self.model.id = model.id.unwrap_or_else(|| self.model.id.clone());
                self.model.info = model.info.unwrap_or_else(|| self.model.info.clone());
            }
            Content::Expect(expect) => self.turns.push(Turn { line: number, expect, steps: Vec::new() }),
            Content::Step(step) => match self.turns.last_mut() {
                Some(turn) => turn.steps.push(step),
                None => return Err("a turn begins with an `expect` line".into()),
            },
        }
        Ok(())
    }
}

impl Line {
    fn content(self) -> Result<Content, String> {
        let chunk = |chunk| Some(Action::Chunk(chunk));
        let mut actions = [
            self.text.and_then(|text| chunk(StreamChunk::Text(text))),
            self.reasoning.and_then(|text| chunk(StreamChunk::Reasoning(text))),
            self.usage.and_then(|usage| chunk(StreamChunk::Usage(usage))),
            self.grounding.and_then(|sources| chunk(StreamChunk::Grounding(sources))),
            self.error.map(|error| Action::Fail(error.into())),
        ]
        .into_iter()
        .flatten();
        let action = actions.next();
        let kinds = [self.model.is_some(), self.expect.is_some(), action.is_some(), actions.next().is_some()];
        if kinds.into_iter().filter(|is| *is).count() > 1 {
            return Err("one line, one kind: model, expect, text, reasoning, usage, grounding or error".into());
        }
        let modified = self.delay_ms.is_some() || self.repeat.is_some();
        match (self.model, self.expect) {
            (Some(_), _) | (_, Some(_)) if modified => Err("`delay_ms` and `repeat` belong to chunks".into()),
            (Some(model), _) => Ok(Content::Model(model)),
            (_, Some(expect)) => Ok(Content::Expect(expect)),
            _ if action.is_none() && self.delay_ms.is_none() => Err("nothing to play".into()),
            _ => Ok(Content::Step(Step {
                delay_ms: within("delay_ms", self.delay_ms, 0, DELAY_LIMIT)?,
                repeat: within("repeat", self.repeat, 1, REPEAT_LIMIT)?.unwrap_or(1),
                action: action.unwrap_or(Action::Wait),
            })),
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    value: Option<T>,
    least: T,
    most: T,
) -> Result<Option<T>, String> {
    match &value {
        Some(value) if *value < least || *value > most => Err(format!("`{name}`: {least} to {most}")),
        _ => Ok(value),
    }
}

impl From<ErrorLine> for ProviderError {
    fn from(line: ErrorLine) -> ProviderError {
        ProviderError { message: line.message, status: line.status, code: line.code, details: line.details }
    }
}

/// The model of a transcript that names none: large, free, takes images.
fn default_model() -> Model {
    Model {
        id: "replay".into(),
        info: ModelInfo {
            max_tokens: Some(8192),
            context_window: 200_000,
            supports_images: Some(true),
            ..ModelInfo::default()
        },
    }
}
