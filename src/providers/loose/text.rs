//! A text of an event, kept as it stands in the bytes and unescaped only where it is used.
//!
//! Reading it so, and not through the parser, costs no allocation but that of the result: the parser would put a text with
//! escapes together in a buffer of its own and then copy it.

use bumpalo::Bump;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A text as it stands between its quotes, escapes and all; absent when the value is something else.
///
/// Half of a surrogate pair becomes U+FFFD.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Text<'a>(Option<&'a str>);

impl<'a> Text<'a> {
    /// The text that this value is, if it is one.
    pub fn of(value: &'a RawValue) -> Text<'a> {
        Text(value.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')))
    }

    /// The text, if there is one, even empty.
    pub fn present(self) -> Option<Text<'a>> {
        self.0.map(|_| self)
    }

    /// The text, unless it is empty or absent.
    pub fn filled(self) -> Option<Text<'a>> {
        self.0.filter(|text| !text.is_empty()).map(|_| self)
    }

    /// What it says, empty when absent; in `arena` if there was something to unescape.
    pub fn read<'b>(self, arena: &'b Bump) -> &'b str
    where
        'a: 'b,
    {
        let raw = self.0.unwrap_or("");
        if !has_escapes(raw) {
            return raw;
        }
        let mut text = bumpalo::collections::String::with_capacity_in(raw.len(), arena);
        unescape(raw, |piece| text.push_str(piece));
        text.into_bump_str()
    }

    /// What it says, empty when absent.
    pub fn into_string(self) -> String {
        let raw = self.0.unwrap_or("");
        if !has_escapes(raw) {
            return raw.to_owned();
        }
        let mut text = String::with_capacity(raw.len());
        unescape(raw, |piece| text.push_str(piece));
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(Text::of)
    }
}

fn has_escapes(raw: &str) -> bool {
    memchr::memchr(b'\\', raw.as_bytes()).is_some()
}

/// Gives what `raw` says piece by piece; never longer than `raw`.
fn unescape(raw: &str, mut push: impl FnMut(&str)) {
    let mut rest = raw;
    while let Some((before, escape)) = memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
        push(before);
        let (character, length) = escaped(escape.as_bytes());
        push(character.encode_utf8(&mut [0; 4]));
        rest = escape.get(length..).unwrap_or("");
    }
    push(rest);
}

/// The character that the escape at the front means, and the length of the escape. The parser has let pass no other forms.
fn escaped(escape: &[u8]) -> (char, usize) {
    let character = match escape.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            return unit(escape).map_or((char::REPLACEMENT_CHARACTER, escape.len()), |first| pair(first, escape));
        }
        Some(ascii) => char::from(*ascii),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, 2)
}

/// The character of the unit `first`, together with the one that follows it if they are a surrogate pair.
fn pair(first: u16, escape: &[u8]) -> (char, usize) {
    let second = escape.get(6..).and_then(unit);
    match char::decode_utf16(std::iter::once(first).chain(second)).next() {
        Some(Ok(character)) => (character, 6 * character.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The UTF-16 unit of `\uXXXX` at the front.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str) -> Text<'_> {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn escapes_mean_what_json_says() {
        for (json, expected) in [
            (r#""""#, ""),
            (r#""plain é""#, "plain é"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""a\u00e9\uD83D\ude00b""#, "aé😀b"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ud83dx\ude00\n""#, "\u{fffd}x\u{fffd}\n"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ] {
            let arena = Bump::new();
            assert_eq!((text(json).read(&arena), text(json).into_string().as_str()), (expected, expected), "{json}");
            assert_eq!(text(json).filled().is_some(), !expected.is_empty(), "{json}");
        }
        for json in ["null", "7", "[\"a\"]", "{}", "true"] {
            assert_eq!((text(json), text(json).into_string().as_str()), (Text::default(), ""), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(expected in any::<String>(), ascii in any::<bool>()) {
            let mut json = serde_json::to_string(&expected).expect("JSON");
            if ascii {
                let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
                json = json.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect();
            }
            let arena = Bump::new();
            prop_assert_eq!(text(&json).read(&arena), &expected);
            prop_assert_eq!(text(&json).into_string(), expected);
        }
    }
}
