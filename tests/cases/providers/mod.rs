//! One conformance suite over all providers: each against a server on the loopback that speaks its wire format.

mod aws;
mod dialect;
mod gemini_cli;
mod google;
mod lists;
mod network;
mod proxy;
mod qwen_code;
mod redirect;
mod responses;
mod rows;
mod secure;
mod server;
mod suite;
mod tables;
