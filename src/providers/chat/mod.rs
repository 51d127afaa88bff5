//! Chat completions, the wire most vendors speak: what every provider of that family shares (spec 07 §2, §11, §18).
//!
//! [`body`] has the pieces of requests, [`ChatDecoder`] reads streamed answers as a [`ChatReading`] says, [`UsageRule`]
//! says where the counts stand, [`whole`] reads answers that came in one piece, [`ChatClient`] sends and words failures.
//! What only one vendor does belongs to that vendor's file, not here.

pub mod body;
mod client;
mod decode;
mod headers;
mod usage;
mod whole;
pub(super) mod wire;

pub use client::{ChatClient, Wrapping};
pub use decode::{ChatDecoder, ChatReading, ReasoningFields, ThinkTags, Transcript, UsageReader, UsageTime};
pub use headers::{overlay_headers, sdk_headers};
pub use usage::{Charge, Count, UsageRule, Zero};
pub use whole::message_text;
