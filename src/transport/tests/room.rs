//! Room: who may have the last of it, and how one waits for it and for records.

use super::*;
use crate::transport::os;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

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
fn the_pipe_bell_rings_and_falls_silent() {
    let (ringer, bell) = os::macos::bell().unwrap();
    assert_eq!(bell.as_fd().as_raw_fd(), bell.as_raw_fd());
    for _ in 0..70_000 {
        ringer.ring();
    }
    bell.wait(None);
    bell.drain();
    bell.wait(Some(Duration::ZERO));
    ringer.ring();
    bell.wait(None);
}

#[test]
fn a_record_written_just_before_the_end_is_told_of_first() {
    let (engine, mut client) = pair(SMALL, Position::default());
    let ends = || engine.events.publish(kind(1), b"last", Priority::Control).is_ok();
    assert_eq!(client.events.consumer.wait(None, Duration::ZERO, ends), Waited::Ready);
    client.events.receive(&mut AlignedVec::new()).unwrap();
    assert_eq!(client.events.consumer.wait(None, Duration::ZERO, || true), Waited::Closed);
}
