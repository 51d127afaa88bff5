//! From the bytes of a streamed answer to chunks: what all providers with server-sent events share.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use serde::de::IgnoredAny;

use super::http::{BodyStream, TransportError};
use super::sse::{SseDecoder, SseEvent};
use super::{ChunkStream, ProviderError, StreamChunk, Wording};

/// How long the rest of a body may take after the answer's end, so that the connection can be used again.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More may come.
    Continue,
    /// This was the end; the rest is ignored.
    End,
}

/// Turns events into chunks. No I/O.
pub trait EventDecoder: Send + 'static {
    /// Takes the next event.
    ///
    /// # Errors
    /// An event that is or reports a failure; it ends the answer.
    fn event(&mut self, event: &SseEvent<'_>, out: &mut VecDeque<StreamChunk>) -> Result<Flow, ProviderError>;

    /// The answer has ended without failure.
    fn end(&mut self, out: &mut VecDeque<StreamChunk>);
}

/// The chunks of the answer that `start` opens. What was received before a failure comes before it (deviation D03).
pub fn answer<D: EventDecoder>(
    start: BoxFuture<'static, Result<BodyStream, ProviderError>>,
    decoder: D,
    wording: Wording,
) -> ChunkStream {
    let reader = Reader {
        state: State::Start(start),
        events: SseDecoder::default(),
        decoder,
        ready: VecDeque::new(),
        failure: None,
        wording,
    };
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|item| (item, reader)) }).boxed()
}

enum State {
    Start(BoxFuture<'static, Result<BodyStream, ProviderError>>),
    Body(BodyStream),
    Ended,
}

struct Reader<D> {
    state: State,
    events: SseDecoder,
    decoder: D,
    ready: VecDeque<StreamChunk>,
    failure: Option<ProviderError>,
    wording: Wording,
}

impl<D: EventDecoder> Reader<D> {
    async fn next(&mut self) -> Option<Result<StreamChunk, ProviderError>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(Ok(chunk));
            }
            if let Some(failure) = self.failure.take() {
                self.state = State::Ended;
                return Some(Err(failure));
            }
            match &mut self.state {
                State::Ended => return None,
                State::Start(start) => match start.await {
                    Ok(body) => self.state = State::Body(body),
                    Err(failure) => self.failure = Some(failure),
                },
                State::Body(body) => {
                    let piece = body.next().await;
                    let flow = match piece {
                        Some(Ok(bytes)) => {
                            self.events.push(&bytes);
                            self.read_events()
                        }
                        Some(Err(error)) => Err(interrupted(&error, &self.wording)),
                        None => self.read_cut_event(),
                    };
                    match flow {
                        Ok(Flow::Continue) => {}
                        Ok(Flow::End) => self.finish(),
                        Err(failure) => self.failure = Some(failure),
                    }
                }
            }
        }
    }

    fn read_events(&mut self) -> Result<Flow, ProviderError> {
        loop {
            match self.events.next_event() {
                Ok(None) => return Ok(Flow::Continue),
                Ok(Some(event)) => {
                    if self.decoder.event(&event, &mut self.ready)? == Flow::End {
                        return Ok(Flow::End);
                    }
                }
                Err(error) => return Err(too_large(error.offset, &self.wording)),
            }
        }
    }

    /// The body has ended. An event without its empty line counts when its data are whole, otherwise the answer is cut off.
    fn read_cut_event(&mut self) -> Result<Flow, ProviderError> {
        match self.events.finish() {
            Ok(None) => Ok(Flow::End),
            Ok(Some(event)) if event.data.starts_with("[DONE]") => Ok(Flow::End),
            Ok(Some(event)) if serde_json::from_str::<IgnoredAny>(&event.data).is_ok() => {
                self.decoder.event(&event, &mut self.ready).map(|_| Flow::End)
            }
            Ok(Some(_)) => Err(ProviderError::worded(&self.wording, "provider.stream_truncated", &[])),
            Err(error) => Err(too_large(error.offset, &self.wording)),
        }
    }

    fn finish(&mut self) {
        self.decoder.end(&mut self.ready);
        if let State::Body(mut body) = std::mem::replace(&mut self.state, State::Ended)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let drain = async move { while let Some(Ok(_)) = body.next().await {} };
            runtime.spawn(async move { tokio::time::timeout(DRAIN_TIMEOUT, drain).await });
        }
    }
}

/// The words for a body that broke off or fell silent.
pub fn interrupted(error: &TransportError, wording: &Wording) -> ProviderError {
    match error {
        TransportError::Timeout => ProviderError::worded(wording, "provider.stream_silent", &[]),
        other => ProviderError::worded(wording, "provider.stream_interrupted", &[("cause", &other.to_string())]),
    }
}

fn too_large(offset: u64, wording: &Wording) -> ProviderError {
    ProviderError::worded(wording, "provider.event_too_large", &[("offset", &offset.to_string())])
}
