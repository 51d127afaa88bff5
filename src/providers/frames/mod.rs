//! From the bytes of a body to the frames of a stream: server-sent events, lines of JSON, AWS event streams, JSON arrays.
//!
//! Every decoder is a [`Framing`]: incremental, without I/O, independent of how the bytes are split, and bounded by
//! [`FRAME_LIMIT`]. Frames borrow from the decoder: text from its buffer, or, where bytes had to be put together, from an
//! arena that is emptied for the next frame. What is in a frame is not looked at here.

mod event_stream;
pub mod fuzzing;
mod headers;
mod json_array;
mod lines;
mod sse;
mod window;

pub use event_stream::{EventMessage, EventStream};
pub use headers::{HeaderValue, Headers};
pub use json_array::JsonArray;
pub use lines::{DataLines, JsonLines};
pub use sse::{Sse, SseEvent};
pub use window::text;

/// Most bytes of one frame, its marks, names and line ends included.
pub const FRAME_LIMIT: usize = 16 << 20;

/// How frames lie in a stream of bytes.
pub trait Framing: Default + Send + Unpin + 'static {
    /// One frame, borrowed from the decoder.
    type Frame<'a>: std::fmt::Debug;

    /// Takes the next bytes of the stream.
    fn push(&mut self, bytes: &[u8]);

    /// The next complete frame; `None` until more bytes come.
    ///
    /// # Errors
    /// Bytes that are no frame. The stream cannot be read on after it.
    fn next_frame(&mut self) -> Result<Option<Self::Frame<'_>>, FrameError>;

    /// The stream has ended and no complete frame is left: gives the frame that only lacks its end mark (deviation D24).
    ///
    /// # Errors
    /// A frame that is cut off.
    fn finish(&mut self) -> Result<Option<Self::Frame<'_>>, FrameError>;
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}, in the frame that begins at byte {offset} of the stream")]
pub struct FrameError {
    /// Where the frame begins in the stream.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has more than [`FRAME_LIMIT`] bytes.
    #[error("more than {FRAME_LIMIT} bytes")]
    TooLarge,
    /// The stream ended within it.
    #[error("cut off")]
    Cut,
    /// A checksum does not fit its bytes.
    #[error("wrong checksum")]
    Checksum,
    /// It breaks the rules of its format.
    #[error("malformed")]
    Malformed,
}
