//! One conformance suite over all providers: each against a server on the loopback that speaks its wire format.

mod dialect;
mod redirect;
mod rows;
mod secure;
mod server;
mod suite;
