//! The objects of a JSON array, one after another, without the whole of it in memory.

use std::io::{self, BufRead};

/// Reads `[{…},{…}]`. What is inside the objects is not checked.
pub struct Objects<R> {
    input: R,
    at: u64,
    checksum: crc32fast::Hasher,
    begun: bool,
}

impl<R: BufRead> Objects<R> {
    pub fn new(input: R) -> Objects<R> {
        Objects { input, at: 0, checksum: crc32fast::Hasher::new(), begun: false }
    }

    /// Puts the text of the next object into `object` and gives the place of its first byte; `None` at the end.
    ///
    /// # Errors
    /// What the input reports; [`io::ErrorKind::InvalidData`] where something else than objects stands.
    pub fn next_into(&mut self, object: &mut Vec<u8>) -> io::Result<Option<u64>> {
        object.clear();
        let first = if self.begun { b',' } else { b'[' };
        match self.peek()? {
            Some(mark) if mark == first => self.pass(),
            Some(b']') if self.begun => return self.end(),
            _ => return Err(unexpected()),
        }
        let opened = !std::mem::replace(&mut self.begun, true);
        match self.peek()? {
            Some(b'{') => {}
            Some(b']') if opened => return self.end(),
            _ => return Err(unexpected()),
        }
        let start = self.at;
        self.object(object)?;
        Ok(Some(start))
    }

    /// Length and CRC-32 of all that was read.
    pub fn identity(self) -> (u64, u32) {
        (self.at, self.checksum.finalize())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf()?.first().copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pass(),
                other => return Ok(other),
            }
        }
    }

    fn pass(&mut self) {
        // Buffered: `peek` has seen it.
        if let Some(byte) = self.input.fill_buf().ok().and_then(|buffer| buffer.get(..1)) {
            self.checksum.update(byte);
            self.input.consume(1);
            self.at += 1;
        }
    }

    fn end(&mut self) -> io::Result<Option<u64>> {
        self.pass();
        if self.peek()?.is_some() { Err(unexpected()) } else { Ok(None) }
    }

    fn object(&mut self, object: &mut Vec<u8>) -> io::Result<()> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut used = 0;
            while let Some(byte) = buffer.get(used) {
                used += 1;
                if std::mem::take(&mut escaped) {
                    continue;
                }
                match byte {
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    _ if in_string => {
                        used += memchr::memchr2(b'"', b'\\', &buffer[used..]).unwrap_or(buffer.len() - used);
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    _ => {}
                }
            }
            self.checksum.update(&buffer[..used]);
            object.extend_from_slice(&buffer[..used]);
            self.input.consume(used);
            self.at += used as u64;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an array of objects")
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn split(text: &str, capacity: usize) -> io::Result<Vec<(u64, String)>> {
        let mut objects = Objects::new(BufReader::with_capacity(capacity, text.as_bytes()));
        let (mut object, mut found) = (Vec::new(), Vec::new());
        while let Some(at) = objects.next_into(&mut object)? {
            found.push((at, String::from_utf8(object.clone()).expect("text")));
        }
        assert_eq!(objects.identity(), (text.len() as u64, crc32fast::hash(text.as_bytes())));
        Ok(found)
    }

    #[test]
    fn only_an_array_of_objects_is_taken() {
        for text in ["", "{}", "[", "[{}", "[{},]", "[,{}]", "[1]", "[{}]x", "[{}{}]", "[{\"a\":\"}]", "[{]", "[}]"] {
            let read = split(text, 64);
            assert!(read.is_err() || text == "[{]", "{text}: {read:?}");
        }
        for (text, count) in [("[]", 0), (" [ ] ", 0), ("[{}]", 1), ("[\n  {\"a\": [1, {}]},\n  {}\n]\n", 2)] {
            assert_eq!(split(text, 64).expect("an array").len(), count, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_buffer_finds_the_objects_where_they_stand(
            texts in prop::collection::vec("[a\"\\\\{}\\[\\]é\n]{0,12}", 0..6),
            capacity in 1..40usize,
        ) {
            let values: Vec<_> = texts.iter().map(|text| serde_json::json!({text.as_str(): [text, {"x": text}]})).collect();
            for text in [serde_json::to_string(&values).expect("JSON"), serde_json::to_string_pretty(&values).expect("JSON")] {
                let found = split(&text, capacity).expect("an array");
                prop_assert_eq!(found.len(), values.len());
                for ((at, object), value) in found.iter().zip(&values) {
                    prop_assert!(text[*at as usize..].starts_with(object.as_str()));
                    prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(object).expect("JSON"), value);
                }
            }
        }
    }
}
