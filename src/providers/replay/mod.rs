//! The `replay` provider: plays a transcript file instead of asking a model (`docs/replay.md`).
//!
//! For demonstrations, host development and tests. It scripts the model and nothing else: tools, approvals, files and
//! commands are real. Each request takes the next turn of the file; what the turn expects of the request is checked first.

mod expect;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

pub use script::{Script, ScriptError};

use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Surroundings, Usage, Wording};
use super::{cost, model_id_of, tokens};
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::settings::Settings;
use script::{Action, Turn};

/// Plays one transcript; see the module.
pub struct ReplayProvider {
    script: Arc<Script>,
    model: Model,
    next_turn: AtomicUsize,
    wording: Wording,
}

impl ReplayProvider {
    /// Reads the file that the setting `replayFile` names.
    ///
    /// # Errors
    /// No such setting, an unreadable file, or a line that does not follow the format: named with file and line.
    pub fn open(settings: &Settings, surroundings: &Surroundings) -> Result<ReplayProvider, ProviderError> {
        let wording = &surroundings.wording;
        let path = settings
            .option_str("replayFile")
            .ok_or_else(|| ProviderError::worded(wording, "provider.replay.no_file", &[]))?;
        let script = Script::read(path).map_err(|error| error.worded(wording))?;
        Ok(ReplayProvider::new(script, model_id_of(&settings.other), wording.clone()))
    }

    /// Plays `script`. `model_id` replaces the id the script gives its model.
    pub fn new(script: Script, model_id: Option<&str>, wording: Wording) -> ReplayProvider {
        let mut model = script.model().clone();
        if let Some(id) = model_id {
            model.id = id.to_owned();
        }
        ReplayProvider { script: Arc::new(script), model, next_turn: AtomicUsize::new(0), wording }
    }

    /// Takes the next turn and checks what it expects of the request.
    fn take_turn(&self, request: &ChatRequest) -> Result<Turn, ProviderError> {
        let number = self.next_turn.fetch_add(1, Ordering::Relaxed);
        let file = self.script.file();
        let Some(turn) = self.script.turns().get(number) else {
            let turns = self.script.turns().len().to_string();
            return Err(ProviderError::worded(
                &self.wording,
                "provider.replay.exhausted",
                &[("file", file), ("turns", &turns)],
            ));
        };
        match turn.expect.check(request, &self.model.id) {
            Ok(()) => Ok(turn.clone()),
            Err(mismatch) => Err(ProviderError::worded(
                &self.wording,
                "provider.replay.mismatch",
                &[
                    ("file", file),
                    ("line", &turn.line.to_string()),
                    ("property", mismatch.property),
                    ("expected", &mismatch.expected),
                    ("actual", &mismatch.actual),
                ],
            )),
        }
    }
}

