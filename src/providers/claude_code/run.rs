//! One answer of the program: started with the first look at the stream, killed when the stream is dropped.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::decode::OutputDecoder;
use super::options::ClaudeCodeOptions;
use super::prompt_file::PromptFile;
use crate::ecma;
use crate::providers::{ChunkStream, ProviderError, StreamChunk, Wording};
use crate::terminal::{Piped, Program, Signal};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// UTF-16 units of a system prompt that still stand on the command line.
const ARGUMENT_LIMIT: usize = 65_536;
/// Bytes that Linux takes as one argument, its end included.
const ARGUMENT_BYTES: usize = 128 << 10;
/// Where the program is to be had.
const INSTALL_URL: &str = "https://docs.anthropic.com/en/docs/claude-code/setup";

/// Everything an answer needs.
pub struct Question {
    /// The profile.
    pub options: ClaudeCodeOptions,
    /// System prompt.
    pub system: String,
    /// The conversation, as JSON.
    pub conversation: String,
    /// Where the program runs.
    pub workspace: PathBuf,
    /// Variables of the program.
    pub environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Where a long system prompt is put.
    pub storage: PathBuf,
    /// Words failures.
    pub wording: Wording,
}

/// The chunks of the answer.
pub fn answer(question: Question) -> ChunkStream {
    let wording = question.wording.clone();
    let reader = Reader {
        state: State::Start(question),
        decoder: OutputDecoder::new(wording.clone()),
        ready: VecDeque::new(),
        failure: None,
        wording,
    };
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|item| (item, reader)) }).boxed()
}

enum State {
    Start(Question),
    Running { program: Piped, deadline: Instant, buffer: Vec<u8>, _prompt: Option<PromptFile> },
    Ended,
}

struct Reader {
    state: State,
    decoder: OutputDecoder,
    ready: VecDeque<StreamChunk>,
    failure: Option<ProviderError>,
    wording: Wording,
}

impl Reader {
    /// What was received before a failure comes before it (deviation D03).
    async fn next(&mut self) -> Option<Result<StreamChunk, ProviderError>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(Ok(chunk));
            }
            if let Some(failure) = self.failure.take() {
                self.state = State::Ended;
                return Some(Err(failure));
            }
            if let State::Ended = self.state {
                return None;
            }
            if let Err(failure) = self.advance().await {
                self.failure = Some(failure);
            }
        }
    }

    async fn advance(&mut self) -> Result<(), ProviderError> {
        let (program, deadline, buffer) = match &mut self.state {
            State::Ended => return Ok(()),
            State::Start(question) => {
                self.state = start(question).await?;
                return Ok(());
            }
            State::Running { program, deadline, buffer, .. } => (program, *deadline, buffer),
        };
        let late = |_| {
            let seconds = TIMEOUT.as_secs().to_string();
            ProviderError::worded(&self.wording, "provider.claude_code.timeout", &[("seconds", &seconds)])
        };
        let length = timeout_at(deadline, program.read(buffer)).await.map_err(late)?.map_err(|error| {
            let cause = error.to_string();
            ProviderError::worded(&self.wording, "provider.stream_interrupted", &[("cause", &cause)])
        })?;
        if length > 0 {
            return self.decoder.push(buffer.get(..length).unwrap_or_default(), &mut self.ready);
        }
        let (exit, said) = timeout_at(deadline, program.end()).await.map_err(late)?;
        self.state = State::Ended;
        self.decoder.finish(&mut self.ready)?;
        if exit.code == 0 && exit.signal.is_none() {
            return Ok(());
        }
        let (code, signal) = (exit.code.to_string(), exit.signal.map_or(String::new(), Signal::name));
        let variables = [("code", code.as_str()), ("signal", &signal), ("output", said.trim())];
        Err(ProviderError::worded(&self.wording, "provider.claude_code.exited", &variables))
    }
}

async fn start(question: &mut Question) -> Result<State, ProviderError> {
    let Question { options, system, workspace, wording, .. } = &*question;
    let not_started = |cause: &io::Error| {
        let (folder, cause) = (workspace.to_string_lossy(), cause.to_string());
        let variables = [("path", options.program.as_str()), ("folder", &folder), ("cause", &cause)];
        ProviderError::worded(wording, "provider.claude_code.not_started", &variables)
    };
    let prompt = match needs_file(system) {
        true => Some(PromptFile::write(&question.storage, system).await.map_err(|error| not_started(&error))?),
        false => None,
    };
    let program = Program {
        program: options.program.clone().into(),
        arguments: options.arguments(prompt.as_ref().map_or(Ok(system.as_str()), |file| Err(file.path()))),
        cwd: workspace.clone(),
        environment: options.environment(&question.environment),
        input: question.conversation.as_bytes().to_vec(),
    };
    match Piped::start(program) {
        Ok(program) => {
            let deadline = Instant::now() + TIMEOUT;
            Ok(State::Running { program, deadline, buffer: vec![0; 64 << 10], _prompt: prompt })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && workspace.is_dir() => {
            let variables = [("path", options.program.as_str()), ("url", INSTALL_URL)];
            Err(ProviderError::worded(wording, "provider.claude_code.not_found", &variables))
        }
        Err(error) => Err(not_started(&error)),
    }
}

/// Whether the command line cannot take the prompt. Windows' is short for all its arguments together.
fn needs_file(system: &str) -> bool {
    cfg!(windows) || system.len() >= ARGUMENT_BYTES || ecma::utf16_len(system) > ARGUMENT_LIMIT
}
