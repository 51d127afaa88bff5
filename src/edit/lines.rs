//! Lines as the edit rules see them: ended by LF or CRLF, the last one maybe empty.

/// The lines of `text` without their ends. Text that ends with a line break has an empty last line; empty text is one.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memchr(b'\n', text.as_bytes()) {
            Some(position) => {
                rest = Some(&text[position + 1..]);
                let line = &text[..position];
                Some(line.strip_suffix('\r').unwrap_or(line))
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// As [`split`], but empty text has no line.
pub fn split_nonempty(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { split(text).collect() }
}
