//! The header of a region: written once, checked at open, never read again.

use super::error::TransportError;
use super::layout::*;
use super::slots::Bounds;
use std::sync::atomic::Ordering;

/// What a pair of regions says of its origin. Values come from whoever opens the pair: transport reads no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Hash over the definitions of all records; ends with different ones refuse each other.
    pub abi_hash: u64,
    /// Number of this pair; grows with every new attachment.
    pub generation: u64,
    /// Nanoseconds since 1970 at creation.
    pub created_unix_ns: u64,
    /// The creating process.
    pub pid: u32,
}

/// The fields that this side knows, in their order: offset, name, bytes.
fn fields(role: u32, bounds: &Bounds, identity: &Identity) -> [(usize, &'static str, u64, usize); 13] {
    [
        (HEADER_MAGIC, "magic", MAGIC, 8),
        (HEADER_LAYOUT_VERSION, "layout_version", LAYOUT_VERSION.into(), 4),
        (HEADER_HEADER_LEN, "header_len", HEADER_LEN as u64, 4),
        (HEADER_BYTE_ORDER, "byte_order", BYTE_ORDER.into(), 4),
        (HEADER_ABI_HASH, "abi_hash", identity.abi_hash, 8),
        (HEADER_FLAGS, "flags", role.into(), 4),
        (HEADER_GENERATION, "generation", identity.generation, 8),
        (HEADER_REGION_LEN, "region_len", region_len(bounds) as u64, 8),
        (HEADER_SLOT_COUNT, "slot_count", bounds.slot_count.into(), 4),
        (HEADER_SLOT_OFFSET, "slot_offset", SLOTS as u64, 4),
        (HEADER_ARENA_OFFSET, "arena_offset", arena_offset(bounds) as u64, 8),
        (HEADER_ARENA_LEN, "arena_len", bounds.arena_len.into(), 4),
        (HEADER_MAX_RECORD, "max_record", bounds.max_record.into(), 4),
    ]
}

/// Fills the header of a fresh region; `ready` last.
pub(super) fn write(words: &HeaderWords, role: u32, bounds: &Bounds, identity: &Identity) {
    let mut bytes = [0u8; HEADER_LEN];
    let mut put = |offset: usize, value: u64, len: usize| {
        for (target, byte) in bytes.iter_mut().skip(offset).zip(value.to_le_bytes()).take(len) {
            *target = byte;
        }
    };
    for (offset, _, value, len) in fields(role, bounds, identity) {
        put(offset, value, len);
    }
    put(HEADER_CREATED_UNIX_NS, identity.created_unix_ns, 8);
    put(HEADER_PID, identity.pid.into(), 4);
    for (word, bytes) in words.iter().zip(bytes.chunks_exact(8)) {
        word.store(bytes.try_into().map_or(0, u64::from_le_bytes), Ordering::Relaxed);
    }
    // Release pairs with `check`: whoever sees `ready` sees the rest.
    put_ready(words);
}

fn put_ready(words: &HeaderWords) {
    if let Some(last) = words.last() {
        last.fetch_or(1 << 32, Ordering::Release);
    }
}

/// Compares a region's header with what this side expects. Each word is read once; bounds come from here, never from
/// the region.
pub(super) fn check(
    words: &HeaderWords,
    role: u32,
    bounds: &Bounds,
    identity: &Identity,
) -> Result<(), TransportError> {
    let mut copy = [0; HEADER_LEN / 8];
    // From the last, which holds `ready`: Acquire pairs with `write`.
    for (to, word) in copy.iter_mut().zip(words).rev() {
        *to = word.load(Ordering::Acquire);
    }
    let field = |offset: usize, len: usize| {
        let shifted = copy.get(offset / 8).map_or(0, |word| word >> (offset % 8 * 8));
        if len == 4 { shifted & 0xffff_ffff } else { shifted }
    };
    let ready = (HEADER_READY, "ready", 1, 4);
    for (offset, name, expected, len) in [ready].into_iter().chain(fields(role, bounds, identity)) {
        let found = field(offset, len);
        if found != expected {
            return Err(TransportError::Header { field: name, found, expected });
        }
    }
    Ok(())
}
