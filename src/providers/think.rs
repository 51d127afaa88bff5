//! Splits streamed text into answer and thinking at `<think>` … `</think>` (spec 07 §8).
//!
//! The opening tag counts only as the very first character of the whole stream.

use super::StreamChunk;
use super::tag_matcher::{Piece, TagMatcher};

/// The state between two deltas.
#[derive(Debug)]
pub struct ThinkMatcher(TagMatcher);

impl Default for ThinkMatcher {
    fn default() -> ThinkMatcher {
        ThinkMatcher(TagMatcher::new("think", 0))
    }
}

impl ThinkMatcher {
    /// Takes a delta and appends its chunks to `out`.
    pub fn update(&mut self, text: &str, out: &mut impl Extend<StreamChunk>) {
        out.extend(self.0.update(text).map(chunk));
    }

    /// Gives out what was held back, at the end of the stream.
    pub fn finish(&mut self, out: &mut impl Extend<StreamChunk>) {
        out.extend(self.0.finish().map(chunk));
    }
}

fn chunk(piece: Piece) -> StreamChunk {
    if piece.matched { StreamChunk::Reasoning(piece.data) } else { StreamChunk::Text(piece.data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_tag_opens_thinking() {
        let (reasoning, text) = (|t: &str| (true, t.to_owned()), |t: &str| (false, t.to_owned()));
        for (input, expected) in [
            ("<think>a</think>b", vec![reasoning("a"), text("b")]),
            ("\n<think>a</think>b", vec![text("\n<think>a</think>b")]),
            ("<think>a</think>b<think>c</think>", vec![reasoning("a"), text("b<think>c</think>")]),
            ("< think >a< / think>b", vec![reasoning("a"), text("b")]),
            ("<think>open", vec![reasoning("open")]),
            ("<thin", vec![text("<thin")]),
            ("<think>a<think>b</think>c</think>d", vec![reasoning("a<think>b</think>c"), text("d")]),
        ] {
            for size in 1..=input.len() {
                let mut matcher = ThinkMatcher::default();
                let mut chunks = Vec::new();
                let chars: Vec<char> = input.chars().collect();
                for delta in chars.chunks(size) {
                    matcher.update(&delta.iter().collect::<String>(), &mut chunks);
                }
                matcher.finish(&mut chunks);
                let mut merged: Vec<(bool, String)> = Vec::new();
                for chunk in chunks {
                    let (kind, piece) = match chunk {
                        StreamChunk::Reasoning(piece) => (true, piece),
                        StreamChunk::Text(piece) => (false, piece),
                        other => panic!("{other:?}"),
                    };
                    match merged.last_mut() {
                        Some((last, all)) if *last == kind => all.push_str(&piece),
                        _ => merged.push((kind, piece)),
                    }
                }
                assert_eq!(merged, expected, "{input:?} by {size}");
            }
        }
    }
}
