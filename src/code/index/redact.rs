//! What of an error's text may be reported: no addresses, names of files or hosts (spec 09 §5.4).

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// White space as ECMAScript counts it, for use in a class.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// The patterns in their order, each with what stands in place of what it finds.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let path = format!(r"(?:/[\w.-]+)+(?:/[\w.{SPACE}-]*)*|[a-zA-Z]:\\[\w.\\-]+|\.{{1,2}}/[\w./-]+");
    [
        (r"(?i)(?:https?|ftp|file)://[\w.-]+(?::\d+)?(?:/[\w./?&=#-]*)?", "[REDACTED_URL]"),
        (r"[\w.-]+@[\w.-]+\.\w+", "[REDACTED_EMAIL]"),
        (r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "[REDACTED_IP]"),
        (r#""[^"]*[/\\][^"]*""#, r#""[REDACTED_PATH]""#),
        (path.as_str(), "[REDACTED_PATH]"),
    ]
    .into_iter()
    // `w`, digits and borders of words are ASCII; only classes may still name other characters.
    .filter_map(|(pattern, by)| Some((Regex::new(&ascii(pattern)).ok()?, by)))
    .collect()
});

/// Ports, and the address before them, which is taken along so that one right after it stays.
static PORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(REDACTED_URL\])?:[0-9]{2,5}(?-u:\b)").ok());

fn ascii(pattern: &str) -> String {
    pattern
        .replace(r"[\w.", r"[A-Za-z0-9_.")
        .replace(r"\w", "[A-Za-z0-9_]")
        .replace(r"\d", "[0-9]")
        .replace(r"\b", r"(?-u:\b)")
}

/// The text without what tells of a person's machine.
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, by) in RULES.iter() {
        text = pattern.replace_all(&text, *by).into_owned();
    }
    let Some(port) = &*PORT else { return text };
    let by = |found: &Captures<'_>| match found.get(1) {
        Some(_) => found[0].to_owned(),
        None => ":[REDACTED_PORT]".to_owned(),
    };
    port.replace_all(&text, by).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_valid_and_finds_its_kind() {
        assert_eq!((RULES.len(), PORT.is_some()), (5, true));
        for (text, expected) in [
            ("GET HTTPS://a.example:8080/x?y=1#z failed", "GET [REDACTED_URL] failed"),
            ("http://host:80:90 x", "[REDACTED_URL]:90 x"),
            ("to a.b@c.org, now", "to [REDACTED_EMAIL], now"),
            ("10.0.0.1:9000 and 1.2.3", "[REDACTED_IP]:[REDACTED_PORT] and 1.2.3"),
            ("\"/a b/c\" and /a/b", "\"[REDACTED_PATH]\" and [REDACTED_PATH]"),
            (r"C:\Temp\x.log ../up ./here", "[REDACTED_PATH] [REDACTED_PATH] [REDACTED_PATH]"),
            ("x:1 y:12345 z:123456", "x:1 y:[REDACTED_PORT] z:123456"),
            ("/ü", "/ü"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
