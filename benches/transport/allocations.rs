//! Allocations of the ring's two ends while records pass.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use lapce_ai::transport::{Priority, RawEvent};

use crate::BODY;
use crate::ring::{HEAD, pair};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: the system's allocator, with a count of the calls.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub fn figures() {
    let (engine, mut client) = pair();
    let mut events = [RawEvent::EMPTY; 4];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..100_000 {
        engine.events.publish(HEAD, &BODY, Priority::Normal).unwrap();
        client.events.next(&mut events).unwrap();
        client.events.release(1);
    }
    println!("figure ring.allocations {} allocations", ALLOCATIONS.load(Ordering::Relaxed) - before);
}
