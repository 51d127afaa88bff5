//! A user who carries prompt and reply between us and a model elsewhere, such as a chat in the browser (spec 07 §19.1).

use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Map, Value};

use super::{
    ChatRequest, ChunkStream, Model, ModelInfo, Provider, ProviderError, StreamChunk, Surroundings, Usage, Wording,
};
use crate::protocol::message::{ContentBlock, MessageContent};

/// Puts a prompt before the user and brings the reply.
#[async_trait]
pub trait Relay: Send + Sync {
    /// The reply; empty if the user gave none. Dropping the future gives up the question.
    ///
    /// # Errors
    /// Nobody could be asked.
    async fn ask(&self, prompt: &str) -> Result<String, RelayError>;
}

/// Why nobody could be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RelayError {
    /// The host has no way to ask, or there is no host.
    #[error("nobody can be asked here")]
    Unavailable,
    /// The question failed on its way.
    #[error("{0}")]
    Failed(String),
}

/// Where nobody can be asked.
pub struct NoRelay;

#[async_trait]
impl Relay for NoRelay {
    async fn ask(&self, _: &str) -> Result<String, RelayError> {
        Err(RelayError::Unavailable)
    }
}

/// The provider; see the module.
#[derive(Clone)]
pub struct HumanRelayProvider {
    relay: Arc<dyn Relay>,
    wording: Wording,
}

impl HumanRelayProvider {
    /// Has no settings.
    pub fn new(surroundings: &Surroundings) -> HumanRelayProvider {
        HumanRelayProvider { relay: surroundings.relay.clone(), wording: surroundings.wording.clone() }
    }

    async fn reply(&self, prompt: &str) -> Result<String, ProviderError> {
        let failed = |id: &str, variables: &[(&str, &str)]| Err(ProviderError::worded(&self.wording, id, variables));
        match self.relay.ask(prompt).await {
            Ok(reply) if reply.is_empty() => failed("provider.human_relay.cancelled", &[]),
            Ok(reply) => Ok(reply),
            Err(RelayError::Unavailable) => failed("provider.human_relay.unavailable", &[]),
            Err(RelayError::Failed(cause)) => failed("provider.human_relay.failed", &[("cause", &cause)]),
        }
    }
}

/// The system prompt goes with the first message; later the other side knows the conversation.
fn prompt(request: &ChatRequest) -> String {
    let latest = request.messages.last().map(|message| text(&message.content)).unwrap_or_default();
    match request.messages.len() {
        1 => format!("{}\n\n{latest}", request.system),
        _ => latest,
    }
}

fn text(content: &MessageContent) -> String {
    match content {
        MessageContent::Text(text) => text.clone(),
        MessageContent::Blocks(blocks) => {
            let texts = blocks.iter().filter_map(|block| match block {
                ContentBlock::Text { text } => Some(text.as_str()),
                _ => None,
            });
            texts.collect::<Vec<_>>().join("\n")
        }
    }
}

#[async_trait]
impl Provider for HumanRelayProvider {
    fn model(&self) -> Model {
        let info = ModelInfo {
            max_tokens: Some(16_384),
            context_window: 100_000,
            supports_images: Some(true),
            supports_prompt_cache: Some(false),
            input_price: Some(0.0),
            output_price: Some(0.0),
            other: Map::from_iter([("supportsComputerUse".to_owned(), Value::Bool(true))]),
            ..ModelInfo::default()
        };
        Model { id: "human-relay".to_owned(), info }
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let this = self.clone();
        let reply = async move { this.reply(&prompt(&request)).await.map(StreamChunk::Text) };
        stream::once(reply.boxed()).boxed()
    }

    /// A user's chat elsewhere has no limit that we know.
    async fn count_tokens(&self, _: &[ContentBlock]) -> u64 {
        0
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        self.reply(prompt).await
    }

    fn cost(&self, _: &Usage) -> f64 {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Repeats the prompt, or answers as it says.
    struct Echo;

    #[async_trait]
    impl Relay for Echo {
        async fn ask(&self, prompt: &str) -> Result<String, RelayError> {
            match prompt {
                "nothing" => Ok(String::new()),
                "failure" => Err(RelayError::Failed("lost".into())),
                prompt => Ok(format!("<{prompt}>")),
            }
        }
    }

    fn provider(relay: impl Relay + 'static) -> HumanRelayProvider {
        HumanRelayProvider { relay: Arc::new(relay), wording: Arc::new(|id, variables| format!("{id} {variables:?}")) }
    }

    #[tokio::test]
    async fn the_system_prompt_goes_with_the_first_message_only() {
        let user = |content: Value| json!({"role": "user", "content": content});
        let assistant = json!({"role": "assistant", "content": "a"});
        for (messages, expected) in [
            (json!([user(json!("q"))]), "<S\n\nq>"),
            (json!([user(json!("q")), assistant, user(json!("r"))]), "<r>"),
            (
                json!([user(json!([
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "url", "url": "u"}},
                    {"type": "text", "text": "b"},
                ]))]),
                "<S\n\na\nb>",
            ),
        ] {
            let messages = Arc::new(serde_json::from_value(messages).expect("messages"));
            let request = ChatRequest { system: "S".into(), messages, metadata: None };
            let chunks: Vec<_> = provider(Echo).stream(request).collect().await;
            assert_eq!(chunks, [Ok(StreamChunk::Text(expected.into()))]);
        }
    }

    #[tokio::test]
    async fn no_reply_is_a_failure() {
        for (prompt, expected) in [
            ("hi", Ok("<hi>".to_owned())),
            ("nothing", Err("provider.human_relay.cancelled []")),
            ("failure", Err(r#"provider.human_relay.failed [("cause", "lost")]"#)),
        ] {
            let reply = provider(Echo).complete(prompt).await.map_err(|error| error.message);
            assert_eq!(reply, expected.map_err(str::to_owned), "{prompt}");
        }
        let failure = provider(NoRelay).complete("hi").await.expect_err("a failure");
        assert_eq!(failure.message, "provider.human_relay.unavailable []");
    }
}
