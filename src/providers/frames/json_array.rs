//! The elements of a streamed JSON array, `[{…},{…}]`, as Gemini sends it when not asked for events. Incremental, without I/O.

use bumpalo::Bump;

use super::window::{Window, text};
use super::{Fault, FrameError, Framing};

/// Gives out the elements, unread: only brackets and strings are told apart, so that an element must still be parsed. White
/// space follows the array, nothing else.
#[derive(Debug, Default)]
pub struct JsonArray {
    window: Window,
    place: Place,
    /// Length of the last delivered element, taken at the next call.
    delivered: usize,
    /// Bytes of the running element that were looked at.
    scanned: usize,
    /// Brackets open in it.
    depth: usize,
    in_string: bool,
    arena: Bump,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The opening bracket.
    #[default]
    Array,
    /// The first element, or the end.
    First,
    /// An element.
    Element,
    /// The rest of an element.
    Within,
    /// A comma, or the end.
    Comma,
    /// Nothing.
    Ended,
}

impl Framing for JsonArray {
    type Frame<'a> = &'a str;

    fn push(&mut self, bytes: &[u8]) {
        self.take_delivered();
        self.window.push(bytes);
    }

    fn next_frame(&mut self) -> Result<Option<&str>, FrameError> {
        self.take_delivered();
        while self.place != Place::Within {
            let bytes = self.window.bytes();
            let blank = bytes.len() - bytes.trim_ascii_start().len();
            self.window.take(blank);
            let Some(&next) = self.window.bytes().first() else { return Ok(None) };
            self.place = match (self.place, next) {
                (Place::Array, b'[') => Place::First,
                (Place::First | Place::Comma, b']') => Place::Ended,
                (Place::Comma, b',') => Place::Element,
                (Place::First | Place::Element, b',' | b']' | b'}' | b':') => {
                    return Err(self.window.error(Fault::Malformed));
                }
                (Place::First | Place::Element, _) => Place::Within,
                _ => return Err(self.window.error(Fault::Malformed)),
            };
            if self.place != Place::Within {
                self.window.take(1);
            }
        }
        let end = self.element_end();
        self.window.check(self.scanned)?;
        if !end {
            return Ok(None);
        }
        (self.place, self.delivered) = (Place::Comma, self.scanned);
        Ok(Some(text(self.window.bytes()[..self.delivered].trim_ascii_end(), &self.arena)))
    }

    fn finish(&mut self) -> Result<Option<&str>, FrameError> {
        self.take_delivered();
        match self.place {
            Place::Ended => Ok(None),
            Place::Array if self.window.bytes().is_empty() => Ok(None),
            _ => Err(self.window.error(Fault::Cut)),
        }
    }
}

impl JsonArray {
    /// Looks on for the end of the running element; if it is there, `scanned` is its length.
    fn element_end(&mut self) -> bool {
        let bytes = self.window.bytes();
        while let Some(&byte) = bytes.get(self.scanned) {
            if self.in_string {
                let Some(at) = memchr::memchr2(b'"', b'\\', &bytes[self.scanned..]) else {
                    self.scanned = bytes.len();
                    return false;
                };
                self.scanned += at;
                if bytes[self.scanned] == b'"' {
                    self.in_string = false;
                } else if self.scanned + 1 < bytes.len() {
                    // The escaped byte is no end of the string.
                    self.scanned += 1;
                } else {
                    return false;
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b',' | b']' | b'}' if self.depth == 0 => return true,
                    b']' | b'}' => self.depth -= 1,
                    _ => {}
                }
            }
            self.scanned += 1;
            if self.depth == 0 && !self.in_string && matches!(bytes[self.scanned - 1], b'}' | b']' | b'"') {
                return true;
            }
        }
        false
    }

    fn take_delivered(&mut self) {
        if self.delivered > 0 {
            self.window.take(std::mem::take(&mut self.delivered));
            self.scanned = 0;
            self.arena.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::frames::FRAME_LIMIT;
    use crate::providers::frames::fuzzing::{frames, same_however_split};
    use proptest::prelude::*;

    #[test]
    fn elements_are_told_apart() {
        let error = |offset, fault| Some(FrameError { offset, fault });
        for (stream, elements, expected) in [
            ("[{\"a\":1}\n,\r\n{\"b\":[2,{}]}]\n", vec![r#"{"a":1}"#, r#"{"b":[2,{}]}"#], None),
            (r#"["]\"},", 1 ,null,[[]]]"#, vec![r#""]\"},""#, "1", "null", "[[]]"], None),
            (" [ ] ", vec![], None),
            ("", vec![], None),
            ("[", vec![], error(1, Fault::Cut)),
            ("[{}", vec!["{}"], error(3, Fault::Cut)),
            ("[{},", vec!["{}"], error(4, Fault::Cut)),
            ("[{\"a\":\"\\", vec![], error(1, Fault::Cut)),
            ("[{}{}]", vec!["{}"], error(3, Fault::Malformed)),
            ("[,]", vec![], error(1, Fault::Malformed)),
            ("[1,]", vec!["1"], error(3, Fault::Malformed)),
            ("{}", vec![], error(0, Fault::Malformed)),
            ("[] x", vec![], error(3, Fault::Malformed)),
        ] {
            let elements: Vec<String> = elements.iter().map(|element| format!("{element:?}")).collect();
            assert_eq!(frames::<JsonArray>([stream.as_bytes()]), (elements, expected), "{stream:?}");
        }
    }

    #[test]
    fn an_endless_element_is_refused_with_its_place() {
        let mut array = JsonArray::default();
        array.push(b"[1,");
        assert_eq!(array.next_frame(), Ok(Some("1")));
        array.push(&vec![b'['; FRAME_LIMIT + 1]);
        assert_eq!(array.next_frame(), Err(FrameError { offset: 3, fault: Fault::TooLarge }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_elements(
            parts in prop::collection::vec(
                prop::sample::select(vec!["[", "]", "{", "}", ",", "\"", "\\", "\\\"", "é", " ", "1", "\"a\":"]), 0..30),
            cuts in prop::collection::vec(1usize..7, 1..60),
        ) {
            same_however_split::<JsonArray>(format!("[{}", parts.concat()).as_bytes(), &cuts);
        }
    }
}
