//! What the ends of a ring use of the layout, which asserts sizes that loom's atomics do not have.

use super::sync::AtomicU64;

pub const MAX_SLOTS: u32 = 8;

pub struct Line<T>(pub T);

pub struct Counters {
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    pub coalesced: AtomicU64,
    pub full: AtomicU64,
}