#[async_trait]
impl Provider for ReplayProvider {
    fn model(&self) -> Model {
        self.model.clone()
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        match self.take_turn(&request) {
            Ok(turn) => play(turn).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        tokens::count_blocks_aside(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        let message = ApiMessage {
            role: Role::User,
            content: MessageContent::Text(prompt.to_owned()),
            ts: None,
            is_summary: None,
        };
        let turn = self.take_turn(&ChatRequest { messages: Arc::new(vec![message]), ..ChatRequest::default() })?;
        let mut chunks = play(turn).boxed();
        let mut answer = String::new();
        while let Some(chunk) = chunks.next().await {
            if let StreamChunk::Text(text) = chunk? {
                answer.push_str(&text);
            }
        }
        Ok(answer)
    }

    fn cost(&self, usage: &Usage) -> f64 {
        cost::openai(&self.model.info, usage)
    }
}

/// The chunks of a turn; an error ends it.
fn play(turn: Turn) -> impl futures::Stream<Item = Result<StreamChunk, ProviderError>> + Send {
    let position = (0usize, 0u32, false);
    stream::unfold((turn, position), |(turn, (mut index, mut repeated, failed))| async move {
        if failed {
            return None;
        }
        loop {
            let step = turn.steps.get(index)?;
            if let Some(delay) = step.delay_ms {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            repeated += 1;
            if repeated >= step.repeat {
                (index, repeated) = (index + 1, 0);
            }
            let item = match &step.action {
                Action::Wait => continue,
                Action::Chunk(chunk) => Ok(chunk.clone()),
                Action::Fail(error) => Err(error.clone()),
            };
            let failed = item.is_err();
            return Some((item, (turn, (index, repeated, failed))));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider(transcript: &str) -> ReplayProvider {
        let script = Script::parse("t.jsonl", transcript).expect("a valid transcript");
        ReplayProvider::new(script, None, Arc::new(|id, variables| format!("{id} {variables:?}")))
    }

    fn request(messages: serde_json::Value) -> ChatRequest {
        let messages: Vec<ApiMessage> = serde_json::from_value(messages).expect("messages");
        ChatRequest { system: "You are S.".into(), messages: Arc::new(messages), metadata: None }
    }

    fn run(provider: &ReplayProvider, messages: serde_json::Value) -> Vec<Result<StreamChunk, ProviderError>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(provider.stream(request(messages)).collect())
    }

    fn text(text: &str) -> Result<StreamChunk, ProviderError> {
        Ok(StreamChunk::Text(text.into()))
    }

    #[test]
    fn turns_are_played_in_order() {
        let provider = provider(
            r##"# a comment
            {"model": {"id": "m", "info": {"contextWindow": 1000}}}

            {"expect": {"messages": 1, "model": "m", "system_contains": "S.", "last_user_contains": ["a", "b"]}}
            {"reasoning": "hm"}
            {"text": "x", "repeat": 2}
            {"usage": {"inputTokens": 3}, "delay_ms": 0}
            {"expect": {"images": 1, "last_user_lacks": "z"}}
            {"text": "y"}
            {"error": {"message": "busy", "status": 429}}
            {"text": "never"}"##,
        );
        assert_eq!((provider.model().id, provider.model().info.context_window), ("m".into(), 1000));
        assert_eq!(
            run(&provider, json!([{"role": "user", "content": "a b"}])),
            [
                Ok(StreamChunk::Reasoning("hm".into())),
                text("x"),
                text("x"),
                Ok(StreamChunk::Usage(Usage { input_tokens: 3, ..Usage::default() }))
            ]
        );
        let image = json!({"type": "image", "source": {"type": "url", "url": "u"}});
        let failed = ProviderError { message: "busy".into(), status: Some(429), ..ProviderError::default() };
        assert_eq!(run(&provider, json!([{"role": "user", "content": [image]}])), [text("y"), Err(failed)]);
        let exhausted = "provider.replay.exhausted [(\"file\", \"t.jsonl\"), (\"turns\", \"2\")]";
        assert_eq!(run(&provider, json!([])), [Err(ProviderError::new(exhausted))]);
    }

    #[test]
    fn a_mismatch_names_line_and_property() {
        for (expect, property, actual) in [
            (r#"{"messages": 2}"#, "messages", "1"),
            (r#"{"model": "other"}"#, "model", "replay"),
            (r#"{"mode": "code"}"#, "mode", ""),
            (r#"{"images": 1}"#, "images", "0"),
            (r#"{"system_contains": "T"}"#, "system_contains", "You are S."),
            (r#"{"last_user_contains": ["h", "q"]}"#, "last_user_contains", "hello"),
            (r#"{"last_user_lacks": "ell"}"#, "last_user_lacks", "hello"),
        ] {
            let provider = provider(&format!("\n{{\"expect\": {expect}}}"));
            let result = run(&provider, json!([{"role": "user", "content": "hello"}]));
            let [Err(error)] = result.as_slice() else { panic!("{expect}: {result:?}") };
            assert!(error.message.contains("(\"line\", \"2\")"), "{}", error.message);
            assert!(error.message.contains(&format!("(\"property\", \"{property}\")")), "{}", error.message);
            assert!(error.message.contains(&format!("(\"actual\", \"{actual}\")")), "{}", error.message);
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        for (transcript, expected) in [
            ("{\"text\": \"x\"}", "f:1: a turn begins with an `expect` line"),
            ("{\"expect\": {}}\n{\"txt\": 1}", "f:2: unknown field `txt`"),
            ("{\"expect\": {\"message\": 1}}", "f:1: unknown field `message`"),
            ("{\"expect\": {}}\n{\"text\": \"a\", \"reasoning\": \"b\"}", "f:2: one line, one kind"),
            ("{\"expect\": {}, \"repeat\": 2}", "f:1: `delay_ms` and `repeat` belong to chunks"),
            ("{\"expect\": {}}\n{\"text\": \"a\", \"repeat\": 0}", "f:2: `repeat`: 1 to "),
            ("{\"expect\": {}}\n{}", "f:2: nothing to play"),
            ("{\"expect\": {}}\n{\"model\": {}}", "f:2: `model` must stand before"),
            ("{\"expect\"", "f:1: EOF"),
        ] {
            let error = Script::parse("f", transcript).expect_err(transcript).to_string();
            assert!(error.starts_with(expected), "{transcript}: {error}");
        }
    }

    #[test]
    fn a_single_prompt_takes_a_turn() {
        let provider = provider("{\"expect\":{\"last_user_contains\":\"Do\"}}\n{\"text\":\"a\"}\n{\"text\":\"b\"}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(runtime.block_on(provider.complete("Do it")), Ok("ab".into()));
    }
}
