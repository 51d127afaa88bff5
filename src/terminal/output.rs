//! What a command printed, as far as it is kept in memory (deviation D17).

use std::collections::VecDeque;

/// Bytes of one command's output in memory: the first and the last half of it.
pub const MEMORY_LIMIT: usize = 1 << 20;
const HALF: usize = MEMORY_LIMIT / 2;

/// A stretch of output; what was no longer in memory is left out of its middle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The beginning; everything when nothing is left out.
    pub head: String,
    /// Bytes left out after `head`.
    pub omitted: u64,
    /// The end, after what was left out.
    pub tail: String,
}

impl Captured {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.omitted == 0 && self.tail.is_empty()
    }

    /// Head and tail without a word about what is between.
    pub fn into_text(mut self) -> String {
        self.head.push_str(&self.tail);
        self.head
    }
}

/// Output by its position in the stream. Positions count bytes from the start.
#[derive(Debug, Default)]
pub struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    lines_end: u64,
    retrieved: u64,
}

impl Output {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(last) = memchr::memrchr(b'\n', bytes) {
            self.lines_end = self.total + last as u64 + 1;
        }
        self.total += bytes.len() as u64;
        let (to_head, to_tail) = bytes.split_at(bytes.len().min(HALF - self.head.len()));
        self.head.extend_from_slice(to_head);
        let to_tail = &to_tail[to_tail.len().saturating_sub(HALF)..];
        let over = (self.tail.len() + to_tail.len()).saturating_sub(HALF);
        self.tail.drain(..over);
        self.tail.extend(to_tail);
    }

    /// The whole output; `None` when a part of it is no longer in memory.
    pub fn all_bytes(&self) -> Option<Vec<u8>> {
        let complete = self.total == (self.head.len() + self.tail.len()) as u64;
        complete.then(|| self.head.iter().chain(&self.tail).copied().collect())
    }

    /// Bytes printed so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Position after the last LF.
    pub fn lines_end(&self) -> u64 {
        self.lines_end
    }

    /// Position up to which somebody has seen the output.
    pub fn retrieved(&self) -> u64 {
        self.retrieved
    }

    /// Marks everything up to `end` as seen.
    pub fn retrieve(&mut self, end: u64) {
        self.retrieved = self.retrieved.max(end);
    }

    /// The output between two positions.
    pub fn between(&self, from: u64, to: u64) -> Captured {
        let to = to.min(self.total);
        let from = from.min(to);
        let head_end = self.head.len() as u64;
        let tail_start = self.total - self.tail.len() as u64;
        // All positions below lie within the two buffers, whose lengths are usize.
        let head = &self.head[from.min(head_end) as usize..to.min(head_end) as usize];
        let tail_from = from.max(tail_start).min(to.max(tail_start));
        let tail: Vec<u8> = self
            .tail
            .range((tail_from - tail_start) as usize..(to.max(tail_start) - tail_start) as usize)
            .copied()
            .collect();
        let omitted = (to - from) - head.len() as u64 - tail.len() as u64;
        if omitted == 0 {
            let whole = [head, &tail].concat();
            return Captured { head: String::from_utf8_lossy(&whole).into_owned(), ..Captured::default() };
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Captured { head: text(whole_characters(head)), omitted, tail: text(skip_continuation(&tail)) }
    }
}

/// Without the unfinished character at the end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let last = bytes.len().saturating_sub(4);
    match bytes[last..].utf8_chunks().last() {
        Some(chunk) if !chunk.invalid().is_empty() && bytes.ends_with(chunk.invalid()) => {
            &bytes[..bytes.len() - chunk.invalid().len()]
        }
        _ => bytes,
    }
}

/// Without the rest of a character at the start.
fn skip_continuation(bytes: &[u8]) -> &[u8] {
    let skipped = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    &bytes[skipped..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_output_is_whole() {
        let mut output = Output::default();
        output.push("a\nbé\nc".as_bytes());
        assert_eq!(output.between(0, output.total()), Captured { head: "a\nbé\nc".into(), ..Captured::default() });
        assert_eq!(output.between(2, output.lines_end()).into_text(), "bé\n");
        assert_eq!(output.between(9, 3), Captured::default());
    }

    #[test]
    fn large_output_keeps_both_ends() {
        let mut output = Output::default();
        for _ in 0..300 {
            output.push("0123456789".repeat(1000).as_bytes());
        }
        output.push(b"end\n");
        let all = output.between(0, output.total());
        assert_eq!(all.head.len() + all.tail.len(), MEMORY_LIMIT);
        assert_eq!(all.omitted, 3_000_004 - MEMORY_LIMIT as u64);
        assert!(all.tail.ends_with("9end\n"));
        assert!(output.head.capacity() + output.tail.capacity() <= 2 * MEMORY_LIMIT);
        let middle = output.between(600_000, 700_000);
        assert_eq!((middle.head.len(), middle.omitted, middle.tail.len()), (0, 100_000, 0));
    }

    #[test]
    fn characters_are_not_torn() {
        let mut output = Output::default();
        output.push("é".repeat(HALF * 2).as_bytes());
        output.push(b"x");
        let all = output.between(0, output.total());
        assert!(!all.head.contains('\u{fffd}') && !all.tail.contains('\u{fffd}'), "{:?}", all.tail.chars().next());
    }
}
