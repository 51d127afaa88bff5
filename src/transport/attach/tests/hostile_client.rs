//! An engine whose clients say what no client says.

use super::*;
use crate::protocol::hello::{BODY_LIMIT, HEAD_LEN, Head, MessageKind};
use crate::transport::channel::{receive, send};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use std::fs::File;
use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

const REGION: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// What a connection comes to when `bytes` and `files` are all it ever gets, and what the client is told.
fn outcome(bytes: &[u8], files: &[&OwnedFd]) -> (ArriveError, Vec<u8>) {
    let (client, engine) = UnixStream::pair().unwrap();
    if !bytes.is_empty() {
        let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(files.is_empty() || control.push(SendAncillaryMessage::ScmRights(&files)));
        let (first, rest) = bytes.split_at(1);
        sendmsg(&client, &[IoSlice::new(first)], &mut control, os::SEND).unwrap();
        assert_eq!(send(&client, rest, None).unwrap_or(rest.len()), rest.len());
    }
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let error = arrive(engine, LIMIT).err().unwrap();
    let mut told = Vec::new();
    // A reset follows what an engine that did not read everything had to say.
    let _ = (&client).read_to_end(&mut told);
    (error, told)
}

fn arrive(engine: UnixStream, limit: Duration) -> Result<(Hello, Waiting), ArriveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    engine.set_nonblocking(true).unwrap();
    runtime.block_on(async { Arriving::of(tokio::net::UnixStream::from_std(engine).unwrap()).hello(limit).await })
}

fn refusal(told: &[u8]) -> Option<Refusal> {
    let (_, body) = told.split_first_chunk::<HEAD_LEN>()?;
    Refusal::from_body(body).ok()
}

fn region() -> OwnedFd {
    create_region(Role::Requests, SIZES.into(), Position::default(), &requests_identity(0, 0)).unwrap().0
}

fn memory(len: usize, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, len as u64).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

fn with_body(body: &[u8]) -> Vec<u8> {
    [&Head::ours(MessageKind::Hello, body.len()).to_bytes()[..], body].concat()
}

#[test]
fn a_region_that_is_not_what_was_said_is_refused_by_name() {
    let bounds = RingSize::from(SIZES).bounds().unwrap();
    let len = region_len(&bounds);
    let other = Identity { abi_hash: 1, ..Identity::default() };
    let larger = RingSize { slots: 512, ..SIZES.into() };
    let with = |size, identity: &Identity, role| create_region(role, size, Position::default(), identity).unwrap().0;
    let ours = requests_identity(0, 0);
    let all_but = |seal| memory(len, REGION - seal);
    let cases: Vec<(&str, OwnedFd, &str)> = vec![
        ("no seals", memory(len, SealFlags::empty()), "seals"),
        ("may shrink", all_but(SealFlags::SHRINK), "seals"),
        ("may grow", all_but(SealFlags::GROW), "seals"),
        ("may be written by others", all_but(SealFlags::FUTURE_WRITE), "seals"),
        ("too short", memory(len - 1, REGION), "size"),
        ("too long", memory(len + 1, REGION), "size"),
        ("empty", memory(0, REGION), "size"),
        ("a file", tempfile::tempfile().unwrap().into(), "seals"),
        ("a device", File::open("/dev/zero").unwrap().into(), "seals"),
        ("a folder", File::open("/").unwrap().into(), "seals"),
        ("never made ready", memory(len, REGION), "ready"),
        ("of other sizes", with(larger, &ours, Role::Requests), "size"),
        ("of other records", with(SIZES.into(), &other, Role::Requests), "abi_hash"),
        ("an events region", with(SIZES.into(), &ours, Role::Events), "flags"),
    ];
    for (name, file, field) in cases {
        let (error, told) = outcome(&hello().to_bytes(), &[&file]);
        let found = match &error {
            ArriveError::Region(TransportError::Header { field, .. }) => *field,
            _ => "",
        };
        assert_eq!(found, field, "{name}: {error}");
        assert_eq!(refusal(&told).unwrap().message, error.to_string(), "{name}");
    }
}

