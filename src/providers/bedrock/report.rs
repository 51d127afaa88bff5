//! How failures are told (spec 07 §15.7), and the time limit of a whole streaming call (§15.1).

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::error::{Kind, client};
use crate::providers::{ChunkStream, ProviderError, StreamChunk, Usage, Wording};

/// Time for a whole streaming call, the stream included.
const CALL_LIMIT: Duration = Duration::from_secs(600);

/// The chunks of an answer, ended after ten minutes. A failure is told in a chunk and an empty usage before it is raised;
/// throttling is raised as it came, for whoever asked may ask again.
pub fn reported(chunks: ChunkStream, wording: Wording) -> ChunkStream {
    let items = limited(chunks, wording.clone()).flat_map(move |item| {
        stream::iter(match item {
            Err(error) if Kind::of(&error) != Kind::Throttled => {
                let error = told(error, &wording);
                let text = StreamChunk::Text(format!("Error: {}", error.message));
                vec![Ok(text), Ok(StreamChunk::Usage(Usage::default())), Err(error)]
            }
            item => vec![item],
        })
    });
    items.boxed()
}

/// The error of a request for a single answer.
pub fn completion_error(error: ProviderError, wording: &Wording) -> ProviderError {
    let error = told(error, wording);
    let message = wording("provider.bedrock.complete", &[("message", &error.message)]);
    ProviderError { message, ..error }
}

/// The error in our words; its name and status stay.
fn told(error: ProviderError, wording: &Wording) -> ProviderError {
    let kind = Kind::of(&error);
    let message = match kind {
        Kind::Other => wording(kind.id(), &[("errorMessage", &error.message)]),
        _ => wording(kind.id(), &[]),
    };
    ProviderError { message, ..error }
}

/// The time begins with the first look at the stream.
fn limited(chunks: ChunkStream, wording: Wording) -> ChunkStream {
    struct Limited {
        chunks: ChunkStream,
        deadline: Option<Instant>,
    }
    let start = Some(Limited { chunks, deadline: None });
    stream::unfold(start, move |limited| {
        let wording = wording.clone();
        async move {
            let mut limited = limited?;
            let deadline = *limited.deadline.get_or_insert_with(|| Instant::now() + CALL_LIMIT);
            match timeout_at(deadline, limited.chunks.next()).await {
                Ok(item) => item.map(|item| (item, Some(limited))),
                Err(_) => {
                    let minutes = (CALL_LIMIT.as_secs() / 60).to_string();
                    let message = wording("provider.bedrock.call_timeout", &[("minutes", &minutes)]);
                    Some((Err(client("AbortError", message)), None))
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::bedrock::error::service;
    use std::sync::Arc;

    fn wording() -> Wording {
        Arc::new(|id, variables| format!("{id}{variables:?}"))
    }

    async fn collect(chunks: ChunkStream) -> Vec<String> {
        let shown = |item: Result<StreamChunk, ProviderError>| match item {
            Ok(StreamChunk::Text(text)) => text,
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("threw {}", error.message),
        };
        reported(chunks, wording()).map(shown).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_after_ten_minutes() {
        let slow = stream::iter(0..100).then(|i| async move {
            tokio::time::sleep(Duration::from_secs(61)).await;
            Ok(StreamChunk::Text(i.to_string()))
        });
        let shown = collect(slow.boxed()).await;
        assert_eq!(shown[..9], ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert!(shown[9].starts_with("Error: provider.bedrock.unknown") && shown[9].contains("call_timeout"));
        assert!(shown[11].starts_with("threw") && shown.len() == 12);
    }

    #[tokio::test]
    async fn throttling_is_raised_as_it_came() {
        let failing = |name: &str| {
            let chunks = [Ok(StreamChunk::Text("a".into())), Err(service(name.into(), "words".into(), None))];
            stream::iter(chunks).boxed()
        };
        assert_eq!(collect(failing("ThrottlingException")).await, ["a", "threw words"]);
        let told = collect(failing("AccessDenied")).await;
        assert_eq!((told[1].as_str(), told.len()), ("Error: provider.bedrock.access_denied[]", 4));
    }
}
