//! The atomics that `slots` and `doorbell` use. `tests/loom_ring.rs` compiles the same two files against a module
//! of this name that holds loom's types, so that their interleavings can be searched.

pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
