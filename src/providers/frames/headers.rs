//! Headers of an event-stream message (spec 07 §15.1): name length, name, type, value; lengths and numbers big-endian.

/// The headers of one message, already checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

/// A header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Types 2 to 5: byte, short, integer, long.
    Integer(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7.
    Text(&'a str),
    /// Type 8: milliseconds since 1970.
    Timestamp(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

impl<'a> Headers<'a> {
    /// Reads the section of headers; `None` if it is not whole, or a name or text is not UTF-8.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Headers<'a>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            next(&mut rest)?;
        }
        Some(Headers(bytes))
    }

    /// All headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, HeaderValue<'a>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || next(&mut rest))
    }

    /// The text of the first header `name`, if it is one of type text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.iter().find(|(known, _)| *known == name)?.1 {
            HeaderValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Takes one header off the front.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, HeaderValue<'a>)> {
    let length = array::<1>(rest)?[0];
    let name = std::str::from_utf8(take(rest, length.into())?).ok()?;
    let value = match array::<1>(rest)?[0] {
        0 => HeaderValue::Bool(true),
        1 => HeaderValue::Bool(false),
        2 => HeaderValue::Integer(i8::from_be_bytes(array(rest)?).into()),
        3 => HeaderValue::Integer(i16::from_be_bytes(array(rest)?).into()),
        4 => HeaderValue::Integer(i32::from_be_bytes(array(rest)?).into()),
        5 => HeaderValue::Integer(i64::from_be_bytes(array(rest)?)),
        6 => HeaderValue::Bytes(counted(rest)?),
        7 => HeaderValue::Text(std::str::from_utf8(counted(rest)?).ok()?),
        8 => HeaderValue::Timestamp(i64::from_be_bytes(array(rest)?)),
        9 => HeaderValue::Uuid(array(rest)?),
        _ => return None,
    };
    Some((name, value))
}

fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(array(rest)?);
    take(rest, length.into())
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types_are_read() {
        let named = |rest: &[u8]| [b"\x01n", rest].concat();
        for (bytes, expected) in [
            (named(b"\x00"), HeaderValue::Bool(true)),
            (named(b"\x01"), HeaderValue::Bool(false)),
            (named(b"\x02\xff"), HeaderValue::Integer(-1)),
            (named(b"\x03\x01\x00"), HeaderValue::Integer(256)),
            (named(b"\x04\x00\x00\x00\x07"), HeaderValue::Integer(7)),
            (named(b"\x05\x00\x00\x00\x00\x00\x00\x00\x08"), HeaderValue::Integer(8)),
            (named(b"\x06\x00\x02\xff\x00"), HeaderValue::Bytes(b"\xff\x00")),
            (named(b"\x07\x00\x02hi"), HeaderValue::Text("hi")),
            (named(b"\x08\x00\x00\x00\x00\x00\x00\x00\x09"), HeaderValue::Timestamp(9)),
            (named(b"\x090123456789abcdef"), HeaderValue::Uuid(*b"0123456789abcdef")),
        ] {
            let two = [bytes.as_slice(), b"\x01m\x07\x00\x01x"].concat();
            let headers = Headers::read(&two).expect("whole headers");
            assert_eq!(headers.iter().collect::<Vec<_>>(), [("n", expected), ("m", HeaderValue::Text("x"))]);
            assert_eq!((headers.text("m"), headers.text("absent")), (Some("x"), None));
            for end in 1..bytes.len() {
                assert_eq!(Headers::read(&bytes[..end]), None, "{expected:?} cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [&b"\x01n\x0a"[..], b"\x01\xff\x00", b"\x01n\x07\x00\x01\xff", b"\xffn\x00"] {
            assert_eq!(Headers::read(bytes), None, "{bytes:?}");
        }
        assert_eq!(Headers::read(b"").map(|headers| headers.iter().count()), Some(0));
    }
}
