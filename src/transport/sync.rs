//! The atomics of the ring. `tests/loom_ring.rs` compiles `slots`, `doorbell`, `producer` and `consumer` against modules
//! of this name that hold loom's types, so that their interleavings can be searched.

pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
