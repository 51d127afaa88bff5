//! A client whose engine answers what no engine answers.

use super::*;
use crate::protocol::hello::{BODY_LIMIT, Head, MessageKind};
use crate::transport::channel::send;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

/// What connecting comes to when the answer is `bytes` with `file`, and then the end or, with a limit, silence.
fn outcome(bytes: &[u8], file: Option<&OwnedFd>, silence: Option<Duration>) -> ConnectError {
    let (_folder, path) = place();
    super::super::place::make_folder(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut said = vec![0; hello().to_bytes().len()];
            // A client with little time may give up anywhere.
            let heard = stream.read_exact(&mut said).is_ok();
            let answered = heard && (bytes.is_empty() || send(&stream, bytes, file.map(AsFd::as_fd)).is_ok());
            assert!(answered || silence.is_some());
            if silence.is_some() {
                // Until it gives up.
                let _ = stream.read(&mut [0]);
            }
        });
        let error = connect(&path, &hello(), 0, silence.unwrap_or(LIMIT)).err().unwrap();
        // It may have given up before it came.
        drop(UnixStream::connect(&path));
        error
    })
}

fn region(generation: u64) -> OwnedFd {
    let identity = Identity { abi_hash: abi_hash(), generation, ..Identity::default() };
    create_region(Role::Events, SIZES.into(), Position::default(), &identity).unwrap().0
}

#[test]
fn an_answer_that_cannot_be_used_is_an_error() {
    let (good, older) = (region(77), region(76));
    let mut a_hello = welcome().to_bytes();
    a_hello[8] = 1;
    let mut too_long = welcome().to_bytes();
    too_long[48..52].copy_from_slice(&(BODY_LIMIT as u32 + 1).to_le_bytes());
    let sizes = |slots| Welcome { events: RingSizes { slots, ..SIZES }, ..welcome() }.to_bytes();
    let no_body = Head::ours(MessageKind::Welcome, 0).to_bytes().to_vec();
    let plain: OwnedFd = tempfile::tempfile().unwrap().into();
    let cases: Vec<(&str, Vec<u8>, Option<&OwnedFd>, &str)> = vec![
        ("not ours", vec![0; 100], None, "no lapce-ai"),
        ("a hello", a_hello, Some(&good), "hello"),
        ("too long", too_long, Some(&good), "body_len"),
        ("no body", no_body, Some(&good), "body"),
        ("no region", welcome().to_bytes(), None, "no region"),
        ("of an older pair", welcome().to_bytes(), Some(&older), "generation"),
        ("a file", welcome().to_bytes(), Some(&plain), "seals"),
        ("of other sizes", sizes(512), Some(&good), "size"),
        ("of impossible sizes", sizes(17), Some(&good), "slots"),
    ];
    for (name, bytes, file, place) in cases {
        let error = outcome(&bytes, file, None);
        assert!(matches!(error, ConnectError::Answer(_)), "{name}: {error}");
        assert!(error.to_string().contains(place), "{name}: {error}");
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = welcome().to_bytes();
    bytes[12] = 99;
    let error = outcome(&bytes, Some(&region(77)), None);
    assert!(matches!(error, ConnectError::Version(_)), "{error}");
    assert!(error.to_string().contains("layout 99"), "{error}");
}

#[test]
fn an_answer_may_stop_at_any_byte_or_never_come() {
    let (bytes, region) = (welcome().to_bytes(), region(77));
    for cut in 0..bytes.len() {
        assert!(matches!(outcome(&bytes[..cut], Some(&region), None), ConnectError::Lost), "{cut}");
    }
    for cut in [0, 1, 55, 56, bytes.len() - 1] {
        let error = outcome(&bytes[..cut], Some(&region), Some(Duration::from_millis(20)));
        assert!(matches!(error, ConnectError::Timeout), "{cut}: {error}");
    }
}

#[test]
fn a_listener_that_never_accepts_takes_no_longer_than_allowed() {
    let (_folder, path) = place();
    super::super::place::make_folder(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    // The first waits in the queue for an answer, the next for a place in the queue.
    for _ in 0..3 {
        let error = connect(&path, &hello(), 0, Duration::from_millis(20)).err().unwrap();
        assert!(matches!(error, ConnectError::Timeout), "{error}");
    }
}
