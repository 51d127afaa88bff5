//! Small text rules that several tools share (spec 05 §1.3, §1.12).

/// Replaces the HTML entities that models write for `<`, `>`, quotes, brackets and `&`; `&amp;` last and once.
pub fn unescape_html(text: &str) -> String {
    const ENTITIES: [(&str, &str); 10] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&#91;", "["),
        ("&#93;", "]"),
        ("&lsqb;", "["),
        ("&rsqb;", "]"),
        ("&amp;", "&"),
    ];
    if !text.contains('&') {
        return text.to_owned();
    }
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

/// The text of a parameter that is still streaming in, without the beginning of its closing tag (`…foo</pa` → `…foo`).
pub fn without_closing_tag<'a>(tag: &str, text: &'a str) -> &'a str {
    let Some((before, rest)) = text.rsplit_once('<') else { return text };
    let mut letters = tag.chars();
    let is_begun_tag = rest.strip_prefix('/').unwrap_or(rest).chars().all(|c| letters.any(|letter| letter == c));
    match is_begun_tag {
        true => before.strip_suffix(crate::ecma::is_space).unwrap_or(before),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_become_characters() {
        for (text, plain) in [
            ("a &amp;&amp; b", "a && b"),
            ("&amp;lt;", "&lt;"),
            ("&#91;1&rsqb; &apos;&quot;&#39;", "[1] '\"'"),
            ("&unknown; &", "&unknown; &"),
        ] {
            assert_eq!(unescape_html(text), plain);
        }
    }

    #[test]
    fn a_begun_closing_tag_is_not_shown() {
        for (text, shown) in [
            ("foo</pa", "foo"),
            ("foo\n</path", "foo"),
            ("foo  <", "foo "),
            ("foo</ph", "foo"),
            ("foo</path>", "foo</path>"),
            ("a < b", "a < b"),
            ("foo", "foo"),
        ] {
            assert_eq!(without_closing_tag("path", text), shown);
        }
    }
}
