//! The `lapce-ai` binary.

fn main() {}
