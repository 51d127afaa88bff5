//! All integration tests as one binary: one module a subject, with a small harness beside them.
