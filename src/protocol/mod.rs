//! The whole vocabulary between host and engine, and the records the agent loop stores: [`message`] (spec 01 §2),
//! [`tool`] (tool and parameter names, spec 01 §1), requests and events with their JSON form (`docs/protocol.md`).
//!
//! Uses nothing of ours. No I/O, no clock.

pub mod message;
pub mod model;
pub mod tool;
