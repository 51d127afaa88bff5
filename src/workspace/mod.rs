//! The user's workspace as the agent sees it: paths, ignore and protect rules, listing, search and reading of files
//! (spec 03 §17–18, spec 05 §1.8–1.10, §3–4, spec 06 §B–C).
//!
//! Everything here is synchronous, bounded and treats what it finds on the disk as hostile: links may loop or lead out, files
//! may be pipes, devices, huge, or in no encoding at all. Nothing here words a sentence, asks the user or decides about
//! approval; it returns values and typed errors.
//!
//! Files are read, not mapped: whoever else has a mapped file may shorten it, and the next access then ends the whole process
//! of the editor. Reading in fixed memory costs a copy, which the formatting after it outweighs.

pub mod access;
pub mod documents;
pub mod find;
mod fuzzy;
pub mod gitignore;
pub mod images;
pub mod listing;
pub mod paths;
pub mod reading;
pub mod search;
mod spreadsheets;
pub mod stamp;
pub mod trust;
pub mod watching;
pub mod write;
