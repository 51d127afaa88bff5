//! The ABI hash: one number that changes whenever a kind or a record does.
//!
//! Two processes that share a region compare it before they read a record; a test holds its value, so that no layout
//! changes unnoticed.

use super::event::EventKind;
use super::request::RequestKind;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a of a word.
pub(super) const fn word(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = OFFSET;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    hash
}

/// FNV-1a of `hash` followed by the bytes of `value`.
pub(super) const fn mix(hash: u64, value: u64) -> u64 {
    let bytes = value.to_le_bytes();
    let mut hash = hash;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    hash
}

/// The hash over every request and event kind: number, name, class, and the layout of its record.
pub fn abi_hash() -> u64 {
    let requests = RequestKind::ALL.iter().fold(OFFSET, |hash, kind| {
        let hash = mix(mix(hash, u64::from(kind.number())), word(kind.as_str()));
        mix(hash, kind.layout())
    });
    EventKind::ALL.iter().fold(requests, |hash, kind| {
        let hash = mix(mix(hash, u64::from(kind.number())), word(kind.as_str()));
        let hash = mix(hash, kind.class() as u64);
        let hash = mix(hash, u64::from(kind.is_control()));
        let hash = mix(hash, word(kind.subject().unwrap_or("")));
        mix(hash, kind.layout())
    })
}

#[cfg(test)]
mod tests {
    /// Changing this value is a change of the ABI: old hosts of a running engine will be refused.
    #[test]
    fn the_hash_is_the_recorded_one() {
        assert_eq!(format!("{:#018x}", super::abi_hash()), "0xd00d91557e59db33");
    }
}
