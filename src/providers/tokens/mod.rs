//! Counting tokens.
use crate::protocol::message::ContentBlock;

/// Placeholder until the table lands.
pub fn count_blocks(blocks: &[ContentBlock]) -> u64 {
    blocks.iter().map(|block| if let ContentBlock::Text { text } = block { text.len() as u64 / 4 } else { 0 }).sum()
}

/// x
pub fn encode(_: &str) -> Vec<u32> {
    Vec::new()
}
