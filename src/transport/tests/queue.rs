//! The ring against a queue, and with many threads.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random sizes against a queue, from positions just below the wrap.
    #[test]
    fn behaves_as_a_queue(
        steps in prop::collection::vec((0usize..1025, 0u8..8), 1..400),
        before_wrap in 0u32..128,
    ) {
        let start = Position { slot: 0u32.wrapping_sub(before_wrap), byte: 0u32.wrapping_sub(before_wrap * 8) };
        let (engine, mut client) = pair(SMALL, start);
        let (mut unread, mut held) = (VecDeque::new(), VecDeque::new());
        let mut events = [RawEvent::EMPTY; 3];
        for (index, (len, action)) in steps.into_iter().enumerate() {
            if action < 4 {
                let body = vec![index as u8; len];
                match engine.events.publish(kind(1 + action as u16), &body, Priority::Normal) {
                    Ok(()) => unread.push_back(body),
                    Err(TransportError::Full) => prop_assert!(!unread.is_empty() || !held.is_empty()),
                    Err(error) => prop_assert!(false, "{error}"),
                }
            } else if action < 6 {
                let room = (action as usize - 3).min(3);
                let count = client.events.next(&mut events[..room]).unwrap();
                prop_assert_eq!(count, room.min(unread.len()));
                for event in &events[..count] {
                    held.push_back((*event, unread.pop_front().unwrap()));
                }
            } else {
                for (event, body) in &held {
                    prop_assert_eq!(bytes(event), &body[..]);
                    prop_assert_eq!(event.ptr as usize % 8, 0);
                }
                let count = client.events.release(len % 4);
                prop_assert_eq!(count, held.len().min(len % 4));
                held.drain(..count);
            }
        }
    }
}

#[test]
fn many_threads_lose_nothing() {
    const EACH: u64 = 20_000;
    let start = Position { slot: u32::MAX - 1000, byte: 0u32.wrapping_sub(4096) };
    let (engine, mut client) = pair(RingSize { slots: 64, arena_bytes: 4096 }, start);
    std::thread::scope(|scope| {
        for thread in 0..2u32 {
            let events = &engine.events;
            scope.spawn(move || {
                for number in 0..EACH {
                    let head =
                        RecordHead { kind: 1, session_index: thread, correlation: number, ..RecordHead::default() };
                    let body = [number as u8; 40];
                    while events.publish(head, &body[..number as usize % 40], Priority::Normal).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let (mut next, mut events) = ([0u64; 2], [RawEvent::EMPTY; 16]);
        while next != [EACH; 2] {
            assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Ready);
            let count = client.events.next(&mut events).unwrap();
            for event in &events[..count] {
                let expected = &mut next[event.session_index as usize];
                assert_eq!(event.correlation, *expected);
                assert_eq!(event.len as u64, *expected % 40);
                assert!(bytes(event).iter().all(|byte| *byte == *expected as u8));
                *expected += 1;
            }
            client.events.release(count);
        }
    });
}
