//! Splits a stream at an XML tag at its beginning (spec 01 §7): how reasoning is told from text in providers that send
//! `<think>…</think>`. Any split of the stream into chunks gives the same text.

use std::vec::Drain;

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// It stood inside the tag.
    pub matched: bool,
    /// The text.
    pub data: String,
}

/// The matcher of one tag.
#[derive(Clone, Debug)]
pub struct TagMatcher {
    tag: Vec<char>,
    /// Code points before which an opening tag must begin to count.
    position: usize,
    mode: Mode,
    /// Characters of the tag's name matched.
    index: usize,
    depth: usize,
    matched: bool,
    /// Code points consumed.
    consumed: usize,
    cached: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Text,
    Open,
    Close,
}

impl TagMatcher {
    /// A matcher of `<tag>` at code point `position` of the stream.
    pub fn new(tag: &str, position: usize) -> TagMatcher {
        TagMatcher {
            tag: tag.chars().collect(),
            position,
            mode: Mode::Text,
            index: 0,
            depth: 0,
            matched: false,
            consumed: 0,
            cached: String::new(),
            pieces: Vec::new(),
        }
    }

    /// Takes a chunk; gives what is certain by now. The beginning of what may be a tag waits.
    pub fn update(&mut self, chunk: &str) -> Drain<'_, Piece> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let (plain, tail) = rest.split_at(self.plain(rest));
            if !plain.is_empty() {
                self.consumed += plain.chars().count();
                // The tag of an inner block, which is text, may wait.
                self.collect();
                self.push(plain);
            }
            let mut characters = tail.chars();
            characters.next().into_iter().for_each(|character| self.take(character));
            rest = characters.as_str();
        }
        self.pieces.drain(..)
    }

    /// Bytes at the front that need not be looked at one by one, because no tag can begin in them.
    fn plain(&self, text: &str) -> usize {
        match (self.mode, self.matched) {
            (Mode::Text, true) => memchr::memchr(b'<', text.as_bytes()).unwrap_or(text.len()),
            (Mode::Text, false) if self.consumed > self.position => text.len(),
            _ => 0,
        }
    }

    /// The stream is over: gives what waited.
    pub fn finish(&mut self) -> Drain<'_, Piece> {
        self.collect();
        self.pieces.drain(..)
    }

    fn take(&mut self, character: char) {
        self.cached.push(character);
        self.consumed += 1;
        match self.mode {
            Mode::Text if character == '<' && (self.consumed <= self.position + 1 || self.matched) => {
                self.mode = Mode::Open;
                self.index = 0;
            }
            Mode::Text => self.collect(),
            Mode::Open | Mode::Close => self.take_in_tag(character),
        }
    }

    fn take_in_tag(&mut self, character: char) {
        if character == '>' && self.index == self.tag.len() {
            let opens = self.mode == Mode::Open;
            self.mode = Mode::Text;
            if opens {
                if !self.matched {
                    self.cached.clear();
                }
                self.depth += 1;
                self.matched = true;
            } else {
                self.depth = self.depth.saturating_sub(1);
                self.matched = self.depth > 0;
                if !self.matched {
                    self.cached.clear();
                }
            }
        } else if self.mode == Mode::Open && self.index == 0 && character == '/' {
            self.mode = Mode::Close;
        } else if character == ' ' && (self.index == 0 || self.index == self.tag.len()) {
            // Spaces around the name are allowed.
        } else if self.tag.get(self.index) == Some(&character) {
            self.index += 1;
        } else {
            self.mode = Mode::Text;
            self.collect();
        }
    }

    fn collect(&mut self) {
        if !self.cached.is_empty() {
            let cached = std::mem::take(&mut self.cached);
            self.push(&cached);
        }
    }

    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(last) if last.matched == self.matched => last.data.push_str(text),
            _ => self.pieces.push(Piece { matched: self.matched, data: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&str]) -> Vec<(bool, String)> {
        let mut matcher = TagMatcher::new("think", 0);
        let mut pieces = Vec::new();
        chunks.iter().for_each(|chunk| pieces.extend(matcher.update(chunk)));
        pieces.extend(matcher.finish());
        pieces.into_iter().map(|piece| (piece.matched, piece.data)).collect()
    }

    #[test]
    fn only_a_tag_at_the_beginning_counts() {
        assert_eq!(pieces(&["<th", "ink>a</think>", "b"]), [(true, "a".into()), (false, "b".into())]);
        assert_eq!(pieces(&["1<think>a</think>"]), [(false, "1<think>a</think>".into())]);
        assert_eq!(pieces(&["< think >a<b></thin"]), [(true, "a<b>".into()), (true, "</thin".into())]);
        assert_eq!(pieces(&["<<think>a"]), [(false, "<<think>a".into())]);
    }
}
