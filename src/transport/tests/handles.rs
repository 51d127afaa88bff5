//! What an end offers beside its records: descriptors to poll, copies of what is held, large bodies that keep silent.

use super::*;
use std::time::Duration;

#[cfg(unix)]
fn is_readable(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
}

#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "polls")]
fn a_descriptor_is_readable_while_there_is_something_to_read() {
    use std::os::fd::{AsFd, AsRawFd};
    let (mut engine, mut client) = pair(SMALL, Position::default());
    assert_eq!(client.events.as_fd().as_raw_fd(), client.events.as_raw_fd());
    assert_eq!(engine.requests.as_fd().as_raw_fd(), engine.requests.as_raw_fd());
    let mut body = AlignedVec::new();
    for _ in 0..3 {
        assert_eq!(client.events.receive(&mut body).unwrap(), None);
        assert!(!is_readable(client.events.as_fd()));
        engine.events.publish(kind(1), b"x", Priority::Normal).unwrap();
        assert!(is_readable(client.events.as_fd()));
        assert_eq!(client.events.receive(&mut body).unwrap(), Some(kind(1)));

        assert_eq!(engine.requests.receive(&mut body).unwrap(), None);
        assert!(!is_readable(engine.requests.as_fd()));
        client.requests.submit(kind(2), b"y").unwrap();
        assert!(is_readable(engine.requests.as_fd()));
        assert_eq!(engine.requests.receive(&mut body).unwrap(), Some(kind(2)));
    }
    assert!(!client.events.is_over());
}

#[test]
fn what_is_held_can_be_copied_and_what_another_ring_holds_cannot() {
    let (engine, mut client) = pair(SMALL, Position::default());
    let (_other_engine, other) = pair(SMALL, Position::default());
    engine.events.publish(kind(1), b"hello", Priority::Normal).unwrap();
    engine.events.publish(kind(2), &7u64.to_le_bytes(), Priority::Normal).unwrap();
    let (mut events, mut body) = ([RawEvent::EMPTY; 3], AlignedVec::new());
    assert_eq!(client.events.next(&mut events).unwrap(), 2);
    let words: Vec<_> = events.iter().map(RawEvent::word).collect();
    assert_eq!(words, [None, Some(7), None]);
    for (event, expected) in events.iter().zip([b"hello".as_slice(), &7u64.to_le_bytes(), b""]) {
        other.events.copy(event, &mut body);
        assert_eq!(&body[..], b"");
        client.events.copy(event, &mut body);
        assert_eq!(&body[..], expected);
    }
}

#[test]
fn spinning_sees_a_request_without_the_bell() {
    let (mut engine, client) = pair(SMALL, Position::default());
    for limit in [Duration::ZERO, Duration::from_micros(1)] {
        assert!(!engine.requests.spin(limit));
    }
    client.requests.submit(kind(1), b"x").unwrap();
    assert!(engine.requests.spin(Duration::ZERO));
}

#[test]
fn a_large_body_is_shown_by_its_size_alone() {
    let (engine, client) = pair(SMALL, Position::default());
    let sealed = engine.blobs_out.seal(b"secret".to_vec()).unwrap();
    let number = engine.blobs_out.place(&sealed).unwrap();
    let taken = client.blobs_in.take(number).unwrap();
    assert_eq!((format!("{sealed:?}"), format!("{taken:?}")), ("SealedBlob(6 bytes)".into(), "Blob(6 bytes)".into()));
    assert_eq!(&*taken, b"secret");
    assert!(client.blobs_in.take(number).is_none());
}
