//! Paths, ignore and protect rules, listing, search, reading of the user's workspace (spec 03 §17–18, spec 05 §1, §3, spec 06 §B–C).

pub mod access;
pub mod paths;
