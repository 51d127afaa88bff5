//! The two ends together: what holds of them in one process, and the same suite over two mappings and a socket.
#![allow(clippy::unwrap_used)] // A test may fail where it stands.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
pub(super) mod across;
mod handles;
mod hostile;
mod queue;
mod records;
mod room;

use super::in_process::in_process_from;
use super::slots::Position;
use super::*;
use rkyv::util::AlignedVec;

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
