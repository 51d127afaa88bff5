//! A connected stream socket with its far end in another process. The stream has no record borders: both sides know the
//! length, which favours it.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use crate::BODY;
use crate::far::Far;
use crate::measure::figure;

const ROUND_TRIPS: u32 = 3_000;
const RECORDS: u32 = 1_000_000;
/// What a careful user gathers before a system call.
const BATCH_BYTES: usize = 64 << 10;

pub fn figures() {
    let (mut socket, _far) = open("unix_socket.echo");
    figure("unix_socket.round_trip", "us", || round_trip(&mut socket));
    let (socket, _far) = open("unix_socket.flood");
    let mut socket = BufReader::with_capacity(BATCH_BYTES, socket);
    figure("unix_socket.throughput_64b", "records/s", || throughput(&mut socket));
}

fn open(far: &str) -> (UnixStream, Far) {
    let (near, stdin) = UnixStream::pair().unwrap();
    (near, Far::spawn(&[far], OwnedFd::from(stdin)))
}

fn round_trip(socket: &mut UnixStream) -> f64 {
    let mut body = [0; 64];
    let begin = Instant::now();
    for _ in 0..ROUND_TRIPS {
        socket.write_all(&BODY).unwrap();
        socket.read_exact(&mut body).unwrap();
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS)
}

fn throughput(socket: &mut BufReader<UnixStream>) -> f64 {
    let mut body = [0; 64];
    let begin = Instant::now();
    socket.get_mut().write_all(&BODY).unwrap();
    for _ in 0..RECORDS {
        socket.read_exact(&mut body).unwrap();
    }
    f64::from(RECORDS) / begin.elapsed().as_secs_f64()
}

/// The far side of a round trip.
pub fn echo() {
    let mut socket = standard_input();
    while let Some(body) = next(&mut socket) {
        socket.write_all(&body).unwrap();
    }
}

/// The far side that sends; any record asks for all of them.
pub fn flood() {
    let mut socket = standard_input();
    while next(&mut socket).is_some() {
        let mut out = BufWriter::with_capacity(BATCH_BYTES, &socket);
        for _ in 0..RECORDS {
            out.write_all(&BODY).unwrap();
        }
        out.flush().unwrap();
    }
}

fn standard_input() -> UnixStream {
    UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap())
}

/// `None`: the near side is done.
fn next(socket: &mut UnixStream) -> Option<[u8; 64]> {
    let mut body = [0; 64];
    match socket.read_exact(&mut body) {
        Ok(()) => Some(body),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
        Err(error) => panic!("{error}"),
    }
}
