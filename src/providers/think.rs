//! Splits streamed text into answer and thinking at `<think>` … `</think>` (spec 07 §8).
//!
//! The opening tag counts only as the very first character of the whole stream.

use super::StreamChunk;

const TAG: &[u8] = b"think";

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Text,
    Open,
    Close,
}

/// The state between two deltas.
#[derive(Debug, Default)]
pub struct ThinkMatcher {
    state: State,
    /// Characters of the tag matched so far.
    index: usize,
    pending: String,
    matched: bool,
    depth: i64,
    count: u64,
}

impl ThinkMatcher {
    /// Takes a delta and appends its chunks to `out`.
    pub fn update(&mut self, text: &str, out: &mut impl Extend<StreamChunk>) {
        let mut pieces = Vec::new();
        for c in text.chars() {
            self.feed(c, &mut pieces);
        }
        out.extend(pieces.into_iter().map(chunk));
    }

    /// Gives out what was held back, at the end of the stream.
    pub fn finish(&mut self, out: &mut impl Extend<StreamChunk>) {
        let mut pieces = Vec::new();
        self.flush(&mut pieces);
        out.extend(pieces.into_iter().map(chunk));
    }

    fn feed(&mut self, c: char, pieces: &mut Vec<(bool, String)>) {
        self.pending.push(c);
        self.count += 1;
        let complete = c == '>' && self.index == TAG.len();
        let padding = c == ' ' && (self.index == 0 || self.index == TAG.len());
        let continues = TAG.get(self.index).is_some_and(|expected| c == char::from(*expected));
        match self.state {
            State::Text if c == '<' && (self.count <= 1 || self.matched) => {
                self.state = State::Open;
                self.index = 0;
            }
            State::Text => self.flush(pieces),
            State::Open if complete => {
                self.state = State::Text;
                if !self.matched {
                    self.pending.clear();
                }
                self.depth += 1;
                self.matched = true;
            }
            State::Open if self.index == 0 && c == '/' => self.state = State::Close,
            State::Close if complete => {
                self.state = State::Text;
                self.depth -= 1;
                self.matched = self.depth > 0;
                if !self.matched {
                    self.pending.clear();
                }
            }
            State::Open | State::Close if padding => {}
            State::Open | State::Close if continues => self.index += 1,
            State::Open | State::Close => {
                self.state = State::Text;
                self.flush(pieces);
            }
        }
    }

    fn flush(&mut self, pieces: &mut Vec<(bool, String)>) {
        if self.pending.is_empty() {
            return;
        }
        match pieces.last_mut() {
            Some((matched, text)) if *matched == self.matched => text.push_str(&self.pending),
            _ => pieces.push((self.matched, self.pending.clone())),
        }
        self.pending.clear();
    }
}

fn chunk((matched, text): (bool, String)) -> StreamChunk {
    if matched { StreamChunk::Reasoning(text) } else { StreamChunk::Text(text) }
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
