//! One end against a peer that is played by hand, over a real socket and real objects.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::attach::{client_end, engine_end};
use super::super::blobs::REQUEST_LIMIT;
use super::super::os;
use super::super::slots::Position;
use super::super::sync::Ordering;
use super::super::tests::across::{regions, sockets};
use super::super::{ClientEnd, EngineEnd, Priority, RecordHead, RingSize, Waited};
use super::frames::{RING, blob, goodbye};
use super::*;
use rkyv::util::AlignedVec;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::read;
use std::fs::File;

const SMALL: RingSize = RingSize { slots: 8, arena_bytes: 4096 };
const HEAD: RecordHead = RecordHead { kind: 7, flags: 0, session_index: 0, session_sequence: 0, correlation: 0 };

/// An engine whose client is the other socket.
fn engine() -> (EngineEnd, OwnedFd) {
    let (here, there) = sockets();
    (engine_end(here, &regions(SMALL, Position::default()).0), there)
}

/// A client whose engine is the other socket.
fn client() -> (ClientEnd, OwnedFd) {
    let (here, there) = sockets();
    (client_end(here, &regions(SMALL, Position::default()).1), there)
}

/// What the engine learns when it has been told to ring and is then sent these.
fn learned(engine: &mut EngineEnd) -> TransportError {
    let mut body = AlignedVec::new();
    for _ in 0..2 {
        match engine.requests.receive(&mut body) {
            Ok(None) => {}
            Ok(Some(head)) => panic!("{head:?}"),
            Err(error) => return error,
        }
    }
    panic!("nothing learned");
}

fn sealed(len: usize, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, len as u64).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

fn body(len: usize) -> OwnedFd {
    os::create_blob(&vec![7; len]).unwrap()
}

#[test]
fn what_no_correct_peer_sends_ends_the_connection() {
    let region = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    let all_but = |seal| (SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL) - seal;
    let cases: Vec<(&str, Vec<u8>, Option<OwnedFd>, Breach)> = vec![
        ("zero", vec![0], None, Breach::Frame),
        ("unknown", vec![RING, 9], None, Breach::Frame),
        ("a bell with a descriptor", vec![RING], Some(body(1)), Breach::Frame),
        ("a goodbye with a descriptor", goodbye(1).to_vec(), Some(body(1)), Breach::Frame),
        ("a body without one", blob(1, 9).to_vec(), None, Breach::Frame),
        ("the second body first", blob(2, 9).to_vec(), Some(body(9)), Breach::Blob),
        ("body number 0", blob(0, 9).to_vec(), Some(body(9)), Breach::Blob),
        ("an empty body", blob(1, 0).to_vec(), Some(body(0)), Breach::Blob),
        ("shorter than said", blob(1, 9).to_vec(), Some(body(8)), Breach::Blob),
        ("longer than said", blob(1, 9).to_vec(), Some(body(10)), Breach::Blob),
        ("too long", blob(1, u64::MAX).to_vec(), Some(body(9)), Breach::Blob),
        ("beyond the limit", blob(1, REQUEST_LIMIT as u64 + 1).to_vec(), Some(body(9)), Breach::Blob),
        ("not sealed", blob(1, 9).to_vec(), Some(sealed(9, SealFlags::empty())), Breach::Blob),
        ("sealed as a region", blob(1, 9).to_vec(), Some(sealed(9, region)), Breach::Blob),
        ("may shrink", blob(1, 9).to_vec(), Some(sealed(9, all_but(SealFlags::SHRINK))), Breach::Blob),
        ("may be written", blob(1, 9).to_vec(), Some(sealed(9, all_but(SealFlags::WRITE))), Breach::Blob),
        ("a device", blob(1, 9).to_vec(), Some(File::open("/dev/zero").unwrap().into()), Breach::Blob),
        ("a file", blob(1, 9).to_vec(), Some(tempfile::tempfile().unwrap().into()), Breach::Blob),
        ("a socket", blob(1, 9).to_vec(), Some(sockets().0), Breach::Blob),
    ];
    for (name, bytes, file, expected) in cases {
        let (mut engine, peer) = engine();
        assert_eq!(send(&peer, &bytes, file.as_ref().map(AsFd::as_fd)).unwrap(), bytes.len());
        let error = learned(&mut engine);
        assert!(matches!(error, TransportError::Broken(breach) if breach == expected), "{name}: {error}");
        assert!(engine.events.is_broken());
        assert!(engine.events.publish(HEAD, b"", Priority::Normal).is_err(), "{name}");
        // The peer is cut off, though the engine still holds its end.
        assert_eq!(read(&peer, &mut [0u8; 8]), Ok(0), "{name}");
    }
}

