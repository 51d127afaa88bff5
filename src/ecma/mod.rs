//! ECMAScript string semantics: the behaviour specification counts lengths, offsets and limits in UTF-16 code
//! units and trims the ECMAScript white-space set (spec 01 §0). Everything here works on `&str` and never
//! materialises UTF-16 unless it must. A leaf: uses nothing of ours, does no I/O.

pub mod collate;
pub mod pattern;
pub mod replace;
pub mod sort;
pub mod text;

/// True for the ECMAScript white-space and line-terminator set (`\s`, `trim`): TAB, LF, VT, FF, CR, SPACE,
/// U+00A0, U+FEFF, U+2028, U+2029 and Unicode `Zs`. U+0085 is not in it.
#[inline]
pub fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{9}'..='\u{d}' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}'
            | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

/// `String.prototype.trim`.
pub fn trim(s: &str) -> &str {
    s.trim_matches(is_space)
}

/// `String.prototype.trimEnd`.
pub fn trim_end(s: &str) -> &str {
    s.trim_end_matches(is_space)
}

/// `String.prototype.trimStart`.
pub fn trim_start(s: &str) -> &str {
    s.trim_start_matches(is_space)
}

/// Length in UTF-16 code units.
pub fn utf16_len(s: &str) -> usize {
    if s.is_ascii() {
        return s.len();
    }
    s.chars().map(char::len_utf16).sum()
}

/// `parseInt(s, 10)`: leading white space, optional sign, leading digits, rest ignored. No digits: `None` (NaN).
pub fn parse_int(s: &str) -> Option<f64> {
    let s = trim_start(s);
    let (negative, digits) = match s.as_bytes().first() {
        Some(b'-') => (true, &s[1..]),
        Some(b'+') => (false, &s[1..]),
        _ => (false, s),
    };
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let value: f64 = digits[..end].parse().ok()?;
    Some(if negative { -value } else { value })
}

/// Whether a JSON value counts as true.
pub fn is_truthy(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// `parseFloat(s)`: leading white space, then the longest beginning that is a decimal number, rest ignored. No digits: `None`
/// (NaN).
pub fn parse_float(s: &str) -> Option<f64> {
    let s = trim_start(s);
    let unsigned = s.strip_prefix(['+', '-']).unwrap_or(s);
    let sign = if s.starts_with('-') { -1.0 } else { 1.0 };
    if unsigned.starts_with("Infinity") {
        return Some(sign * f64::INFINITY);
    }
    let digits = |from: usize| unsigned[from..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(0);
    let fraction = if unsigned[whole..].starts_with('.') { digits(whole + 1) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    let mut end = if unsigned[whole..].starts_with('.') { whole + 1 + fraction } else { whole };
    if unsigned[end..].starts_with(['e', 'E']) {
        let signed = end + 1 + usize::from(unsigned[end + 1..].starts_with(['+', '-']));
        let exponent = digits(signed);
        end = if exponent > 0 { signed + exponent } else { end };
    }
    unsigned[..end].parse::<f64>().ok().map(|number| sign * number)
}

/// The value of a JSON text; `default` if it is absent, empty or not JSON (spec 05 §1.12 safeJson).
pub fn json_or(text: Option<&str>, default: serde_json::Value) -> serde_json::Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("20.5", Some(20.5)),
            (" -3 seconds", Some(-3.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3x", Some(1000.0)),
            ("1e", Some(1.0)),
            ("1e+", Some(1.0)),
            ("+2E-1", Some(0.2)),
            ("-Infinity!", Some(f64::NEG_INFINITY)),
            ("inf", None),
            ("NaN", None),
            (".", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(parse_float(text), expected, "{text}");
        }
    }
}
