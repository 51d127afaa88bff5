//! From the bytes of a streamed answer to chunks: what all providers that stream share, whatever frames they send.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bumpalo::Bump;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::frames::{Fault, FrameError, Framing, Sse};
use super::http::{BodyStream, TransportError};
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

/// Turns frames into chunks, server-sent events if nothing else is said. No I/O.
pub trait EventDecoder<F: Framing = Sse>: Send + Unpin + 'static {
    /// Takes the next event. `arena` holds what must be unescaped or joined to be read; it is emptied after each event.
    ///
    /// # Errors
    /// An event that is or reports a failure; it ends the answer.
    fn event(
        &mut self,
        event: &F::Frame<'_>,
        arena: &Bump,
        out: &mut VecDeque<StreamChunk>,
    ) -> Result<Flow, ProviderError>;

    /// The answer has ended without failure.
    fn end(&mut self, out: &mut VecDeque<StreamChunk>);

    /// The answer has failed after it began: its bytes broke off, were no frames, or [`EventDecoder::event`] refused. Gives
    /// the error as the provider reports it; chunks pushed here come before it.
    fn failed(&mut self, error: ProviderError, _out: &mut VecDeque<StreamChunk>) -> ProviderError {
        error
    }
}

/// The chunks of the answer that `start` opens. What was received before a failure comes before it (deviation D03).
pub fn answer<F: Framing, D: EventDecoder<F>>(
    start: BoxFuture<'static, Result<BodyStream, ProviderError>>,
    decoder: D,
    wording: Wording,
) -> ChunkStream {
    let reader = Reader {
        state: State::Start(start),
        frames: F::default(),
        decoder,
        arena: Bump::new(),
        ready: VecDeque::new(),
        failure: None,
        wording,
    };
    reader.boxed()
}

enum State {
    Start(BoxFuture<'static, Result<BodyStream, ProviderError>>),
    Body(BodyStream),
    Ended,
}

struct Reader<F, D> {
    state: State,
    frames: F,
    decoder: D,
    /// Scratch of the decoder, for the whole answer.
    arena: Bump,
    ready: VecDeque<StreamChunk>,
    failure: Option<ProviderError>,
    wording: Wording,
}

impl<F: Framing, D: EventDecoder<F>> Stream for Reader<F, D> {
    type Item = Result<StreamChunk, ProviderError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(chunk) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if let Some(failure) = this.failure.take() {
                this.state = State::Ended;
                return Poll::Ready(Some(Err(failure)));
            }
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Start(start) => match ready!(start.poll_unpin(context)) {
                    Ok(body) => this.state = State::Body(body),
                    Err(failure) => this.failure = Some(failure),
                },
                State::Body(body) => {
                    let piece = ready!(body.poll_next_unpin(context));
                    this.take(piece);
                }
            }
        }
    }
}

impl<F: Framing, D: EventDecoder<F>> Reader<F, D> {
    /// Takes the next piece of the body, or its end.
    fn take(&mut self, piece: Option<Result<Bytes, TransportError>>) {
        let flow = match piece {
            Some(Ok(bytes)) => {
                self.frames.push(&bytes);
                self.read_frames()
            }
            Some(Err(error)) => Err(interrupted(&error, &self.wording)),
            None => {
                self.state = State::Ended;
                self.read_cut_frame()
            }
        };
        match flow {
            Ok(Flow::Continue) => {}
            Ok(Flow::End) => self.finish(),
            Err(failure) => self.failure = Some(self.decoder.failed(failure, &mut self.ready)),
        }
    }

    fn read_frames(&mut self) -> Result<Flow, ProviderError> {
        loop {
            match self.frames.next_frame() {
                Ok(None) => return Ok(Flow::Continue),
                Ok(Some(frame)) => {
                    self.arena.reset();
                    if self.decoder.event(&frame, &self.arena, &mut self.ready)? == Flow::End {
                        return Ok(Flow::End);
                    }
                }
                Err(error) => return Err(no_frame(&error, &self.wording)),
            }
        }
    }

    /// The body has ended: a last frame that only lacks its end mark counts (deviation D24).
    fn read_cut_frame(&mut self) -> Result<Flow, ProviderError> {
        match self.frames.finish() {
            Ok(None) => Ok(Flow::End),
            Ok(Some(frame)) => self.decoder.event(&frame, &self.arena, &mut self.ready).map(|_| Flow::End),
            Err(error) => Err(no_frame(&error, &self.wording)),
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

/// The words for bytes that are no frame.
fn no_frame(error: &FrameError, wording: &Wording) -> ProviderError {
    let id = match error.fault {
        Fault::TooLarge => "provider.event_too_large",
        Fault::Cut => "provider.stream_truncated",
        Fault::Checksum => "provider.stream_corrupt",
        Fault::Malformed => "provider.stream_malformed",
    };
    ProviderError::worded(wording, id, &[("offset", &error.offset.to_string())])
}

#[cfg(test)]
mod tests {
    use super::super::frames::SseEvent;
    use super::*;
    use futures::stream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives the data of each event; the answer ends at `[DONE]`.
    struct Echo;

    impl EventDecoder for Echo {
        fn event(
            &mut self,
            event: &SseEvent<'_>,
            _: &Bump,
            out: &mut VecDeque<StreamChunk>,
        ) -> Result<Flow, ProviderError> {
            if event.data == "[DONE]" {
                return Ok(Flow::End);
            }
            out.push_back(StreamChunk::Text(event.data.to_string()));
            Ok(Flow::Continue)
        }

        fn end(&mut self, _: &mut VecDeque<StreamChunk>) {}
    }

    /// A stream may not be asked again after its end: most panic.
    #[tokio::test]
    async fn a_body_is_read_to_its_end_and_no_further() {
        for body in ["data: 7\n\n", "data: 7", "data: 7\n\ndata: [DONE]\n\n", "data: 7\n\ndata: [DONE]\n\nrest"] {
            let ends = Arc::new(AtomicUsize::new(0));
            let mut pieces: VecDeque<Bytes> = body.split_inclusive("\n\n").map(|p| Bytes::from(p.to_owned())).collect();
            let counted = ends.clone();
            let body_stream = stream::poll_fn(move |_| {
                let piece = pieces.pop_front();
                counted.fetch_add(usize::from(piece.is_none()), Ordering::Relaxed);
                std::task::Poll::Ready(piece.map(Ok))
            });
            let start = async move { Ok(body_stream.boxed()) };
            let chunks: Vec<_> = answer(start.boxed(), Echo, Arc::new(|id, _| id.to_owned())).collect().await;
            assert_eq!(chunks, [Ok(StreamChunk::Text("7".into()))], "{body:?}");
            tokio::task::yield_now().await;
            assert_eq!(ends.load(Ordering::Relaxed), 1, "{body:?}");
        }
    }
}
