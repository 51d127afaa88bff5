//! The semantic index of a workspace (spec 09 §4): how its files are named, what is wrong with an embedder, and what of an
//! error may leave the machine. Pure.

pub mod embedder;
pub mod paths;
pub mod redact;
