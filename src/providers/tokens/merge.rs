//! Joins the bytes of one piece to tokens: again and again the neighbours whose union has the lowest rank, the leftmost
//! of equal ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::Vocabulary;

/// Pieces up to this many bytes are scanned for the lowest rank; longer ones use a heap.
const SHORT: usize = 128;
/// No token.
const NONE: u32 = u32::MAX;

/// Space for merging, kept between pieces.
#[derive(Default)]
pub struct Merger {
    /// Begin of each part and rank of its union with the next one.
    parts: Vec<(u32, u32)>,
}

impl Merger {
    /// Gives the tokens of `piece` to `token`, in order.
    pub fn merge(&mut self, piece: &[u8], vocabulary: &Vocabulary, token: &mut impl FnMut(u32)) {
        if piece.len() > SHORT {
            return merge_long(piece, vocabulary, token);
        }
        let rank = |parts: &[(u32, u32)], from: usize, to: usize| match parts.get(to) {
            Some(end) => vocabulary.rank(&piece[parts[from].0 as usize..end.0 as usize]).unwrap_or(NONE),
            None => NONE,
        };
        let parts = &mut self.parts;
        parts.clear();
        parts.extend((0..=piece.len() as u32).map(|start| (start, NONE)));
        for index in 0..parts.len() {
            parts[index].1 = rank(parts, index, index + 2);
        }
        while let Some((index, _)) = lowest(parts) {
            parts.remove(index + 1);
            parts[index].1 = rank(parts, index, index + 2);
            if index > 0 {
                parts[index - 1].1 = rank(parts, index - 1, index + 1);
            }
        }
        for pair in parts.windows(2) {
            token(vocabulary.rank(&piece[pair[0].0 as usize..pair[1].0 as usize]).unwrap_or(0));
        }
    }
}

/// Position and rank of the leftmost lowest union.
fn lowest(parts: &[(u32, u32)]) -> Option<(usize, u32)> {
    let mut best = (0, NONE);
    for (index, (_, rank)) in parts.iter().enumerate() {
        if *rank < best.1 {
            best = (index, *rank);
        }
    }
    Some(best).filter(|best| best.1 != NONE)
}

/// A part of a long piece: a list over the bytes' positions.
#[derive(Clone, Copy)]
struct Part {
    previous: u32,
    /// Begin of the next part, which is the end of this one.
    end: u32,
    /// Rank of the union with the next part. A heap entry with another rank is out of date.
    rank: u32,
}

/// In O(n log n): the heap holds the unions, out-of-date entries are skipped.
fn merge_long(piece: &[u8], vocabulary: &Vocabulary, token: &mut impl FnMut(u32)) {
    let length = piece.len();
    let mut parts: Vec<Part> =
        (0..length as u32).map(|start| Part { previous: start.wrapping_sub(1), end: start + 1, rank: NONE }).collect();
    let union = |parts: &[Part], start: usize| {
        let middle = parts[start].end as usize;
        match parts.get(middle) {
            Some(next) => vocabulary.rank(&piece[start..next.end as usize]).unwrap_or(NONE),
            None => NONE,
        }
    };
    let mut heap = BinaryHeap::with_capacity(length);
    for start in 0..length {
        parts[start].rank = union(&parts, start);
        if parts[start].rank != NONE {
            heap.push(Reverse((parts[start].rank, start as u32)));
        }
    }
    while let Some(Reverse((rank, start))) = heap.pop() {
        let index = start as usize;
        if parts[index].rank != rank {
            continue;
        }
        let swallowed = parts[index].end as usize;
        let end = parts[swallowed].end;
        parts[index].end = end;
        parts[swallowed].rank = NONE;
        if let Some(next) = parts.get_mut(end as usize) {
            next.previous = start;
        }
        for changed in [Some(index), (index > 0).then_some(parts[index].previous as usize)].into_iter().flatten() {
            let rank = union(&parts, changed);
            parts[changed].rank = rank;
            if rank != NONE {
                heap.push(Reverse((rank, changed as u32)));
            }
        }
    }
    let mut start = 0;
    while start < length {
        let end = parts[start].end as usize;
        token(vocabulary.rank(&piece[start..end]).unwrap_or(0));
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn scanning_and_heap_agree(piece in "[ab ]{0,60}|[a-zé日]{0,40}") {
            let vocabulary = Vocabulary::get();
            let (mut scanned, mut heaped) = (Vec::new(), Vec::new());
            Merger::default().merge(piece.as_bytes(), vocabulary, &mut |id| scanned.push(id));
            merge_long(piece.as_bytes(), vocabulary, &mut |id| heaped.push(id));
            prop_assert_eq!(scanned, heaped);
        }
    }

    #[test]
    fn a_very_long_piece_is_merged() {
        let (mut count, piece) = (0, "a".repeat(100_000));
        merge_long(piece.as_bytes(), Vocabulary::get(), &mut |_| count += 1);
        assert!((10_000..20_000).contains(&count), "{count}");
    }
}
