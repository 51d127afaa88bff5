//! Header values, and the headers most providers get (spec 07 §2).

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Version the default headers name.
const VERSION: &str = "4.98.2";

/// DEFAULT_HEADERS of the specification.
pub const DEFAULT_HEADERS: [(&str, &str); 4] = [
    ("HTTP-Referer", "https://kilocode.ai"),
    ("X-Title", "Kilo Code"),
    ("X-KiloCode-Version", VERSION),
    ("User-Agent", "Kilo-Code/4.98.2"),
];

/// A header name or value with characters that cannot be sent. Holds neither of them: the value may be a key.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a header has characters that cannot be sent")]
pub struct InvalidHeader;

/// Sets a header in place of one with the same name. White space around the value is dropped; characters up to U+00FF are
/// sent as one byte each. The value is marked sensitive, so that `Debug` does not show it.
///
/// # Errors
/// A name that is none, or a value with control characters or characters above U+00FF.
pub fn set_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), InvalidHeader> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| InvalidHeader)?;
    let bytes: Result<Vec<u8>, _> =
        value.trim_matches([' ', '\t', '\r', '\n']).chars().map(|c| u8::try_from(u32::from(c))).collect();
    let mut value = HeaderValue::from_bytes(&bytes.map_err(|_| InvalidHeader)?).map_err(|_| InvalidHeader)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bytes_and_secret() {
        let mut headers = HeaderMap::new();
        assert_eq!(set_header(&mut headers, "X-Key", " s\u{e9}cret\n"), Ok(()));
        assert_eq!(headers["x-key"].as_bytes(), b"s\xe9cret");
        assert!(!format!("{headers:?}").contains("cret"));
        for (name, value) in [("k", "schl\u{fc}ssel\u{201c}"), ("k", "a\nb"), ("k k", "v"), ("", "v")] {
            assert_eq!(set_header(&mut headers, name, value), Err(InvalidHeader), "{name:?} {value:?}");
        }
    }
}