#[test]
fn what_is_no_hello_is_refused() {
    let sizes = |slots, bytes| Hello { requests: RingSizes { slots, bytes }, ..hello() }.to_bytes();
    let events = |bytes| Hello { events: RingSizes { slots: 8, bytes }, ..hello() }.to_bytes();
    let region = region();
    let many = [&region; 8];
    let (one, two) = (&many[..1], &many[..2]);
    let mut of_another_kind = hello().to_bytes();
    of_another_kind[8] = 2;
    let mut of_no_kind = hello().to_bytes();
    of_no_kind[8] = 9;
    let mut too_long = hello().to_bytes();
    too_long[48..52].copy_from_slice(&(BODY_LIMIT as u32 + 1).to_le_bytes());
    let cases: Vec<(&str, Vec<u8>, &[&OwnedFd], &str)> = vec![
        ("not ours at all", vec![b'x'; 100], one, "no lapce-ai"),
        ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html, */*\r\n\r\n".to_vec(), &[], "no lapce-ai"),
        ("a welcome", of_another_kind, one, "Welcome"),
        ("of no kind", of_no_kind, one, "kind"),
        ("too long", too_long, one, "body_len"),
        ("no body", with_body(b""), one, "body"),
        ("not json", with_body(b"{]"), one, "body"),
        ("not utf-8", with_body(&[0xff; 9]), one, "body"),
        ("no region", hello().to_bytes(), &[], "no region"),
        ("two regions", hello().to_bytes(), two, "descriptors"),
        ("five regions", hello().to_bytes(), &many[..5], "descriptors"),
        ("eight regions", hello().to_bytes(), &many, "descriptors"),
        ("slots that are no power", sizes(9, 4096), one, "slots"),
        ("no slots", sizes(0, 4096), one, "slots"),
        ("more requests than the engine maps", sizes(8, 1 << 25), one, "requests.bytes"),
        ("more events than the engine makes", events(1 << 29), one, "events.bytes"),
        ("events of an impossible size", events(5000), one, "arena_bytes"),
    ];
    for (name, bytes, files, place) in cases {
        let (error, told) = outcome(&bytes, files);
        assert!(matches!(error, ArriveError::Hello(_) | ArriveError::Region(_)), "{name}: {error}");
        assert!(error.to_string().contains(place), "{name}: {error}");
        assert_eq!(refusal(&told).unwrap().kind, "invalid_request", "{name}");
    }
}

#[test]
fn another_version_is_told_both() {
    let mut bytes = hello().to_bytes();
    bytes[12] = 99;
    let (error, told) = outcome(&bytes, &[&region()]);
    assert!(matches!(error, ArriveError::Version(_)), "{error}");
    let refusal = refusal(&told).unwrap();
    assert_eq!(refusal.kind, "not_supported");
    assert!(refusal.message.contains("layout 99") && refusal.message.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_hello_may_stop_or_pause_at_any_byte() {
    let (bytes, region) = (hello().to_bytes(), region());
    for cut in 0..bytes.len() {
        let files: &[&OwnedFd] = if cut == 0 { &[] } else { &[&region] };
        let (error, told) = outcome(&bytes[..cut], files);
        assert!(matches!(error, ArriveError::Ended) && told.is_empty(), "{cut}: {error}");
        let (client, engine) = UnixStream::pair().unwrap();
        send(&client, &bytes[..cut], None).unwrap();
        assert!(matches!(arrive(engine, Duration::from_millis(1)), Err(ArriveError::Timeout)), "{cut}");
    }
}

#[test]
fn a_hello_in_pieces_is_whole() {
    let (bytes, region) = (hello().to_bytes(), region());
    for cut in 1..bytes.len() {
        let (client, engine) = UnixStream::pair().unwrap();
        send(&client, &bytes[..cut], Some(region.as_fd())).unwrap();
        send(&client, &bytes[cut..], None).unwrap();
        assert_eq!(arrive(engine, LIMIT).map_err(|error| error.to_string()).map(|(said, _)| said), Ok(hello()));
    }
}

#[test]
fn what_follows_the_hello_is_left_for_the_channel() {
    let (client, engine) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    send(&client, &hello().to_bytes(), Some(region().as_fd())).unwrap();
    // A hasty client that dies at once.
    send(&client, &[9], None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    engine.set_nonblocking(true).unwrap();
    let mut end = runtime.block_on(async {
        let arriving = Arriving::of(tokio::net::UnixStream::from_std(engine).unwrap());
        let (_, waiting) = arriving.hello(LIMIT).await.unwrap();
        waiting.welcome(&welcome(), 0, LIMIT).await.unwrap()
    });
    let mut bytes = [0; HEAD_LEN];
    let read = receive(&client, &mut bytes).unwrap();
    assert_eq!((read.len, read.files.len()), (HEAD_LEN, 1));
    let mut body = AlignedVec::new();
    assert!(end.requests.receive(&mut body).unwrap().is_none());
    assert!(matches!(end.requests.receive(&mut body), Err(TransportError::Broken(_))));
}

#[test]
fn a_client_that_does_not_read_its_welcome_is_left_in_time() {
    let (client, engine) = UnixStream::pair().unwrap();
    send(&client, &hello().to_bytes(), Some(region().as_fd())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    engine.set_nonblocking(true).unwrap();
    let sessions = vec![crate::protocol::hello::WelcomeSession { session: u64::MAX, own: true }; 20_000];
    let long = Welcome { sessions, ..welcome() };
    assert!(long.to_bytes().len() > 500_000);
    let end = runtime.block_on(async {
        let arriving = Arriving::of(tokio::net::UnixStream::from_std(engine).unwrap());
        let (_, waiting) = arriving.hello(LIMIT).await.unwrap();
        waiting.welcome(&long, 0, Duration::from_millis(1)).await
    });
    assert!(matches!(end, Err(ArriveError::Timeout)));
}
