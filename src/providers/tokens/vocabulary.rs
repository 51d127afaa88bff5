//! The tokens of `o200k_base` and their ranks; see the README beside for where they come from.

use std::io::Read;
use std::sync::OnceLock;

static COMPRESSED: &[u8] = include_bytes!("o200k_base.bin");

/// Number of tokens.
const TOKENS: usize = 199_998;
/// Bits of a slot number: the table is less than half full.
const SLOT_BITS: u32 = 19;
/// A slot without token.
const EMPTY: u32 = u32::MAX;

/// Ranks by token bytes: an open-addressing table of ranks over the tokens' bytes.
pub struct Vocabulary {
    bytes: Vec<u8>,
    /// Where the token of a rank begins in `bytes`; one more for the end.
    starts: Vec<u32>,
    slots: Vec<u32>,
    longest: usize,
}

impl Vocabulary {
    /// The vocabulary, unpacked at first use.
    pub fn get() -> &'static Vocabulary {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        VOCABULARY.get_or_init(|| {
            let mut data = Vec::with_capacity(1_600_000);
            // The file is part of the library and covered by tests; a damaged one leaves an empty vocabulary, in which every
            // byte is a token.
            let whole = flate2::read::DeflateDecoder::new(COMPRESSED).read_to_end(&mut data).is_ok();
            let lengths = if whole { data.get(..TOKENS).unwrap_or(&[]) } else { &[] };
            Vocabulary::new(lengths, data.get(TOKENS..).unwrap_or(&[]).to_vec())
        })
    }

    fn new(lengths: &[u8], bytes: Vec<u8>) -> Vocabulary {
        let mut starts = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0;
        starts.push(0);
        for length in lengths {
            end += u32::from(*length);
            starts.push(end);
        }
        let longest = lengths.iter().copied().max().unwrap_or(0).into();
        let mut vocabulary = Vocabulary { bytes, starts, slots: vec![EMPTY; 1 << SLOT_BITS], longest };
        for rank in 0..lengths.len() as u32 {
            let mut slot = slot_of(vocabulary.token(rank));
            while vocabulary.slots[slot] != EMPTY {
                slot = next(slot);
            }
            vocabulary.slots[slot] = rank;
        }
        vocabulary
    }

    /// Rank of a token, which is its id; `None` if these bytes are none.
    #[inline]
    pub fn rank(&self, token: &[u8]) -> Option<u32> {
        if token.len() > self.longest {
            return None;
        }
        let mut slot = slot_of(token);
        loop {
            match self.slots[slot] {
                EMPTY => return None,
                rank if self.token(rank) == token => return Some(rank),
                _ => slot = next(slot),
            }
        }
    }

    fn token(&self, rank: u32) -> &[u8] {
        let (start, end) = (self.starts[rank as usize], self.starts[rank as usize + 1]);
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }
}

fn next(slot: usize) -> usize {
    (slot + 1) & ((1 << SLOT_BITS) - 1)
}

/// Multiplies eight bytes at a time; the upper bits choose the slot.
#[inline]
fn slot_of(token: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = token.len() as u64;
    let mut words = token.chunks_exact(8);
    for word in &mut words {
        let word = word.iter().rev().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
        hash = (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    }
    let rest = words.remainder().iter().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
    hash = (hash.rotate_left(29) ^ rest).wrapping_mul(FACTOR);
    (hash >> (64 - SLOT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_finds_its_rank() {
        let vocabulary = Vocabulary::get();
        assert_eq!(vocabulary.starts.len(), TOKENS + 1);
        assert_eq!(*vocabulary.starts.last().expect("starts") as usize, vocabulary.bytes.len());
        for rank in 0..TOKENS as u32 {
            assert_eq!(vocabulary.rank(vocabulary.token(rank)), Some(rank));
        }
        assert_eq!(vocabulary.rank(b"\x00\x01\x02\x03\x04"), None);
        assert_eq!(vocabulary.rank(&[b'x'; 5000]), None);
    }
}
