//! Every interleaving (up to a bound of preemptions) of the two ends of a ring, searched by loom. The ring's own sources
//! are compiled here, with stand-ins for the memory, the bell and the atomics that they use; and twice, because loom
//! knows no total order of SeqCst accesses:
//!
//! - `wakes`: fences give that order, which sleeping and waking need. They also order everything else, and so would hide
//!   a store that is too weak.
//! - `orders`: SeqCst counts as acquire and release only, and nobody sleeps. Here a store or load that is too weak shows,
//!   as two threads that touch the same bytes of the arena at once or as a record that is not what was written.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed step is a failed model.
#![allow(dead_code)] // Whole sources of the library are compiled, and no model needs all of them.
#![allow(clippy::duplicate_mod)] // They are compiled twice, against different atomics.

#[path = "loom/orders.rs"]
mod orders;
#[path = "loom/wakes.rs"]
mod wakes;

/// Searches all interleavings of `test` with at most `preemptions`.
fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}