#[test]
fn two_descriptors_are_one_too_many() {
    let (mut engine, peer) = engine();
    let (first, second) = (body(9), body(9));
    let files = [first.as_fd(), second.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&peer, &[IoSlice::new(&blob(1, 9))], &mut control, os::SEND).unwrap();
    assert!(matches!(learned(&mut engine), TransportError::Broken(Breach::Frame)));
}

#[test]
fn more_bodies_than_may_wait_end_the_connection() {
    let (mut engine, peer) = engine();
    let file = body(9);
    for number in 1..=BLOBS_LIMIT as u64 {
        send(&peer, &blob(number, 9), Some(file.as_fd())).unwrap();
    }
    let mut request = AlignedVec::new();
    assert!(engine.requests.receive(&mut request).unwrap().is_none());
    assert!(engine.requests.receive(&mut request).unwrap().is_none());
    assert_eq!(*engine.blobs_in.take(1).unwrap(), [7; 9]);
    assert!(engine.blobs_in.take(1).is_none(), "taken once");
    send(&peer, &blob(65, 9), Some(file.as_fd())).unwrap();
    assert!(engine.blobs_in.take(65).is_some());
    send(&peer, &blob(66, 9), Some(file.as_fd())).unwrap();
    send(&peer, &blob(67, 9), Some(file.as_fd())).unwrap();
    assert!(matches!(learned(&mut engine), TransportError::Broken(Breach::Blob)));
}

#[test]
fn a_flood_ends_the_connection() {
    let (here, peer) = sockets();
    let channel = Channel::new(here, 0);
    send(&peer, &[RING; 2 * READ_LEN + 1], None).unwrap();
    channel.drain_within(4);
    assert_eq!(channel.gone(), None);
    send(&peer, &[RING; 2 * READ_LEN], None).unwrap();
    channel.drain_within(2);
    assert_eq!(channel.gone(), Some(Gone::Broken(Breach::Flood)));
}

#[test]
fn a_stream_that_ends_at_any_byte_is_a_death_and_after_a_goodbye_a_leave() {
    let file = body(9);
    let bytes = [&[RING][..], &blob(1, 9), &goodbye(5)].concat();
    for cut in 0..=bytes.len() {
        let (mut engine, peer) = engine();
        // The descriptor goes with the first byte of its frame, which is at 1.
        send(&peer, &bytes[..cut], (cut > 1).then(|| file.as_fd())).unwrap();
        drop(peer);
        match learned(&mut engine) {
            TransportError::Lost if cut < bytes.len() => {}
            TransportError::Closed { reason: 5 } if cut == bytes.len() => {}
            other => panic!("{cut}: {other}"),
        }
        assert_eq!(engine.blobs_in.take(1).is_some(), cut >= 18, "what came whole stays");
    }
}

#[test]
fn what_was_committed_is_read_before_the_death_is_told() {
    let (engine_regions, client_regions) = regions(SMALL, Position::default());
    let (here, peer) = sockets();
    let mut client = client_end(here, &client_regions);
    // The engine dies: its end is never dropped, as no destructor runs in a killed process; only its socket goes.
    let engine = std::mem::ManuallyDrop::new(engine_end(sockets().0, &engine_regions));
    engine.events.publish(HEAD, b"one", Priority::Normal).unwrap();
    let file = body(9);
    send(&peer, &blob(1, 9), Some(file.as_fd())).unwrap();
    engine.events.publish(HEAD, b"two", Priority::Normal).unwrap();
    drop(peer);
    let mut event = AlignedVec::new();
    for expected in [&b"one"[..], b"two"] {
        assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Ready);
        assert_eq!(client.events.receive(&mut event).unwrap(), Some(HEAD));
        assert_eq!(&*event, expected);
    }
    assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Lost);
    assert!(matches!(client.events.receive(&mut event), Err(TransportError::Lost)));
    assert!(matches!(client.requests.submit(HEAD, b""), Err(TransportError::Lost)));
    assert!(matches!(client.blobs_out.put(vec![1]), Err(TransportError::Lost)));
    assert_eq!(*client.blobs_in.take(1).unwrap(), [7; 9]);
}

