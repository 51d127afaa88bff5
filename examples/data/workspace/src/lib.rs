//! Time spans: `1h30m` and 5400 seconds are two forms of the same thing.

mod format;
mod parse;

pub use format::format;
pub use parse::{parse, ParseError};
