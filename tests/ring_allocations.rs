//! The ring allocates nothing after it was opened. A binary of its own, because the counter replaces the allocator.

use lapce_ai::transport::{PairOptions, Priority, RawEvent, RecordHead, in_process};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates; the harness has threads of its own.
struct Counting;

// SAFETY: the system's allocator, with a count of the calls.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
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

#[test]
fn publish_next_release_allocates_nothing() {
    let Ok((engine, mut client)) = in_process(&PairOptions::default()) else { panic!("no memory for a pair") };
    let mut events = [RawEvent::EMPTY; 4];
    let head = RecordHead { kind: 1, ..RecordHead::default() };
    let before = ALLOCATIONS.get();
    for _ in 0..100_000 {
        assert!(engine.events.publish(head, &[7; 64], Priority::Normal).is_ok());
        assert!(matches!(client.events.next(&mut events), Ok(1)));
        assert_eq!(client.events.release(1), 1);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
