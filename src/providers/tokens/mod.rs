//! Counting tokens as OpenAI's `o200k_base` does (spec 07 §4): the default counter of all providers.
//!
//! [`pieces`] splits a text, [`vocabulary`] knows the tokens, [`merge`] joins the bytes of a piece to tokens. The vocabulary is
//! unpacked at first use (about 4 MB); until then it costs nothing. Spellings of special tokens are ordinary text.

mod merge;
mod pieces;
mod vocabulary;

use pieces::Pieces;
use vocabulary::Vocabulary;

use crate::protocol::message::{ContentBlock, ImageSource};

/// Counted for an image without data.
const LINKED_IMAGE: u64 = 300;

/// Bytes counted on the caller's thread: about a millisecond.
const COUNTED_AT_ONCE: usize = 64 << 10;

/// Number of tokens of `text`.
pub fn count(text: &str) -> usize {
    let mut count = 0;
    each_token(text, |_| count += 1);
    count
}

/// Token ids of `text`.
pub fn encode(text: &str) -> Vec<u32> {
    let mut ids = Vec::with_capacity(text.len() / 4);
    each_token(text, |id| ids.push(id));
    ids
}

/// Tokens of `blocks` with the safety factor of 1.5; an image counts as the square root of its base64 length.
pub fn count_blocks(blocks: &[ContentBlock]) -> u64 {
    let tokens: u64 = blocks
        .iter()
        .map(|block| match block {
            ContentBlock::Text { text } => count(text) as u64,
            ContentBlock::Image { source: ImageSource::Base64 { data, .. } } => {
                (data.len() as f64).sqrt().ceil() as u64
            }
            ContentBlock::Image { source: ImageSource::Url { .. } } => LINKED_IMAGE,
            ContentBlock::ToolUse { .. } | ContentBlock::ToolResult { .. } | ContentBlock::Other(_) => 0,
        })
        .sum();
    estimate(tokens)
}

/// What so many tokens are taken for: half as many again, since models do not all count alike.
pub fn estimate(tokens: u64) -> u64 {
    tokens.saturating_mul(3).div_ceil(2)
}

/// [`count`] for callers on a runtime's thread: long texts are counted on a blocking one.
pub async fn count_aside(text: String) -> u64 {
    if text.len() <= COUNTED_AT_ONCE {
        return count(&text) as u64;
    }
    // As in [`count_blocks_aside`].
    tokio::task::spawn_blocking(move || count(&text) as u64).await.unwrap_or(0)
}

/// [`count_blocks`] for callers on a runtime's thread: long texts are counted on a blocking one.
pub async fn count_blocks_aside(blocks: &[ContentBlock]) -> u64 {
    let texts = blocks.iter().map(|block| if let ContentBlock::Text { text } = block { text.len() } else { 0 });
    if texts.sum::<usize>() <= COUNTED_AT_ONCE {
        return count_blocks(blocks);
    }
    let copy = blocks.to_vec();
    // Counting does not fail; only a runtime that shuts down cuts it off, and then nobody reads the result.
    tokio::task::spawn_blocking(move || count_blocks(&copy)).await.unwrap_or(0)
}

/// Unpacks the vocabulary, so that the first count does not wait for it.
pub fn warm() {
    Vocabulary::get();
}

fn each_token(text: &str, mut token: impl FnMut(u32)) {
    if text.is_empty() {
        return;
    }
    let vocabulary = Vocabulary::get();
    let mut merger = merge::Merger::default();
    for piece in Pieces::of(text) {
        match vocabulary.rank(piece.as_bytes()) {
            Some(rank) => token(rank),
            None => merger.merge(piece.as_bytes(), vocabulary, &mut token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 02 §8.1: texts and images, half as many again
    /// parity 02 §18.16: texts and images
    #[test]
    fn counts_of_the_specification() {
        for (text, tokens, blocks) in [
            ("Hello, world!", 4, 6),
            ("hello <|endoftext|> x", 9, 14),
            ("日本語テスト", 4, 6),
            ("function add(a, b) {\n\treturn a + b\n}", 13, 20),
            ("", 0, 0),
        ] {
            assert_eq!(count(text), tokens, "{text}");
            assert_eq!(encode(text).len(), tokens, "{text}");
            assert_eq!(count_blocks(&[ContentBlock::text(text)]), blocks, "{text}");
        }
    }

    /// parity 02 §18.16: an image of 10,000 characters counts as 150
    #[test]
    fn images_count_by_size() {
        let image = |data: &str| ContentBlock::image_from_data_url(&format!("data:image/png;base64,{data}"));
        assert_eq!(count_blocks(&[image(&"A".repeat(1000))]), 48);
        assert_eq!(count_blocks(&[image(&"A".repeat(10_000))]), 150);
        let linked = ContentBlock::Image { source: ImageSource::Url { url: "u".into() } };
        assert_eq!(count_blocks(&[linked]), 450);
    }
}
