//! The engine: an owned runtime, clients with their rings and outboxes, sessions, host requests, settings in force.
//!
//! It is the only room that reads the surroundings (clock, environment, home folder) and hands them on as values. What the
//! agent does is decided in `task`; here it is run, routed and reported.

pub mod host_requests;
pub mod outbox;
pub mod surroundings;
