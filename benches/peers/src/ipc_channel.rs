//! ipc-channel: its channels of plain bytes, which need no encoding. A message is one system call on each side; there
//! is nothing to batch with.

use std::hint::spin_loop;
use std::process::Stdio;
use std::time::Instant;

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use ipc_channel::{IpcError, TryRecvError};

use crate::BODY;
use crate::far::Far;
use crate::measure::figure;

const ROUND_TRIPS: u32 = 3_000;
const RECORDS: u32 = 100_000;
/// Asks the far side for [`RECORDS`] messages instead of one.
const FLOOD: &[u8] = b"flood";

/// How a side receives: both alike.
type Receive = fn(&IpcBytesReceiver) -> Result<Vec<u8>, IpcError>;

/// The near side.
struct Channels {
    out: IpcBytesSender,
    back: IpcBytesReceiver,
    receive: Receive,
    _far: Far,
}

pub fn figures() {
    let channels = open("awake");
    figure("ipc_channel.round_trip_awake", "us", || channels.round_trip());
    let channels = open("asleep");
    figure("ipc_channel.round_trip", "us", || channels.round_trip());
    figure("ipc_channel.throughput_64b", "records/s", || channels.throughput());
}

fn open(wake: &str) -> Channels {
    let (server, name) = IpcOneShotServer::new().unwrap();
    let far = Far::spawn(&["ipc_channel", &name, wake], Stdio::null());
    let (_, (out, back)) = server.accept().unwrap();
    Channels { out, back, receive: receive(wake), _far: far }
}

impl Channels {
    fn round_trip(&self) -> f64 {
        let begin = Instant::now();
        for _ in 0..ROUND_TRIPS {
            self.out.send(&BODY).unwrap();
            assert_eq!((self.receive)(&self.back).unwrap(), BODY);
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS)
    }

    fn throughput(&self) -> f64 {
        let begin = Instant::now();
        self.out.send(FLOOD).unwrap();
        for _ in 0..RECORDS {
            assert_eq!((self.receive)(&self.back).unwrap().len(), BODY.len());
        }
        f64::from(RECORDS) / begin.elapsed().as_secs_f64()
    }
}

/// The far side: answers each message until the near side is gone.
pub fn far(server: &str, wake: &str) {
    let (out, requests) = ipc::bytes_channel().unwrap();
    let (answers, back) = ipc::bytes_channel().unwrap();
    IpcSender::connect(server.to_owned()).unwrap().send((out, back)).unwrap();
    while let Ok(body) = receive(wake)(&requests) {
        let count = if body == FLOOD { RECORDS } else { 1 };
        for _ in 0..count {
            answers.send(&BODY).unwrap();
        }
    }
}

fn receive(wake: &str) -> Receive {
    if wake == "awake" { look } else { IpcBytesReceiver::recv }
}

/// Looks for the next message without sleeping.
fn look(receiver: &IpcBytesReceiver) -> Result<Vec<u8>, IpcError> {
    loop {
        match receiver.try_recv() {
            Ok(body) => return Ok(body),
            Err(TryRecvError::Empty) => spin_loop(),
            Err(TryRecvError::IpcError(error)) => return Err(error),
        }
    }
}
