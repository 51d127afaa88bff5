//! What is written arrives, and lies where the layout says.

use super::*;

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