#[test]
fn a_writer_learns_of_a_death_that_no_reader_saw() {
    let (client, peer) = client();
    drop(peer);
    assert!(matches!(client.blobs_out.put(vec![1]), Err(TransportError::Lost)));
    assert!(matches!(client.requests.submit(HEAD, b""), Err(TransportError::Lost)));
}

#[test]
fn dropping_an_end_says_goodbye() {
    let mut event = AlignedVec::new();
    let (mut engine, peer) = engine();
    drop(client_end(peer, &regions(SMALL, Position::default()).1));
    assert!(matches!(learned(&mut engine), TransportError::Closed { reason: 0 }));
    let (mut client, peer) = client();
    drop(engine_end(peer, &regions(SMALL, Position::default()).0));
    assert_eq!(client.events.wait(None, Duration::ZERO), Waited::Closed);
    assert!(matches!(client.events.receive(&mut event), Err(TransportError::Closed { reason: 0 })));
}

#[test]
fn nothing_blocks_against_a_peer_that_never_reads() {
    let (client, peer) = client();
    for _ in 0..10_000 {
        client.requests.producer.ringer.ring();
    }
    assert!(matches!(client.blobs_out.put(vec![1; 100]), Err(TransportError::Full)));
    client.requests.goodbye(1);
    // When it reads at last, it is told once that there is something.
    let there = Channel::new(peer, REQUEST_LIMIT);
    there.drain();
    assert_eq!(there.gone(), None);
    assert_eq!(client.blobs_out.put(vec![1; 100]).unwrap(), 1);
}

#[test]
fn a_writer_waits_until_bodies_are_taken() {
    let (engine_regions, client_regions) = regions(SMALL, Position::default());
    let (here, there) = sockets();
    let (engine, client) = (engine_end(there, &engine_regions), client_end(here, &client_regions));
    let sealed = engine.blobs_out.seal(vec![3; 5000]).unwrap();
    for number in 1..=BLOBS_LIMIT as u64 {
        assert_eq!(engine.blobs_out.place(&sealed).unwrap(), number);
    }
    assert!(matches!(engine.blobs_out.place(&sealed), Err(TransportError::Full)));
    assert_eq!(*client.blobs_in.take(40).unwrap(), [3; 5000]);
    assert_eq!(engine.blobs_out.place(&sealed).unwrap(), 65);
    assert!(matches!(engine.blobs_out.place(&sealed), Err(TransportError::Full)));
    let too_long = 65 << 20;
    assert!(
        matches!(client.blobs_out.seal(vec![0; too_long]), Err(TransportError::TooLarge { len, .. }) if len == too_long)
    );
    // The same body within a process, and one made there sent across.
    let (local, reader) = super::super::blobs::local(usize::MAX);
    let number = local.place(&sealed).unwrap();
    assert_eq!(*reader.take(number).unwrap(), [3; 5000]);
    let number = client.blobs_out.place(&local.seal(vec![4; 10]).unwrap()).unwrap();
    assert_eq!(*engine.blobs_in.take(number).unwrap(), [4; 10]);
}

#[test]
fn who_says_to_have_taken_what_was_never_sent_is_cut_off() {
    let (engine_regions, client_regions) = regions(SMALL, Position::default());
    let (here, _peer) = sockets();
    let engine = engine_end(here, &engine_regions);
    client_regions.requests.requests_head().blobs_taken.0.count.store(1, Ordering::SeqCst);
    assert!(matches!(engine.blobs_out.put(vec![1]), Err(TransportError::Broken(Breach::Released))));
    assert!(engine.events.is_broken());
}
