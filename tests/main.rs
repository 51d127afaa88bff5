//! All integration tests as one binary: one module a subject in `tests/cases/`, with a small harness beside them.

#[path = "cases/structure.rs"]
mod structure;
