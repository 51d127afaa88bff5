//! The two ends together: order, wrap, room, padding, wake, and peers that lie.
#![allow(clippy::unwrap_used)]

use super::in_process::in_process_from;
use super::os;
use super::slots::Position;
use super::sync::Ordering;
use super::*;
use proptest::prelude::*;
use rkyv::util::AlignedVec;
use std::collections::VecDeque;
use std::time::Duration;

const SMALL: RingSize = RingSize { slots: 8, arena_bytes: 4096 };

fn pair(size: RingSize, start: Position) -> (EngineEnd, ClientEnd) {
    in_process_from(&PairOptions { events: size, requests: size, ..PairOptions::default() }, start).unwrap()
}

fn kind(kind: u16) -> RecordHead {
    RecordHead { kind, ..RecordHead::default() }
}

fn bytes(event: &RawEvent) -> &[u8] {
    // SAFETY: tests read before they release.
    unsafe { std::slice::from_raw_parts(event.ptr, event.len) }
}

#[test]
fn a_record_arrives_as_written() {
    let (engine, mut client) = pair(SMALL, Position::default());
    let head = RecordHead {
        kind: 7,
        flags: 0x8001,
        session_index: 0xdead_beef,
        session_sequence: u32::MAX,
        correlation: u64::MAX - 1,
    };
    engine.events.publish(head, b"hello", Priority::Normal).unwrap();
    let mut events = [RawEvent::EMPTY; 4];
    assert_eq!(client.events.next(&mut events).unwrap(), 1);
    let event = events[0];
    assert_eq!(bytes(&event), b"hello");
    assert_eq!((event.head(), event.sequence), (head, 1));
    assert_eq!(client.events.release(9), 1);
    let counters = RingCounters { records: 1, bytes: 5, coalesced: 1, full: 0 };
    assert_eq!(engine.events.counters(), counters);
}

#[test]
fn slot_fields_lie_where_the_layout_says() {
    let (engine, client) = pair(SMALL, Position::default());
    let head = RecordHead {
        kind: 0x0102,
        flags: 0x0304,
        session_index: 0x0506_0708,
        session_sequence: 0x090a_0b0c,
        correlation: 0x1112_1314_1516_1718,
    };
    engine.events.publish(head, &[9; 3], Priority::Normal).unwrap();
    let slot = &client.events.consumer.slots[0];
    // SAFETY: 32 bytes of atomics that nobody writes now.
    let raw = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(slot).cast::<u8>(), layout::SLOT_LEN) };
    let field = |offset: usize, len: usize| {
        raw[offset..offset + len].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let fields = [
        (layout::SLOT_SEQUENCE, 4, 1),
        (layout::SLOT_KIND, 2, 0x0102),
        (layout::SLOT_FLAGS, 2, 0x0304),
        (layout::SLOT_SPAN, 4, 8),
        (layout::SLOT_RECORD_LEN, 4, 3),
        (layout::SLOT_SESSION_INDEX, 4, 0x0506_0708),
        (layout::SLOT_SESSION_SEQUENCE, 4, 0x090a_0b0c),
        (layout::SLOT_CORRELATION, 8, 0x1112_1314_1516_1718),
    ];
    for (offset, len, expected) in fields {
        assert_eq!(field(offset, len), expected, "at {offset}");
    }
}

#[test]
fn control_records_have_the_last_eighth() {
    let (engine, mut client) = pair(SMALL, Position::default());
    for number in 0..7 {
        engine.events.publish(kind(number + 1), b"x", Priority::Normal).unwrap();
    }
    assert!(matches!(engine.events.publish(kind(9), b"x", Priority::Normal), Err(TransportError::Full)));
    engine.events.publish(kind(10), b"x", Priority::Control).unwrap();
    assert!(matches!(engine.events.publish(kind(11), b"x", Priority::Control), Err(TransportError::Full)));
    assert_eq!(engine.events.counters().full, 2);
    let mut events = [RawEvent::EMPTY; 8];
    assert_eq!(client.events.next(&mut events).unwrap(), 8);
    assert_eq!(events[7].kind, 10);
}

#[test]
fn an_abandoned_claim_is_passed_over_and_its_room_comes_back() {
    let (engine, mut client) = pair(SMALL, Position::default());
    let mut events = [RawEvent::EMPTY; 4];
    for round in 0..100 {
        drop(engine.events.claim(kind(1), 900, Priority::Normal).unwrap());
        let mut claim = engine.events.claim(kind(2), 900, Priority::Normal).unwrap();
        claim[..2].copy_from_slice(b"ok");
        claim.commit(2).unwrap();
        drop(engine.events.claim(kind(3), 900, Priority::Normal).unwrap());
        assert_eq!(client.events.next(&mut events).unwrap(), 1, "round {round}");
        assert_eq!(bytes(&events[0]), b"ok");
        assert_eq!(client.events.release(1), 1);
        assert_eq!(client.events.next(&mut events).unwrap(), 0);
    }
}

