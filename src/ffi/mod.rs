//! The C surface (`include/lapce_ai.h`), and nothing else: types, NULL checks, the panic and fork guard, handles.
//!
//! - [`guard`]: the one way into every function that can fail; [`handles`]: live engines and clients by number
//! - [`status`], [`error`], [`strings`], [`options`]: the types; [`engine`], [`client`],
//!   [`attach`], [`request`], [`event`], [`tokens`]: the functions
//!
//! No logic lives here: what is asked goes to [`crate::engine`], what is answered comes from there. Names are those of C.
#![allow(non_camel_case_types)]

pub mod attach;
pub mod client;
pub mod engine;
pub mod error;
pub mod event;
mod guard;
mod handles;
#[cfg(test)]
mod header;
pub mod options;
pub mod request;
pub mod status;
pub mod strings;
#[cfg(test)]
mod tests;
pub mod tokens;
