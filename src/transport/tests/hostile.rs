//! Peers that write what no correct peer writes: each side as the victim of the other. A peer can write only its own
//! region, so only words of that are corrupted.

use super::super::consumer::Consumer;
use super::super::header;
use super::super::layout::{self, HEADER_LEN, HeaderWords, REGION_EVENTS};
use super::super::slots::{Bounds, KIND_PAD};
use super::super::sync::{AtomicU64, Ordering};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// Slots 0 and 1 as a peer may leave them, by name; and what the reader must make of them.
const SLOTS: &[(&str, Words, Words, Seen)] = &[
    ("as it should be", slot(1, 5, 8, 3), slot(2, 6, 0, 0), Seen::Kinds(&[5, 6])),
    ("more used than claimed", slot(1, 5, 8, 9), EMPTY, Seen::Broken),
    ("bytes in no span", slot(1, 5, 0, 1), EMPTY, Seen::Broken),
    ("all bytes there are in no span", slot(1, 5, 0, u32::MAX), EMPTY, Seen::Broken),
    ("a span that is not aligned", slot(1, 5, 12, 12), EMPTY, Seen::Broken),
    ("the largest record", slot(1, 5, 1024, 1024), EMPTY, Seen::Kinds(&[5])),
    ("more than the largest record", slot(1, 5, 1032, 3), EMPTY, Seen::Broken),
    ("the arena", slot(1, 5, 4096, 4096), EMPTY, Seen::Broken),
    ("a span that wraps", slot(1, 5, u32::MAX - 7, 3), EMPTY, Seen::Broken),
    ("the longest span", slot(1, 5, u32::MAX, 3), EMPTY, Seen::Broken),
    ("a lie behind a record", slot(1, 5, 8, 3), slot(2, 6, 8, 9), Seen::KindsThenBroken(&[5])),
    ("an impossible pad", slot(1, KIND_PAD, 8, 9), EMPTY, Seen::Broken),
    ("a pad", slot(1, KIND_PAD, 8, 0), slot(2, 6, 0, 0), Seen::Kinds(&[6])),
    ("unknown kinds are the reader's to skip", slot(1, u16::MAX, 0, 0), slot(2, 999, 0, 0), Seen::Kinds(&[65535, 999])),
    ("no number", slot(0, 5, 8, 3), slot(2, 6, 8, 3), Seen::Kinds(&[])),
    ("a number that comes later", slot(2, 5, 8, 3), slot(2, 6, 8, 3), Seen::Kinds(&[])),
    ("the number of the next lap", slot(9, 5, 8, 3), slot(2, 6, 8, 3), Seen::Kinds(&[])),
    ("the same number twice", slot(1, 5, 8, 3), slot(1, 6, 8, 3), Seen::Kinds(&[5])),
];

/// A slot's first two words.
type Words = (u64, u64);

const EMPTY: Words = (0, 0);