#[test]
fn too_large_records_and_sizes_are_refused() {
    let (engine, _client) = pair(SMALL, Position::default());
    assert!(matches!(
        engine.events.claim(kind(1), 1025, Priority::Normal),
        Err(TransportError::TooLarge { len: 1025, max: 1024 })
    ));
    let claim = engine.events.claim(kind(1), 10, Priority::Normal).unwrap();
    assert!(matches!(claim.commit(11), Err(TransportError::TooLarge { len: 11, max: 10 })));
    for (slots, arena_bytes) in [(4, 4096), (9, 4096), (1 << 17, 4096), (8, 2048), (8, 5000), (8, 1 << 31), (0, 0)] {
        let events = RingSize { slots, arena_bytes };
        assert!(matches!(
            in_process(&PairOptions { events, ..PairOptions::default() }),
            Err(TransportError::Size { .. })
        ));
    }
}

#[test]
fn a_full_ring_asks_for_room_and_is_told() {
    let (mut engine, mut client) = pair(SMALL, Position::default());
    while engine.events.publish(kind(1), b"x", Priority::Normal).is_ok() {}
    engine.events.set_want_room(true);
    assert!(engine.events.publish(kind(1), b"x", Priority::Normal).is_err());
    let mut body = AlignedVec::new();
    assert!(engine.requests.receive(&mut body).unwrap().is_none());
    let mut events = [RawEvent::EMPTY; 8];
    client.events.next(&mut events).unwrap();
    client.events.release(1);
    engine.requests.consumer.bell.wait(None);
    engine.events.publish(kind(1), b"x", Priority::Normal).unwrap();
}

#[test]
fn wait_ends_by_time_record_and_close() {
    let (engine, mut client) = pair(SMALL, Position::default());
    let spin = Duration::from_micros(1);
    assert_eq!(client.events.wait(Some(Duration::ZERO), spin), Waited::TimedOut);
    engine.events.publish(kind(1), b"x", Priority::Normal).unwrap();
    assert_eq!(client.events.wait(None, spin), Waited::Ready);
    let mut body = AlignedVec::new();
    assert_eq!(client.events.receive(&mut body).unwrap(), Some(kind(1)));
    drop(engine);
    assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Closed);
    assert_eq!(client.events.state(), (RingState::Closed, 0));
}

#[test]
fn a_lying_client_is_found_out() {
    let lies = [Position { slot: 8, byte: 0 }, Position { slot: 0, byte: 9 }, Position { slot: u32::MAX, byte: 0 }];
    for lie in lies {
        let (engine, client) = pair(SMALL, Position::default());
        client.events.consumer.released_word.store(lie.to_word(), Ordering::SeqCst);
        let broken = (0..9).find_map(|_| match engine.events.publish(kind(1), b"", Priority::Control) {
            Err(TransportError::Broken(breach)) => Some(breach),
            _ => None,
        });
        // Numbers that an honest client could have reached by then do not show; any other does.
        assert_eq!(broken.is_some(), engine.events.is_broken());
        assert!(broken == Some(Breach::Released) || lie.slot == 8, "{lie:?}");
    }
}

#[test]
fn the_pipe_bell_rings_and_falls_silent() {
    let (ringer, bell) = os::macos::bell().unwrap();
    for _ in 0..70_000 {
        ringer.ring();
    }
    bell.wait(None);
    bell.drain();
    bell.wait(Some(Duration::ZERO));
    ringer.ring();
    bell.wait(None);
}

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

    /// Whatever a slot says, the reader neither panics nor hands out bytes outside of the arena.
    #[test]
    fn arbitrary_slots_stay_inside(words in prop::collection::vec(any::<[u32; 3]>(), 8)) {
        let (_engine, mut client) = pair(SMALL, Position::default());
        let consumer = &client.events.consumer;
        for (number, (slot, [span, len, kind])) in consumer.slots.iter().zip(words).enumerate() {
            // Small numbers half of the time, so that some pass the checks.
            let narrow = |value: u32| if value.is_multiple_of(2) { value % 5000 } else { value };
            slot.size.store(u64::from(narrow(span)) | u64::from(narrow(len)) << 32, Ordering::Relaxed);
            slot.head.store((number as u64 + 1) | (u64::from(kind) << 32), Ordering::SeqCst);
        }
        let first = consumer.arena.at(0).as_ptr() as usize;
        let mut events = [RawEvent::EMPTY; 2];
        for _ in 0..8 {
            let Ok(count) = client.events.next(&mut events) else { break };
            for event in &events[..count] {
                let offset = event.ptr as usize - first;
                prop_assert!(offset + event.len <= SMALL.arena_bytes as usize && event.len <= 1024);
            }
            client.events.release(1);
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
