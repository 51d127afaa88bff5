//! Sizes that a request may have. What exceeds one is refused with its place; nothing is cut silently.

/// Longest JSON text of a request, bytes.
pub const MAX_JSON_BYTES: usize = 64 << 20;
/// Longest text of a message, task or answer, bytes.
pub const MAX_TEXT_BYTES: usize = 4 << 20;
/// Longest name: a type, mode, profile, key, task id, bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes of a secret: the keyrings of some systems take no longer ones.
pub const MAX_SECRET_BYTES: usize = 2560;
/// Longest path, bytes.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most images of one message.
pub const MAX_IMAGES: usize = 32;
/// Longest image as a data URL, bytes.
pub const MAX_IMAGE_BYTES: usize = 16 << 20;
/// Longest free-form JSON value in a request, bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;
/// Most entries of one list in a request.
pub const MAX_ITEMS: usize = 1024;
/// Longest text an error quotes, bytes: whoever sends nonsense does not get all of it back.
pub const MAX_QUOTED_BYTES: usize = 512;

/// Cuts the place or message of an error, which may quote its input, to [`MAX_QUOTED_BYTES`] and an ellipsis.
pub(super) fn quoted(mut text: String) -> String {
    if text.len() > MAX_QUOTED_BYTES {
        let end = (0..=MAX_QUOTED_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_end_between_characters() {
        assert_eq!(quoted("short".to_owned()), "short");
        let exact = "x".repeat(MAX_QUOTED_BYTES);
        assert_eq!(quoted(exact.clone()), exact);
        let cut = quoted("ü".repeat(MAX_QUOTED_BYTES));
        assert_eq!(cut, "ü".repeat(MAX_QUOTED_BYTES / 2) + "…");
        let shifted = quoted("x".to_owned() + &"ü".repeat(MAX_QUOTED_BYTES));
        assert_eq!(shifted.len(), MAX_QUOTED_BYTES - 1 + "…".len());
    }
}