const fn slot(sequence: u32, kind: u16, span: u32, len: u32) -> Words {
    (sequence as u64 | (kind as u64) << 32, span as u64 | (len as u64) << 32)
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Kinds(&'static [u16]),
    KindsThenBroken(&'static [u16]),
    Broken,
}

/// Writes slot `number` as a peer could.
fn put(consumer: &Consumer, number: usize, (head, size): Words) {
    consumer.slots[number].size.store(size, Ordering::Relaxed);
    consumer.slots[number].head.store(head, Ordering::SeqCst);
}

#[test]
fn slots_that_cannot_be_break_the_ring_and_others_are_read() {
    for (name, first, second, expected) in SLOTS {
        let (mut engine, mut client) = pair(SMALL, Position::default());
        for consumer in [&mut engine.requests.consumer, &mut client.events.consumer] {
            put(consumer, 0, *first);
            put(consumer, 1, *second);
            let (mut kinds, mut body) = (Vec::new(), AlignedVec::new());
            let broken = loop {
                match consumer.receive(&mut body) {
                    Ok(Some(head)) => kinds.push(head.kind),
                    Ok(None) => break false,
                    Err(error) => {
                        assert!(matches!(error, TransportError::Broken(Breach::Slot)), "{name}: {error}");
                        break true;
                    }
                }
            };
            let wanted = match expected {
                Seen::Kinds(kinds) => (*kinds, false),
                Seen::KindsThenBroken(kinds) => (*kinds, true),
                Seen::Broken => (&[][..], true),
            };
            assert_eq!((&kinds[..], broken), wanted, "{name}");
            assert_eq!(consumer.receive(&mut body).is_err(), broken, "{name}: a broken ring stays broken");
        }
    }
}

#[test]
fn records_beyond_the_released_room_break_the_ring() {
    let large = slot(0, 5, 1024, 0);
    let (_engine, mut client) = pair(SMALL, Position::default());
    let mut events = [RawEvent::EMPTY; 16];
    // Four of the largest records fill the arena; nothing is released, so there is no room for a fifth.
    (0..5).for_each(|number| put(&client.events.consumer, number, (large.0 + number as u64 + 1, large.1)));
    assert_eq!(client.events.next(&mut events).unwrap(), 4);
    assert!(matches!(client.events.next(&mut events), Err(TransportError::Broken(Breach::Slot))));

    // The same with slots: eight are held, and the first of them is written again.
    let (_engine, mut client) = pair(SMALL, Position::default());
    (0..8).for_each(|number| put(&client.events.consumer, number, slot(number as u32 + 1, 5, 0, 0)));
    assert_eq!(client.events.next(&mut events).unwrap(), 8);
    put(&client.events.consumer, 0, slot(9, 5, 0, 0));
    assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Ready);
    assert!(client.events.next(&mut events).is_err());
}

#[test]
#[cfg_attr(miri, ignore = "65,536 records")]
fn padding_without_end_does_not_hold_the_reader() {
    let size = RingSize { slots: layout::MAX_SLOTS, arena_bytes: layout::MIN_ARENA };
    let (mut engine, client) = pair(size, Position::default());
    (0..size.slots).for_each(|_| drop(client.requests.claim(kind(1), 0).unwrap()));
    let mut body = AlignedVec::new();
    assert!(matches!(engine.requests.receive(&mut body), Err(TransportError::Broken(Breach::Padding))));
}

#[test]
fn reserved_is_the_producers_own_affair() {
    for lie in [0, 1, u64::MAX, Position { slot: 9, byte: 7 }.to_word()] {
        let (mut engine, client) = pair(SMALL, Position::default());
        client.requests.submit(kind(5), b"abc").unwrap();
        client.requests.producer.reserved.store(lie, Ordering::SeqCst);
        let mut body = AlignedVec::new();
        assert_eq!(engine.requests.receive(&mut body).unwrap(), Some(kind(5)));
        assert_eq!(&body[..], b"abc");
        assert_eq!(engine.requests.receive(&mut body).unwrap(), None);
    }
}

#[test]
fn only_room_that_was_held_can_be_released() {
    // Five records of 8 bytes are written; the engine has seen two released.
    let cases = [
        ((2, 16), true),
        ((3, 24), true),
        ((5, 40), true),
        ((1, 8), false),
        ((0, 0), false),
        ((6, 40), false),
        ((5, 48), false),
        ((6, 48), false),
        ((2, 8), false),
        ((1, 16), false),
        ((u32::MAX, u32::MAX), false),
        ((2 + (1 << 31), 16), false),
    ];
    for ((slot, byte), honest) in cases {
        let (engine, client) = pair(SMALL, Position::default());
        let word = &client.events.consumer.released_word;
        (0..5).for_each(|_| engine.events.publish(kind(1), &[7; 8], Priority::Normal).unwrap());
        word.store(Position { slot: 2, byte: 16 }.to_word(), Ordering::SeqCst);
        assert_eq!(engine.events.released_slots(), 2);
        word.store(Position { slot, byte }.to_word(), Ordering::SeqCst);
        assert_eq!(engine.events.released_slots(), if honest { slot } else { 2 }, "{slot} {byte}");
        assert_eq!(engine.events.is_broken(), !honest, "{slot} {byte}");
        let published = engine.events.publish(kind(1), b"", Priority::Control);
        assert!(published.is_ok() == honest && (honest || published.unwrap_err().to_string().contains("released")));
    }
}

#[test]
fn a_header_with_any_other_value_is_refused() {
    let (bounds, identity) = (SMALL.bounds().unwrap(), Identity { abi_hash: 9, generation: 8, ..Identity::default() });
    let words: HeaderWords = std::array::from_fn(|_| AtomicU64::new(0));
    let check = || header::check(&words, REGION_EVENTS, &bounds, &identity);
    assert!(matches!(check(), Err(TransportError::Header { field: "ready", found: 0, expected: 1 })));
    header::write(&words, REGION_EVENTS, &bounds, &identity);
    check().unwrap();
    let told = [
        layout::HEADER_CREATED_UNIX_NS..layout::HEADER_CREATED_UNIX_NS + 8,
        layout::HEADER_PID..layout::HEADER_PID + 4,
    ];
    for bit in 0..HEADER_LEN * 8 {
        let (word, mask) = (&words[bit / 64], 1 << (bit % 64));
        let is_told = told.iter().any(|field| field.contains(&(bit / 8)));
        word.fetch_xor(mask, Ordering::Relaxed);
        assert_eq!(check().is_ok(), is_told, "bit {bit}");
        word.fetch_xor(mask, Ordering::Relaxed);
    }
    let other = Bounds { max_record: 8, ..bounds };
    assert!(matches!(
        header::check(&words, REGION_EVENTS, &other, &identity),
        Err(TransportError::Header { field: "max_record", found: 1024, expected: 8 })
    ));
}

/// What a peer does between two steps of its victim: the word, as an index, and its new value.
type Corruption = (usize, u64);

/// Values that pass some checks, and any.
fn corruption() -> impl Strategy<Value = Corruption> {
    let half = prop_oneof![0u32..16, (0u32..1100).prop_map(|n| n & !7), Just(u32::MAX), any::<u32>()];
    let kind = prop_oneof![Just(0u32), 0u32..4, any::<u32>()];
    let word = prop_oneof![
        (half.clone(), half.clone()).prop_map(|(low, high)| u64::from(low) | u64::from(high) << 32),
        (0u32..24, kind).prop_map(|(low, high)| u64::from(low) | u64::from(high) << 32),
    ];
    (0usize..40, word)
}

/// Corrupts one of a ring's slots (index below 32), or one of the other words that the peer owns.
fn corrupt(consumer: &Consumer, others: &[&AtomicU64], (index, value): Corruption) {
    match consumer.slots.get(index / 4) {
        Some(slot) => {
            [&slot.head, &slot.size, &slot.session, &slot.correlation][index % 4].store(value, Ordering::SeqCst)
        }
        None => others[index % others.len()].store(value, Ordering::SeqCst),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn an_engine_stands_whatever_its_client_writes(
        steps in prop::collection::vec((prop::option::of(corruption()), 0u8..4, 0usize..1100), 1..100),
    ) {
        let (mut engine, client) = pair(SMALL, Position::default());
        let (mut body, mut published) = (AlignedVec::new(), 0u32);
        for (lie, action, len) in steps {
            if let Some(lie) = lie {
                let (released, reserved) = (&client.events.consumer.released_word, &client.requests.producer.reserved);
                corrupt(&engine.requests.consumer, &[released, reserved], lie);
                client.events.consumer.sleep_epoch.store(lie.1 as u32, Ordering::SeqCst);
            }
            match action {
                0 => {
                    let was_broken = engine.events.is_broken();
                    match engine.events.publish(kind(1), &vec![1; len], Priority::Normal) {
                        Ok(()) => published += 1,
                        Err(TransportError::TooLarge { .. }) => prop_assert!(len > 1024),
                        Err(TransportError::Full) => prop_assert!(!was_broken),
                        Err(error) => prop_assert!(engine.events.is_broken(), "{error}"),
                    }
                }
                1 => match engine.requests.receive(&mut body) {
                    Ok(found) => prop_assert!(body.len() <= 1024 && found.is_none_or(|head| head.kind != KIND_PAD)),
                    Err(_) => prop_assert!(engine.requests.receive(&mut body).is_err()),
                },
                2 => prop_assert!(engine.events.released_slots() <= published),
                // An honest step of the liar, with whatever it has made of its own words.
                _ => _ = client.requests.submit(kind(2), &vec![2; len]),
            }
        }
    }

    #[test]
    fn a_client_stands_whatever_its_engine_writes(
        steps in prop::collection::vec((prop::option::of(corruption()), 0u8..4, 0usize..9), 1..100),
    ) {
        let (engine, mut client) = pair(SMALL, Position::default());
        let first = client.events.consumer.arena.at(0).as_ptr() as usize;
        let (mut events, mut held) = ([RawEvent::EMPTY; 9], 0);
        for (lie, action, count) in steps {
            if let Some(lie) = lie {
                let (reserved, released) = (&engine.events.producer.reserved, &engine.requests.consumer.released_word);
                corrupt(&client.events.consumer, &[reserved, released], lie);
                engine.events.head.state.0.state.store(lie.1 as u32, Ordering::SeqCst);
                engine.events.head.want_room.0.store(lie.1 as u32, Ordering::SeqCst);
            }
            match action {
                0 => match client.events.next(&mut events[..count]) {
                    Ok(found) => {
                        held += found;
                        prop_assert!(found <= count && held <= 8);
                        for event in &events[..found] {
                            let offset = event.ptr as usize - first;
                            prop_assert!(offset.is_multiple_of(8) && offset + event.len <= 4096 && event.len <= 1024);
                            prop_assert!(event.kind != KIND_PAD);
                            std::hint::black_box(bytes(event).iter().fold(0, |sum, byte| sum ^ byte));
                        }
                    }
                    Err(_) => prop_assert!(client.events.next(&mut events).is_err()),
                },
                1 => held -= client.events.release(count),
                2 => _ = client.events.wait(Some(Duration::ZERO), Duration::ZERO),
                _ => match client.requests.submit(kind(2), &vec![2; count]) {
                    Ok(()) | Err(TransportError::Full | TransportError::Broken(Breach::Released)) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                },
            }
        }
    }
}
