//! The whole vocabulary between host and engine, and the records the agent loop stores.
//!
//! - [`request`]: what a host asks; [`event`]: what the engine reports; [`failure`]: kinds of failure
//! - [`ids`], [`json`], [`limits`], [`field`], [`record`]: what requests and events are made of
//! - [`hello`]: what both sides say before their rings exist, when the engine runs in a process of its own
//! - [`secret`]: what must not show
//! - [`schema`]: their JSON schemas; [`abi`]: the hash of their layout
//! - [`fuzzing`]: what must hold for every input, for the fuzzer and the tests
//! - [`message`]: the records of a conversation (spec 01 §2); [`model`]: models and usage; [`tool`]: tool and parameter names (spec 01 §1)
//!
//! Uses nothing of ours. No I/O, no clock.

pub mod abi;
pub mod event;
pub mod failure;
pub mod field;
#[doc(hidden)]
pub mod fuzzing;
pub mod hello;
pub mod ids;
pub mod json;
pub mod limits;
pub mod message;
pub mod model;
pub mod record;
pub mod request;
pub mod schema;
pub mod secret;
pub mod tool;
